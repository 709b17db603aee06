"""The paper's figures, laid out as it lays them out, from the runs that are there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from goralx.comparison import mean_interval
from goralx.data import Array
from goralx.report import CLASSES, INK, MUTED, plain

from .first_look import boundary, instance_of
from .paper import GOALS, OPERATORS
from .results import ACCURACY, Results
from .snapshots import TARGET

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOK: dict[str, tuple[str, Any]] = {
    "random": (MUTED, "-"),
    "margin": (INK, "-"),
    "entropy": (INK, (0, (1, 1.5))),
    "oracle": ("#D55E00", "-"),
    "max": ("#0072B2", "-"),
    "min": ("#CC79A7", "-"),
    "average": ("#009E73", "-"),
    "dev-trained": (INK, (0, (5, 2))),
}
"""Colour and dash of operators and baselines, the same in every figure."""

NAMES = {"dev": "Negative dev-set loss", "ent": "Negative prediction entropy",
         "fir": "Negative Fisher information"}  # fmt: skip
SNAPSHOTS = (10, 60, 170, 240)
SHOWN_SNAPSHOTS = ("margin", "dev-oracle", "dev-average", "dev-min")
BAND_EVERY = 5
"""Rounds from one bootstrap of a band to the next."""


def figure1(results: Results | None = None) -> Figure:
    """synth2: its clusters, the init set, and the boundaries that a model finds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.2, 5.2), layout="constrained")
    axes = figure.add_subplot()
    plain(axes)
    _pool(axes, alpha=0.55)
    instance = instance_of("synth2", 0)
    X = np.asarray(instance.X)
    x, y = X[instance.init].T
    colours = [CLASSES[k] for k in instance.y[instance.init]]
    axes.scatter(
        x, y, s=48, marker="s", c=colours, edgecolors=INK, linewidth=1.1, zorder=4, label="init"
    )
    for whole, dash, name in (
        (False, (0, (5, 2)), "after init"),
        (True, "-", "with the whole pool"),
    ):
        _line(axes, whole, dash, f"boundary {name}")
    axes.set(xlabel="feature 1", ylabel="feature 2", aspect="equal")
    axes.set_title("synth2 (a reconstruction), seed 0", fontsize=11, color=INK, loc="left")
    figure.legend(fontsize=8, edgecolor="none", loc="outside lower center", ncols=3)
    return figure


def figure5(results: Results) -> Figure:
    """Snapshots on synth2, seed 0: what each strategy has asked after so many queries."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 11.5), layout="constrained")
    panels = figure.subplots(len(SHOWN_SNAPSHOTS), len(SNAPSHOTS), sharex=True, sharey=True)
    X = np.asarray(instance_of("synth2", 0).X)
    for row, arm in zip(panels, SHOWN_SNAPSHOTS, strict=True):
        for axes, n in zip(row, SNAPSHOTS, strict=True):
            plain(axes)
            _pool(axes, alpha=0.25)
            run = results.run(arm, 0)
            if run is None:
                continue
            rounds, ids = run.queries
            axes.scatter(
                X[ids[:n], 0],
                X[ids[:n], 1],
                s=13,
                c=rounds[:n],
                cmap="viridis",
                zorder=3,
                linewidth=0,
                rasterized=True,
            )
            accuracy = run.after(ACCURACY, min(n, int(run.n_queries[-1])))
            axes.set_title(
                f"{n} queries, {accuracy * 60:.0f}/60", fontsize=9, color=INK, loc="left"
            )
        row[0].set_ylabel(_spoken(arm), fontsize=10, color=INK)
    figure.suptitle(
        f"AL snapshots on synth2, seed 0: queries so far, from early (dark) to late (bright); "
        f"the target is {TARGET * 60:.0f}/60",
        fontsize=11, color=INK,
    )  # fmt: skip
    return figure


def _spoken(arm: str) -> str:
    return "uncertainty" if arm == "margin" else f"GORAL ({arm.partition('-')[2]})"


def _pool(axes: Axes, alpha: float) -> None:
    instance = instance_of("synth2", 0)
    X = np.asarray(instance.X)
    for k, name in enumerate(instance.classes):
        rows = instance.pool[instance.y[instance.pool] == k]
        axes.scatter(
            X[rows, 0], X[rows, 1], s=11, color=CLASSES[k], alpha=alpha, linewidth=0, label=name,
            rasterized=True,
        )  # fmt: skip


def _line(axes: Axes, whole: bool, dash: Any, label: str) -> None:
    found = boundary(0, whole)
    limits = axes.get_xlim(), axes.get_ylim()
    point = -found.b * found.w / (found.w @ found.w)
    ends = point, point + np.array([-found.w[1], found.w[0]])
    first, second = ((float(x), float(y)) for x, y in ends)
    axes.axline(
        first,
        second,
        color=INK,
        linewidth=1.3,
        linestyle=dash,
        label=label,
    )
    axes.set(xlim=limits[0], ylim=limits[1])


def benchmark(results: Results) -> Figure:
    """Figs 6 and 8: learning curves above goal curves, a column a goal, with bands."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.5, 6.8), layout="constrained")
    panels = figure.subplots(2, len(GOALS), sharex=True)
    handles: dict[str, Any] = {}
    for column, goal in enumerate(GOALS):
        above, below = panels[0][column], panels[1][column]
        for axes in (above, below):
            plain(axes)
        for arm, short in _compared(results, goal):
            for axes, what in ((above, ACCURACY), (below, f"goal/{goal}")):
                handles[short] = _curve(axes, results, arm, what, short)
        ceilings = [run.ceiling for run in results.of("random")]
        if ceilings:
            above.axhline(
                float(np.mean(ceilings)), color=MUTED, linewidth=0.9, linestyle=(0, (1, 2))
            )
        above.set_title(f"({'abc'[column]}) {NAMES[goal]}", fontsize=10, color=INK, loc="left")
        below.set_xlabel("queries")
        _robust(below, results, goal)
    panels[0][0].set_ylabel("test accuracy")
    panels[1][0].set_ylabel("goal")
    figure.legend(
        list(handles.values()), list(handles), loc="outside lower center", ncols=len(handles),
        fontsize=9, edgecolor="none", labelcolor=INK,
    )  # fmt: skip
    return figure


def _compared(results: Results, goal: str) -> list[tuple[str, str]]:
    """Arms of a column with their short names, those that have been run."""
    named = [(name, name) for name in ("random", "margin", "entropy")]
    named += [(f"{goal}-{operator}", operator) for operator in OPERATORS]
    if goal == "dev":
        named.append(("margin-dev-trained", "dev-trained"))
    return [(arm, short) for arm, short in named if arm in results.arms and results.of(arm)]


def _curve(axes: Axes, results: Results, arm: str, column: str, short: str) -> Any:
    colour, dash = LOOK[short]
    n, values = results.curves(arm, column)
    (line,) = axes.plot(n, values.mean(axis=0), color=colour, linestyle=dash, linewidth=1.5)
    if len(values) > 2:
        at = np.unique(np.append(np.arange(0, len(n), BAND_EVERY), len(n) - 1))
        bounds = np.array([mean_interval(values[:, i])[1:] for i in at])
        axes.fill_between(n[at], *bounds.T, color=colour, alpha=0.16, linewidth=0)
    return line


def _robust(axes: Axes, results: Results, goal: str) -> None:
    """A scale on which arms are told apart, though the first rounds of one fall off."""
    ends = [
        np.quantile(results.curves(arm, f"goal/{goal}")[1].mean(axis=0), [0.02, 1.0])
        for arm, _ in _compared(results, goal)
    ]
    if ends:
        low, high = min(e[0] for e in ends), max(e[1] for e in ends)
        axes.set_ylim(low - 0.04 * (high - low), high + 0.04 * (high - low))


BANDS = (("q005", "q095", 0.2), ("q025", "q075", 0.4))


def utilities(results: Results) -> Figure:
    """Figs 7 and 9: how the pool's utilities are distributed from round to round, seed 0."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 7.5), layout="constrained")
    panels = figure.subplots(len(GOALS), len(OPERATORS), sharex=True)
    for row, goal in zip(panels, GOALS, strict=True):
        for axes, operator in zip(row, OPERATORS, strict=True):
            plain(axes)
            run = results.run(f"{goal}-{operator}", 0)
            if run is None:
                continue
            n, colour = run.n_queries, LOOK[operator][0]
            for low, high, alpha in BANDS:
                edges = run.rounds[f"utility/{low}"], run.rounds[f"utility/{high}"]
                axes.fill_between(n, *edges, color=colour, alpha=alpha, linewidth=0)
            axes.plot(n, run.rounds["utility/q050"], color=INK, linewidth=1.1)
            axes.axhline(0, color=MUTED, linewidth=0.7)
            widest = np.concatenate([run.rounds[f"utility/{q}"] for q in ("q005", "q095")])
            _stretch(axes, widest)
            axes.set_ylim(min(0.0, float(np.nanmin(widest))), max(0.0, float(np.nanmax(widest))))
            axes.set_title(f"{goal}, {operator}", fontsize=9, color=INK, loc="left")
            axes.yaxis.get_offset_text().set_fontsize(8)
        row[0].set_ylabel("utility", fontsize=9)
    for axes in panels[-1]:
        axes.set_xlabel("queries")
    figure.suptitle(
        "Utilities of the pool, seed 0: median, half and nine tenths of the candidates",
        fontsize=11,
        color=INK,
    )
    return figure


def _stretch(axes: Axes, values: Array) -> None:
    """A scale that is linear about zero where the first rounds dwarf the rest."""
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    if len(sizes) and sizes.max() > 20 * np.median(sizes):
        axes.set_yscale("symlog", linthresh=float(np.quantile(sizes, 0.5)))


DRAWN: dict[str, tuple[str, Callable[[Results], Figure]]] = {
    "fig1": ("synth2", figure1),
    "fig5": ("synth2", figure5),
    "fig6": ("letter", benchmark),
    "fig7": ("letter", utilities),
    "fig8": ("rt_polarity", benchmark),
    "fig9": ("rt_polarity", utilities),
}
"""Of each figure that is drawn here: its data set, and how."""

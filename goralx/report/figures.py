"""The pictures of one run, drawn from its record: learning curve, goal curves, utilities, pool.

Drawn with matplotlib's objects, without pyplot: no current figure, no display, no global state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from goralx.data import Array, Features, Instance, Rows
from goralx.records import read_queries, read_rounds, read_stacked

from .fonts import caption
from .style import BLUE, CLASSES, INK, MUTED, ORANGE, in_words, legend, paint, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_HISTOGRAMS = 4
N_NUMBERED = 30
"""Queried samples beyond which numbers would cover one another: colour alone says the round."""


def draw(directory: Path, goal: str, results: Mapping[str, Any]) -> None:
    """Draw the curves of a recorded run into ``directory/figures``; ``goal`` is the run's own.

    ``results`` has the metric, the full pool's and the labels needed, as in ``summary.json``.
    What a run has nothing of (a random strategy has no utilities) gets no figure.
    """
    rounds, folder = read_rounds(directory), directory / "figures"
    paint(folder / "learning_curve.png", lambda: learning_curve(rounds, results))
    paint(folder / "goal_curves.png", lambda: goal_curves(rounds, goal))
    if np.isfinite(rounds["utility/q050"]).any():
        paint(folder / "utility_distribution.png", lambda: _utilities(directory, rounds))


def _utilities(directory: Path, rounds: Mapping[str, Array]) -> Figure:
    if not (directory / "utilities.npz").exists():  # only quantiles were kept
        return utility_distribution(rounds, np.empty(0), [])
    with np.load(directory / "utilities.npz", allow_pickle=False) as stored:
        n_scored = stored["n_labelled"]
    spread = np.linspace(0, len(n_scored) - 1, N_HISTOGRAMS)
    shown = np.unique(spread.round().astype(int))
    utility = read_stacked(directory / "utilities.npz", "utility", shown)
    return utility_distribution(rounds, n_scored[shown], utility)


def draw_pool(directory: Path, instance: Instance, log_proba: Callable[[Features], Array]) -> None:
    """Draw a pool of two features and what was asked of it, under the last model's predictions."""
    paint(
        directory / "figures" / "pool.png",
        lambda: pool(instance, *read_queries(directory), log_proba),
    )


def learning_curve(rounds: Mapping[str, Array], results: Mapping[str, Any]) -> Figure:
    """A test metric against labels, with what the full pool gives and where its shares are met."""
    figure, (axes,) = _panels([4.6])
    metric = str(results["metric"])
    n, values = rounds["n_labelled"], rounds[f"test/{metric}"]
    full = None if results["full_pool"] is None else results["full_pool"][metric]
    if full is not None:
        axes.axhline(full, color=MUTED, linewidth=1, linestyle=(0, (5, 3)))
        axes.annotate(
            f"full pool {full:.3f}", (1, full), (-4, 4), xycoords=axes.get_yaxis_transform(),
            textcoords="offset points", ha="right", color=MUTED, fontsize=9,
        )  # fmt: skip
    axes.plot(n, values, color=BLUE, linewidth=1.8, marker="o" if len(n) < 40 else None, ms=3.5)
    levels = values if full is None else np.append(values, full)
    low, high = float(levels.min()), float(levels.max())
    marks: dict[int, list[str]] = {}
    for share, needed in results["labels_needed"].items():
        if needed is not None:
            marks.setdefault(needed, []).append(share.replace("%", " %"))
    better = results["higher_is_better"][metric]
    beside, edge = ((6, -6), "top") if better else ((6, 6), "bottom")  # where no curve is
    for needed, shares in marks.items():
        height = float(values[np.searchsorted(n, needed)])
        foot = low - 1.0  # below the picture's edge
        axes.plot([needed] * 2, [foot, height], color=ORANGE, linewidth=1, linestyle=(0, (1, 2)))
        axes.plot(needed, height, "o", color=ORANGE, ms=6, mec="white", mew=1)
        axes.annotate(
            f"{', '.join(shares)}\nat {needed}", (needed, height), beside, fontsize=9,
            color=ORANGE, textcoords="offset points", va=edge, zorder=5,
            bbox={"boxstyle": "square,pad=0.1", "fc": "white", "alpha": 0.8, "linewidth": 0},
        )  # fmt: skip
    if better and low >= 0.0 and high <= 1.0:
        axes.set_ylim(low - 0.08 * (1 - low) - 0.01, min(1.01, high + 0.05))
    else:
        axes.set_ylim(low - 0.08 * (high - low) - 0.01, high + 0.08 * (high - low) + 0.01)
    unit = " (share of samples)" if metric == "accuracy" else ""
    axes.set_ylabel(f"test {in_words(metric)}{unit}")
    dots = "" if full is None else "; dots: share of the full pool's"
    _title(axes, "Learning curve", f"AULC {results['aulc']:.3f}{dots}")
    return figure


def goal_curves(rounds: Mapping[str, Array], own: str) -> Figure:
    """Each monitored goal against labels; of the run's own also what each batch did to it."""
    goals = [name for name in rounds if name.startswith("goal/")]
    goals.sort(key=lambda name: name != f"goal/{own}")
    predicted, realised = rounds["change/predicted"], rounds["change/realised"]
    compared = bool(np.isfinite(predicted).any())
    figure, panels = _panels([2.3] * (len(goals) + compared))
    n = rounds["n_labelled"]
    for axes, name in zip(panels, goals):
        is_own = name == f"goal/{own}"
        axes.plot(n, rounds[name], color=BLUE if is_own else MUTED, linewidth=1.8)
        axes.set_ylabel(f"τ {name.removeprefix('goal/')}")
        _title(axes, name.removeprefix("goal/"), "the run's own goal" if is_own else "monitored")
    if compared:
        axes = panels[-1]
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.plot(n, predicted, color=ORANGE, linewidth=1.4, label="predicted")
        axes.plot(n, realised, color=BLUE, linewidth=1.4, label="realised")
        axes.set_ylabel(f"Δτ {own} per batch")
        _stretch(axes, np.concatenate([predicted, realised]))
        _legend(axes)
        _title(axes, f"Change of {own}", "by each batch, as predicted and after the refit")
    return figure


def utility_distribution(
    rounds: Mapping[str, Array], n_scored: Array, utility: Sequence[Array]
) -> Figure:
    """Quantiles of the candidates' utilities against labels, and histograms at ``n_scored``."""
    from matplotlib.figure import Figure

    heights = [3.5, 2.1] if len(utility) else [3.5]
    figure = Figure(figsize=(8, sum(heights)), dpi=100, layout="constrained")
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    axes = figure.add_subfigure(grid[0]).add_subplot()
    plain(axes)
    axes.set_xlabel("labels (init set included)")
    n = rounds["n_labelled"]
    bands = (("000", "100", 0.12, "all"), ("005", "095", 0.22, "90 %"), ("025", "075", 0.4, "50 %"))
    for low, high, opacity, label in bands:
        edges = rounds[f"utility/q{low}"], rounds[f"utility/q{high}"]
        axes.fill_between(n, *edges, color=BLUE, alpha=opacity, linewidth=0, label=label)
    axes.plot(n, rounds["utility/q050"], color=INK, linewidth=1.5, label="median")
    axes.set_ylabel("utility (unit of the goal)")
    _stretch(axes, np.concatenate([rounds[f"utility/q{q}"] for q in ("000", "025", "075", "100")]))
    _legend(axes)
    _title(axes, "Utility of the candidates", "bands hold the share of the pool that is named")
    if not len(utility):
        return figure
    histograms = figure.add_subfigure(grid[1]).subplots(1, len(utility), squeeze=False)[0]
    for panel, n_labelled, values in zip(histograms, n_scored, utility):
        plain(panel)
        panel.hist(values[np.isfinite(values)], bins=30, color=BLUE, alpha=0.75)
        panel.set_title(f"at {int(n_labelled)} labels", fontsize=9, color=INK, loc="left")
        panel.ticklabel_format(axis="x", style="sci", scilimits=(-2, 3))
        panel.xaxis.get_offset_text().set_fontsize(8)
        panel.locator_params(axis="x", nbins=3)
        panel.locator_params(axis="y", nbins=4, integer=True)
        panel.set_xlabel("utility")
    histograms[0].set_ylabel("candidates")
    return figure


def pool(
    instance: Instance, rounds: Rows, queried: Rows, log_proba: Callable[[Features], Array]
) -> Figure:
    """The two features of pool and init by class, the queries by round, the last boundary."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 6.4), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    plain(axes)
    x, y, K = *np.asarray(instance.X).T, instance.n_classes
    colours = [CLASSES[k % len(CLASSES)] for k in range(K)]
    shown = []
    for k in range(K):
        rows = instance.pool[instance.y[instance.pool] == k]
        shown.append(
            axes.scatter(x[rows], y[rows], s=16, color=colours[k], alpha=0.45, linewidth=0)
        )
    _boundary(axes, K, log_proba)
    init = instance.init
    begun = axes.scatter(
        x[init], y[init], s=46, marker="s", c=[colours[k] for k in instance.y[init]],
        edgecolors=INK, linewidth=1.2, zorder=4,
    )  # fmt: skip
    asked = axes.scatter(
        x[queried], y[queried], s=48, c=rounds, cmap="viridis", marker="o", zorder=5,
        edgecolors=[colours[k] for k in instance.y[queried]], linewidth=1.6,
    )  # fmt: skip
    if len(queried) <= N_NUMBERED:
        for i, row in enumerate(queried):
            axes.annotate(
                f"{i + 1}", (x[row], y[row]), (4, 4), textcoords="offset points", fontsize=7,
                color=INK, zorder=6,
            )  # fmt: skip
    bar = figure.colorbar(asked, ax=axes, label="queried in round", shrink=0.8)
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(integer=True)
    bar.update_ticks()
    axes.set_xlabel("feature 1")
    axes.set_ylabel("feature 2")
    axes.set_aspect("equal", adjustable="datalim")
    _clusters(axes, instance, queried)
    _legend(axes, [*shown, begun], [*instance.classes, "init"])
    _title(axes, "Pool and queries", f"{len(queried)} queried; line: the last model's boundary")
    return figure


def _clusters(axes: Axes, instance: Instance, queried: Rows) -> None:
    """Beside the samples of each group and class: the group, and how many of it were queried."""
    group, pool, X = instance.group, instance.pool, np.asarray(instance.X)
    if group is None:
        return
    for g, k in np.unique(np.stack([group[pool], instance.y[pool]], axis=1), axis=0):
        rows = pool[(group[pool] == g) & (instance.y[pool] == k)]
        asked = int(np.isin(rows, queried).sum())
        axes.annotate(
            f"{caption(instance.groups[g])}: {asked} of {len(rows)}",
            (X[rows, 0].mean(), X[rows, 1].min()), (0, -4), textcoords="offset points",
            ha="center", va="top", fontsize=9, color=INK, zorder=7, annotation_clip=False,
            bbox={"boxstyle": "square,pad=0.1", "fc": "white", "alpha": 0.8, "linewidth": 0},
        )  # fmt: skip


def _boundary(axes: Axes, K: int, log_proba: Callable[[Features], Array]) -> None:
    """Where the likeliest class changes."""
    limits = (*axes.get_xlim(), *axes.get_ylim())
    x, y = np.meshgrid(np.linspace(*limits[:2], 300), np.linspace(*limits[2:], 300))
    log_P = log_proba(np.column_stack([x.ravel(), y.ravel()])).reshape(*x.shape, K)
    for k in range(1 if K == 2 else K):
        margin = log_P[..., k] - np.delete(log_P, k, axis=-1).max(axis=-1)
        axes.contour(x, y, margin, levels=[0.0], colors=INK, linewidths=1.4)


def _panels(heights: list[float]) -> tuple[Figure, list[Axes]]:
    """A figure 8 inches (800 pixels) wide, one panel above the other over the number of labels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, sum(heights)), dpi=100, layout="constrained")
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    panels = [figure.add_subplot(grid[i]) for i in range(len(heights))]
    for axes in panels:
        plain(axes)
    panels[-1].set_xlabel("labels (init set included)")
    return figure, panels


def _title(axes: Axes, title: str, remark: str) -> None:
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK)
    axes.set_title(remark, loc="right", fontsize=9, color=MUTED)


def _legend(axes: Axes, handles: Sequence[Any] | None = None, names: Sequence[str] = ()) -> None:
    """Of what is labelled in the axes, or of these handles under names from the data."""
    style: dict[str, Any] = {
        "fontsize": 9, "labelcolor": INK, "ncols": 4, "loc": "best", "edgecolor": "none"
    }  # fmt: skip
    made = axes.legend(**style) if handles is None else legend(axes, handles, names, **style)
    made.set_zorder(10)


def _stretch(axes: Axes, values: Array) -> None:
    """Utilities fall by orders of magnitude as labels come: then a scale that shows small ones."""
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    if len(sizes) and sizes.max() > 30 * np.median(sizes):
        axes.set_yscale("symlog", linthresh=float(np.quantile(sizes, 0.2)))

"""The curves of one run, drawn from its record: learning curve, goal curves, utilities.

Drawn with matplotlib's objects, without pyplot: no current figure, no display, no global state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from goralx.comparison import said
from goralx.data import Array
from goralx.records import read_answers, read_rounds, read_stacked

from .answer_figures import answers
from .fonts import caption
from .style import BLUE, INK, MUTED, ORANGE, in_words, paint, plain, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_HISTOGRAMS = 4
WIDTH = 8.0
"""Inches."""
FEW = 40
"""Rounds up to which each is a dot: a line through one of them is none."""


def draw(directory: Path, goal: str, results: Mapping[str, Any]) -> None:
    """Draw the curves of a recorded run into ``directory/figures``; ``goal`` is the run's own.

    ``results`` has the metric, the full pool's and the labels needed, as in ``summary.json``.
    What a run has nothing of (a random strategy has no utilities) gets no figure.
    """
    rounds, folder, run = read_rounds(directory), directory / "figures", described(results)
    paint(folder / "learning_curve", lambda: learning_curve(rounds, results))
    paint(folder / "goal_curves", lambda: goal_curves(rounds, goal, run, results.get("units", {})))
    if np.isfinite(rounds["utility/q050"]).any():
        paint(folder / "utility_distribution", lambda: _utilities(directory, rounds, run))
    if "cost" in rounds:
        paint(folder / "answers", lambda: answers(said(read_answers(directory) or ()), run))
        if not np.allclose(rounds["cost"], rounds["n_labelled"] - rounds["n_labelled"][0]):
            paint(folder / "cost_curve", lambda: cost_curve(rounds, results))


def cost_curve(rounds: Mapping[str, Array], results: Mapping[str, Any]) -> Figure:
    """A test metric against what the answers took."""
    from matplotlib.figure import Figure

    figure, metric = Figure(figsize=(WIDTH, 4.2), layout="constrained"), str(results["metric"])
    axes = figure.add_subplot()
    plain(axes)
    if results["full_pool"] is not None:
        full = results["full_pool"][metric]
        axes.axhline(full, color=MUTED, linewidth=1, linestyle=(0, (5, 3)))
    axes.plot(rounds["cost"], rounds[f"test/{metric}"], color=BLUE, linewidth=1.8, marker="o", ms=3)
    axes.set_xlabel("cost of the answers (init set not included)")
    axes.set_ylabel(caption(f"test {short(in_words(metric), 40)}"))
    title(axes, "Learning curve by cost", f"{rounds['cost'][-1]:g} in the end")
    about(figure, described(results))
    return figure


def described(summary: Mapping[str, Any]) -> str:
    """Which run it is: data set, what chose, seed."""
    tags = summary.get("tags") or {}
    chosen = ("strategy", "goal", "operator", "utility", "batch", "oracle")
    told = [tags.get(f"goralx.{group}", "-") for group in chosen]
    arm = " ".join(short(name, 24) for name in told if name != "-")
    seed = f"seed {tags['goralx.seed']}" if "goralx.seed" in tags else ""
    return " · ".join(
        part for part in (short(tags.get("goralx.dataset", ""), 40), arm, seed) if part
    )


def _utilities(directory: Path, rounds: Mapping[str, Array], run: str) -> Figure:
    if not (directory / "utilities.npz").exists():  # only quantiles were kept
        return utility_distribution(rounds, np.empty(0), [], run)
    with np.load(directory / "utilities.npz", allow_pickle=False) as stored:
        n_scored = stored["n_labelled"]
    spread = np.linspace(0, len(n_scored) - 1, N_HISTOGRAMS)
    shown = np.unique(spread.round().astype(int))
    utility = read_stacked(directory / "utilities.npz", "utility", shown)
    return utility_distribution(rounds, n_scored[shown], utility, run)


def learning_curve(rounds: Mapping[str, Array], results: Mapping[str, Any]) -> Figure:
    """A test metric against labels, with what the full pool gives and where its shares are met."""
    n = rounds["n_labelled"]
    figure, (axes,) = _panels([4.6], n)
    metric = str(results["metric"])
    values = rounds[f"test/{metric}"]
    full = None if results["full_pool"] is None else results["full_pool"][metric]
    if full is not None:
        axes.axhline(full, color=MUTED, linewidth=1, linestyle=(0, (5, 3)))
        axes.annotate(
            f"full pool {full:.3f}", (1, full), (-4, 4), xycoords=axes.get_yaxis_transform(),
            textcoords="offset points", ha="right", color=MUTED, fontsize=9,
        )  # fmt: skip
    axes.plot(n, values, color=BLUE, linewidth=1.8, marker="o" if len(n) < FEW else None, ms=3.5)
    levels = values if full is None else np.append(values, full)
    low, high = float(levels.min()), float(levels.max())
    met = {share: at for share, at in results["labels_needed"].items() if at is not None}
    for at in dict.fromkeys(met.values()):
        height = float(values[np.searchsorted(n, at)])
        foot = low - 1.0  # below the picture's edge
        axes.plot([at] * 2, [foot, height], color=ORANGE, linewidth=1, linestyle=(0, (1, 2)))
        axes.plot(at, height, "o", color=ORANGE, ms=6, mec="white", mew=1)
    better = results["higher_is_better"][metric]
    if better and low >= 0.0 and high <= 1.0:
        axes.set_ylim(low - 0.08 * (1 - low) - 0.01, min(1.01, high + 0.05))
    else:
        axes.set_ylim(low - 0.08 * (high - low) - 0.01, high + 0.08 * (high - low) + 0.01)
    unit = {"accuracy": " (share of samples)", "log_loss": " (nats)"}.get(metric, "")
    axes.set_ylabel(caption(f"test {short(in_words(metric), 40)}{unit}"))
    title(axes, "Learning curve", "; ".join([f"AULC {results['aulc']:.3f}", *_dots(met)]))
    about(figure, described(results))
    return figure


def _dots(met: Mapping[str, int]) -> list[str]:
    """What the orange dots mark, in words."""
    if not met:
        return []
    shares = ", ".join(share.rstrip("%") for share in met)
    return [f"dots: {shares} % of the full pool at {', '.join(map(str, met.values()))} labels"]


def goal_curves(
    rounds: Mapping[str, Array], own: str, run: str = "", units: Mapping[str, str] | None = None
) -> Figure:
    """Each monitored goal against labels; of the run's own also what each batch did to it.

    ``units`` are the goals', of those that have one.
    """
    goals = [name for name in rounds if name.startswith("goal/")]
    goals.sort(key=lambda name: name != f"goal/{own}")
    predicted, realised = rounds["change/predicted"], rounds["change/realised"]
    compared = bool(np.isfinite(predicted).any())
    n = rounds["n_labelled"]

    def measured(tau: str, goal: str) -> str:
        unit = (units or {}).get(goal)
        return caption(tau + (f" ({unit})" if unit else ""))

    dots: dict[str, Any] = {"marker": "o" if len(n) < FEW else None, "markersize": 3.0}
    figure, panels = _panels([2.3] * (len(goals) + compared), n)
    for axes, name in zip(panels, goals):
        is_own, goal = name == f"goal/{own}", name.removeprefix("goal/")
        called = short(goal, 40)
        axes.plot(n, rounds[name], color=BLUE if is_own else MUTED, linewidth=1.8, **dots)
        axes.set_ylabel(measured(f"τ {short(goal, 24)}", goal))
        title(axes, f"Goal {called}", "the run's own goal" if is_own else "monitored")
    if compared:
        axes, called = panels[-1], short(own, 24)
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.plot(n, predicted, color=ORANGE, linewidth=1.4, label="predicted", **dots)
        axes.plot(n, realised, color=BLUE, linewidth=1.4, label="realised", **dots)
        axes.set_ylabel(measured(f"Δτ {called} per batch", own))
        _stretch(axes, np.concatenate([predicted, realised]))
        _beside(axes)
        title(axes, f"Change of {called}", "by each batch, as predicted and after the refit")
    figure.align_ylabels(panels)
    about(figure, run)
    return figure


def utility_distribution(
    rounds: Mapping[str, Array], n_scored: Array, utility: Sequence[Array], run: str = ""
) -> Figure:
    """Quantiles of the candidates' utilities against labels, and histograms at ``n_scored``."""
    from matplotlib.figure import Figure

    heights = [3.5, 2.1] if len(utility) else [3.5]
    figure = Figure(figsize=(WIDTH, sum(heights) + 0.2), layout="constrained")
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    axes = figure.add_subfigure(grid[0]).add_subplot()
    n = rounds["n_labelled"]
    _over_labels(axes, n)
    axes.set_xlabel("labels (init set included)")
    bands = (("000", "100", 0.12, "all"), ("005", "095", 0.22, "90 %"), ("025", "075", 0.4, "50 %"))
    for low, high, opacity, label in bands:
        edges = rounds[f"utility/q{low}"], rounds[f"utility/q{high}"]
        axes.fill_between(n, *edges, color=BLUE, alpha=opacity, linewidth=0, label=label)
    axes.plot(n, rounds["utility/q050"], color=INK, linewidth=1.5, label="median")
    axes.set_ylabel("utility (unit of the goal)")
    _stretch(axes, np.concatenate([rounds[f"utility/q{q}"] for q in ("000", "025", "075", "100")]))
    _beside(axes)
    title(axes, "Utility of the candidates", "bands hold the share of the pool that is named")
    about(figure, run)
    if not len(utility):
        return figure
    histograms = figure.add_subfigure(grid[1]).subplots(1, len(utility), squeeze=False)[0]
    for panel, n_labelled, values in zip(histograms, n_scored, utility):
        plain(panel)
        panel.hist(values[np.isfinite(values)], bins=30, color=BLUE, alpha=0.75)
        panel.set_title(f"at {int(n_labelled)} labels", fontsize=9, color=INK, loc="left", y=1.0)
        panel.ticklabel_format(axis="x", style="sci", scilimits=(-2, 3))
        panel.xaxis.get_offset_text().set_fontsize(8)
        panel.locator_params(axis="x", nbins=3)
        panel.locator_params(axis="y", nbins=4, integer=True)
        panel.set_xlabel("utility")
    histograms[0].set_ylabel("candidates")
    return figure


def _panels(heights: list[float], n: Array) -> tuple[Figure, list[Axes]]:
    """A figure with one panel above the other, all over the same numbers of labels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, sum(heights) + 0.2), layout="constrained")
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    panels = [figure.add_subplot(grid[i]) for i in range(len(heights))]
    for axes in panels:
        _over_labels(axes, n)
    panels[-1].set_xlabel("labels (init set included)")
    return figure, panels


def _over_labels(axes: Axes, n: Array) -> None:
    """Plain axes over whole numbers of labels, from the first to the last."""
    from matplotlib.ticker import MaxNLocator

    plain(axes)
    margin = 0.03 * float(np.ptp(n)) or 1.0
    axes.set_xlim(float(n.min()) - margin, float(n.max()) + margin)
    axes.xaxis.set_major_locator(
        MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)
    )


def title(axes: Axes, text: str, remark: str) -> None:
    """At the left what it is, at the right what to know of it."""
    place: dict[str, Any] = {"y": 1.0, "pad": 6.0}  # finding one costs a layout at every draw
    axes.set_title(caption(text), loc="left", fontsize=12, fontweight="bold", color=INK, **place)
    axes.set_title(caption(remark), loc="right", fontsize=9, color=MUTED, **place)


def about(figure: Figure, run: str) -> None:
    """Above everything: which run it is."""
    if run:
        figure.suptitle(caption(run), x=0.01, ha="left", fontsize=9, color=MUTED)


def _beside(axes: Axes) -> None:
    """A legend where no curve is: at the right of the axes."""
    axes.legend(
        fontsize=9, labelcolor=INK, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5)
    )


def _stretch(axes: Axes, values: Array) -> None:
    """Utilities fall by orders of magnitude as labels come: then a scale that shows small ones."""
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    if len(sizes) and sizes.max() > 30 * np.median(sizes):
        axes.set_yscale("symlog", linthresh=float(np.quantile(sizes, 0.2)))

"""The pictures of a study of approximation quality (Figs 2-4), drawn from its comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from goralx.data import Array, Rows
from goralx.report import CLASSES, INK, MUTED, ORANGE, legend, paint, plain

from .numbers import Comparison, numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS = ("scatter", "distribution")
N_CROSSES = 5
GRID_POINTS = 600
EXPECTED = "expected"


def draw(
    directory: Path, kinds: Sequence[str], comparisons: Sequence[Comparison], name: str
) -> None:
    """Draw into ``directory/figures``: a scatter for each goal and batch size, one distribution.

    ``name`` is the run's, for the titles.
    """
    folder = directory / "figures"
    if "scatter" in kinds:
        for goal, b in dict.fromkeys((c.goal, c.batch_size) for c in comparisons):
            chosen = [c for c in comparisons if (c.goal, c.batch_size) == (goal, b)]
            paint(folder / f"approximation_{goal}_b{b}", partial(scatter, chosen, name))
    if "distribution" in kinds:
        paint(folder / "distribution", partial(distribution, comparisons, name))


def scatter(comparisons: Sequence[Comparison], name: str) -> Figure:
    """Actual against approximate utilities of one goal and batch size, a panel an operator.

    Each dot is a sample or batch, coloured by its actual utility under the true labels; numbered
    crosses mark the same ones in every panel. The grey line is y = x.
    """
    from matplotlib.figure import Figure

    columns = min(len(comparisons), 2 if len(comparisons) <= 4 else 3)
    rows = -(-len(comparisons) // columns)
    figure = Figure(figsize=(4.1 * columns + 0.9, 3.7 * rows + 0.6), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    true = comparisons[0].true
    marked = spread(true, N_CROSSES)
    for axes, comparison in zip(panels, comparisons):
        plain(axes)
        x, y = comparison.approximate, comparison.actual
        dots = axes.scatter(x, y, s=13, c=true, cmap="viridis", alpha=0.85, linewidth=0, zorder=3)
        axes.set_xlim(_limits(x))
        axes.set_ylim(_limits(y))
        axes.axline((0, 0), slope=1, color=MUTED, linewidth=1.2, zorder=2)
        axes.scatter(x[marked], y[marked], s=70, marker="x", color="white", linewidth=4, zorder=4)
        axes.scatter(x[marked], y[marked], s=60, marker="x", color=ORANGE, linewidth=2, zorder=5)
        for i, row in enumerate(marked):
            _number(axes, f"{i + 1}", x[row], y[row])
        axes.set_title(comparison.operator, loc="left", fontsize=12, fontweight="bold", color=INK)
        axes.set_title(_agreement(comparison), loc="right", fontsize=8.5, color=MUTED)
    for axes in panels[len(comparisons) :]:
        axes.set_visible(False)
    first = comparisons[0]
    what = "single samples" if first.batch_size == 1 else f"batches of {first.batch_size}"
    title = f"{name}: {len(true)} {what}, goal {first.goal}"
    figure.suptitle(title, fontsize=11, color=INK)
    figure.supxlabel("approximate utility (unit of the goal)", fontsize=10, color=INK)
    figure.supylabel("actual utility, by retraining", fontsize=10, color=INK)
    bar = figure.colorbar(
        dots, ax=panels.tolist(), label="actual utility under the true labels", shrink=0.6
    )
    bar.outline.set_visible(False)
    return figure


def distribution(comparisons: Sequence[Comparison], name: str) -> Figure:
    """Histograms and kernel densities of actual utilities: goals down, batch sizes across."""
    from matplotlib.figure import Figure

    goals = list(dict.fromkeys(c.goal for c in comparisons))
    sizes = list(dict.fromkeys(c.batch_size for c in comparisons))
    operators = list(dict.fromkeys(c.operator for c in comparisons))
    others = [c for c in CLASSES if c != CLASSES[1]]  # orange is for the expected label
    plain_ones = [operator for operator in operators if operator != EXPECTED]
    colours = {o: others[i % len(others)] for i, o in enumerate(plain_ones)} | {EXPECTED: ORANGE}
    shape = (len(goals), len(sizes))
    size = (3.6 * shape[1] + 0.5, 2.9 * shape[0] + 0.7)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(*shape, squeeze=False)
    for i, goal in enumerate(goals):
        for j, b in enumerate(sizes):
            axes = panels[i, j]
            plain(axes)
            shown = [c for c in comparisons if (c.goal, c.batch_size) == (goal, b)]
            _densities(axes, shown, colours)
            title = "single samples" if b == 1 else f"batches of {b}"
            axes.set_title(f"{goal}, {title}", loc="left", fontsize=10, color=INK)
    handles = [panels[0, 0].plot([], [], color=colours[o], linewidth=3)[0] for o in operators]
    legend(
        figure, handles, operators, loc="outside upper center", ncols=len(operators), frameon=False
    )
    figure.supxlabel(
        f"actual utility, by retraining (unit of the goal) · {name}", fontsize=10, color=INK
    )
    figure.supylabel("density", fontsize=10, color=INK)
    return figure


def _densities(axes: Axes, shown: Sequence[Comparison], colours: dict[str, str]) -> None:
    from scipy.stats import gaussian_kde

    low = min(float(c.actual.min()) for c in shown)
    high = max(float(c.actual.max()) for c in shown)
    margin = 0.05 * (high - low) or 1.0
    grid = np.linspace(low - margin, high + margin, GRID_POINTS)
    for c in shown:
        colour = colours[c.operator]
        bins = min(30, max(8, len(c.actual) // 12))
        if not np.ptp(c.actual) > 0:
            axes.axvline(c.actual[0], color=colour, linewidth=1.8)
            continue
        axes.hist(c.actual, bins=bins, density=True, color=colour, alpha=0.25)
        axes.plot(grid, gaussian_kde(c.actual)(grid), color=colour, linewidth=1.6)


def spread(values: Array, n: int) -> Rows:
    """Positions of n values spread over the quantiles of (N,), lowest first."""
    order = np.argsort(values, kind="stable")
    ranks = np.linspace(0.02, 0.98, n) * (len(values) - 1)
    return np.asarray(order[np.unique(ranks.round().astype(np.int64))])


def _number(axes: Axes, text: str, x: float, y: float) -> None:
    from matplotlib.patheffects import withStroke

    axes.annotate(
        text, (x, y), (6, 4), textcoords="offset points", fontsize=10, fontweight="bold",
        color=INK, zorder=6, path_effects=[withStroke(linewidth=2.5, foreground="white")],
    )  # fmt: skip


def _agreement(comparison: Comparison) -> str:
    found = numbers(comparison)
    if np.isnan(found["pearson"]):
        return f"the estimate is constant\nRMSE/sd {found['rmse_over_sd']:.2f}"
    return (
        f"Pearson {found['pearson']:.3f} · Spearman {found['spearman']:.3f}\n"
        f"slope {found['slope']:.2f} · RMSE/sd {found['rmse_over_sd']:.2f}"
    )


def _limits(values: Array) -> tuple[float, float]:
    """What the values span and a little more; a unit of their size where they are constant."""
    low, high = float(values.min()), float(values.max())
    span = high - low
    margin = 0.07 * span if span > 1e-9 * max(abs(low), abs(high)) else 0.5 * abs(high) or 1.0
    return low - margin, high + margin

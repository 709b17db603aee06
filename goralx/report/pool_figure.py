"""The picture of a pool that has two features: who is there, who was asked, what the model made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from goralx.data import Array, Features, Instance, Rows
from goralx.records import read_queries

from .figures import about, title
from .fonts import caption
from .style import CLASSES, INK, legend, paint, plain, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_NUMBERED = 30
"""Queried samples beyond which numbers would cover one another: colour alone says the round."""

ELONGATED = 5.0
"""How much wider than high a pool may be, or the reverse, and still be drawn to scale."""

MANY = 2000
"""Samples beyond which SVG and PDF hold them as an image, not one by one."""

N_GRID = 400
"""Points across, at which the model is asked where its boundaries are."""


def draw_pool(
    directory: Path, instance: Instance, log_proba: Callable[[Features], Array], run: str = ""
) -> None:
    """Draw a pool of two features and what was asked of it, under the last model's predictions."""
    paint(
        directory / "figures" / "pool",
        lambda: pool(instance, *read_queries(directory), log_proba, run),
    )


def pool(
    instance: Instance,
    rounds: Rows,
    queried: Rows,
    log_proba: Callable[[Features], Array],
    run: str = "",
) -> Figure:
    """The two features of pool and init by class, the queries by round, the last boundary."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 6.8), layout="constrained")
    axes = figure.add_subplot()
    plain(axes)
    x, y, K = *np.asarray(instance.X).T, instance.n_classes
    colours = [CLASSES[k % len(CLASSES)] for k in range(K)]
    dots: dict[str, Any] = {"linewidth": 0, "rasterized": len(instance.pool) > MANY}
    shown = []
    for k in range(K):
        rows = instance.pool[instance.y[instance.pool] == k]
        shown.append(axes.scatter(x[rows], y[rows], s=16, color=colours[k], alpha=0.45, **dots))
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
    _frame(axes)
    line = _boundary(axes, K, log_proba)
    bar = figure.colorbar(asked, ax=axes, shrink=0.8)
    bar.set_label("queried in round", color=INK, fontsize=10)
    bar.ax.tick_params(labelsize=9, labelcolor=INK, color=INK)
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(integer=True)
    bar.update_ticks()
    axes.set_xlabel("feature 1")
    axes.set_ylabel("feature 2")
    _clusters(axes, instance, queried)
    (mark,) = axes.plot([], [], "o", ms=7, mfc="white", mec=INK, mew=1.6)
    marks = [(begun, "initial labels"), (mark, "queried (edge: its class)")]
    marks.append((line, "the last model's boundary"))
    handles, names = zip(*zip(shown, instance.classes, strict=True), *marks)
    legend(
        axes, handles, [short(name, 30) for name in names], loc="upper left",
        bbox_to_anchor=(0.0, -0.1), ncols=3 if max(map(len, instance.classes)) <= 16 else 2,
        fontsize=9, labelcolor=INK, frameon=False, borderaxespad=0.0,
    )  # fmt: skip
    numbered = ", numbered in order" if 0 < len(queried) <= N_NUMBERED else ""
    title(axes, "Pool and queries", f"{len(queried)} queried{numbered}")
    about(figure, run)
    return figure


def _frame(axes: Axes) -> None:
    """To scale, unless the features' own scales are too unlike."""
    axes.margins(0.08)  # room for what is said below samples
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    if 1 / ELONGATED <= (right - left) / (top - bottom) <= ELONGATED:
        axes.set_aspect("equal", adjustable="datalim")


def _clusters(axes: Axes, instance: Instance, queried: Rows) -> None:
    """Beside the samples of each group and class: the group, and how many of it were queried."""
    group, pool, X = instance.group, instance.pool, np.asarray(instance.X)
    if group is None:
        return
    for g, k in np.unique(np.stack([group[pool], instance.y[pool]], axis=1), axis=0):
        rows = pool[(group[pool] == g) & (instance.y[pool] == k)]
        asked = int(np.isin(rows, queried).sum())
        axes.annotate(
            f"{caption(short(instance.groups[g], 20))}: {asked} of {len(rows)}",
            (X[rows, 0].mean(), X[rows, 1].min()), (0, -4), textcoords="offset points",
            ha="center", va="top", fontsize=9, color=INK, zorder=7, annotation_clip=False,
            bbox={"boxstyle": "square,pad=0.1", "fc": "white", "alpha": 0.8, "linewidth": 0},
        )  # fmt: skip


def _boundary(axes: Axes, K: int, log_proba: Callable[[Features], Array]) -> Any:
    """Where the likeliest class changes, beyond the edges too; returns what a legend shows."""
    limits, extent = [axes.get_xlim(), axes.get_ylim()], axes.dataLim.frozen()
    spans = [high - low for low, high in limits]
    if axes.get_aspect() != "auto":  # one of the two will be widened to fill the frame
        spans = [max(spans)] * 2
    sides = [
        np.linspace(sum(limit) / 2 - span, sum(limit) / 2 + span, N_GRID)
        for limit, span in zip(limits, spans, strict=True)
    ]
    x, y = np.meshgrid(*sides)
    log_P = log_proba(np.column_stack([x.ravel(), y.ravel()])).reshape(*x.shape, K)
    for k in range(1 if K == 2 else K):
        margin = log_P[..., k] - np.delete(log_P, k, axis=-1).max(axis=-1)
        axes.contour(x, y, margin, levels=[0.0], colors=INK, linewidths=1.4)
    axes.dataLim.set(extent)
    axes.autoscale_view()
    return axes.plot([], [], color=INK, linewidth=1.4)[0]

"""What oracles said, as heat maps: a row a true class, a column what it was called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from goralx.comparison import Arm, Said

from .fonts import caption
from .publishing import SMALL, Picture, panels, title
from .style import BLUE, INK, MUTED, plain, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 12
"""Heat maps in a picture; the table has them all."""
NUMBERED = 12
"""Classes up to which shares are written into the cells."""
NO_LABEL = "none"


def pictures(found: Mapping[tuple[str, Arm], Sequence[Said]]) -> list[Picture]:
    """One of all arms whose oracle may err, on each data set."""
    maps = [
        (f"{arm.label}, {one.who}" if len(whole) > 1 else arm.label, dataset, one)
        for (dataset, arm), whole in found.items()
        for one in whole
    ]
    if not maps:
        return []
    shown = maps[:MOST]
    left = f" The first {MOST} of {len(maps)}; the table has all." if len(maps) > MOST else ""

    def draw(width: float) -> Figure:
        figure, grid = panels(len(shown), width, 2.4)
        for axes, (name, dataset, one) in zip(grid, shown):
            heat(axes, one, SMALL)
            title(axes, short(name, 44), short(dataset, 16))
        return figure

    return [
        Picture(
            "answers", "What oracles said",
            "Shares of each true class (row) by what it was called (column); the last column: no "
            f"label was given. Over all seeds.{left}", draw,
        )
    ]  # fmt: skip


def answers(found: Sequence[Said], run: str) -> Figure:
    """The same of one run: what is learned, and what each annotator said."""
    from matplotlib.figure import Figure

    shown = found[:MOST]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    width = 8.0 if columns > 1 else 5.2
    height = width / columns * 0.85 * rows + 0.3
    figure = Figure(figsize=(width, height), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes, one in zip(grid, shown):
        plain(axes)
        heat(axes, one, 8.0 if columns > 1 else 9.0)
        wrong = "no label" if np.isnan(one.wrong) else f"{one.wrong:.0%} wrong"
        name = caption(short(one.who, 22))
        axes.set_title(f"{name}: {wrong}", loc="left", fontsize=9, color=INK)
    for axes in grid[len(shown) :]:
        axes.set_visible(False)
    if run:
        figure.suptitle(caption(run), x=0.01, ha="left", fontsize=9, color=MUTED)
    return figure


def heat(axes: Axes, one: Said, size: float) -> None:
    """A heat map of the shares of each true class."""
    from matplotlib.colors import LinearSegmentedColormap

    of_class = one.counts.sum(axis=1, keepdims=True)
    shares = one.counts / np.maximum(of_class, 1)
    columns = (*one.classes, NO_LABEL) if one.counts[:, -1].any() else one.classes
    shares = shares[:, : len(columns)]
    blues = LinearSegmentedColormap.from_list("shares", ["white", BLUE])
    axes.imshow(shares, vmin=0.0, vmax=1.0, cmap=blues, aspect="auto")
    axes.grid(False)
    few = len(one.classes) <= NUMBERED
    step = 1 if few else -(-len(columns) // NUMBERED)
    names = [caption(short(name, 12)) for name in columns]
    tilt: dict[str, Any] = {"rotation": 45, "ha": "right"} if max(map(len, names)) > 4 else {}
    axes.set_xticks(range(0, len(columns), step), names[::step], fontsize=size, **tilt)
    axes.set_yticks(range(0, len(one.classes), step), names[: len(one.classes) : step])
    axes.tick_params(axis="y", labelsize=size)
    axes.set_xlabel("called (% of the true class)", fontsize=size + 1)
    axes.set_ylabel("true class", fontsize=size + 1)
    for i, j in np.argwhere(shares >= 0.005) if few else ():
        colour = "white" if shares[i, j] > 0.5 else INK
        axes.text(j, i, f"{100 * shares[i, j]:.0f}", ha="center", va="center", fontsize=size - 1,
                  color=colour)  # fmt: skip

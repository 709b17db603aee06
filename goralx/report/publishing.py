"""Figures as journals want them: two widths, three formats, and the same as SVG within a page."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .fonts import caption
from .style import DPI, INK, MUTED, lay_out, plain, publish

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTHS = {"column": 3.5, "page": 7.2}
"""Inches: a column and the whole width of a two-column page."""

SMALL, NORMAL = 6.5, 7.5  # points

Draw = Callable[[float], "Figure"]


@dataclass(frozen=True)
class Picture:
    """A figure to be drawn at any width; ``caption`` says what is to be seen, in plain words."""

    name: str
    title: str
    caption: str
    draw: Draw


@dataclass(frozen=True)
class Published:
    """A picture's SVG for narrow and for wide pages, without a header, its ids its own."""

    name: str
    title: str
    caption: str
    narrow: str
    wide: str


def publish_widths(picture: Picture, folder: Path) -> Published:
    """Draw into ``folder/<name>_<width>.<format>``, every format at each of the `WIDTHS`."""
    inline = {}
    for width, inches in WIDTHS.items():
        path = folder / f"{picture.name}_{width}"
        publish(path, partial(picture.draw, inches))
        svg = path.with_name(f"{path.name}.svg").read_text(encoding="utf-8")
        inline[width] = inlined(svg, path.name)
    return Published(picture.name, picture.title, picture.caption, inline["column"], inline["page"])


def inlined(svg: str, prefix: str) -> str:
    """SVG as it goes into HTML: no header, and ids that no other picture of the page has."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", body)
    opening, rest = body.split(">", 1)
    return re.sub(r' (width|height|xmlns(:\w+)?)="[^"]*"', "", opening) + ">" + rest.strip()


def panels(
    n: int, width: float, height: float = 2.0, columns: int | None = None
) -> tuple[Figure, list[Axes]]:
    """``n`` panels: side by side where the page has room for two, else one below the other."""
    from matplotlib.figure import Figure

    columns = min(n, columns or (1 if width < 5 else 2))
    rows = -(-n // columns)
    figure = Figure(figsize=(width, rows * height + 0.15), dpi=DPI, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes in grid[:n]:
        plain(axes)
        small(axes)
        axes.locator_params(nbins=5)  # ticks are most of what drawing costs
    for axes in grid[n:]:
        axes.set_visible(False)
    return figure, grid[:n]


def small(axes: Axes) -> None:
    """Type and lines for print."""
    axes.tick_params(labelsize=SMALL, length=2.5, width=0.6)
    axes.grid(True, linewidth=0.4)
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_fontsize(NORMAL)
        axis.get_offset_text().set_fontsize(SMALL)


def title(axes: Axes, text: object, remark: str = "") -> None:
    look: dict[str, Any] = {
        "y": 1.0,
        "pad": 5.0,
    }  # a place of its own: finding one costs a layout at every draw
    axes.set_title(
        caption(text), loc="left", fontsize=NORMAL + 0.5, fontweight="bold", color=INK, **look
    )
    if remark:
        axes.set_title(remark, loc="right", fontsize=SMALL, color=MUTED, **look)


@dataclass(frozen=True)
class Label:
    """A name beside the end of its line, in data coordinates."""

    text: str
    x: float
    y: float
    colour: str


def direct_labels(figure: Figure, labels: Sequence[tuple[Axes, Sequence[Label]]]) -> None:
    """Names at the right of their lines, moved apart where they would cover one another.

    The layout makes room for them first; a thin line leads from a name to where its curve ends.
    """
    placed = []
    for axes, names in labels:
        for label in names:
            text = axes.annotate(
                caption(label.text), (1.0, 0.5), xycoords="axes fraction", xytext=(9, 0),
                textcoords="offset points", fontsize=SMALL, color=label.colour, va="center",
                annotation_clip=False,
            )  # fmt: skip
            placed.append((axes, label, text))
    lay_out(figure)
    for axes, _ in labels:
        mine = [(label, text) for other, label, text in placed if other is axes]
        height = axes.get_window_extent().height / figure.dpi * 72.0
        ends = [float(axes.transAxes.inverted().transform(axes.transData.transform((p.x, p.y)))[1])
                for p, _ in mine]  # fmt: skip
        for (label, text), end, place in zip(
            mine, ends, spread(ends, 1.25 * SMALL / max(height, 1.0)), strict=True
        ):
            text.xy = (1.0, place)
            axes.plot(
                [1.0, 1.0 + 8.0 / max(axes.get_window_extent().width / figure.dpi * 72.0, 1.0)],
                [min(max(end, 0.0), 1.0), place],
                transform=axes.transAxes, color=label.colour, linewidth=0.5, clip_on=False,
            )  # fmt: skip


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Places nearest to those wanted that are at least ``gap`` apart, in the same order."""
    import numpy as np
    from scipy.optimize import isotonic_regression

    if not len(wanted):
        return []
    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(len(wanted))
    fitted = isotonic_regression(np.asarray(wanted, dtype=float)[order] - steps).x + steps
    fitted = fitted + max(0.0, -fitted[0]) - max(0.0, fitted[-1] - 1.0)
    places = np.empty(len(wanted))
    places[order] = fitted
    return places.tolist()

"""How every picture looks: its colours, its axes, and how it is saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#22303c", "#6b7885", "#e6eaee"
BLUE, ORANGE = "#1f5fa8", "#d1661b"
CLASSES = ("#3b76af", "#d97b29", "#4b9b5f", "#b04a5a", "#7d66a8", "#8a6a4f", "#c77fb0", "#7f8790")


def plain(axes: Axes) -> None:
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)
    axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=9)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(INK)
        axis.label.set_fontsize(10)


def save(figure: Figure, directory: Path, name: str) -> None:
    folder = directory / "figures"
    folder.mkdir(exist_ok=True)
    figure.savefig(folder / f"{name}.png", facecolor="white")

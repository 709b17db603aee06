"""How every picture looks: its colours, its axes, its legend, and how it is drawn and saved."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goralx.errors import RunWarning

from .fonts import caption, use_fonts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#22303c", "#6b7885", "#e6eaee"
BLUE, ORANGE = "#1f5fa8", "#d1661b"
CLASSES = ("#3b76af", "#d97b29", "#4b9b5f", "#b04a5a", "#7d66a8", "#8a6a4f", "#c77fb0", "#7f8790")


def in_words(metric: str) -> str:
    """The name of a metric as it is read: balanced accuracy."""
    return metric.replace("_", " ")


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


def legend(place: Any, handles: Sequence[Any], names: Sequence[object], **options: Any) -> Any:
    """A legend of axes or a figure with the names as they are, ``$`` and ``_`` included.

    matplotlib leaves out what begins with an underscore: its own names come after it has made room.
    """
    made = place.legend(handles, [f"{i}" for i in range(len(names))], **options)
    for text, name in zip(made.get_texts(), names, strict=True):
        text.set_text(caption(name))
    return made


class Undrawn(RunWarning):
    """A picture that could not be drawn; whatever it shows is in the record."""


def paint(path: Path, draw: Callable[[], Figure]) -> None:
    """Draw a picture and save it as ``path``, whole or not at all.

    A picture never fails what it belongs to: what goes wrong is warned of (`Undrawn`).
    """
    import matplotlib

    try:
        with matplotlib.rc_context({"text.usetex": False}):  # whatever the user's own settings say
            save(draw(), path)
    except Exception as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        warnings.warn(
            f"{path} could not be drawn ({cause}); everything else is there", Undrawn, stacklevel=2
        )


def save(figure: Figure, path: Path, metadata: dict[str, Any] | None = None) -> None:
    """Save a picture as ``path``, in a folder that is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    use_fonts(figure)
    partial = path.with_name(f"{path.name}.part")
    try:
        figure.savefig(partial, format=path.suffix[1:], facecolor="white", metadata=metadata)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)

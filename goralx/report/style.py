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


def short(text: object, most: int) -> str:
    """No longer than so many characters: a class or a plugin may have any name."""
    whole = str(text)
    return whole if len(whole) <= most else f"{whole[: most - 1]}…"


def counted(n: int, what: str) -> str:
    """One seed, two seeds."""
    return f"{n} {what}{'' if n == 1 else 's'}"


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


FORMATS = ("png", "svg", "pdf")
"""To look at, for a page, for print: every picture is there as each."""

DPI = 300

UNDATED: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}
"""The same figure is the same file, whenever it is drawn."""


SETTINGS: dict[str, Any] = {
    "text.usetex": False,
    "svg.fonttype": "path",
    "figure.autolayout": False,
    "figure.constrained_layout.use": False,
}
"""Whatever the user's own settings say."""


def paint(path: Path, draw: Callable[[], Figure]) -> None:
    """Draw a picture and save it as ``path``, to which each of the `FORMATS` adds its suffix.

    A picture never fails what it belongs to: what goes wrong is warned of (`Undrawn`).
    """
    try:
        publish(path, draw)
    except Exception as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        warnings.warn(
            f"{path} could not be drawn ({cause}); everything else is there", Undrawn, stacklevel=2
        )


def publish(path: Path, draw: Callable[[], Figure]) -> None:
    """As `paint`, and raises what goes wrong."""
    import matplotlib

    with matplotlib.rc_context({**SETTINGS, "svg.hashsalt": path.name}):
        figure = draw()
        lay_out(figure)
        for suffix in FORMATS:
            _save(figure, path.with_name(f"{path.name}.{suffix}"))


def lay_out(figure: Figure) -> None:
    """Find letters and make room for everything, once: it is a good part of what drawing costs."""
    use_fonts(figure)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")
        figure.set_layout_engine(None)  # or a place held for it has everything drawn twice


def _save(figure: Figure, path: Path) -> None:
    """Whole or not at all, in a folder that is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial, suffix = path.with_name(f"{path.name}.part"), path.suffix[1:]
    try:
        figure.savefig(partial, format=suffix, dpi=DPI, facecolor="white", metadata=UNDATED[suffix])
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)

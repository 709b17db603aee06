"""What finished runs say: the pictures of each, and one page that compares them.

In come records and comparisons; out go figures, tables and pages. The look that all pictures share
is here too.
"""

from .figures import described, draw
from .folder import Report, write
from .fonts import caption
from .pool_figure import draw_pool
from .style import (
    BLUE,
    CLASSES,
    GRID,
    INK,
    MUTED,
    ORANGE,
    Undrawn,
    in_words,
    legend,
    paint,
    plain,
    publish,
    short,
)

__all__ = [
    "BLUE",
    "CLASSES",
    "GRID",
    "INK",
    "MUTED",
    "ORANGE",
    "Report",
    "Undrawn",
    "caption",
    "described",
    "draw",
    "draw_pool",
    "in_words",
    "legend",
    "paint",
    "plain",
    "publish",
    "short",
    "write",
]

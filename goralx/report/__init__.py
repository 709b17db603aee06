"""What finished runs say: pictures.

In come records; out go figures in their directory. The look that all pictures share is here too.
"""

from .figures import draw, draw_pool
from .fonts import caption
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
    save,
)

__all__ = [
    "BLUE",
    "CLASSES",
    "GRID",
    "INK",
    "MUTED",
    "ORANGE",
    "Undrawn",
    "caption",
    "draw",
    "draw_pool",
    "in_words",
    "legend",
    "paint",
    "plain",
    "save",
]

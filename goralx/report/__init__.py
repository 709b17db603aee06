"""What finished runs say: numbers of their learning curves, and pictures.

In come records; out go figures in their directory. The look that all pictures share is here too.
"""

from .figures import draw, draw_pool
from .fonts import caption
from .learning_curve import aulc, labels_needed
from .style import BLUE, CLASSES, GRID, INK, MUTED, ORANGE, Undrawn, legend, paint, plain, save

__all__ = [
    "BLUE",
    "CLASSES",
    "GRID",
    "INK",
    "MUTED",
    "ORANGE",
    "Undrawn",
    "aulc",
    "caption",
    "draw",
    "draw_pool",
    "labels_needed",
    "legend",
    "paint",
    "plain",
    "save",
]

"""goralx in your own labelling loop: arrays in, scores or indices out; no tracking.

In come the arrays of a loop and what it asks: `query` says what to label next, `utilities`
what each sample is worth, `explain` why. `Session` keeps a loop in a folder. Only the command line
and `goralx.skactiveml` ask here.
"""

from .arguments import take_component
from .options import Options
from .questions import explain, query, utilities
from .session import Session, Suggestion

__all__ = [
    "Options",
    "Session",
    "Suggestion",
    "explain",
    "query",
    "take_component",
    "utilities",
]

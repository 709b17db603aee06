"""goralx in your own labelling loop: arrays in, scores or indices out; no files, no tracking.

In come the arrays of a loop and what it asks: `query` says what to label next, `utilities`
what each sample is worth, `explain` why. Nobody inside goralx asks here.
"""

from .questions import explain, query, utilities

__all__ = [
    "explain",
    "query",
    "utilities",
]

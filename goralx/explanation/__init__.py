"""Why this sample: what a choice rests on, as numbers, words, files and a picture.

In come candidates and the utility that ranked them, or a recorded round; out goes an `Explanation`.
The library and the command line ask.
"""

from .explained_round import ExplainedRound, explain_round
from .explanation import Explanation, explain, operators_beside
from .files import write
from .text import table

__all__ = [
    "ExplainedRound",
    "Explanation",
    "explain",
    "explain_round",
    "operators_beside",
    "table",
    "write",
]

"""Approximation quality (Sec. 6.1): estimated utilities held against exact retraining.

A model is fit to a few random samples. For batches of a pool of others, the actual utility under
every one of the K^b labellings comes from retraining; the estimate is the sum of the members' own
(Remark 2). A batch is then one candidate with K^b labels, and any label operator resolves both.

In come a configured study; out go its numbers, pictures and record. The command line asks.
"""

from .batches import draw
from .job import StudyRun, closing_table, run
from .numbers import Comparison, numbers
from .study import Study

__all__ = [
    "Comparison",
    "Study",
    "StudyRun",
    "closing_table",
    "draw",
    "numbers",
    "run",
]

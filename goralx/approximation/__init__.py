"""Approximation quality (Sec. 6.1): estimated utilities held against exact retraining.

A model is fit to a few random samples. For batches of a pool of others, the actual utility under
every one of the K^b labellings comes from retraining; the estimate is the sum of the members' own
(Remark 2). A batch is then one candidate with K^b labels, and any label operator resolves both.
"""

from .batches import draw, labelling_index, labellings, sliding_windows
from .numbers import Comparison, numbers
from .study import Block, Study

__all__ = [
    "Block",
    "Comparison",
    "Study",
    "draw",
    "labelling_index",
    "labellings",
    "numbers",
    "sliding_windows",
]

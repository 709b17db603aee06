"""The paper reproduced, and what follows: runs that are missing, figures, sentences with verdicts.

In come the names of the paper's items, or the finding; out go ``claims.csv``, the figures as the
paper lays them out, and a page with a verdict on every sentence. The arms, claims and grid are
data. The command line asks.
"""

from .reproduce import FINDING, ITEMS, Reproduction, check_items

__all__ = ["FINDING", "ITEMS", "Reproduction", "check_items"]

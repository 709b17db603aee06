"""Who won: runs gathered into arms, their curves with bands, and the statistics that compare them.

In come records of finished runs; out go numbers, nothing drawn and nothing written. Pairs are runs
of one seed on one instance; what used the truth is never ranked. Reports and reproductions ask.
"""

from .arms import FIELDS, Arm, Arms, group
from .curves import Curve, mean_curve, mean_interval, stacked
from .learning_curve import aulc, labels_needed, target
from .needed import SHARES, Needed, Savings, all_needed, needed, savings
from .paired import Comparison, compare, compare_all, holm, numbers, rank_biserial, signed_rank_p
from .ranks import Ranks, Tally, mean_of, rank, tally
from .runs import AULC, LeftOut, Protocol, RecordedRun, gather, read_run

__all__ = [
    "AULC",
    "FIELDS",
    "SHARES",
    "Arm",
    "Arms",
    "Comparison",
    "Curve",
    "LeftOut",
    "Needed",
    "Protocol",
    "Ranks",
    "RecordedRun",
    "Savings",
    "Tally",
    "all_needed",
    "aulc",
    "compare",
    "compare_all",
    "gather",
    "group",
    "holm",
    "labels_needed",
    "mean_curve",
    "mean_interval",
    "mean_of",
    "needed",
    "numbers",
    "rank",
    "rank_biserial",
    "read_run",
    "savings",
    "signed_rank_p",
    "stacked",
    "tally",
    "target",
]

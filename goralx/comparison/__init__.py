"""Who won: runs gathered into arms, their curves with bands, and the statistics that compare them.

In come records of finished runs; out go numbers, nothing drawn and nothing written. Pairs are runs
of one seed on one instance; what used the truth is never ranked. Reports and reproductions ask.
"""

from .answers import LEARNED, Said, said, said_in
from .arms import FIELDS, Arm, Arms, group
from .censored import SHARES, Needed, Savings, all_needed, needed, savings
from .curves import Curve, mean_curve, mean_interval, stacked
from .diagnostics import (
    Cost,
    Divergence,
    Kept,
    Trust,
    costs,
    divergences,
    predictions,
    trust,
)
from .doubts import CHECKS, LEVELS, Finding, lint
from .learning_curve import aulc, cost_needed, labels_needed, target
from .paired import Comparison, compare, compare_all, holm, numbers, rank_biserial, signed_rank_p
from .ranks import Ranks, Tally, mean_of, rank, tally
from .runs import AULC, STILL_GOING, LeftOut, Protocol, RecordedRun, gather, read_run
from .sentences import interval, name_of, of_comparison, of_divergence, of_savings, p_value
from .told import ByCost, Discovered, by_cost, discovered

__all__ = [
    "AULC",
    "CHECKS",
    "FIELDS",
    "LEARNED",
    "LEVELS",
    "SHARES",
    "STILL_GOING",
    "Arm",
    "Arms",
    "ByCost",
    "Comparison",
    "Cost",
    "Curve",
    "Discovered",
    "Divergence",
    "Finding",
    "Kept",
    "LeftOut",
    "Needed",
    "Protocol",
    "Ranks",
    "RecordedRun",
    "Said",
    "Savings",
    "Tally",
    "Trust",
    "all_needed",
    "aulc",
    "by_cost",
    "compare",
    "compare_all",
    "cost_needed",
    "costs",
    "discovered",
    "divergences",
    "gather",
    "group",
    "holm",
    "interval",
    "labels_needed",
    "lint",
    "mean_curve",
    "mean_interval",
    "mean_of",
    "name_of",
    "needed",
    "numbers",
    "of_comparison",
    "of_divergence",
    "of_savings",
    "p_value",
    "predictions",
    "rank",
    "rank_biserial",
    "read_run",
    "said",
    "said_in",
    "savings",
    "signed_rank_p",
    "stacked",
    "tally",
    "target",
    "trust",
]

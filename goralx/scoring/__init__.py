"""What a candidate is worth: where goal, label operator and estimator meet.

In come candidates seen through a model; out go `Scores`, checked for being more than noise, and
the selection that a strategy makes of them. Components that make no sense together are refused
here. The loop and the library ask.
"""

from .goal_utility import (
    GoalOrientedUtility,
    check_goal_reference,
    check_model,
    goal_reference,
    goal_value,
)
from .guard import VacuousUtility, selected
from .kappa import JUDGED, drawn_kappa
from .portability import check_engine

__all__ = [
    "JUDGED",
    "GoalOrientedUtility",
    "VacuousUtility",
    "check_engine",
    "check_goal_reference",
    "check_model",
    "drawn_kappa",
    "goal_reference",
    "goal_value",
    "selected",
]

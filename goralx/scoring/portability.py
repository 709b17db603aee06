"""What may be asked of an engine whose processes see one block of the pool each."""

from __future__ import annotations

from collections.abc import Mapping

from goralx.contracts import BatchRule, FirstOrderEstimator, Goal, Model, PredictionGoal
from goralx.data import Instance
from goralx.errors import Incompatible

from .goal_utility import GoalOrientedUtility


def check_engine(
    instance: Instance,
    model: Model,
    monitors: Mapping[str, Goal],
    utility: GoalOrientedUtility | None,
    rule: BatchRule | None,
) -> None:
    """What cannot go over blocks of a pool in other processes is refused, with the way out."""
    if not instance.on_disk:
        raise Incompatible(
            f"dataset '{instance.name}' is in memory, and an engine of other processes reads a "
            "file; use dataset=npy, or engine=local"
        )
    if "predictor" not in model.capabilities:
        raise Incompatible(
            f"model {type(model).__name__} cannot be sent to other processes; use model=softmax, "
            "or engine=local"
        )
    goals = [*monitors.values(), *([] if utility is None else [utility.goal])]
    for goal in goals:
        if not (isinstance(goal, PredictionGoal) and goal.separable):
            raise Incompatible(
                f"goal {type(goal).__name__} needs all of its reference at once; choose one that "
                "is separable (ent, fir, dev, ...), also in monitors, or engine=local"
            )
    if utility is None:
        return
    if not isinstance(utility.estimator, FirstOrderEstimator):
        raise Incompatible(
            f"utility {type(utility.estimator).__name__} needs the pool at hand; use "
            "utility=influence, or engine=local"
        )
    if not utility.operator.separable:
        raise Incompatible(
            f"operator {type(utility.operator).__name__} needs all candidates at once; use max, "
            "min, average or annealed, or engine=local"
        )
    if rule is not None and not rule.utility_only:
        raise Incompatible(
            f"batch rule {type(rule).__name__} looks at more than utilities; use batch=top or "
            "gumbel, or engine=local"
        )

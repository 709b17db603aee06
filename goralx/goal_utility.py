"""The goal-oriented utility pi_goal(x) = l_y[tau(theta_(x, y))] - tau(theta) (Eq. 1), assembled.

A goal, a label operator and an estimator know nothing of one another; here they meet, are checked
against one another once, and are asked together each round.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .components import (
    Array,
    Candidates,
    LabelOperator,
    LogitGoal,
    Model,
    Reference,
    UtilityEstimator,
)
from .data import Labelled, Labels, Rows
from .errors import BadInput, Incompatible

FIT_NOISE = 1e-8
"""The fit's gradient tolerance: utilities are not determined any further than that."""


@dataclass(frozen=True)
class Scores:
    """What a round knows of its candidates.

    ``U`` (N, K) under every label, ``utility`` (N,) resolved, ``noise`` the absolute error that
    fit and solver leave in a utility.
    """

    U: Array
    utility: Array
    noise: float

    @cached_property
    def spread(self) -> float:
        """Largest minus smallest utility over the candidates."""
        return float(np.ptp(self.utility))

    @property
    def vacuous(self) -> bool:
        """True where the candidates differ by less than the noise: there is nothing to rank."""
        return self.spread <= self.noise


@dataclass(frozen=True)
class GoalOrientedUtility:
    """Goal, label operator and estimator, with the dev set if the goal is measured there.

    Raises `Incompatible`, with the way out, where they make no sense together or with the model.
    """

    goal: LogitGoal
    operator: LabelOperator
    estimator: UtilityEstimator
    model: Model
    dev: Labelled | None = None
    reveal: Callable[[Rows], Labels] | None = None

    def __post_init__(self) -> None:
        check_goal_reference(self.goal, self.dev)
        for part in (self.operator, self.estimator):
            missing = part.needs_model - self.model.capabilities
            if missing:
                raise Incompatible(
                    f"{type(part).__name__} asks {', '.join(sorted(missing))} of the model, which "
                    f"{type(self.model).__name__} cannot give; use model=softmax"
                )
        if self.estimator.needs_logit_gradient and not hasattr(
            self.goal, "value_and_logit_gradient"
        ):
            raise Incompatible(
                f"goal {type(self.goal).__name__} has no gradient, which "
                f"{type(self.estimator).__name__} needs; give it value_and_logit_gradient"
            )
        if self.operator.needs_ground_truth and self.reveal is None:
            raise Incompatible(
                f"operator {type(self.operator).__name__} needs the true labels of the pool, which "
                "exist only in a simulated run; use max, min, average or annealed"
            )

    def reference(self, pool: Reference) -> Reference:
        """What the goal is measured on: the initial pool, or the dev set through the same model."""
        return goal_reference(self.goal, pool, self.dev)

    def __call__(self, candidates: Candidates) -> Scores:
        """Score the candidates; see `Scores`."""
        estimate = self.estimator.utilities(
            candidates, self.goal, self.reference(candidates.pool), regime=self.model.regime
        )
        y_true = None
        if self.operator.needs_ground_truth and self.reveal is not None:
            y_true = self.reveal(candidates.rows)
        log_Q = self.operator.beliefs(candidates)
        utility = self.operator(estimate.U, log_Q, y_true, candidates.progress)
        if not np.isfinite(utility).all():
            bad = int(np.flatnonzero(~np.isfinite(utility))[0])
            raise BadInput(
                f"goal {type(self.goal).__name__} with operator {type(self.operator).__name__} "
                f"gives the utility {utility[bad]} (candidate {bad}); every one must be finite"
            )
        noise = float(np.abs(estimate.U).max()) * (FIT_NOISE + estimate.relative_error)
        return Scores(estimate.U, utility, noise)


def check_goal_reference(goal: LogitGoal, dev: Labelled | None) -> None:
    """A dev goal without dev labels is refused."""
    if goal.reference == "dev" and not (dev is not None and len(dev)):
        raise Incompatible(
            f"goal {type(goal).__name__} is measured on a dev set and there is none; "
            "give dev labels (dev.fraction=0.1, or X_dev= and y_dev=) or a pool goal such as ent"
        )


def goal_reference(goal: LogitGoal, pool: Reference, dev: Labelled | None) -> Reference:
    """The reference that a goal names."""
    if goal.reference == "pool":
        return pool
    check_goal_reference(goal, dev)
    assert dev is not None
    return Reference(pool.model, dev.X, dev.y)


def goal_value(goal: LogitGoal, pool: Reference, dev: Labelled | None) -> float:
    """tau of the model that ``pool`` is seen through."""
    reference = goal_reference(goal, pool, dev)
    return goal.value(reference.log_P, reference.X, reference.y)

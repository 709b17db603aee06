"""The goal-oriented utility pi_goal(x) = l_y[tau(theta_(x, y))] - tau(theta) (Eq. 1), assembled.

A goal, a label operator and an estimator know nothing of one another; here they meet, are checked
against one another once, and are asked together each round.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from goralx.contracts import (
    BatchRule,
    Candidates,
    DesignGoal,
    Direction,
    FirstOrderEstimator,
    Goal,
    LabelOperator,
    LogitGoal,
    Model,
    PredictionGoal,
    Reference,
    Scores,
    Utilities,
    UtilityEstimator,
    asking,
    has_logit_hessian,
    instance_of,
    named,
    number,
    numbers,
    parameters,
)
from goralx.data import Array, Labelled, Labels, read_only
from goralx.errors import BadInput, Incompatible, RunWarning

from . import piecewise

FIT_NOISE = 1e-8
"""What fits aim at: utilities are not determined any further than that."""
ROUND_OFF = 64.0
"""Units in the last place that a utility may be off, relative to the largest: logits of some tens
are, and probabilities with them."""
UNSOLVED = 1e-3
"""Relative error of a solve beyond which utilities are warned of."""


class Imprecise(RunWarning):
    """Utilities come of a system that was hardly solved."""


@dataclass(frozen=True)
class GoalOrientedUtility:
    """Goal, label operator and estimator, with the dev set if the goal is measured there.

    ``pool_y`` (M,) are the hidden labels of the initial pool, for operators that declare that they
    need them; None outside simulation. ``first_order`` ranks the pool where the estimator looks
    only at the best, through a fit of ``proxy`` where the model itself has no derivatives. Raises
    `Incompatible`, with the way out, where they make no sense together or with the model.
    """

    goal: Goal
    operator: LabelOperator
    estimator: UtilityEstimator
    model: Model
    dev: Labelled | None = None
    pool_y: Labels | None = None
    first_order: UtilityEstimator | None = None
    proxy: Model | None = None

    def __post_init__(self) -> None:
        check_goal_reference(self.goal, self.dev)
        design = isinstance(self.goal, DesignGoal)
        asking = (self.goal,) if design else (self.goal, self.operator, self.estimator)
        for component in asking:
            check_model(component, self.model)
        if design:
            return
        self._check_goal_and_estimator()
        if self.operator.needs_ground_truth and self.pool_y is None:
            raise Incompatible(
                f"operator {type(self.operator).__name__} needs the true labels of the pool, which "
                "exist only in a simulated run; use max, min, average or annealed"
            )

    def _check_goal_and_estimator(self) -> None:
        goal, estimator = type(self.goal).__name__, type(self.estimator).__name__
        if not isinstance(self.goal, PredictionGoal):
            raise Incompatible(f"goal {goal} is neither a PredictionGoal nor a DesignGoal")
        gradient = isinstance(self.goal, LogitGoal)
        screens = self.estimator.screen is not None
        if not gradient and (self.estimator.needs != "value" or screens):
            raise Incompatible(
                f"goal {goal} has no gradient, which "
                f"{'screening' if screens else estimator} needs; "
                "use utility=lookahead or utility=retrain with utility.screen=null"
            )
        if self.estimator.needs == "hessian" and not has_logit_hessian(self.goal):
            raise Incompatible(
                f"goal {goal} gives no logit_hessian, which {estimator} needs; "
                "use utility=lookahead or utility=retrain"
            )

    def check_batch(self, rule: BatchRule | None, batch_size: int) -> None:
        """Refuse a batch rule that asks more than the model or the screening gives."""
        missing = rule.needs_model - self.model.capabilities if rule else frozenset()
        if missing:
            raise Incompatible(
                f"batch rule {type(rule).__name__} asks {', '.join(sorted(missing))} of the model, "
                f"which {type(self.model).__name__} cannot give; use model=softmax, or batch=top"
            )
        screen = None if isinstance(self.goal, DesignGoal) else self.estimator.screen
        if screen is not None and screen < batch_size:
            raise Incompatible(
                f"utility.screen={screen} looks at fewer candidates than batch_size={batch_size} "
                "asks for; raise utility.screen, or set it to null"
            )

    @property
    def regime(self) -> str:
        return self.model.regime

    @property
    def slope_of(self) -> LogitGoal | None:
        """The goal, if its gradient will be asked for."""
        if not isinstance(self.goal, LogitGoal):
            return None
        first_order = self.estimator.needs != "value" or self.estimator.screen is not None
        return self.goal if first_order and "derivatives" in self.model.capabilities else None

    def reference(self, pool: Reference) -> Reference:
        """What the goal is measured on: the initial pool, or the dev set through the same model."""
        return goal_reference(self.goal, pool, self.dev)

    def __call__(self, candidates: Candidates, *, per_label: bool = False) -> Scores:
        """Score the candidates; see `Scores`. ``per_label``: with all of U, however large it is."""
        if isinstance(self.goal, DesignGoal):
            reference = self.reference(candidates.pool)
            with asking(self.goal, "goal", "gains"):
                gains = self.goal.gains(candidates, reference, regime=self.model.regime)
            shape = (len(candidates),)
            gains = numbers(gains, shape, self.goal, "goal", "the gains", but=[np.nan])
            looked_at = np.flatnonzero(~np.isnan(gains))
            known = self._finite(gains[looked_at])
            U = np.repeat(known[:, None], candidates.model.n_classes, axis=1)
            noise = float(np.abs(known).max()) * _round_off(candidates)
            return Scores(U, gains, noise, looked_at)
        screen = None
        if self.first_order is not None and isinstance(self.goal, LogitGoal):
            screen = self.estimator.looks_at(candidates, self.reference(candidates.pool))
        if screen is None or self.first_order is None or screen >= len(candidates):
            return self._scores(self.estimator, candidates, per_label)
        ranked = self._ranked(self.first_order, candidates)
        best = np.sort(np.argsort(-ranked.utility, kind="stable")[:screen])
        closer = self._scores(self.estimator, candidates.subset(best), per_label=True)
        utility = np.full(len(candidates), np.nan)
        utility[best] = closer.utility
        return replace(closer, utility=utility, looked_at=best)

    def _ranked(self, first_order: UtilityEstimator, candidates: Candidates) -> Scores:
        """All candidates to first order, through the model or, where it has no derivatives, through
        a proxy that is fit to the same labels.
        """
        if first_order.needs_model <= self.model.capabilities:
            return self._scores(first_order, candidates)
        if self.proxy is None:
            raise Incompatible(
                f"{type(self.model).__name__} has no derivatives to screen by; "
                "set utility.screen=null"
            )
        fitted = self.proxy.fit(candidates.labelled, candidates.model.n_classes)
        pool = replace(candidates.pool, model=fitted, asked=(), slope_of=None)
        seen = replace(candidates, pool=pool, learner=self.proxy)
        return replace(self, estimator=first_order, model=self.proxy, first_order=None)(seen)

    def _scores(
        self, estimator: UtilityEstimator, candidates: Candidates, per_label: bool = False
    ) -> Scores:
        reference, regime = self.reference(candidates.pool), self.model.regime
        whole = candidates.pool.at_hand or (per_label and not candidates.pool.engine.remote)
        if not whole and isinstance(estimator, FirstOrderEstimator) and self.operator.separable:
            return self._piecewise(estimator, candidates, reference)
        if estimator.needs == "hessian":
            _check_hessian(self.goal, reference)
        with asking(estimator, "utility", "utilities"):
            estimate = estimator.utilities(candidates, self.goal, reference, regime=regime)
        self._check_estimate(estimate, estimator, candidates)
        utility, log_Q = self._resolve(estimate.U, candidates)
        largest = max(float(estimate.U.max()), -float(estimate.U.min()))
        noise = largest * (_round_off(candidates) + estimate.relative_error)
        everyone = np.arange(len(candidates))
        check_solved(estimate.relative_error)
        return Scores(estimate.U, self._finite(utility), noise, everyone, estimate.trust, log_Q)

    def _piecewise(
        self, estimator: FirstOrderEstimator, candidates: Candidates, reference: Reference
    ) -> Scores:
        """The same a piece of the pool at a time: U is resolved there, and not held."""
        assert isinstance(self.goal, LogitGoal)
        with asking(estimator, "utility", "direction"):
            found = estimator.direction(self.goal, reference, regime=self.model.regime)
        instance_of(found, Direction, estimator, "utility", "the direction")
        theta = parameters(candidates.model, self.model)
        if theta is not None:
            numbers(found.v, theta.shape, estimator, "utility", "the direction")
        y_true = None
        if self.operator.needs_ground_truth and self.pool_y is not None:
            y_true = self.pool_y[candidates.rows]
        utility, U = piecewise.score(candidates, found, self.operator, y_true)
        noise = float(np.abs(U).max()) * (_round_off(candidates) + found.relative_error)
        everyone = np.arange(len(candidates))
        check_solved(found.relative_error)
        return Scores(U, self._finite(utility), noise, everyone, estimator.trust(candidates))

    def _check_estimate(
        self, estimate: Any, estimator: UtilityEstimator, candidates: Candidates
    ) -> None:
        """What an estimator returned, held against the contract; U must be finite."""
        instance_of(estimate, Utilities, estimator, "utility", "what utilities returned")
        N, K = len(candidates), candidates.model.n_classes
        numbers(estimate.U, (N, K), estimator, "utility", f"U of {named(self.goal, 'goal')}")
        number(estimate.relative_error, estimator, "utility", "relative_error")
        if estimate.trust is not None:
            numbers(estimate.trust, (N,), estimator, "utility", "trust", but=[np.nan, np.inf])

    def resolve(self, U: Array, candidates: Candidates) -> Array:
        """The operator's utility (N,) from utilities under every label U (N, K)."""
        return self._resolve(U, candidates)[0]

    def _resolve(self, U: Array, candidates: Candidates) -> tuple[Array, Array]:
        """The utility (N,), and log P(y) (N, K) that it was resolved under."""
        y_true, shape = None, (len(candidates), candidates.model.n_classes)
        with asking(self.operator, "operator", "beliefs"):
            log_Q = self.operator.beliefs(candidates)
        log_Q = numbers(log_Q, shape, self.operator, "operator", "beliefs", but=[-np.inf])
        if self.operator.needs_ground_truth and self.pool_y is not None:
            y_true = self.pool_y[candidates.rows]
        utility = piecewise.resolved(self.operator, U, log_Q, y_true, candidates.progress)
        if y_true is None:
            return utility, log_Q
        return utility, np.where(np.eye(U.shape[1], dtype=bool)[y_true], 0.0, -np.inf)

    def _finite(self, utility: Array) -> Array:
        if not np.isfinite(utility).all():
            bad = int(np.flatnonzero(~np.isfinite(utility))[0])
            raise BadInput(
                f"goal {type(self.goal).__name__} with operator {type(self.operator).__name__} "
                f"gives the utility {utility[bad]} (candidate {bad}); every one must be finite"
            )
        return utility


def _round_off(candidates: Candidates) -> float:
    """How far utilities are undetermined, relative to the largest, whatever the solver did."""
    eps = float(np.finfo(candidates.pool.X.dtype).eps)
    return FIT_NOISE + candidates.model.noise + ROUND_OFF * eps


def check_solved(relative_error: float) -> None:
    """Warn of a solver that left so much of its error that ranks may be by chance."""
    if not relative_error <= UNSOLVED:
        warnings.warn(
            "the model solved with its curvature only to a relative error beyond "
            f"{UNSOLVED:g}: utilities may rank by chance. Standardise the features or lower C; "
            "goralx.testing.check_model puts a model of one's own to the test",
            Imprecise,
            stacklevel=4,
        )


def check_model(asking: Goal | LabelOperator | UtilityEstimator | BatchRule, model: Model) -> None:
    """A component that asks of the model what it cannot give is refused."""
    missing = asking.needs_model - model.capabilities
    if missing:
        way_out = "utility=retrain or " if isinstance(asking, UtilityEstimator) else ""
        raise Incompatible(
            f"{type(asking).__name__} asks {', '.join(sorted(missing))} of the model, which "
            f"{type(model).__name__} cannot give; use {way_out}model=softmax"
        )


def check_goal_reference(goal: Goal, dev: Labelled | None) -> None:
    """A dev goal without dev labels is refused."""
    if goal.reference == "dev" and not (dev is not None and len(dev)):
        raise Incompatible(
            f"goal {type(goal).__name__} is measured on a dev set and there is none; "
            "give dev labels (dev.fraction=0.1, or X_dev= and y_dev=) or a pool goal such as ent"
        )


def goal_reference(goal: Goal, pool: Reference, dev: Labelled | None) -> Reference:
    """The reference that a goal names."""
    if goal.reference == "pool":
        return pool
    check_goal_reference(goal, dev)
    assert dev is not None
    return Reference(pool.model, dev.X, dev.y)


def goal_value(goal: Goal, pool: Reference, dev: Labelled | None) -> float:
    """tau of the model that ``pool`` is seen through."""
    with asking(goal, "goal", "measure"):
        value = goal.measure(goal_reference(goal, pool, dev))
    return number(value, goal, "goal", "the value")


def _check_hessian(goal: Any, reference: Reference) -> None:
    """Second derivatives are asked for deep inside an estimator: two samples show their shape."""
    some = slice(0, 2)
    log_P = read_only(reference.log_P[some])
    y = None if reference.y is None else reference.y[some]
    with asking(goal, "goal", "logit_hessian"):
        found = goal.logit_hessian(log_P, read_only(reference.X[some]), y)
    numbers(found, (*log_P.shape, log_P.shape[1]), goal, "goal", "logit_hessian")

"""What an estimator promises: what a sample, under each label, would do to the goal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from goralx.contracts import Candidates, LogitGoal, Reference, Utilities, UtilityEstimator
from goralx.data import Array, Features, Labelled, Labels

from .common import (
    Check,
    answer_or_refusal,
    global_generators_unused,
    require_array,
    require_close,
    untouched,
)
from .scenario import Learner, labelled, parts_of, without_last

LEARNER = Learner(5.0, regime="fixed_C")
"""Of the model that the checks look through; 1/C = 5."""


@dataclass(frozen=True)
class Certainty(LogitGoal):
    """weight * sum_i (|p_i|^2 - 1) + shift over the pool: a goal of the checks' own."""

    weight: float = 1.0
    shift: float = 0.0

    def value_and_logit_gradient(
        self, log_P: Array, X: Features, y: Labels | None
    ) -> tuple[float, Array]:
        P = np.exp(log_P)
        nu = (P * P).sum(axis=1, keepdims=True)
        value = self.weight * float((nu - 1.0).sum()) + self.shift
        return value, self.weight * 2.0 * P * (P - nu)

    def logit_hessian(self, log_P: Array, X: Features, y: Labels | None) -> Array:
        P = np.exp(log_P)
        nu = (P * P).sum(axis=1)[:, None, None]
        row, column = P[:, :, None], P[:, None, :]
        diagonal = np.eye(P.shape[1]) * row * (2.0 * row - nu)
        H: Array = diagonal + row * column * (3.0 * nu - 2.0 * (row + column))
        return self.weight * 2.0 * H


def check_is_utility(utility: UtilityEstimator) -> None:
    """An estimator extends goralx.UtilityEstimator and names what it needs of a model."""
    name = type(utility).__name__
    assert isinstance(utility, UtilityEstimator), f"let {name} extend goralx.UtilityEstimator"
    assert isinstance(utility.needs_model, frozenset), "needs_model is a frozenset of names"
    needs = ("value", "gradient", "hessian")
    assert utility.needs in needs, f"needs is {utility.needs!r}, not one of {needs}"


def check_shapes(utility: UtilityEstimator) -> None:
    """U is finite (N, K), ``relative_error`` not negative, ``trust`` (N,) or None."""
    for K in (2, 3, 5):
        asked = _candidates(K)
        estimate = _estimate(utility, asked, Certainty())
        require_array(estimate.U, (len(asked), K), "U")
        assert estimate.relative_error >= 0.0, f"relative_error is {estimate.relative_error}"
        if estimate.trust is not None:
            known = np.nan_to_num(estimate.trust)  # NaN: not worked out
            require_array(known, (len(asked),), "trust")


def check_class_without_labels(utility: UtilityEstimator) -> None:
    """With a class that has no label yet U is finite (N, K), its column too, or refused."""
    for K in (2, 3, 5):
        asked, where = _candidates(K, all_seen=False), f"K={K}, one class without a label"
        estimate = answer_or_refusal(partial(_estimate, utility, asked, Certainty()), where)
        if estimate is not None:
            require_array(estimate.U, (len(asked), K), f"{where}: U")


def check_candidate_order(utility: UtilityEstimator) -> None:
    """A candidate's utility depends neither on its place nor on the other candidates."""
    asked = _candidates(3)
    order = np.random.default_rng(0).permutation(len(asked))[:7]
    some = replace(asked, rows=asked.rows[order])
    U = _estimate(utility, asked, Certainty()).U
    require_close(
        _estimate(utility, some, Certainty()).U,
        U[order],
        "a candidate's utility depends on the others",
        rtol=1e-6,
        scale=float(np.abs(U).max()),
    )


def check_unit(utility: UtilityEstimator) -> None:
    """Utilities are in the goal's unit: twice the goal is twice the utility, a constant nothing."""
    asked = _candidates(3)
    U = _estimate(utility, asked, Certainty()).U
    double = _estimate(utility, asked, Certainty(weight=2.0)).U
    shifted = _estimate(utility, asked, Certainty(shift=100.0)).U
    require_close(double, 2.0 * U, "twice the goal is not twice the utility", rtol=1e-6)
    require_close(shifted, U, "a constant added to the goal changes the utility", rtol=1e-6)


def check_float32_features(utility: UtilityEstimator) -> None:
    """A pool in single precision has the same utilities, up to its round-off."""
    for K in (2, 3):
        asked = _candidates(K)
        pool = replace(asked.pool, X=asked.pool.X.astype(np.float32))
        single = _estimate(utility, replace(asked, pool=pool), Certainty())
        U = _estimate(utility, asked, Certainty()).U
        require_close(single.U, U, f"K={K}: U of a pool in single precision", rtol=1e-4)


def check_against_refit(utility: UtilityEstimator) -> None:
    """With many labels, utilities are what refitting with the sample and each label does.

    To first order in 1/n, n = 2000: a tenth of the largest is allowed.
    """
    for K in (2, 3):
        asked, goal = _candidates(K, n=2000), Certainty()
        known, pool = asked.labelled, asked.pool
        before = goal.value(pool.log_P, pool.X, None)
        exact = np.empty((6, K))
        for i, y in np.ndindex(*exact.shape):
            more = Labelled(np.vstack([known.X, asked.X[i : i + 1]]), np.append(known.y, y))
            exact[i, y] = goal.value(LEARNER.fit(more, K).log_proba(pool.X), pool.X, None) - before
        require_close(
            _estimate(utility, asked, goal).U[:6],
            exact,
            f"K={K}: utilities are not what a refit gives (tau after minus tau before)",
            rtol=0.1,
        )


def check_deterministic(utility: UtilityEstimator) -> None:
    """Asked twice it answers the same, writes into nothing, and uses no global generator."""
    asked = _candidates(3)
    with global_generators_unused(), untouched(**parts_of(asked)):
        once, twice = (_estimate(utility, asked, Certainty()).U for _ in range(2))
    assert np.array_equal(once, twice), "asked twice, it gives two answers"


def _candidates(K: int, n: int = 30, all_seen: bool = True) -> Candidates:
    known, pool_X = labelled(K, n), labelled(K, 20, seed=1).X
    known = known if all_seen else without_last(known, K)
    pool = Reference(LEARNER.fit(known, K), pool_X)
    return Candidates(pool, np.arange(1, 20, 2), known, 0.0, learner=LEARNER)


def _estimate(utility: UtilityEstimator, asked: Candidates, goal: LogitGoal) -> Utilities:
    return utility.utilities(asked, goal, asked.pool, regime="fixed_C")


CHECKS: tuple[Check, ...] = (
    check_is_utility,
    check_shapes,
    check_class_without_labels,
    check_candidate_order,
    check_unit,
    check_float32_features,
    check_against_refit,
    check_deterministic,
)

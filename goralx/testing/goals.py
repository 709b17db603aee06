"""What a goal promises: a function of the predictions, its gradient, and its curvature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial, wraps
from itertools import product
from typing import Any

import numpy as np
from scipy.special import log_softmax

from goralx.contracts import DesignGoal, Goal, LogitGoal, PredictionGoal, has_logit_hessian
from goralx.data import Array, Labels

from .common import (
    Check,
    answer_or_refusal,
    global_generators_unused,
    require_array,
    require_close,
    untouched,
)
from .scenario import CLASSES, Predictions, candidates, predictions, saturated


def only_for(kind: Any) -> Callable[[Callable[[Any], None]], Check]:
    """A check that goals of another kind pass: it asks for what they do not promise."""

    def decorate(check: Callable[[Any], None]) -> Check:
        @wraps(check)
        def guarded(goal: Any) -> None:
            if isinstance(goal, kind):
                check(goal)

        return guarded

    return decorate


def check_is_goal(goal: Goal) -> None:
    """A goal extends goralx.LogitGoal (or its kin), and is measured on the "pool" or on "dev"."""
    assert isinstance(goal, Goal), f"let {type(goal).__name__} extend goralx.LogitGoal"
    assert goal.reference in ("pool", "dev"), (
        f"reference = {goal.reference!r}; allowed: 'pool' (features only) or 'dev' (with labels)"
    )


@only_for(PredictionGoal)
def check_shapes(goal: PredictionGoal) -> None:
    """The value is one finite float, the gradient a finite array (M, K); M = 1 is no exception."""
    for K in CLASSES:
        for M in (1, 7):
            sample = predictions(K, M)
            value = _value(goal, sample)
            assert isinstance(value, float), f"the value is a {type(value).__name__}; give a float"
            assert np.isfinite(value), f"the value is {value}"
            if isinstance(goal, LogitGoal):
                require_array(_gradient(goal, sample), (M, K), "the gradient")


@only_for(LogitGoal)
def check_gradient(goal: LogitGoal) -> None:
    """The gradient with respect to the logits agrees with five-point differences of the value."""
    for K in CLASSES:
        sample = predictions(K)
        numeric = np.empty_like(sample.logits)
        for i, k in np.ndindex(*numeric.shape):
            numeric[i, k] = _difference(partial(_value, goal), sample, i, k)
        require_close(
            _gradient(goal, sample),
            numeric,
            f"K={K}: the gradient and differences of the value disagree (differentiate "
            "with respect to the logits, not the probabilities)",
            rtol=1e-7,
            scale=1e-3 * abs(_value(goal, sample)),
        )


@only_for(LogitGoal)
def check_gradient_rows_sum_to_zero(goal: LogitGoal) -> None:
    """A constant added to all logits of a sample changes nothing: gradient rows sum to zero."""
    for K in CLASSES:
        G = _gradient(goal, predictions(K))
        require_close(
            G.sum(axis=1),
            np.zeros(len(G)),
            f"K={K}: the rows of the gradient do not sum to zero (the softmax Jacobian is missing)",
            scale=float(np.abs(G).max()),
        )


@only_for(LogitGoal)
def check_logit_hessian(goal: LogitGoal) -> None:
    """``logit_hessian``, where there is one, agrees with differences of the gradient (M, K, K).

    Each sample's is symmetric, and its rows sum to zero as the gradient's do.
    """
    if not has_logit_hessian(goal):
        return
    for K in CLASSES:
        s = predictions(K)
        numeric = np.empty((*s.logits.shape, K))
        for i, k in np.ndindex(*s.logits.shape):
            numeric[i, :, k] = _difference(partial(_gradient, goal), s, i, k)[i]
        hessian = goal.logit_hessian(s.log_P, s.X, _labels(goal, s))
        wrong = f"K={K}: logit_hessian and differences of the gradient disagree"
        require_close(hessian, numeric, wrong, rtol=1e-7)
        require_close(hessian.transpose(0, 2, 1), hessian, f"K={K}: logit_hessian is not symmetric")
        require_close(
            hessian.sum(axis=2),
            np.zeros(s.logits.shape),
            f"K={K}: the rows of logit_hessian do not sum to zero",
            scale=float(np.abs(hessian).max()),
        )


@only_for(LogitGoal)
def check_value_alone(goal: LogitGoal) -> None:
    """``value`` is the value of ``value_and_logit_gradient``."""
    for K in CLASSES:
        s = predictions(K)
        both = goal.value_and_logit_gradient(s.log_P, s.X, _labels(goal, s))[0]
        require_close(_value(goal, s), both, f"K={K}: value() disagrees with the other method")


@only_for(PredictionGoal)
def check_reduction(goal: PredictionGoal) -> None:
    """Every sample twice: a goal whose ``reduction`` is "sum" doubles, one of "mean" stays."""
    factors = {"sum": 2.0, "mean": 1.0}
    assert goal.reduction in factors, f"reduction = {goal.reduction!r}; allowed: 'sum', 'mean'"
    for K in CLASSES:
        s = predictions(K)
        twice = s.at(np.tile(np.arange(len(s.X)), 2))
        require_close(
            _value(goal, twice),
            factors[goal.reduction] * _value(goal, s),
            f"K={K}: with every sample twice the goal is no {goal.reduction}; set reduction",
        )


@only_for(PredictionGoal)
def check_sample_order(goal: PredictionGoal) -> None:
    """Samples in another order: the same value, the gradient's rows in that order."""
    for K in CLASSES:
        s = predictions(K)
        order = np.random.default_rng(0).permutation(len(s.X))
        other = s.at(order)
        expected = _value(goal, s)
        require_close(_value(goal, other), expected, f"K={K}: the order of the samples matters")
        if isinstance(goal, LogitGoal):
            G = _gradient(goal, s)[order]
            require_close(_gradient(goal, other), G, f"K={K}: gradient rows are not the samples'")


@only_for(PredictionGoal)
def check_separable(goal: PredictionGoal) -> None:
    """If ``separable``, tau and gradient of two parts make those of the whole, by ``reduction``."""
    if not goal.separable:
        return
    for K in CLASSES:
        s = predictions(K)
        parts = [s.at(rows) for rows in np.split(np.arange(len(s.X)), [3])]
        shares = [len(p.X) / len(s.X) if goal.reduction == "mean" else 1.0 for p in parts]
        what = f"K={K}: a part of the samples has not the same share alone; set separable = False"
        value = sum(share * _value(goal, p) for share, p in zip(shares, parts))
        require_close(value, _value(goal, s), what)
        if isinstance(goal, LogitGoal):
            G = [share * _gradient(goal, p) for share, p in zip(shares, parts)]
            require_close(np.concatenate(G), _gradient(goal, s), what)


@only_for(PredictionGoal)
def check_class_order(goal: PredictionGoal) -> None:
    """Classes numbered otherwise: the same value. Skip it if yours singles a class out."""
    for K in CLASSES:
        s = predictions(K)
        order = np.roll(np.arange(K), 1)
        other = Predictions(s.logits[:, order], s.log_P[:, order], s.X, np.argsort(order)[s.y])
        expected = _value(goal, s)
        require_close(_value(goal, other), expected, f"K={K}: the numbering of classes matters")
        if isinstance(goal, LogitGoal):
            G = _gradient(goal, s)[:, order]
            require_close(
                _gradient(goal, other), G, f"K={K}: gradient columns are not the classes'"
            )


@only_for(PredictionGoal)
def check_saturated_predictions(goal: PredictionGoal) -> None:
    """Predictions of 0 and 1 give a finite value and gradient (0 log 0 is 0: work with log_P)."""
    for K, dtype in product(CLASSES, (np.float64, np.float32)):
        s = saturated(K, dtype=dtype)
        value = _value(goal, s)
        assert np.isfinite(value), f"K={K}: the value is {value} where a probability is 0"
        if isinstance(goal, LogitGoal):
            where = f"K={K}: where a probability is 0,"
            require_array(_gradient(goal, s), s.log_P.shape, f"{where} the gradient")
            if has_logit_hessian(goal):
                H = goal.logit_hessian(s.log_P, s.X, _labels(goal, s))
                require_array(H, (*s.log_P.shape, K), f"{where} logit_hessian")


def check_class_without_labels(goal: Goal) -> None:
    """Where no sample is of the last class, and it has no label, all is finite, or refused."""
    for K in CLASSES:
        where = f"K={K}, one class without a label"
        if isinstance(goal, DesignGoal):
            asked = candidates(K, all_seen=False)
            ask = partial(goal.gains, asked, asked.pool, regime="fixed_C")
            gains = answer_or_refusal(ask, where)
            if gains is not None:
                require_array(gains, (len(asked),), f"{where}: the gains")
        elif isinstance(goal, PredictionGoal):
            s = predictions(K)
            s = replace(s, y=s.y % (K - 1))
            value = answer_or_refusal(partial(_value, goal, s), where)
            assert value is None or np.isfinite(value), f"{where}: the value is {value}"
            if isinstance(goal, LogitGoal):
                G = answer_or_refusal(partial(_gradient, goal, s), where)
                if G is not None:
                    require_array(G, s.log_P.shape, f"{where}: the gradient")


@only_for(PredictionGoal)
def check_float32_features(goal: PredictionGoal) -> None:
    """Features and predictions in single precision change the results by round-off only."""
    for K in CLASSES:
        single, double = predictions(K, dtype=np.float32), predictions(K)
        value = _value(goal, double)
        require_close(_value(goal, single), value, f"K={K}: value, float32 features", rtol=1e-5)
        if isinstance(goal, LogitGoal):
            G = _gradient(goal, double)
            require_close(_gradient(goal, single), G, f"K={K}: gradient, float32", rtol=1e-5)


@only_for(PredictionGoal)
def check_inputs_untouched(goal: PredictionGoal) -> None:
    """A goal does not write into log_P, X or y: others read them after it."""
    for K in CLASSES:
        s = predictions(K)
        with untouched(log_P=s.log_P, X=s.X, y=s.y):
            _value(goal, s)
            if isinstance(goal, LogitGoal):
                _gradient(goal, s)
                if has_logit_hessian(goal):
                    goal.logit_hessian(s.log_P, s.X, _labels(goal, s))


@only_for(PredictionGoal)
def check_deterministic(goal: PredictionGoal) -> None:
    """The same predictions give the same numbers, bit for bit, and no global generator is used."""
    s = predictions(5)
    with global_generators_unused():
        assert _value(goal, s) == _value(goal, s), "asked twice, it gives two values"
        if isinstance(goal, LogitGoal):
            same = np.array_equal(_gradient(goal, s), _gradient(goal, s))
            assert same, "asked twice, it gives two gradients"


@only_for(DesignGoal)
def check_gains(goal: DesignGoal) -> None:
    """A design goal's gains are a finite number a candidate (N,), whatever the other candidates.

    None is negative, as one more label never leaves less known; tau itself is one finite float.
    """
    for K, regime in product(CLASSES, ("fixed_C", "fixed_lambda")):
        asked, where = candidates(K), f"K={K}, {regime}:"
        with global_generators_unused(), untouched(X=asked.pool.X, log_P=asked.pool.log_P):
            tau = goal.measure(asked.pool)
            gains = goal.gains(asked, asked.pool, regime=regime)
        assert isinstance(tau, float) and np.isfinite(tau), f"{where} tau is {tau!r}; give a float"
        require_array(gains, (len(asked),), f"{where} the gains")
        least = float(gains.min())
        assert least >= -1e-9 * np.abs(gains).max(), (
            f"{where} a gain is {least:.3g}; it is how much tau rises, which no label can lower"
        )
        some = np.arange(len(asked))[::-3]
        require_close(
            goal.gains(asked.subset(some), asked.pool, regime=regime),
            gains[some],
            f"{where} a candidate's gain depends on the other candidates",
            rtol=1e-8,
        )


def _labels(goal: Goal, sample: Predictions) -> Labels | None:
    return sample.y if goal.reference == "dev" else None


def _value(goal: PredictionGoal, s: Predictions) -> float:
    return goal.value(s.log_P, s.X, _labels(goal, s))


def _gradient(goal: LogitGoal, s: Predictions) -> Array:
    return goal.value_and_logit_gradient(s.log_P, s.X, _labels(goal, s))[1]


def _difference(
    f: Callable[[Predictions], Any], s: Predictions, i: int, k: int, step: float = 1e-3
) -> Any:
    """Five-point difference in logit k of sample i: an error of step^4 against round-off/step."""

    def shifted(by: float) -> Any:
        logits = s.logits.copy()
        logits[i, k] += by
        return f(Predictions(logits, log_softmax(logits, axis=1), s.X, s.y))

    near, far = shifted(step) - shifted(-step), shifted(2 * step) - shifted(-2 * step)
    return (8.0 * near - far) / (12.0 * step)


CHECKS: tuple[Check, ...] = (
    check_is_goal,
    check_shapes,
    check_gradient,
    check_gradient_rows_sum_to_zero,
    check_logit_hessian,
    check_value_alone,
    check_reduction,
    check_sample_order,
    check_separable,
    check_class_order,
    check_saturated_predictions,
    check_class_without_labels,
    check_float32_features,
    check_inputs_untouched,
    check_deterministic,
    check_gains,
)

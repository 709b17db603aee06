"""What a goal promises: a smooth function of the predictions, and its gradient."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax

from ..components import Array, LogitGoal
from ..data import Labels
from .common import Check, global_generators_unused, require_array, require_close, untouched
from .scenario import CLASSES, Predictions, predictions, saturated


def check_is_goal(goal: LogitGoal) -> None:
    """A goal extends goralx.LogitGoal and is measured on the "pool" or on a "dev" set."""
    assert isinstance(goal, LogitGoal), f"let {type(goal).__name__} extend goralx.LogitGoal"
    assert goal.reference in ("pool", "dev"), (
        f"reference = {goal.reference!r}; allowed: 'pool' (features only) or 'dev' (with labels)"
    )


def check_shapes(goal: LogitGoal) -> None:
    """The value is one finite float, the gradient a finite array (M, K); M = 1 is no exception."""
    for K in CLASSES:
        for M in (1, 7):
            value, G = _at(goal, predictions(K, M))
            assert isinstance(value, float), (
                f"the value is a {type(value).__name__}; return a float"
            )
            assert np.isfinite(value), f"the value is {value}"
            require_array(G, (M, K), "the gradient")


def check_gradient(goal: LogitGoal) -> None:
    """The gradient with respect to the logits agrees with five-point differences of the value."""
    for K in CLASSES:
        sample = predictions(K)
        value, G = _at(goal, sample)
        require_close(
            G,
            _numeric_gradient(goal, sample),
            f"K={K}: the gradient and differences of the value disagree (differentiate "
            "with respect to the logits, not the probabilities)",
            rtol=1e-7,
            scale=1e-3 * abs(value),
        )


def check_gradient_rows_sum_to_zero(goal: LogitGoal) -> None:
    """A constant added to all logits of a sample changes nothing: gradient rows sum to zero."""
    for K in CLASSES:
        _, G = _at(goal, predictions(K))
        require_close(
            G.sum(axis=1),
            np.zeros(len(G)),
            f"K={K}: the rows of the gradient do not sum to zero (the softmax Jacobian is missing)",
            scale=float(np.abs(G).max()),
        )


def check_value_alone(goal: LogitGoal) -> None:
    """``value`` is the value of ``value_and_logit_gradient``."""
    for K in CLASSES:
        s = predictions(K)
        alone = goal.value(s.log_P, s.X, _labels(goal, s))
        require_close(alone, _at(goal, s)[0], f"K={K}: value() disagrees with the other method")


def check_sample_order(goal: LogitGoal) -> None:
    """Samples in another order: the same value, the gradient's rows in that order."""
    for K in CLASSES:
        s = predictions(K)
        order = np.random.default_rng(0).permutation(len(s.X))
        value, G = _at(goal, s)
        permuted = Predictions(s.logits[order], s.log_P[order], s.X[order], s.y[order])
        other, other_G = _at(goal, permuted)
        require_close(other, value, f"K={K}: the value depends on the order of the samples")
        require_close(other_G, G[order], f"K={K}: the gradient's rows are not the samples'")


def check_class_order(goal: LogitGoal) -> None:
    """Classes numbered otherwise: the same value. Skip it if yours singles a class out."""
    for K in CLASSES:
        s = predictions(K)
        order = np.roll(np.arange(K), 1)
        value, G = _at(goal, s)
        renamed = Predictions(s.logits[:, order], s.log_P[:, order], s.X, np.argsort(order)[s.y])
        other, other_G = _at(goal, renamed)
        require_close(other, value, f"K={K}: the value depends on how classes are numbered")
        require_close(other_G, G[:, order], f"K={K}: the gradient's columns are not the classes'")


def check_saturated_predictions(goal: LogitGoal) -> None:
    """Predictions of 0 and 1 give a finite value and gradient (0 log 0 is 0: work with log_P)."""
    for K in CLASSES:
        sample = saturated(K)
        value, G = _at(goal, sample)
        assert np.isfinite(value), f"K={K}: the value is {value} where a probability is 0"
        require_array(G, sample.log_P.shape, f"K={K}: where a probability is 0, the gradient")


def check_float32_features(goal: LogitGoal) -> None:
    """Features in single precision change the results by round-off only."""
    for K in CLASSES:
        single = predictions(K, dtype=np.float32)
        double = Predictions(single.logits, single.log_P, single.X.astype(np.float64), single.y)
        value, G = _at(goal, single)
        expected, expected_G = _at(goal, double)
        require_close(value, expected, f"K={K}: the value with float32 features", rtol=1e-5)
        require_close(G, expected_G, f"K={K}: the gradient with float32 features", rtol=1e-5)


def check_inputs_untouched(goal: LogitGoal) -> None:
    """A goal does not write into log_P, X or y: others read them after it."""
    for K in CLASSES:
        s = predictions(K)
        with untouched(log_P=s.log_P, X=s.X, y=s.y):
            _at(goal, s)


def check_deterministic(goal: LogitGoal) -> None:
    """The same predictions give the same numbers, bit for bit, and no global generator is used."""
    s = predictions(5)
    with global_generators_unused():
        (value, G), (again, again_G) = _at(goal, s), _at(goal, s)
    assert value == again, "asked twice, it gives two values"
    assert np.array_equal(G, again_G), "asked twice, it gives two gradients"


def _labels(goal: LogitGoal, sample: Predictions) -> Labels | None:
    return sample.y if goal.reference == "dev" else None


def _at(goal: LogitGoal, s: Predictions) -> tuple[float, Array]:
    return goal.value_and_logit_gradient(s.log_P, s.X, _labels(goal, s))


def _numeric_gradient(goal: LogitGoal, s: Predictions, step: float = 1e-3) -> Array:
    """Five-point differences in each logit: error step^4 against the round-off of two points."""
    G = np.empty_like(s.logits)
    for entry in np.ndindex(*s.logits.shape):

        def shifted(by: float, entry: tuple[int, ...] = entry) -> float:
            logits = s.logits.copy()
            logits[entry] += by
            log_P = log_softmax(logits, axis=1)
            return goal.value_and_logit_gradient(log_P, s.X, _labels(goal, s))[0]

        near, far = shifted(step) - shifted(-step), shifted(2 * step) - shifted(-2 * step)
        G[entry] = (8.0 * near - far) / (12.0 * step)
    return G


CHECKS: tuple[Check, ...] = (
    check_is_goal,
    check_shapes,
    check_gradient,
    check_gradient_rows_sum_to_zero,
    check_value_alone,
    check_sample_order,
    check_class_order,
    check_saturated_predictions,
    check_float32_features,
    check_inputs_untouched,
    check_deterministic,
)

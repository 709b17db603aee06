"""dev, ent and fir: values by loops over the paper's formulas, gradients by central differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax

from goralx.core import softmax_regression as softmax
from tests.problems import blobs, build
from tests.reference import GOALS, central_difference, predict, relative, with_constant

every_goal = pytest.mark.parametrize("name", GOALS)
every_K = pytest.mark.parametrize("K", [2, 3, 5])


def sample(seed, K, M=12, d=3):
    rng = np.random.default_rng(seed)
    X, y = blobs(rng, M, d, K)
    return rng, X, y, rng.normal(size=(K, d + 1))


def evaluate(goal, theta, X, y):
    return goal.value_and_logit_gradient(softmax.log_proba(X, theta), X, y)


@every_goal
@every_K
def test_value_is_the_papers_formula(name, K):
    _, X, y, theta = sample(0, K)
    goal = build("goal", name)
    value, _ = evaluate(goal, theta, X, y)
    assert value == pytest.approx(GOALS[name](theta, X, y), rel=1e-12)
    assert goal.value(softmax.log_proba(X, theta), X, y) == value
    assert value <= 0.0


def test_which_reference():
    references = {name: build("goal", name).reference for name in GOALS}
    assert references == {"dev": "dev", "ent": "pool", "fir": "pool"}


def test_sums_and_means():
    """dev and ent are sums, fir a mean: the same reference twice doubles the former alone."""
    _, X, y, theta = sample(1, 3)
    for name, factor in {"dev": 2.0, "ent": 2.0, "fir": 1.0}.items():
        goal = build("goal", name)
        once = evaluate(goal, theta, X, y)[0]
        twice = evaluate(goal, theta, np.tile(X, (2, 1)), np.tile(y, 2))[0]
        assert twice == pytest.approx(factor * once, rel=1e-12)


def test_fisher_trace_without_the_intercept():
    _, X, y, theta = sample(2, 3)
    value = evaluate(build("goal", "fir", include_intercept=False), theta, X, y)[0]
    slow = np.mean([-(1 - p @ p) * (x @ x) for p, x in zip(predict(X, theta), X, strict=True)])
    assert value == pytest.approx(slow, rel=1e-12)


def test_fisher_trace_does_not_move_with_the_penalty():
    """Eq. 8's tr(lambda I) is left out: a run's goal curve would drift as n grows."""
    rng, X, y, _ = sample(3, 3, M=40)
    goal, pool = build("goal", "fir"), rng.normal(size=(10, 3))
    fit = softmax.fit(X, y, 3, l2=0.1)
    other = softmax.at_optimum(X, y, fit.theta, l2=0.7, penalize_intercept=False)
    assert goal.value(fit.log_proba(pool), pool, None) == pytest.approx(
        goal.value(other.log_proba(pool), pool, None), rel=1e-12
    )


@every_goal
@every_K
def test_logit_gradient_by_central_differences(name, K):
    rng, X, y, _ = sample(4, K, M=6)
    goal, eta = build("goal", name), rng.normal(size=(6, K)) * 2

    def value(eta):
        return goal.value_and_logit_gradient(log_softmax(eta, axis=1), X, y)[0]

    gradient = goal.value_and_logit_gradient(log_softmax(eta, axis=1), X, y)[1]
    assert relative(gradient, central_difference(value, eta, h=1e-3)) < 1e-9


@every_goal
@every_K
@pytest.mark.parametrize("intercept", [False, True])
def test_theta_gradient_through_the_models_pullback(name, K, intercept):
    rng, X, y, _ = sample(5, K, M=30)
    fit = softmax.fit(X, y, K, l2=0.1, penalize_intercept=intercept)
    reference, labels = rng.normal(size=(9, 3)), rng.integers(0, K, size=9)
    _, G = build("goal", name).value_and_logit_gradient(fit.log_proba(reference), reference, labels)
    numeric = central_difference(
        lambda theta: GOALS[name](theta, reference, labels), fit.theta, h=1e-3
    )
    assert relative(fit.pullback(reference, G), numeric) < 1e-9


@every_K
def test_theta_gradients_are_section_8s_closed_forms(K):
    _, X, y, theta = sample(6, K)
    dev = ent = fir = 0.0
    for x, k in zip(with_constant(X), y, strict=True):
        eta = theta @ x
        p = np.exp(eta) / np.exp(eta).sum()
        entropy, nu = -p @ np.log(p), p @ p
        dev = dev + np.outer(np.eye(K)[k] - p, x)
        ent = ent + np.outer(p * np.log(p) + entropy * p, x)
        fir = fir - 2 * (x @ x) * np.outer((nu - p) * p, x) / len(X)
    for name, slow in {"dev": dev, "ent": ent, "fir": fir}.items():
        _, G = evaluate(build("goal", name), theta, X, y)
        assert relative(softmax.pullback(X, G), slow) < 1e-12


@every_goal
@settings(max_examples=50, deadline=None)
@given(
    eta=st.integers(2, 6).flatmap(
        lambda K: arrays(float, (4, K), elements=st.floats(-700, 700, allow_nan=False))
    )
)
def test_any_predictions_give_finite_values_and_centred_gradients(name, eta):
    """However certain: p = 0 to the last bit must not become a NaN."""
    X = np.linspace(-1, 1, 8).reshape(4, 2)
    log_P = log_softmax(eta, axis=1)
    value, G = build("goal", name).value_and_logit_gradient(log_P, X, np.zeros(4, dtype=int))
    assert np.isfinite(value)
    assert G.shape == eta.shape
    assert np.isfinite(G).all()
    np.testing.assert_allclose(G.sum(axis=1), 0.0, atol=1e-12)


@every_goal
def test_the_best_goal_is_a_certain_model_and_the_worst_of_ent_is_a_uniform_one(name):
    X, y = np.ones((5, 2)), np.zeros(5, dtype=int)
    certain = log_softmax(np.tile([900.0, 0.0, 0.0], (5, 1)), axis=1)
    goal = build("goal", name)
    value, G = goal.value_and_logit_gradient(certain, X, y)
    assert value == 0.0
    assert not G.any()
    uniform, G = goal.value_and_logit_gradient(np.full((5, 3), -np.log(3)), X, y)
    assert uniform < 0
    if name == "ent":
        assert uniform == pytest.approx(-5 * np.log(3))
        np.testing.assert_allclose(G, 0.0, atol=1e-15)


@every_goal
def test_inputs_are_left_alone(name):
    _, X, y, theta = sample(7, 3)
    log_P = softmax.log_proba(X, theta)
    for array in (log_P, X, y):
        array.setflags(write=False)
    build("goal", name).value_and_logit_gradient(log_P, X, y)

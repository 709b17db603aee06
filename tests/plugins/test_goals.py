"""dev, ent and fir by loops over the paper's formulas and by differences; composites of goals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax

import goralx
from goralx.core import softmax_regression as softmax
from tests.problems import blobs, build
from tests.program import SHORT, call
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
    assert goal.value(softmax.log_proba(X, theta), X, y) == pytest.approx(value, rel=1e-13)
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


@every_goal
@every_K
def test_curvature_along_any_direction_of_the_parameters(name, K):
    """d^2 tau(theta + t V) / dt^2, by differences of the slow value."""
    rng, X, y, theta = sample(8, K)
    V, h = rng.normal(size=theta.shape), 1e-3
    tau = {i: GOALS[name](theta + i * h * V, X, y) for i in (-2, -1, 0, 1, 2)}
    bend = (16 * (tau[1] + tau[-1]) - tau[2] - tau[-2] - 30 * tau[0]) / (12 * h * h)
    hessian = build("goal", name).logit_hessian(softmax.log_proba(X, theta), X, y)
    moved = with_constant(X) @ V.T
    assert np.einsum("nj,njk,nk->", moved, hessian, moved) == pytest.approx(bend, rel=1e-6)


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


# Composites --------------------------------------------------------------------------------------


@every_K
def test_a_composite_is_the_weighted_sum_of_means(K):
    _, X, _, theta = sample(9, K)
    goal = build("goal", "composite", goals=("ent", "fir"), weights=(2.0, -0.5))
    value, G = evaluate(goal, theta, X, None)
    means = GOALS["ent"](theta, X) / len(X), GOALS["fir"](theta, X)
    assert value == pytest.approx(2.0 * means[0] - 0.5 * means[1], rel=1e-12)
    numeric = central_difference(
        lambda eta: goal.value(log_softmax(eta, axis=1), X, None), softmax.logits(X, theta), h=1e-3
    )
    assert relative(G, numeric) < 1e-9
    parts = [build("goal", name) for name in ("ent", "fir")]
    hessians = [part.logit_hessian(softmax.log_proba(X, theta), X, None) for part in parts]
    np.testing.assert_allclose(
        goal.logit_hessian(softmax.log_proba(X, theta), X, None),
        2.0 * hessians[0] / len(X) - 0.5 * hessians[1],
        atol=1e-15,
    )


@pytest.mark.parametrize("goals", [("ent", "fir"), ("dev", "brier", "eacc")])
def test_a_composite_is_measured_where_its_parts_are(goals):
    alone = build("goal", "composite", goals=goals)
    assert alone.reference == build("goal", goals[0]).reference
    _, X, y, theta = sample(10, 3)
    weighed = build("goal", "composite", goals=goals, weights=(1.0,) * len(goals))
    assert evaluate(alone, theta, X, y)[0] == evaluate(weighed, theta, X, y)[0]


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"goals": ("ent", "dev")}, goralx.Incompatible, "ent on pool, dev on dev"),
        ({"goals": ("ent", "firatio")}, goralx.Incompatible, "firatio has no gradient"),
        ({"goals": ("dev", "accuracy")}, goralx.Incompatible, "accuracy has no gradient"),
        ({"goals": ("ent", "fri")}, goralx.UnknownName, "did you mean 'fir'"),
        ({"goals": ()}, goralx.BadInput, "at least one"),
        ({"weights": (1.0,)}, goralx.BadInput, "1 numbers for 2 goals"),
        ({"weights": (0.0, 0.0)}, goralx.BadInput, "not all 0"),
        ({"weights": (1.0, float("nan"))}, goralx.BadInput, "finite"),
    ],
)
def test_what_makes_no_composite_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        build("goal", "composite", **options)


@dataclass(frozen=True)
class Straight(goralx.LogitGoal):
    """No curvature given."""

    def value_and_logit_gradient(self, log_P, X, y):
        P = np.exp(log_P)
        nu = (P * P).sum(axis=1, keepdims=True)
        return float(nu.sum()), 2 * P * (P - nu)


def test_a_part_without_curvature_is_named_where_it_is_needed(monkeypatch):
    parts = {"ent": build("goal", "ent"), "straight": Straight()}
    monkeypatch.setattr(goralx, "build", lambda group, name: parts[name])
    goal = build("goal", "composite", goals=("ent", "straight"))
    _, X, _, theta = sample(11, 3)
    assert np.isfinite(evaluate(goal, theta, X, None)[0])
    with pytest.raises(goralx.Incompatible, match=r"Straight.*utility=lookahead"):
        goal.logit_hessian(softmax.log_proba(X, theta), X, None)


def test_a_composite_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["goal=composite", "goal.goals=[dev,eacc]", "goal.weights=[1,-0.5]"]
    done = call(capsys, *words, *SHORT)
    assert done.status == 0, done.err
    assert "dev labels used" in done.out
    refused = call(capsys, words[0], "goal.goals=[dev,ent]", *SHORT)
    assert refused.status == 2 and "mixes references" in refused.errors[-1]

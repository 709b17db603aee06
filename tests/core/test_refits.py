"""Refits of many problems at once against one small system each, and against the slow solver."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goralx.core import softmax_regression as softmax
from goralx.core.beyond import refits, retraining
from goralx.core.inverse import curvature
from goralx.core.linear_solve import NotConverged
from tests.problems import Setting, blobs


def both(fit, X, y, regime):
    """Changes (T, m) by `refits` and by `retraining`."""
    objective, b = fit.objective, y.shape[1]
    n_shares = b if regime == "fixed_lambda" else 0
    penalty = (fit.n_labelled + n_shares) * objective.decay
    phi = objective.phi(fit.theta)
    return (
        refits.refitted(objective, fit.expansion(regime, b), X, y, penalty=penalty),
        retraining.retrained(objective, phi, X, y, n_shares=n_shares),
    )


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    K=st.sampled_from([2, 3, 6]),
    d=st.sampled_from([2, 25]),
    b=st.sampled_from([1, 2]),
    C=st.sampled_from([1e-3, 1.0, 100.0]),
    regime=st.sampled_from(["fixed_C", "fixed_lambda"]),
    intercept=st.booleans(),
    shared=st.booleans(),
)
def test_the_optimum_is_that_of_another_road(seed, K, d, b, C, regime, intercept, shared):
    rng = np.random.default_rng(seed)
    X, y = blobs(rng, 18, d, K)
    fit = softmax.fit(X, y, K, l2=1 / (18 * C), penalize_intercept=intercept, tolerance=1e-11)
    new = rng.normal(size=(1 if shared else 5, b, d)) * 2
    found, other = both(fit, new, rng.integers(0, K, size=(5, b)), regime)
    np.testing.assert_allclose(found, other, atol=1e-6 * max(1.0, np.abs(other).max()))


@pytest.mark.parametrize("regime", ["fixed_C", "fixed_lambda"])
def test_against_the_slow_solver(regime):
    setting = Setting(3, regime, False)
    X, Y = setting.pool[:3, None], np.array([[0], [2], [1]])
    found, _ = both(setting.fit, X, Y, regime)
    for x, y, change in zip(X, Y, found, strict=True):
        theta = setting.refit([(x[0], y[0])], 1 / setting.n)
        moved = setting.fit.theta + setting.fit.objective.theta(change)
        np.testing.assert_allclose(moved, theta - theta.mean(axis=0), atol=1e-6)


@pytest.mark.filterwarnings("error")
def test_a_problem_whose_gradient_vanishes_exactly_spoils_nothing():
    """Samples without features: after a few steps only round-off is left of some gradients."""
    fit = softmax.fit(np.zeros((4, 1)), np.array([0, 1, 2, 2]), 3, l2=1 / 400)
    after, new = fit.inserted(np.zeros(1), 2, "fixed_C"), np.zeros((3, 1, 1))
    change = after.retrained(new, np.arange(3)[:, None], "fixed_C").reshape(3, 2, 2)
    for label, moved in enumerate(change):
        b = (fit.objective.Q @ (after.phi.reshape(2, 2) + moved))[:, 1]
        shares = np.bincount([0, 1, 2, 2, 2, label]) / 6
        np.testing.assert_allclose(np.exp(b) / np.exp(b).sum(), shares, atol=1e-7)


def test_block_by_block_it_is_the_same(monkeypatch):
    setting = Setting(3, "fixed_C", False)
    Y = np.tile(np.arange(3), 4)[:, None]
    X = np.repeat(setting.pool[:4], 3, axis=0)[:, None]
    whole, _ = both(setting.fit, X, Y, "fixed_C")
    monkeypatch.setattr(curvature, "_BLOCK", 1)
    one_by_one, _ = both(setting.fit, X, Y, "fixed_C")
    np.testing.assert_allclose(whole, one_by_one, atol=1e-8)


def test_a_cap_that_is_met_is_an_error(monkeypatch):
    setting = Setting(3, "fixed_C", False)
    monkeypatch.setattr(refits, "MAX_ITER", 0)
    with pytest.raises(NotConverged, match="2 of 2 problems open"):
        both(setting.fit, setting.pool[:2, None], np.array([[0], [1]]), "fixed_C")

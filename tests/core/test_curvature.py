"""Logit variances against the pseudo-inverse of the over-parametrised curvature."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goralx.core import softmax_regression as softmax
from tests.problems import blobs
from tests.reference import Problem, pseudo_inverse, with_constant


def slow_variance(problem, theta, X):
    """diag of C S(x) C, S(x) = (I (x) x)' (nH)^+ (I (x) x), C centring over classes: (N, K)."""
    n, K = len(problem.y), problem.n_classes
    B = pseudo_inverse(n * problem.hessian(theta))
    C = np.eye(K) - 1.0 / K
    rows = []
    for x in with_constant(X):
        U = np.kron(np.eye(K), x[:, None])
        rows.append(np.diag(C @ (U.T @ B @ U) @ C))
    return np.array(rows)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 3, 5]), st.booleans(), st.floats(1e-3, 10.0))
def test_logit_variance(seed, K, intercept, l2):
    rng = np.random.default_rng(seed)
    X, y = blobs(rng, 15, 3, K)
    pool = rng.normal(size=(8, 3)) * 3
    fit = softmax.fit(X, y, K, l2=l2, penalize_intercept=intercept)
    truth = slow_variance(Problem.mean(X, y, K, l2, intercept), fit.theta, pool)
    np.testing.assert_allclose(fit.logit_variance(pool), truth, rtol=1e-6)


def test_logit_variance_with_fewer_samples_than_features_and_in_float32():
    rng = np.random.default_rng(0)
    X, y = blobs(rng, 6, 12, 3)
    fit = softmax.fit(X, y, 3, l2=1 / 6)
    pool = rng.normal(size=(5, 12))
    truth = slow_variance(Problem.mean(X, y, 3, 1 / 6, False), fit.theta, pool)
    np.testing.assert_allclose(fit.logit_variance(pool), truth, rtol=1e-6)
    np.testing.assert_allclose(fit.logit_variance(pool.astype(np.float32)), truth, rtol=1e-4)


@pytest.mark.parametrize("K", [2, 4])
def test_more_labels_leave_less_variance(K):
    rng = np.random.default_rng(1)
    X, y = blobs(rng, 10, 2, K)
    pool = rng.normal(size=(20, 2))
    C = 1.0
    once = softmax.fit(X, y, K, l2=1 / (10 * C))
    often = softmax.fit(np.tile(X, (9, 1)), np.tile(y, 9), K, l2=1 / (10 * C))
    np.testing.assert_allclose(often.theta, once.theta, atol=1e-6)  # the same optimum
    np.testing.assert_allclose(often.logit_variance(pool), once.logit_variance(pool) / 9, rtol=1e-5)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("K, n, d", [(2, 15, 3), (4, 20, 2), (3, 6, 12)])
def test_draws_have_the_inverse_curvature_for_covariance(K, n, d, intercept):
    """Samples more and fewer than features: both roads."""
    rng = np.random.default_rng(0)
    X, y = blobs(rng, n, d, K)
    around = softmax.fit(X, y, K, l2=1 / n, penalize_intercept=intercept).expansion("fixed_C")
    m, size = (K - 1) * (d + 1), 60_000
    B = around.B.times(np.eye(m).reshape(m, K - 1, d + 1)).reshape(m, m)
    draws = around.draws(size, rng).reshape(size, m)
    scale = np.sqrt(np.outer(np.diag(B), np.diag(B)))
    np.testing.assert_allclose((draws.T @ draws / size - B) / scale, 0.0, atol=5 / np.sqrt(size))
    np.testing.assert_allclose(draws.mean(axis=0) / np.sqrt(np.diag(B)), 0.0, atol=5 / size**0.5)

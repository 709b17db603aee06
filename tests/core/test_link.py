"""The softmax in contrasts against scipy's, and its derivatives against differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax

from goralx.core.beyond.link import Link, log_softmax
from goralx.core.fit.objective import contrasts


@given(K=st.integers(2, 6), seed=st.integers(0, 10**6), scale=st.floats(0.01, 300.0))
def test_mean_curvature_and_normaliser_are_the_softmax_s(K, seed, scale):
    Q = contrasts(K)
    s = np.random.default_rng(seed).normal(size=(4, 3, K - 1)) * scale
    P = softmax(s @ Q.T, axis=-1)
    link = Link(Q)
    np.testing.assert_allclose(link.mean(s), P @ Q, atol=1e-14)
    np.testing.assert_allclose(link.normaliser(s), logsumexp(s @ Q.T, axis=-1), rtol=1e-13)
    np.testing.assert_allclose(np.exp(log_softmax(s @ Q.T)), P, atol=1e-13)
    Lambda = np.einsum("...k,kl->...kl", P, np.eye(K)) - P[..., :, None] * P[..., None, :]
    np.testing.assert_allclose(link.curvature(s), Q.T @ Lambda @ Q, atol=1e-14)


@pytest.mark.parametrize("K", [2, 4])
def test_each_is_the_derivative_of_the_one_before(K):
    link, h = Link(contrasts(K)), 1e-5
    s = np.random.default_rng(K).normal(size=(5, K - 1))
    for j in range(K - 1):
        step = h * np.eye(K - 1)[j]
        slope = (link.normaliser(s + step) - link.normaliser(s - step)) / (2 * h)
        np.testing.assert_allclose(slope, link.mean(s)[:, j], atol=1e-9)
        bend = (link.mean(s + step) - link.mean(s - step)) / (2 * h)
        np.testing.assert_allclose(bend, link.curvature(s)[:, :, j], atol=1e-9)


@pytest.mark.parametrize("K", [2, 3])
def test_single_precision_stays_single(K):
    link = Link(contrasts(K).astype(np.float32))
    s = np.ones((2, K - 1), dtype=np.float32)
    assert link.mean(s).dtype == link.curvature(s).dtype == np.float32

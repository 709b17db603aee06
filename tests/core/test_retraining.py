"""Retraining in the span of the samples against refits one by one, of another's making too."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from goralx.core import softmax_regression as softmax
from goralx.core.beyond.dual_newton import Problems
from goralx.core.beyond.retraining import predictions
from tests.problems import Setting, blobs
from tests.reference import predict


@pytest.mark.parametrize("regime", ["fixed_C", "fixed_lambda"])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("K", [2, 3])
def test_batches_under_every_labelling_against_serial_refits(K, intercept, regime):
    """Shared leverages, leverages of each problem's own, and the slow solver: predictions agree."""
    setting = Setting(K, regime, intercept)
    X = setting.pool[:2]
    Y = np.array(list(itertools.product(range(K), repeat=2)))
    shared = setting.fit.retrained(X[None], Y, regime)
    own = setting.fit.retrained(np.repeat(X[None], len(Y), axis=0), Y, regime)
    np.testing.assert_allclose(shared, own, atol=1e-9)
    expansion = setting.fit.expansion(regime, 2)
    found = predictions(expansion, setting.dev_X, setting.fit.log_proba(setting.dev_X), shared)
    for y, log_P in zip(Y, found, strict=True):
        theta = setting.refit(zip(X, y, strict=True), 1 / setting.n)
        np.testing.assert_allclose(np.exp(log_P), predict(setting.dev_X, theta), atol=1e-7)


def test_undamped_steps_diverge_where_the_penalty_is_weak_and_retraining_does_not(monkeypatch):
    """C = 10, d = 100, n = 50: by quick steps alone some problems never end, and none says so."""
    rng = np.random.default_rng(0)
    X, y = blobs(rng, 50, 100, 2, spread=0.0)
    fit = softmax.fit(X, y, 2, l2=1 / (50 * 10.0), tolerance=1e-12)
    new = np.repeat(rng.normal(size=(20, 1, 100)) * 2, 2, axis=0)
    Y = np.tile([0, 1], 20)[:, None]
    asked, solve = [], Problems.solve
    monkeypatch.setattr(
        Problems, "solve", lambda self, tolerance: asked.append(self) or solve(self, tolerance)
    )
    changes = fit.retrained(new, Y, "fixed_C")
    (problems,) = asked
    at = problems.point(np.zeros((40, 51)))
    for _ in range(200):
        at = problems.point(at.c + problems.swept(at))
    assert (at.left > 0.1).sum() > 3
    assert problems.point(problems.solve(1e-10)).left.max() <= 1e-10
    for x, label, change in zip(new, Y, changes, strict=True):
        slow = LogisticRegression(C=20.0, tol=1e-10, solver="newton-cholesky", max_iter=1000)
        slow.fit(np.concatenate([X, x]), np.append(y, label))
        theta = fit.objective.theta(fit.objective.phi(fit.theta) + change)
        found = np.exp(softmax.log_proba(X, theta))
        np.testing.assert_allclose(found, slow.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("C", [0.1, 100.0])
def test_weak_penalties_and_more_features_than_samples(C):
    """Far from the old optimum, where a common step no longer serves: every gradient vanishes."""
    rng = np.random.default_rng(1)
    X, y = blobs(rng, 12, 30, 2)
    fit = softmax.fit(X, y, 2, l2=1 / (12 * C), tolerance=1e-12)
    new = rng.normal(size=(6, 30)) * 3
    Y = np.array(list(itertools.product(range(2), repeat=6)))
    changes = fit.retrained(new[None], Y, "fixed_C")
    together = np.concatenate([X, new])
    for labels, change in zip(Y, changes, strict=True):
        whole = softmax.Objective.of(together, np.concatenate([y, labels]), 2, 1 / (18 * C), False)
        phi = fit.objective.phi(fit.theta) + change
        gradient = whole.gradient(phi, np.exp(whole.log_proba(phi)))
        assert np.abs(gradient).max() < 1e-8


def test_a_model_too_large_for_the_span_refits_one_by_one_to_the_same(monkeypatch):
    setting = Setting(3, "fixed_C", False)
    Y = np.array([[0, 1], [2, 2], [1, 0]])
    together = setting.fit.retrained(setting.pool[None, :2], Y, "fixed_C")
    monkeypatch.setattr(softmax, "_SPAN", 0)
    one_by_one = setting.fit.retrained(setting.pool[None, :2], Y, "fixed_C")
    np.testing.assert_allclose(together, one_by_one, atol=1e-7)

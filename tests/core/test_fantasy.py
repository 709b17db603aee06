"""A sample inserted without a refit, against dense algebra and against refits by the slow road."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax

from goralx import Labelled
from tests.problems import blobs, build, matrix
from tests.reference import Problem, predict, pseudo_inverse, with_constant

REGIMES = ("fixed_C", "fixed_lambda")


class World:
    """A fit to n samples, samples X with labels y to insert, and the same problem, slowly."""

    def __init__(self, K=3, regime="fixed_C", intercept=False, *, n=24, C=0.7, b=3, seed=0, d=3):
        X, y = blobs(np.random.default_rng([seed, K]), n + b + 2, d, K)
        self.K, self.n, self.C, self.regime, self.intercept = K, n, C, regime, intercept
        self.known, self.X, self.y = Labelled(X[:n], y[:n]), X[n : n + b], y[n : n + b]
        self.others = X[n + b :]
        self.model = build("model", "softmax", C=C, regime=regime, penalize_intercept=intercept)
        self.fit = self.model.fit(self.known, K)
        self.slow = Problem.mean(X[:n], y[:n], K, 1.0 / (n * C), intercept)

    def inserted(self, labels=None):
        """The fit before any insertion, and after each."""
        fits = [self.fit]
        for x, y in zip(self.X, self.y if labels is None else labels, strict=True):
            fits.append(fits[-1].inserted(x, y, self.regime))
        return fits

    def shares(self, count):
        """What ``count`` samples add to the summed penalty, per coordinate: (K, D)."""
        weight = count / (self.n * self.C) if self.regime == "fixed_lambda" else 0.0
        return weight * self.slow.penalised

    def refit(self, samples):
        """theta of the exact refit with these (x, y) beside the labelled samples, equal weights."""
        problem = self.slow
        for x, y in samples:
            share = self.slow.reg / self.n if self.regime == "fixed_lambda" else 0.0
            problem = problem.plus(x, y, 1.0 / self.n, share)
        return problem.minimise(self.fit.theta)

    def curvature(self, fits, n_new):
        """A of the labelled set, what was inserted, and the shares of n_new more: (KD, KD)."""
        A = self.n * self.slow.hessian(self.fit.theta)
        for x, after in zip(self.X, fits[1:], strict=False):
            p, row = predict(x[None], after.theta)[0], with_constant(x[None])[0]
            A = A + np.kron(np.diag(p) - np.outer(p, p), np.outer(row, row))
        return A + np.diag(self.shares(len(fits) - 1 + n_new).ravel())


@pytest.fixture(params=[2, 3, 5])
def K(request):
    return request.param


@pytest.fixture(params=[(r, i) for r in REGIMES for i in (False, True)], ids=str)
def world(request, K):
    return World(K, *request.param)


def inverse(A, K):
    """A^-1 (KD, KD) among parameters whose rows sum to zero."""
    centre = np.kron(np.eye(K) - 1.0 / K, np.eye(len(A) // K))
    return centre @ pseudo_inverse(A) @ centre


def over_parametrised(B, Q):
    """B of contrast coordinates in those of theta.ravel()."""
    D = len(B) // Q.shape[1]
    lift = np.kron(Q, np.eye(D))
    return lift @ B @ lift.T


@pytest.mark.parametrize("n_new", [0, 1, 2])
def test_the_updated_inverse_is_that_of_the_updated_curvature(world, n_new):
    fits = world.inserted()
    for count in (1, 2, 3):
        around = fits[count].expansion(world.regime, n_new)
        dense = inverse(world.curvature(fits[: count + 1], n_new), world.K)
        updated = over_parametrised(matrix(around), around.Q)
        np.testing.assert_allclose(updated, dense, rtol=0, atol=1e-10 * np.abs(dense).max())


def test_one_insertion_is_where_old_curvature_and_new_loss_balance(world):
    """The gradient of (d' A d) / 2 + loss(x, y) + the new share of the penalty is zero there."""
    for y in range(world.K):
        after = world.fit.inserted(world.X[0], y, world.regime)
        move = after.theta - world.fit.theta
        p, row = predict(world.X[:1], after.theta)[0], with_constant(world.X[:1])[0]
        gradient = (world.n * world.slow.hessian(world.fit.theta) @ move.ravel()).reshape(
            p.size, -1
        )
        gradient += np.outer(p - np.eye(world.K)[y], row) + world.shares(1) * after.theta
        assert np.abs(gradient).max() < 1e-8


def relative_error(world, count):
    samples = list(zip(world.X, world.y, strict=True))[:count]
    exact = world.refit(samples)
    move = np.linalg.norm(exact - world.fit.theta)
    return np.linalg.norm(world.inserted()[count].theta - exact) / move


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("C, bound", [(0.7, 0.15), (0.01, 2e-3), (1e-4, 1e-6)])
def test_three_insertions_are_close_to_the_joint_refit_and_exact_in_the_limit(regime, C, bound):
    """Of the distance that theta moves, at n = 24 (measured: 0.11, 1.5e-3, 2e-7 at the worst)."""
    errors = [
        relative_error(World(K, regime, True, C=C, seed=seed), 3) for K in (2, 3) for seed in (0, 1)
    ]
    assert max(errors) < bound


def test_the_more_is_labelled_the_closer_to_a_refit():
    few, many = (relative_error(World(n=n), 3) for n in (20, 2000))
    assert many < 0.1 * few


def test_it_answers_as_a_fit_does(world):
    for after in world.inserted()[1:]:
        X = world.others
        np.testing.assert_allclose(np.exp(after.log_proba(X)), predict(X, after.theta), rtol=1e-10)
        np.testing.assert_allclose(after.theta.sum(axis=0), 0.0, atol=1e-12)
        rng = np.random.default_rng(0)
        G, v = rng.normal(size=(len(X), world.K)), rng.normal(size=after.theta.shape)
        G -= G.mean(axis=1, keepdims=True)
        pushed = after.pushforward(X, v)
        assert np.isclose((pushed * G).sum(), (after.pullback(X, G) * v).sum())


def test_it_solves_with_the_mean_of_the_updated_curvature(world):
    fits = world.inserted()
    after = fits[-1]
    g = np.random.default_rng(1).normal(size=after.theta.shape)
    g -= g.mean(axis=0)
    dense = pseudo_inverse(world.curvature(fits, 0) / after.n_labelled) @ g.ravel()
    np.testing.assert_allclose(after.solve(g).x.ravel(), dense, rtol=1e-8, atol=1e-10)
    assert after.n_labelled == world.n + 3 and after.n_classes == world.K


def test_the_variance_of_its_logits_is_that_of_the_updated_curvature(world):
    fits = world.inserted()
    dense = pseudo_inverse(world.curvature(fits, 0))
    centre = np.eye(world.K) - 1.0 / world.K
    for x, variance in zip(world.others, fits[-1].logit_variance(world.others), strict=True):
        J = np.kron(centre, with_constant(x[None])[0])
        np.testing.assert_allclose(variance, np.diag(J @ dense @ J.T), rtol=1e-8)


def test_it_counts_the_penalty_as_a_fit_of_that_size(world):
    after = world.inserted()[-1]
    more = Labelled(np.vstack([world.known.X, world.X]), np.concatenate([world.known.y, world.y]))
    refit = world.model.fit(more, world.K, previous=world.fit)
    np.testing.assert_allclose(after.decay, refit.decay, rtol=1e-12)
    np.testing.assert_allclose(after.penalty_gradient, after.theta * refit.decay, rtol=1e-12)


def test_without_a_label_the_curvature_joins_and_the_model_stays(world):
    after = world.fit.inserted(world.X[0], None, world.regime)
    np.testing.assert_allclose(after.theta, world.fit.theta, rtol=1e-12)
    around = after.expansion(world.regime, 0)
    dense = inverse(world.curvature([world.fit, after], 0), world.K)
    updated = over_parametrised(matrix(around), around.Q)
    np.testing.assert_allclose(updated, dense, rtol=0, atol=1e-10 * np.abs(dense).max())


def test_its_expansion_describes_the_samples_at_the_new_optimum(world):
    after = world.inserted()[-1]
    around = after.expansion(world.regime, 1)
    X = np.vstack([world.known.X, world.X])
    np.testing.assert_allclose(around.X, with_constant(X))
    np.testing.assert_allclose(around.log_P, log_softmax(with_constant(X) @ after.theta.T, axis=1))
    dense = pseudo_inverse(world.curvature(world.inserted(), 1))
    pull = -dense @ (world.shares(1) * after.theta).ravel()
    shift = (around.Q @ around.shift.reshape(world.K - 1, -1)).ravel()
    np.testing.assert_allclose(shift, pull, atol=1e-10)


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("K", [2, 3])
def test_retrained_is_the_exact_refit_on_everything_inserted(K, regime):
    world = World(K, regime, True)
    after = world.inserted()[-1]
    new = world.others[:1]
    y_new = np.arange(K)[:, None]
    changes = after.retrained(np.repeat(new[None], K, axis=0), y_new, regime)
    shared = after.retrained(new[None], y_new, regime)
    np.testing.assert_allclose(shared, changes, atol=1e-8)
    Q = world.fit.objective.Q
    for y, change in enumerate(changes):
        exact = world.refit([*zip(world.X, world.y, strict=True), (new[0], y)])
        moved = after.theta + Q @ change.reshape(K - 1, -1)
        np.testing.assert_allclose(moved, exact - exact.mean(axis=0), atol=1e-7)

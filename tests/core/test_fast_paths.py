"""The fast roads against the slow ones: the same numbers, and over a whole run the same samples.

The slow road: float64, one row a sample, a direct solve with the whole Hessian, Newton's method to
a gradient of 1e-12.
"""

from __future__ import annotations

import os
import tracemalloc

import numpy as np
import pytest
from scipy.special import log_softmax

import goralx
from goralx import Candidates, Reference, top_b
from goralx.core import influence, linear_solve, predictions
from goralx.core import softmax_regression as softmax
from goralx.core.fit import explicit_inverse, road
from tests.benchmarks.problems import letter, rt_polarity
from tests.problems import blobs, build, experiment, instance
from tests.reference import relative, with_constant

B = 10


def slow_run(instance, C, rounds):
    """Rows in the order in which they are labelled: goal ent, operator average."""
    K = instance.n_classes
    pool = with_constant(instance.pool_X.astype(float))
    rows, left, phi = instance.init, np.arange(len(pool)), None
    for _ in range(rounds):
        n = len(rows)
        objective = softmax.Objective.of(instance.X[rows], instance.y[rows], K, 1 / (n * C), False)
        phi = np.zeros(objective.size) if phi is None else phi
        point = objective.at(phi)
        while point.norm > 1e-12:
            step = -np.linalg.solve(objective.hessian(point.P), point.gradient)
            length = 1.0
            while objective.at(point.phi + length * step).value > point.value + 1e-13:
                length /= 2
            point = objective.at(point.phi + length * step)
        phi, Q = point.phi, objective.Q
        log_P = log_softmax(pool @ objective.theta(phi).T, axis=1)
        P = np.exp(log_P)
        G = P * (log_P - (P * log_P).sum(axis=1, keepdims=True))
        g = (Q.T @ (G.T @ pool)).ravel()
        v = -np.linalg.solve(objective.hessian(point.P), g) / n
        S = pool[left] @ objective.theta(v).T
        u = ((P[left] * S).sum(axis=1, keepdims=True) - S).mean(axis=1)
        best = np.argsort(-u, kind="stable")[:B]
        rows = np.concatenate([rows, instance.pool[left[best]]])
        left = np.delete(left, best)
    return rows


def fast_run(instance, C, rounds):
    model = build("model", "softmax", C=C)
    utility = goralx.GoalOrientedUtility(
        build("goal", "ent"), build("operator", "average"), build("utility", "influence"), model
    )
    rows, fitted, rng = instance.init, None, np.random.default_rng(0)
    left = np.arange(len(instance.pool))
    for t in range(rounds):
        labelled = instance.labelled(rows)
        fitted = model.fit(labelled, instance.n_classes, previous=fitted)
        pool = Reference(fitted, instance.pool_X)
        best = top_b(utility(Candidates(pool, left, labelled, t / rounds)).utility, B, rng)
        rows = np.concatenate([rows, instance.pool[left[best]]])
        left = np.delete(left, best)
    return rows


def drawn(X, y, dtype, **split):
    rng = np.random.default_rng(0)
    return goralx.make_instance("gate", X.astype(dtype), y, rng=rng, **split)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("K", "d", "C"), [(2, 40, 0.1), (7, 10, 1.0)])
def test_the_same_samples_as_the_tight_reference(K, d, C, dtype):
    X, y = blobs(np.random.default_rng(1), 700, d, K)
    instance = drawn(X, y, dtype, n_init=2 * K, n_test=100)
    assert fast_run(instance, C, 20).tolist() == slow_run(instance, C, 20).tolist()


@pytest.mark.slow
@pytest.mark.skipif("GORALX_DATA" not in os.environ, reason="needs the data in GORALX_DATA")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("sized", [letter, rt_polarity])
def test_the_same_thousand_samples_at_the_papers_sizes(sized, dtype):
    full = sized(smoke=False)
    instance = full.instance
    everyone = np.concatenate([instance.init, instance.pool])
    X, first = np.unique(instance.X[everyone], axis=0, return_index=True)
    y = instance.y[everyone][first]  # of equal rows one: which of them comes first is drawn by lot
    instance = drawn(X, y, dtype, n_init=len(instance.init), n_test=100, standardize=False)
    assert fast_run(instance, full.C, 100).tolist() == slow_run(instance, full.C, 100).tolist()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("K", [2, 3, 9])
def test_blocks_are_the_whole(K, dtype, monkeypatch):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(333, 5)).astype(dtype)
    theta, v = rng.normal(size=(2, K, 6))
    model = softmax.Predictor(theta)
    goals = [build("goal", name) for name in ("ent", "fir")]
    rows = rng.permutation(333)[:301]

    def everything():
        log_P = model.log_proba(X)
        pulled = [model.pullback(X, g.value_and_logit_gradient(log_P, X, None)[1]) for g in goals]
        values = [g.value_and_logit_gradient(log_P, X, None)[0] for g in goals]
        chosen = Candidates(Reference(model, X), rows, None, 0.0).first_order(v, 0.3)
        return [log_P, *pulled, *values, model.pushforward(X, v), chosen]

    whole = everything()
    P, S = np.exp(whole[0]), model.pushforward(X, v)
    np.testing.assert_allclose(whole[-1], influence.utilities(P, S, 0.3)[rows], atol=1e-6)
    monkeypatch.setattr(predictions, "_BLOCK", 1)  # 64 samples at a time
    for a, b in zip(everything(), whole, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("d", [1, 4])  # fewer features than classes, and more
@pytest.mark.parametrize("n", [0, 20, 180, 200])
def test_first_order_utilities_of_few_candidates_and_of_many(n, d):
    rng = np.random.default_rng(3)
    X, v = rng.normal(size=(200, d)), rng.normal(size=(3, d + 1))
    pool = Reference(softmax.Predictor(rng.normal(size=(3, d + 1))), X)
    rows = rng.permutation(200)[:n]
    expected = influence.utilities(np.exp(pool.log_P), pool.model.pushforward(X, v))[rows]
    np.testing.assert_allclose(Candidates(pool, rows, None, 0.0).first_order(v), expected)


@pytest.mark.parametrize("K", [2, 4])
def test_the_curvature_in_single_precision_is_the_hessian(K):
    rng = np.random.default_rng(4)
    X, y = blobs(rng, 80, 6, K)
    objective = softmax.Objective.of(X, y, K, 0.03, False)
    P = objective.at(rng.normal(size=objective.size)).P
    H, d = objective.hessian(P), rng.normal(size=objective.size)
    np.testing.assert_allclose(objective.curvature(P)(d), H @ d, rtol=1e-11)
    single = objective.curvature(P, np.float32)(d.astype(np.float32))
    assert single.dtype == np.float32
    assert relative(single, H @ d) < 1e-6


def test_refinement_reaches_double_precision_and_survives_where_single_fails():
    rng = np.random.default_rng(5)
    for condition, allowed in ((1e2, 1e-10), (1e8, 1e-8)):  # beyond 1e7 single precision is lost
        basis = np.linalg.qr(rng.normal(size=(30, 30)))[0]
        A = basis * np.geomspace(1.0, condition, 30) @ basis.T
        A, b = (A + A.T) / 2, rng.normal(size=30)
        inverse = explicit_inverse.approximate_inverse(A)
        found = linear_solve.refined(
            lambda x, A=A: A @ x,
            lambda x, A=A: A.astype(np.float32) @ x,
            b,
            precondition=lambda r, M=inverse: (M @ r.astype(np.float32)).astype(r.dtype),
            rtol=1e-10,
        )
        truth = np.linalg.solve(A, b)
        off = found.x - truth
        assert np.sqrt((off @ A @ off) / (truth @ A @ truth)) <= allowed


def test_single_precision_is_left_where_it_is_in_the_way(monkeypatch):
    """A product that is wrong in single precision costs steps, and not the optimum."""
    monkeypatch.setattr(road, "FEW", 0)
    X, y = blobs(np.random.default_rng(6), 60, 5, 3)
    right = softmax.Objective.curvature

    def wrong(self, P, dtype=np.float64):
        product = right(self, P, dtype)
        return product if dtype == np.float64 else lambda d: 50.0 * product(d)

    monkeypatch.setattr(softmax.Objective, "curvature", wrong)
    fit = softmax.fit(X, y, 3, l2=0.01)
    monkeypatch.setattr(softmax.Objective, "curvature", right)
    again = softmax.fit(X, y, 3, l2=0.01)
    assert fit.relative_error <= 1e-8
    np.testing.assert_allclose(fit.theta, again.theta, atol=1e-7)
    assert fit.n_iter > again.n_iter


def test_the_inverse_outlives_fits_and_is_renewed(monkeypatch):
    for name in ("FEW", "_CUBE", "_GRAM", "_ANY"):
        monkeypatch.setattr(road, name, 0)
    X, y = blobs(np.random.default_rng(7), 300, 12, 4)
    fit, seen = None, []
    for n in range(20, 301, 10):
        fit = softmax.fit(X[:n], y[:n], 4, l2=1 / n, previous=fit)
        seen.append(fit.preconditioner.rows if fit.preconditioner else 0)
    assert 1 < len(set(seen)) < len(seen) / 2


@pytest.mark.parametrize("scale", [1.0, 100.0, 1e5])
def test_log_predictions_of_any_size(scale):
    """Shifted or not, where exp of a logit would overflow."""
    rng = np.random.default_rng(9)
    X, theta = rng.normal(size=(300, 5)), scale * rng.normal(size=(4, 6))
    slow = log_softmax(with_constant(X) @ theta.T, axis=1)
    np.testing.assert_allclose(predictions.log_proba(X, theta), slow, rtol=1e-12, atol=1e-12)


def test_a_round_takes_as_much_memory_as_the_one_before():
    made = instance(n_classes=5, pool=6000, init=10, d=12, dev=0)
    taken = []
    tracemalloc.start()
    for _ in experiment(made, n_queries=100, batch_size=10).rounds():
        taken.append(tracemalloc.get_traced_memory())
        tracemalloc.reset_peak()
    tracemalloc.stop()
    kept, peak = np.array(taken[1:-1]).T  # the last round selects nothing
    early, late = (np.median(part) for part in (peak[:4], peak[-4:]))  # others allocate, too
    assert late < 1.1 * early
    labelled = 100 * 13 * 8  # bytes of what was labelled meanwhile; there are a few copies of it
    assert np.median(kept[-4:]) - np.median(kept[:4]) < 6 * labelled


def test_top_b_is_the_head_of_a_full_sort():
    rng = np.random.default_rng(8)
    for _ in range(200):
        utility = rng.integers(0, 6, size=rng.integers(1, 40)).astype(float)
        utility[rng.random(len(utility)) < 0.2] = np.nan
        b, seed = int(rng.integers(0, 12)), int(rng.integers(1000))
        order = np.random.default_rng(seed).permutation(np.flatnonzero(~np.isnan(utility)))
        slow = order[np.argsort(-utility[order], kind="stable")[:b]]
        assert top_b(utility, b, np.random.default_rng(seed)).tolist() == slow.tolist()

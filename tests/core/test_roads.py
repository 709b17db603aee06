"""Every road to the optimum and to H^-1 g against the dense one, and all of them at any C."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array, csr_matrix

from goralx.core import softmax_regression as softmax
from goralx.core.fit import coordinates, road, woodbury
from goralx.core.fit.preconditioner import Cholesky, Jacobi
from goralx.core.fit.woodbury import Woodbury
from goralx.core.linear_solve import NotConverged
from goralx.errors import BadInput
from tests.core.extended import Extended
from tests.problems import blobs
from tests.reference import Problem, relative

NEVER = 10**9
ROADS = {
    "cholesky": {"FEW": NEVER},
    "jacobi": {"FEW": 0, "EXPLICIT": 0, "LOOSE": 0.0},
    "woodbury": {"FEW": 0, "EXPLICIT": 0},
    "explicit inverse": {"FEW": 0, "_CUBE": 0.0, "_GRAM": 0.0, "_ANY": 0.0},
}


@pytest.fixture(params=ROADS)
def taken(request, monkeypatch):
    """Whatever the sizes, this road; off the span unless a test says otherwise."""
    take(monkeypatch, request.param)
    return request.param


def take(monkeypatch, name, span=False):
    for constant, value in ROADS[name].items():
        monkeypatch.setattr(road, constant, value)
    monkeypatch.setattr(coordinates, "_SAMPLES", 400 if span else 0)


def draw(seed, K, n, d, spread=1.0):
    rng = np.random.default_rng(seed)
    X, y = blobs(rng, n, d, K, spread)
    return rng, X, y


def utilities(fit, pool):
    """Of goal ent (N, K), as a run works them out."""
    log_P = fit.log_proba(pool)
    P = np.exp(log_P)
    G = P * (log_P - (P * log_P).sum(axis=1, keepdims=True))
    S = fit.pushforward(pool, fit.solve(fit.pullback(pool, G)).x / -fit.n_labelled)
    return (P * S).sum(axis=1, keepdims=True) - S


def dense(X, y, K, l2, intercept, pool, g):
    """theta, H^+ g and U by loops and pseudo-inverses."""
    slow = Problem.mean(X, y, K, l2, intercept)
    theta = slow.minimise()
    H = slow.hessian(theta)
    solve = np.linalg.pinv(H, rcond=1e-13, hermitian=True)
    model = softmax.Predictor(theta)
    log_P = model.log_proba(pool)
    P = np.exp(log_P)
    G = P * (log_P - (P * log_P).sum(axis=1, keepdims=True))
    pulled = model.pullback(pool, G)
    S = model.pushforward(pool, (solve @ pulled.ravel()).reshape(theta.shape) / -len(y))
    return theta, (solve @ g.ravel()).reshape(g.shape), (P * S).sum(axis=1, keepdims=True) - S


# --- the roads agree ---------------------------------------------------------------------------


@pytest.mark.parametrize("K", [2, 3, 6])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("span", [False, True])
def test_every_road_is_the_dense_one(taken, K, intercept, span, monkeypatch):
    take(monkeypatch, taken, span)
    rng, X, y = draw(0, K, 14, 90 if span else 8)
    pool = rng.normal(size=(50, X.shape[1]))
    g = softmax.pullback(pool, rng.normal(size=(50, K)))
    l2 = 1 / 14
    theta, x, U = dense(X, y, K, l2, intercept, pool, g)
    fit = softmax.fit(X, y, K, l2=l2, penalize_intercept=intercept)
    assert (fit.coordinates.weights is not None) == span
    assert relative(fit.theta, theta) < 1e-7
    assert relative(fit.solve(g).x, x) < 1e-7
    assert relative(utilities(fit, pool), U) < 1e-7


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(list(ROADS)), st.booleans(), st.booleans())
def test_random_problems(seed, name, span, sparse):
    """Over K, d, n, C and scales, dense and CSR."""
    with pytest.MonkeyPatch.context() as patch:
        take(patch, name, span)
        rng = np.random.default_rng(seed)
        K, d = int(rng.integers(2, 6)), int(rng.integers(1, 40 if span else 8))
        n = int(rng.integers(K, 10 if span else 30))
        X, y = blobs(rng, n, d, K, spread=rng.uniform(0, 3))
        X *= 10.0 ** rng.uniform(-1, 1, size=d)
        if sparse:
            X *= rng.random(X.shape) < 0.5
        pool, intercept = 2 * rng.normal(size=(30, d)), bool(rng.integers(2))
        l2 = 1.0 / (n * 10.0 ** rng.uniform(-4, 3))
        g = softmax.pullback(pool, rng.normal(size=(30, K)))
        theta, x, U = dense(X, y, K, l2, intercept, pool, g)
        given = csr_array(X) if sparse else X
        fit = softmax.fit(given, y, K, l2=l2, penalize_intercept=intercept)
        if np.abs(theta).max() > 1e-12:  # features may be all zero, and classes balanced
            assert relative(fit.theta, theta) < 1e-6
        assert relative(fit.solve(g).x, x) < 1e-5
        if np.abs(U).max() > 1e-12:  # else there is nothing that a pool's slopes could tell
            assert relative(utilities(fit, pool), U) < 1e-5


def test_preconditioners_are_inverses_of_what_they_say(monkeypatch):
    for K in (2, 5):
        rng, X, y = draw(1, K, 30, 6)
        objective = softmax.Objective.of(X, y, K, 0.03, True)
        point = objective.at(rng.normal(size=objective.size))
        H = objective.hessian(point.P)
        r = rng.normal(size=objective.size)
        np.testing.assert_allclose(Cholesky.at(point)(r), np.linalg.solve(H, r), rtol=1e-9)
        D, Q = X.shape[1] + 1, objective.Q
        full = np.kron(Q, np.eye(D))
        P = point.P
        rows = np.column_stack([X, np.ones(len(X))])
        blocks = []
        for k in range(K):
            w = (P[:, k] * (1 - P[:, k]) if K > 2 else 2 * P[:, 0] * P[:, 1]) / len(y)
            blocks.append((rows * w[:, None]).T @ rows + 0.03 * np.eye(D))
        blocks = blocks[:1] if K == 2 else blocks
        over = full if K > 2 else np.eye(D)

        def block_diagonal(inverses, over=over, r=r, D=D):
            whole = np.zeros((len(inverses) * D, len(inverses) * D))
            for k, inverse in enumerate(inverses):
                whole[k * D : (k + 1) * D, k * D : (k + 1) * D] = inverse
            return over.T @ whole @ over @ r

        diagonal = block_diagonal([np.diag(1 / np.diag(B)) for B in blocks])
        assert relative(Jacobi.at(point)(r), diagonal) < 1e-5
        monkeypatch.setattr(woodbury, "_LEAST", 1e-12)
        monkeypatch.setattr(woodbury, "rank", lambda objective: 30)  # all of them: exact blocks
        exact = block_diagonal([np.linalg.inv(B) for B in blocks])
        assert relative(Woodbury.at(point)(r), exact) < 1e-3
        single = Woodbury.at(point)(r.astype(np.float32))
        assert single.dtype == np.float32
        assert relative(single, exact) < 1e-3


def test_the_choice_by_sizes():
    def at(n, d, K):
        X, y = blobs(np.random.default_rng(2), n, d, K)
        fit = softmax.fit(X, y, K, l2=1 / n)
        return fit, type(fit.road.preconditioner(fit.coordinates.inner.at(
            fit.coordinates.phi(fit.theta)
        )))  # fmt: skip

    assert at(40, 10, 3)[1] is Cholesky
    assert at(60, 40, 8)[1] in (Woodbury, road.ExplicitInverse)
    many, kind = at(60, 100, 30)
    assert kind is Woodbury
    assert many.preconditioner is None
    few, kind = at(12, 400, 3)
    assert few.coordinates.weights is not None
    assert kind is Cholesky


def test_an_inverse_is_made_when_iterations_have_cost_as_much():
    _, X, y = draw(3, 10, 400, 25)
    made, fit = [], None
    for n in range(60, 401, 10):
        fit = softmax.fit(X[:n], y[:n], 10, l2=1 / n, previous=fit)
        made.append(None if fit.preconditioner is None else fit.preconditioner.rows)
        if made[-1] is None:
            inner = fit.coordinates.inner
            assert 0 < fit.road.spent < road.price(inner) + 500 * road.iteration(inner)
    assert made[0] is None
    assert made[-1] is not None
    assert len(set(made)) < len(made) / 2  # it outlives fits


def test_where_iterations_get_nowhere_a_factor_takes_over(monkeypatch):
    take(monkeypatch, "jacobi")
    monkeypatch.setattr(road, "LONG", 3)
    rng, X, y = draw(4, 3, 60, 12)
    fit = softmax.fit(X * 10.0 ** rng.uniform(-3, 3, size=12), y, 3, l2=1e-6)
    assert fit.road.direct
    assert fit.relative_error <= 1e-8
    monkeypatch.setattr(road, "DIRECT", 0)
    with pytest.raises(NotConverged):
        softmax.fit(X * 10.0 ** rng.uniform(-3, 3, size=12), y, 3, l2=1e-6).solve(fit.theta)


# --- resumed, whatever road --------------------------------------------------------------------


@pytest.mark.parametrize("span", [False, True])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_restored_bit_for_bit(taken, span, offset, monkeypatch):
    take(monkeypatch, taken, span)
    rng, X, y = draw(5, 4, 60, 400 if span else 12)
    X += offset
    fit = None
    for n in (20, 30, 40, 50):
        fit = softmax.fit(X[:n], y[:n], 4, l2=1.0 / n, previous=fit)
    arrays = {name: np.array(value) for name, value in fit.checkpoint().items()}
    again = softmax.restore(X[:50], y[:50], 4, arrays, penalize_intercept=False)
    assert again.relative_error == fit.relative_error
    g = softmax.pullback(X, rng.normal(size=(60, 4)))
    np.testing.assert_array_equal(again.solve(g).x, fit.solve(g).x)
    ours = softmax.fit(X, y, 4, l2=1.0 / 60, previous=fit)
    theirs = softmax.fit(X, y, 4, l2=1.0 / 60, previous=again)
    assert ours.checkpoint().keys() == theirs.checkpoint().keys()
    for name, value in ours.checkpoint().items():
        np.testing.assert_array_equal(theirs.checkpoint()[name], value)


def test_an_older_checkpoint_is_restored(monkeypatch):
    """It holds theta, l2 and where its inverse was made, and no error."""
    take(monkeypatch, "explicit inverse")
    rng, X, y = draw(6, 3, 40, 8)
    fit = softmax.fit(X, y, 3, l2=1 / 40, previous=softmax.fit(X[:30], y[:30], 3, l2=1 / 30))
    old = {k: v for k, v in fit.checkpoint().items() if k in ("theta", "l2") or "precond" in k}
    again = softmax.restore(X, y, 3, old, penalize_intercept=False)
    np.testing.assert_array_equal(again.theta, fit.theta)
    assert again.preconditioner.rows == fit.preconditioner.rows
    assert again.relative_error <= 1e-8
    g = softmax.pullback(X, rng.normal(size=(40, 3)))
    assert relative(again.solve(g).x, fit.solve(g).x) < 1e-7


# --- right at any C ----------------------------------------------------------------------------

PROBLEMS = {
    "two classes": (2, 60, 20, 0.3, 1.0),
    "two classes, separable": (2, 60, 20, 3.0, 1.0),
    "four classes": (4, 40, 5, 0.5, 1.0),
    "four classes, separable": (4, 40, 5, 4.0, 1.0),
    "in the span": (3, 10, 65, 1.0, 1.0),
    "many parameters": (5, 60, 40, 1.0, 1.0),
    "three decades": (3, 50, 6, 0.5, 10.0 ** np.linspace(-1.5, 1.5, 6)),
}


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("C", [1e-6, 1e-4, 1e-2, 1.0, 1e2, 1e4, 1e6, 1e8])
@pytest.mark.parametrize("name", PROBLEMS)
def test_theta_and_utilities_are_right_at_any_C_and_say_how_far(name, C, intercept):
    K, n, d, spread, scale = PROBLEMS[name]
    rng, X, y = draw(7, K, n, d, spread)
    X, pool = X * scale, (1 + spread) * rng.normal(size=(60, d)) * scale
    l2 = 1 / (n * C)
    fit = softmax.fit(X, y, K, l2=l2, penalize_intercept=intercept)
    exact = Extended.of(X, y, K, l2, intercept, fit.theta)
    assert fit.relative_error <= 1e-8
    W, own = exact.theta[:, :-1], fit.theta[:, :-1]
    away = float(np.linalg.norm((own - W).astype(float)) / np.linalg.norm(W.astype(float)))
    assert away <= 1.01 * fit.relative_error + 1e-13
    said = []

    def solve(g):
        solution = fit.solve(g)
        said.append(solution.relative_error)
        return solution.x

    U = exact.utilities(pool)
    ours = exact.utilities(pool, fit.theta, solve)
    off = float(np.abs(ours - U).max() / np.abs(U).max())
    assert off <= fit.noise + 10 * said[0] + 1e-8  # which logits near nothing are resolved to
    assert off <= 1e-5


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("span", [False, True])
@pytest.mark.parametrize("far", [1e3, 1e6])
def test_features_far_from_the_origin(far, span, intercept):
    """The answer does not depend on it, and where the intercept is penalised it is still right."""
    K, n, d = 3, 15, 95 if span else 6
    _, X, y = draw(8, K, n, d)
    away = X + far * np.random.default_rng(9).uniform(0.5, 1.0, size=d)
    fit = softmax.fit(away, y, K, l2=1 / n, penalize_intercept=intercept)
    assert fit.coordinates.centre is not None
    assert fit.relative_error <= 1e-8
    if intercept:
        exact = Extended.of(away, y, K, 1 / n, True, fit.theta)
        W = exact.theta[:, :-1].astype(float)
        assert np.linalg.norm(fit.theta[:, :-1] - W) <= 1e-7 * np.linalg.norm(W)
    else:
        near = softmax.fit(X, y, K, l2=1 / n)
        assert relative(fit.theta[:, :-1], near.theta[:, :-1]) < 1e-6
        assert np.abs(fit.log_proba(away) - near.log_proba(X)).max() < 1e-12 * far + 1e-7


def test_a_problem_without_an_optimum_is_said_to_have_none():
    _, X, y = draw(10, 3, 20, 4)
    y[y == 1] = 0
    with pytest.raises(BadInput, match=r"no finite optimum: no labelled sample of class 1"):
        softmax.fit(X, y, 3, l2=0.1)
    assert softmax.fit(X, y, 3, l2=0.1, penalize_intercept=True).relative_error <= 1e-8
    with pytest.raises(BadInput, match=re.escape("lambda = 0 must be positive")):
        softmax.fit(X, y, 3, l2=0.0, penalize_intercept=True)
    with pytest.raises(BadInput, match="finite"):
        softmax.fit(np.where(X > 1, np.nan, X), y, 3, l2=0.1, penalize_intercept=True)


def test_another_solvers_error_is_the_one_that_is_there():
    _, X, y = draw(11, 3, 40, 5)
    best = softmax.fit(X, y, 3, l2=1e-2).theta
    for off in (1e-3, 1e-6):
        theta = best.copy()
        theta[:, 0] += off * np.array([1.0, -1.0, 0.0])
        fit = softmax.at_optimum(X, y, theta, l2=1e-2, penalize_intercept=False)
        true = np.linalg.norm(theta - best) / np.linalg.norm(best[:, :-1])
        assert 0.9 * true <= fit.relative_error <= 50 * true


# --- sparse features ---------------------------------------------------------------------------


@pytest.mark.parametrize("make", [csr_array, csr_matrix])
@pytest.mark.parametrize("K", [2, 4])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sparse_features_are_the_dense_ones(make, K, dtype):
    rng, X, y = draw(12, K, 30, 200)
    X *= rng.random(X.shape) < 0.1
    pool = (rng.normal(size=(500, 200)) * (rng.random((500, 200)) < 0.1)).astype(dtype)
    ours, theirs = softmax.fit(make(X), y, K, l2=1 / 30), softmax.fit(X, y, K, l2=1 / 30)
    assert relative(ours.theta, theirs.theta) < 1e-8
    sparse = make(pool)
    allowed = 1e-12 if dtype == np.float64 else 1e-5
    log_P = theirs.log_proba(pool)
    assert ours.log_proba(sparse).dtype == dtype
    np.testing.assert_allclose(theirs.log_proba(sparse), log_P, atol=allowed)
    G = rng.normal(size=(500, K)).astype(dtype)
    assert relative(theirs.pullback(sparse, G), theirs.pullback(pool, G)) < allowed
    v = rng.normal(size=ours.theta.shape)
    assert relative(ours.pushforward(sparse, v), ours.pushforward(pool, v)) < allowed
    assert relative(utilities(ours, sparse), utilities(theirs, pool)) < 1e-7 + 10 * allowed


def test_sparse_features_are_never_made_dense(monkeypatch):
    rng, X, y = draw(13, 5, 120, 300)
    X *= rng.random(X.shape) < 0.05

    def refused(*_, **__):
        raise AssertionError("made dense")

    for kind in (csr_array, csr_matrix):
        monkeypatch.setattr(kind, "todense", refused)
    fit = softmax.fit(csr_array(X), y, 5, l2=1 / 120)
    dense = softmax.fit(X, y, 5, l2=1 / 120)
    assert fit.coordinates.weights is None
    assert relative(fit.theta, dense.theta) < 1e-7

"""The model against central differences, Eq. 7's Kronecker form and other people's solvers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.special import log_softmax

from goralx.core import softmax_regression as softmax
from goralx.core.fit import objective as objective_module
from goralx.core.fit import road
from goralx.core.linear_solve import NotConverged
from tests.core.extended import Extended, moved, solved
from tests.problems import blobs
from tests.reference import (
    Problem,
    central_difference,
    predict,
    pseudo_inverse,
    relative,
    with_constant,
)

CASES = [(K, intercept) for K in (2, 3, 5) for intercept in (False, True)]
every_case = pytest.mark.parametrize(("K", "intercept"), CASES)


def draw(seed, K, n=25, d=3):
    rng = np.random.default_rng(seed)
    X, y = blobs(rng, n, d, K)
    return rng, X, y


def optimum(X, y, K, l2, intercept, **options):
    return softmax.fit(X, y, K, l2=l2, penalize_intercept=intercept, **options)


def gradient_norm(fit, X, y, K, l2, intercept):
    """max |grad F| of Eq. 6 by loops, whatever the fit says of itself."""
    problem = Problem.mean(X, y, K, l2, intercept)
    return float(np.abs(problem.gradient(fit.theta)).max())


# --- coordinates -------------------------------------------------------------------------------


@pytest.mark.parametrize("K", [2, 3, 7, 26])
def test_contrasts_are_orthonormal_and_sum_to_zero(K):
    Q = softmax.contrasts(K)
    assert Q.shape == (K, K - 1)
    np.testing.assert_allclose(Q.T @ Q, np.eye(K - 1), atol=1e-14)
    np.testing.assert_allclose(Q.sum(axis=0), 0.0, atol=1e-14)


@every_case
def test_theta_and_phi_are_inverse_up_to_the_gauge(K, intercept):
    rng, X, y = draw(0, K)
    objective = softmax.Objective.of(X, y, K, 0.1, intercept)
    phi = rng.normal(size=objective.size)
    np.testing.assert_allclose(objective.phi(objective.theta(phi)), phi, atol=1e-14)
    theta = rng.normal(size=(K, X.shape[1] + 1))
    shifted = objective.phi(theta + rng.normal(size=X.shape[1] + 1))
    np.testing.assert_allclose(shifted, objective.phi(theta), atol=1e-13)


# --- predictions, and their derivatives --------------------------------------------------------


@pytest.mark.parametrize("K", [2, 3, 5])
def test_predictions_pushforward_and_pullback(K):
    rng, X, _ = draw(1, K)
    theta, v = rng.normal(size=(2, K, X.shape[1] + 1))
    np.testing.assert_allclose(np.exp(softmax.log_proba(X, theta)), predict(X, theta), rtol=1e-12)

    S, truth = softmax.logits(X, v), with_constant(X) @ v.T
    centred = truth - truth.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(S - S.mean(axis=1, keepdims=True), centred, atol=1e-12)

    G = rng.normal(size=(len(X), K))
    G -= G.mean(axis=1, keepdims=True)
    total = sum(np.outer(g, x) for g, x in zip(G, with_constant(X), strict=True))
    np.testing.assert_allclose(softmax.pullback(X, G), total, atol=1e-12)
    # what is constant over the classes of a sample reaches no prediction, however large it is
    with_gauge = softmax.pullback(X, G + 1e3 * rng.normal(size=(len(X), 1)))
    np.testing.assert_allclose(with_gauge, total, atol=1e-9)


@pytest.mark.parametrize("level", [-1e4, -700.0, -200.0, 0.0, 200.0, 700.0, 1e4])
@pytest.mark.parametrize("K", [2, 3])
def test_predictions_survive_extreme_logits(K, level):
    X = np.array([[800.0], [-800.0], [1.0], [0.0]])
    theta = np.array([[1.0, level], [-1.0, level], [0.0, level]])[:K]
    exact = log_softmax(with_constant(X) @ theta.T, axis=1)
    for one in range(len(X)):  # alone, and beside others that need what it does not
        log_P = softmax.log_proba(X[one:], theta)
        assert np.isfinite(log_P).all()
        np.testing.assert_allclose(log_P, exact[one:], rtol=1e-12, atol=1e-12 * abs(level))


# --- objective, gradient, Hessian --------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(CASES),
    st.integers(1, 4),
    st.integers(5, 12),
    st.floats(1e-4, 10.0),
)
def test_derivatives_of_the_objective(seed, case, d, n, l2):
    K, intercept = case
    rng, X, y = draw(seed, K, n, d)
    objective = softmax.Objective.of(X, y, K, l2, intercept)
    phi = rng.normal(size=objective.size)

    def value(phi):
        return objective.value(phi, objective.log_proba(phi))

    def gradient(phi):
        return objective.gradient(phi, np.exp(objective.log_proba(phi)))

    slow = Problem.mean(X, y, K, l2, intercept)
    theta = objective.theta(phi)
    assert value(phi) == pytest.approx(slow.value(theta), rel=1e-12)
    numeric = central_difference(value, phi, h=1e-3)
    np.testing.assert_allclose(gradient(phi), numeric, atol=1e-8 * (1 + np.abs(numeric).max()))

    H = objective.hessian(np.exp(objective.log_proba(phi)))
    direction = rng.normal(size=objective.size)
    along = (gradient(phi + 1e-5 * direction) - gradient(phi - 1e-5 * direction)) / 2e-5
    np.testing.assert_allclose(H @ direction, along, atol=1e-7 * (1 + np.abs(along).max()))


@every_case
def test_gradient_and_hessian_are_equations_6_and_7(K, intercept):
    rng, X, y = draw(2, K)
    objective = softmax.Objective.of(X, y, K, 0.07, intercept)
    phi = rng.normal(size=objective.size)
    P = np.exp(objective.log_proba(phi))
    slow = Problem.mean(X, y, K, 0.07, intercept)
    theta = objective.theta(phi)
    to_theta = np.kron(objective.Q, np.eye(X.shape[1] + 1))  # theta.ravel() = this @ phi
    np.testing.assert_allclose(
        objective.gradient(phi, P), to_theta.T @ slow.gradient(theta), atol=1e-13
    )
    H = objective.hessian(P)
    np.testing.assert_allclose(H, to_theta.T @ slow.hessian(theta) @ to_theta, atol=1e-13)
    assert np.linalg.eigvalsh(H).min() > 0


@every_case
def test_hessian_product_is_the_hessian_times_a_vector(K, intercept):
    rng, X, y = draw(3, K)
    objective = softmax.Objective.of(X, y, K, 0.07, intercept)
    P = np.exp(objective.log_proba(rng.normal(size=objective.size)))
    H = objective.hessian(P)
    products = [objective.curvature(P)(e) for e in np.eye(objective.size)]
    np.testing.assert_allclose(np.array(products).T, H, atol=1e-13)


def test_hessian_in_chunks_is_the_same(monkeypatch):
    rng, X, y = draw(4, 4, n=23)
    objective = softmax.Objective.of(X, y, 4, 0.07, False)
    P = np.exp(objective.log_proba(rng.normal(size=objective.size)))
    whole = objective.hessian(P)
    monkeypatch.setattr(objective_module, "_CHUNK", 5 * 4 * 4)  # five samples at a time
    np.testing.assert_allclose(objective.hessian(P), whole, atol=1e-14)


# --- solving with the Hessian ------------------------------------------------------------------


@every_case
def test_solve_is_the_pseudo_inverse_of_the_over_parametrised_system(K, intercept):
    rng, X, y = draw(5, K)
    fit = optimum(X, y, K, 0.05, intercept)
    H = Problem.mean(X, y, K, 0.05, intercept).hessian(fit.theta)
    gauge = np.kron(np.ones(K), np.eye(X.shape[1] + 1)[-1]) / np.sqrt(K)
    if not intercept:
        np.testing.assert_allclose(H @ gauge, 0.0, atol=1e-13)  # singular, as it stands
    g = softmax.pullback(X, rng.normal(size=(len(X), K)))
    solution = fit.solve(g)
    assert solution.relative_error <= 1e-8
    assert relative(solution.x.ravel(), pseudo_inverse(H) @ g.ravel()) < 1e-7
    for a in (1e-2, 1.0, 1e3):
        factor = cho_factor(H + a * np.outer(gauge, gauge))
        assert relative(solution.x.ravel(), cho_solve(factor, g.ravel())) < 1e-7


def test_solve_of_nothing_is_nothing():
    _, X, y = draw(6, 3)
    solution = optimum(X, y, 3, 0.05, False).solve(np.zeros((3, 4)))
    assert not solution.x.any()
    assert solution.relative_error == 0.0


def test_solve_reports_the_error_that_it_leaves():
    """Where round-off keeps the answer from its tolerance, the number says so."""
    rng = np.random.default_rng(7)
    K, n, d = 5, 30, 6
    X = rng.normal(size=(n, d)) * 10.0 ** np.linspace(-1, 3, d)
    y = np.append(np.arange(K), (X @ rng.normal(size=(d, K))).argmax(axis=1)[K:])
    fit = optimum(X, y, K, 1e-8, False)
    g = rng.normal(size=(K, d + 1))
    solution = fit.solve(g)
    exact = Extended.of(X, y, K, 1e-8, False, fit.theta)
    x = moved(solution.x.astype(np.longdouble), exact.centre)
    centred = g.copy()
    centred[:, :-1] -= np.outer(g[:, -1], exact.centre)
    truth = solved(exact.hessian, (exact.Q.T @ centred).ravel())
    off = (exact.Q.T @ x).ravel() - truth
    true = np.sqrt(float(off @ exact.hessian @ off) / float(truth @ exact.hessian @ truth))
    assert true > 1e-13, "not hard enough to show anything"
    assert true < 3 * solution.relative_error + 10 * fit.noise


# --- fit: against other solvers ----------------------------------------------------------------


@pytest.mark.parametrize("K", [2, 3, 5])
@pytest.mark.parametrize("C", [0.1, 1.0, 10.0])
def test_fit_is_scikit_learns(K, C):
    """At C for three classes and more, at 2C for two; intercepts are never penalised there."""
    from sklearn.linear_model import LogisticRegression

    _, X, y = draw(8, K, n=80, d=5)
    C_theirs = 2 * C if K == 2 else C
    for solver, tolerance, allowed in (
        ("lbfgs", 1e-8, 1e-5),  # theirs is the inexact one, at tol=1e-10
        ("newton-cg", 1e-8, 1e-6),  # as runs do it
        ("newton-cg", 1e-12, 1e-8),
    ):
        fit = optimum(X, y, K, 1.0 / (len(y) * C), False, tolerance=tolerance)
        other = LogisticRegression(C=C_theirs, tol=1e-10, max_iter=100_000, solver=solver)
        other.fit(X, y)
        theta = np.column_stack([other.coef_, other.intercept_])
        ours = fit.theta[1:] - fit.theta[:1] if K == 2 else fit.theta
        if K > 2:
            theta = theta - theta.mean(axis=0)
        difference = np.abs(ours - theta).max()
        print(f"K={K} C={C} to {solver}, tolerance {tolerance:.0e}: {difference:.1e} in theta")
        assert difference < allowed
        np.testing.assert_allclose(np.exp(fit.log_proba(X)), other.predict_proba(X), atol=allowed)


def test_two_classes_at_c_are_not_scikit_learns_c():
    from sklearn.linear_model import LogisticRegression

    _, X, y = draw(8, 2, n=80, d=5)
    fit = optimum(X, y, 2, 1.0 / (len(y) * 0.1), False)
    other = LogisticRegression(C=0.1, tol=1e-10, max_iter=100_000).fit(X, y)
    assert np.abs(np.exp(fit.log_proba(X)) - other.predict_proba(X)).max() > 1e-2


@every_case
def test_fit_is_the_minimum_that_general_solvers_find(K, intercept):
    _, X, y = draw(9, K)
    l2 = 0.03
    slow = Problem.mean(X, y, K, l2, intercept)
    newton = slow.minimise()
    fit = optimum(X, y, K, l2, intercept)
    np.testing.assert_allclose(fit.theta, newton, atol=1e-6)
    exact = optimum(X, y, K, l2, intercept, tolerance=1e-13)
    np.testing.assert_allclose(exact.theta, newton, atol=1e-10)
    found = minimize(
        slow.value,
        np.zeros(fit.theta.size),
        jac=slow.gradient,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 10_000},
    )
    theta = found.x.reshape(K, -1)
    np.testing.assert_allclose(fit.theta, theta - theta.mean(axis=0), atol=1e-5)
    assert slow.value(fit.theta) <= found.fun + 1e-12


@every_case
def test_gradient_at_the_optimum(K, intercept):
    _, X, y = draw(10, K)
    fit = optimum(X, y, K, 0.01, intercept)
    norm = gradient_norm(fit, X, y, K, 0.01, intercept)
    assert norm <= 1e-8
    assert fit.gradient_norm <= 1e-8
    np.testing.assert_allclose(fit.theta.sum(axis=0), 0.0, atol=1e-12)  # no gauge


@every_case
def test_a_common_shift_of_the_features_is_absorbed_only_by_a_free_intercept(K, intercept):
    """Tells the two conventions apart without looking at either."""
    _, X, y = draw(11, K)
    here = optimum(X, y, K, 0.1, intercept)
    there = optimum(X + 3.0, y, K, 0.1, intercept)
    gap = np.abs(here.log_proba(X) - there.log_proba(X + 3.0)).max()
    assert gap > 1e-2 if intercept else gap < 1e-6


# --- fit: from where it starts, and where it is hard -------------------------------------------


@every_case
def test_warm_and_cold_start_agree(K, intercept):
    _, X, y = draw(12, K, n=60)
    warm = None
    for n in range(20, 61, 10):
        l2 = 1.0 / (n * 2.0)
        warm = optimum(X[:n], y[:n], K, l2, intercept, previous=warm)
        cold = optimum(X[:n], y[:n], K, l2, intercept)
        np.testing.assert_allclose(warm.theta, cold.theta, atol=1e-6)
    again = optimum(X, y, K, l2, intercept, previous=warm)
    assert again.n_iter == 0
    np.testing.assert_allclose(again.theta, warm.theta, rtol=1e-13)


@every_case
def test_restored_bit_for_bit(K, intercept):
    """The restored fit, its solve, and its next fit; from a preconditioner some fits old."""
    rng, X, y = draw(13, K, n=80, d=6)
    fit = None
    for n in (20, 30, 40, 50):
        fit = optimum(X[:n], y[:n], K, 1.0 / n, intercept, previous=fit)
    arrays = {name: np.array(value) for name, value in fit.checkpoint().items()}
    restored = softmax.restore(X[:50], y[:50], K, arrays, penalize_intercept=intercept)
    np.testing.assert_array_equal(restored.theta, fit.theta)
    assert restored.l2 == fit.l2
    assert restored.n_labelled == 50
    g = softmax.pullback(X, rng.normal(size=(80, K)))
    np.testing.assert_array_equal(restored.solve(g).x, fit.solve(g).x)
    np.testing.assert_array_equal(restored.logit_variance(X), fit.logit_variance(X))
    ours = optimum(X, y, K, 1.0 / 80, intercept, previous=fit)
    theirs = optimum(X, y, K, 1.0 / 80, intercept, previous=restored)
    np.testing.assert_array_equal(theirs.theta, ours.theta)
    for name, value in ours.checkpoint().items():
        np.testing.assert_array_equal(theirs.checkpoint()[name], value)


def test_checkpoint_keeps_an_old_preconditioner(monkeypatch):
    """What is restored is worth something: the inverse in use is not the last Hessian's."""
    for name in ("FEW", "_CUBE", "_GRAM", "_ANY"):
        monkeypatch.setattr(road, name, 0)
    _, X, y = draw(13, 3, n=80, d=6)
    fit = optimum(X[:30], y[:30], 3, 1 / 30, False)
    fit = optimum(X[:40], y[:40], 3, 1 / 40, False, previous=fit)
    fit = optimum(X[:50], y[:50], 3, 1 / 50, False, previous=fit)
    assert fit.preconditioner.rows < fit.n_labelled
    assert fit.preconditioner.l2 != fit.l2


HARD = {
    "raw integers": lambda rng: (
        rng.integers(0, 16, size=(60, 16)).astype(float),
        np.append(np.arange(4), rng.integers(0, 4, size=56)),
        4,
        1 / 60,
    ),
    "scales from 1e-3 to 1e3": lambda rng: (
        rng.normal(size=(50, 5)) * 10.0 ** np.arange(-3.0, 4.0, 1.5),
        np.append(np.arange(3), rng.integers(0, 3, size=47)),
        3,
        1 / 50,
    ),
    "far from the origin": lambda rng: (
        rng.normal(size=(40, 3)) + 1e3,
        rng.integers(0, 2, size=40),
        2,
        1 / 40,
    ),
    "duplicated rows": lambda rng: (
        np.repeat(rng.normal(size=(6, 4)), 7, axis=0),
        np.tile([0, 1, 2], 14),
        3,
        1e-3,
    ),
    "fewer samples than features": lambda rng: (
        rng.normal(size=(6, 40)),
        np.array([0, 1, 2, 0, 1, 2]),
        3,
        1 / 6,
    ),
    "one sample a class": lambda rng: (rng.normal(size=(3, 2)), np.arange(3), 3, 1 / 3),
    "constant features": lambda rng: (np.ones((9, 3)), np.arange(9) % 3, 3, 0.1),
    "26 classes, two samples each": lambda rng: (
        rng.normal(size=(52, 16)),
        np.repeat(np.arange(26), 2),
        26,
        1 / 52,
    ),
}


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("intercept", [False, True])
def test_hard_data_reach_the_optimum(name, intercept):
    X, y, K, l2 = HARD[name](np.random.default_rng(14))
    fit = optimum(X, y, K, l2, intercept)
    assert fit.relative_error <= 1e-8
    assert gradient_norm(fit, X, y, K, l2, intercept) <= 1e-8 * max(1.0, np.abs(X).max())


@pytest.mark.parametrize("C", [1e2, 1e5, 1e8])
@pytest.mark.parametrize("K", [2, 3])
def test_separable_data_reach_the_optimum(K, C):
    rng = np.random.default_rng(15)
    y = np.arange(40) % K
    X = 10.0 * np.eye(K)[y] + rng.normal(size=(40, K))
    l2 = 1.0 / (40 * C)
    fit = optimum(X, y, K, l2, False)
    assert gradient_norm(fit, X, y, K, l2, False) <= 1.1e-8
    assert (fit.log_proba(X).argmax(axis=1) == y).all()
    assert fit.relative_error <= 1e-8
    if C == 1e2:  # beyond, the slow road is lost in round-off; see test_roads
        slow = Problem.mean(X, y, K, l2, False).minimise()
        np.testing.assert_allclose(fit.theta, slow, rtol=1e-7)


def test_undamped_newton_would_diverge_here_and_the_fit_does_not():
    """One extreme sample of the wrong class, started from a confident fit."""
    X = np.array([[-1.0], [1.0], [30.0]])
    before = optimum(X[:2], [0, 1], 2, 1e-6, False)
    after = optimum(X, [0, 1, 0], 2, 1e-6, False, previous=before)
    assert gradient_norm(after, X, np.array([0, 1, 0]), 2, 1e-6, False) <= 1.1e-8


@settings(max_examples=30, deadline=None)
@example(756)  # conjugate gradients never get there: the step is worked out directly
@given(st.integers(0, 2**32 - 1))
def test_any_problem_reaches_its_optimum(seed):
    rng = np.random.default_rng(seed)
    K, d = int(rng.integers(2, 6)), int(rng.integers(1, 8))
    n = int(rng.integers(K, 40))
    X, y = blobs(rng, n, d, K, spread=rng.uniform(0, 5))
    X = X * 10.0 ** rng.uniform(-2, 2, size=d)
    l2, intercept = 1.0 / (n * 10.0 ** rng.uniform(-3, 5)), bool(rng.integers(2))
    fit = optimum(X, y, K, l2, intercept)
    assert fit.relative_error <= 1e-8
    assert gradient_norm(fit, X, y, K, l2, intercept) <= 1e-8 * max(1.0, np.abs(X).max())


def test_what_cannot_be_reached_is_an_error():
    _, X, y = draw(16, 3)
    with pytest.raises(NotConverged, match="Newton steps"):
        optimum(X, y, 3, 0.01, False, max_iter=1)
    fit = optimum(X, y, 3, 0.01, False, tolerance=1e-30)  # what round-off leaves, then
    assert 0 <= fit.relative_error < 1e-13


# --- float32 pools -----------------------------------------------------------------------------


@every_case
def test_float32_pool_sees_the_same_model(K, intercept):
    rng, X, y = draw(17, K, n=400, d=20)
    X32 = X.astype(np.float32)
    fit = optimum(X[:60], y[:60], K, 1 / 60, intercept)
    log_P = fit.log_proba(X32)
    assert log_P.dtype == np.float32
    np.testing.assert_allclose(log_P, fit.log_proba(X), atol=2e-5)
    assert relative(log_P, fit.log_proba(X)) < 2e-6
    P = np.exp(fit.log_proba(X))
    G = P * (np.log(P) - (P * np.log(P)).sum(axis=1, keepdims=True))
    assert relative(fit.pullback(X32, G), fit.pullback(X, G)) < 2e-6
    v = rng.normal(size=fit.theta.shape)
    S, S32 = fit.pushforward(X, v), fit.pushforward(X32, v)
    assert relative(S32 - S32.mean(axis=1)[:, None], S - S.mean(axis=1)[:, None]) < 2e-6


@every_case
def test_float32_pool_leaves_the_right_hand_side_consistent(K, intercept):
    """Its round-off has a component along the gauge, in which the system of Eq. 7 is singular."""
    rng, X, y = draw(18, K, n=3000, d=20)
    X32 = X.astype(np.float32)
    fit = optimum(X[:60], y[:60], K, 1 / 60, intercept)
    G = rng.normal(size=(3000, K))
    naive = (G.astype(np.float32).T @ np.column_stack([X32, np.ones(3000, np.float32)])).astype(
        float
    )
    centred = fit.pullback(X32, G)
    assert abs(naive.sum(axis=0)).max() > 1.0  # the uncentred one is far off the range of H
    exact = fit.solve(fit.pullback(X, G))
    for g in (naive, centred):
        solution = fit.solve(g)
        assert solution.relative_error <= 1e-8
        assert relative(solution.x, exact.x) < 1e-5


def test_at_optimum_takes_another_solvers_parameters():
    rng, X, y = draw(19, 3)
    ours = optimum(X, y, 3, 0.05, False)
    shifted = ours.theta + rng.normal(size=ours.theta.shape[1])
    theirs = softmax.at_optimum(X, y, shifted, l2=0.05, penalize_intercept=False)
    np.testing.assert_allclose(theirs.theta, ours.theta, atol=1e-12)
    assert theirs.gradient_norm <= 1.1e-8
    g = softmax.pullback(X, rng.normal(size=(len(X), 3)))
    assert relative(theirs.solve(g).x, ours.solve(g).x) < 1e-7

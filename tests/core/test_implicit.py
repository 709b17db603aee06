"""Beyond first order, by slower roads: general minimisers, differences, refits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from goralx import Candidates, Labelled, Reference
from goralx.core import softmax_regression as softmax
from goralx.core.beyond import implicit
from goralx.core.inverse.curvature import weighted_gram
from tests.problems import blobs, build, matrix

NEWTON = 12  # steps that no proximal problem needs

REGIMES = ("fixed_C", "fixed_lambda")


class World:
    """A small fit, candidates, and a reference that is another set of samples."""

    def __init__(self, K, n=40, d=3, C=0.5, intercept=False, seed=0):
        rng = np.random.default_rng(seed)
        self.X, self.y = blobs(rng, n, d, K)
        self.K, self.C, self.n, self.intercept = K, C, n, intercept
        self.fit = self.refit(self.X, self.y, 1 / (n * C))
        self.candidates = rng.normal(size=(8, d)) * 1.5
        self.reference = rng.normal(size=(25, d))

    def refit(self, X, y, l2):
        return softmax.fit(X, y, self.K, l2=l2, penalize_intercept=self.intercept, tolerance=1e-12)

    def retrained(self, x, y, regime):
        n = self.n + 1
        l2 = self.fit.l2 if regime == "fixed_lambda" else 1 / (n * self.C)
        return self.refit(np.vstack([self.X, x]), np.append(self.y, y), l2)

    def exact(self, goal, regime):
        before = goal.value(self.fit.log_proba(self.reference), self.reference, None)
        return np.array(
            [
                [
                    goal.value(
                        self.retrained(x, y, regime).log_proba(self.reference), self.reference, None
                    )
                    - before
                    for y in range(self.K)
                ]
                for x in self.candidates
            ]
        )

    def proximal(self, regime, X=None):
        X = self.candidates if X is None else X
        expansion = self.fit.expansion(regime)
        S = expansion.leverage(X)
        logits = expansion.shifted(X, self.fit.log_proba(X))
        return expansion, S, implicit.proximal_residual(logits, S, expansion.Q)


@pytest.fixture(params=[2, 3, 5])
def K(request):
    return request.param


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("intercept", [False, True])
def test_the_proximal_step_minimises_quadratic_plus_exact_loss(K, regime, intercept):
    world = World(K, intercept=intercept)
    expansion, _, residual = world.proximal(regime)
    A = np.linalg.inv(matrix(expansion))
    for x, r in zip(world.candidates[:3], residual[:3], strict=True):
        row = np.append(x, 1.0)
        for y in range(K):

            def total(d, row=row, y=y):
                moved = d - expansion.shift
                z = expansion.Q @ ((expansion.phi + d).reshape(K - 1, -1) @ row)
                return 0.5 * moved @ A @ moved - z[y] + np.log(np.exp(z).sum())

            slow = optimize.minimize(total, expansion.shift, method="BFGS", tol=1e-10).x
            outer = np.outer(expansion.Q.T @ r[y], row).ravel()
            assert expansion.shift - matrix(expansion) @ outer == pytest.approx(slow, abs=2e-5)


def test_residuals_sum_to_zero_and_are_bounded_however_large_the_leverage(K):
    rng = np.random.default_rng(1)
    log_P = softmax.log_softmax(rng.normal(size=(20, K)) * 8)
    root = rng.normal(size=(20, K - 1, K - 1))
    for scale in (0.0, 1e-6, 1.0, 1e3, 1e6):
        S = scale * root @ root.transpose(0, 2, 1)
        residual = implicit.proximal_residual(log_P, S, softmax.contrasts(K))
        assert np.abs(residual.sum(axis=2)).max() < 1e-12
        assert np.abs(residual).max() <= 1.0
        if scale == 0.0:  # no leverage: first order
            first = np.exp(log_P)[:, None, :] - np.eye(K)
            assert residual == pytest.approx(first, abs=1e-12)


def test_leverages_may_be_off_by_their_round_off(K):
    rng = np.random.default_rng(2)
    log_P, root = softmax.log_softmax(rng.normal(size=(5, K))), rng.normal(size=(5, K - 1, K - 1))
    root[:, :, 0] = 0.0  # singular
    S, Q = root @ root.transpose(0, 2, 1), softmax.contrasts(K)
    off = S - 1e-11 * np.eye(K - 1)
    truth = implicit.proximal_residual(log_P, S, Q)
    assert implicit.proximal_residual(log_P, off, Q) == pytest.approx(truth, abs=1e-8)


def test_no_proximal_problem_is_jumped_across_for_ever(monkeypatch):
    """Here steps that lower the objective a little land on either side of the optimum in turn."""
    monkeypatch.setattr(implicit, "MAX_ITER", NEWTON)
    leverage, margin = (g.ravel() for g in np.meshgrid(np.linspace(0.5, 60), np.linspace(0, 40)))
    leverage, margin = np.append(leverage, 5.74795955), np.append(margin, 5.69058684)
    log_P = -np.logaddexp(0.0, np.stack([margin, -margin], axis=1))
    S, Q = leverage[:, None, None], softmax.contrasts(2)
    residual = implicit.proximal_residual(log_P, S, Q)
    moved = log_P[:, None, :] + implicit.own_moves(residual, S, Q)
    P = np.exp(moved - np.logaddexp.reduce(moved, axis=2)[..., None])
    np.testing.assert_allclose(P - np.eye(2), residual, atol=1e-9)


def test_residuals_solve_their_fixed_point(K):
    world = World(K)
    expansion, S, residual = world.proximal("fixed_C")
    eta = world.fit.log_proba(world.candidates)
    centred = expansion.Q @ S @ expansion.Q.T
    moved = eta[:, None, :] - np.einsum("nij,nyj->nyi", centred, residual)
    P = np.exp(moved - np.log(np.exp(moved).sum(axis=2, keepdims=True)))
    assert residual == pytest.approx(P - np.eye(K), abs=1e-9)


def test_third_derivative_by_differences_of_the_hessian(K):
    world = World(K)
    expansion = world.fit.expansion("fixed_C")
    objective = world.fit.objective
    v = np.random.default_rng(2).normal(size=objective.size)

    def hessian(e):
        phi = expansion.phi + e * v
        return world.n * objective.hessian(np.exp(objective.log_proba(phi))).ravel()

    h = 1e-5
    slow = ((hessian(h) - hessian(-h)) / (2 * h)).reshape(objective.size, objective.size)
    folded = weighted_gram(world.X, implicit.third_derivative(expansion, v))
    assert folded == pytest.approx(slow, abs=1e-6)
    d = np.random.default_rng(3).normal(size=objective.size)
    both = implicit._third_order(expansion, np.array([d]))[0]
    assert v @ both == pytest.approx(d @ slow @ d, rel=1e-6)


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("name", ["ent", "fir"])
def test_estimates_against_refits(K, regime, name):
    """In standard deviations of the exact utilities; influence has tenths to ones here."""
    world, goal = World(K, n=200), build("goal", name)
    exact = world.exact(goal, regime)
    pool = Reference(world.fit, world.candidates)
    asked = Candidates(pool, np.arange(8), Labelled(world.X, world.y), 0.0)
    reference = Reference(world.fit, world.reference)
    error = {}
    for utility in ("influence", "implicit", "lookahead", "retrain"):
        U = build("utility", utility).utilities(asked, goal, reference, regime=regime).U
        error[utility] = np.sqrt(((U - exact) ** 2).mean()) / exact.std()
    assert error["implicit"] < 0.03
    assert error["lookahead"] < 0.05
    assert error["retrain"] < 1e-7
    assert error["implicit"] < 0.3 * error["influence"]


def along(goal, x, log_P, move):
    """How a sample's own value changes by a move of its logits, and its derivatives there."""

    def value(s):
        return goal.value(softmax.log_softmax((log_P + s * move)[None]), x[None], None)

    h = 1e-3
    slope = (value(h) - value(-h)) / (2 * h)
    return value(1.0) - value(0.0), slope, (value(h) - 2 * value(0.0) + value(-h)) / h**2


def implicitly(world, goal, reference, pool, rows, regime):
    asked = Candidates(pool, rows, Labelled(world.X, world.y), 0.0)
    return build("utility", "implicit").utilities(asked, goal, reference, regime=regime).U


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("name", ["ent", "fir", "composite"])
def test_a_candidate_in_the_reference_has_its_own_share_measured(K, regime, name):
    world, goal, rows = World(K), build("goal", name), np.array([6, 1, 4])
    pool, apart = (Reference(world.fit, world.candidates) for _ in range(2))
    U = implicitly(world, goal, pool, pool, rows, regime)
    quadratic = implicitly(world, goal, apart, pool, rows, regime)
    expansion, _, residual = world.proximal(regime)
    share = 1.0 if goal.reduction == "sum" else 1.0 / len(world.candidates)
    for i, y in np.ndindex(*U.shape):
        x, log_P = world.candidates[rows[i]], pool.log_P[rows[i]]
        row = np.append(x, 1.0)
        outer = np.outer(expansion.Q.T @ residual[rows[i], y], row).ravel()
        d = expansion.shift - matrix(expansion) @ outer
        move = expansion.Q @ (d.reshape(K - 1, -1) @ row)
        change, slope, curvature = along(goal, x, log_P, move)
        rest = share * (change - slope - 0.5 * curvature)
        assert U[i, y] - quadratic[i, y] == pytest.approx(rest, abs=1e-6 + 1e-4 * abs(rest))


def test_shares_that_depend_on_one_another_are_left_to_second_order(K):
    class Interacting(type(build("goal", "ent"))):
        separable = False

    world = World(K)
    pool, apart = (Reference(world.fit, world.candidates) for _ in range(2))
    rows = np.arange(8)
    U = [implicitly(world, Interacting(), r, pool, rows, "fixed_C") for r in (pool, apart)]
    assert U[0] == pytest.approx(U[1], abs=1e-12)


@pytest.mark.parametrize("regime", REGIMES)
def test_candidates_in_the_reference_come_near_their_refits(K, regime):
    world, goal = World(K, n=60), build("goal", "ent")
    world.reference = world.candidates
    exact = world.exact(goal, regime)
    pool, apart = (Reference(world.fit, world.candidates) for _ in range(2))
    errors = [
        np.sqrt(((implicitly(world, goal, r, pool, np.arange(8), regime) - exact) ** 2).mean())
        for r in (pool, apart)
    ]
    assert errors[0] < 0.12 * exact.std()
    assert errors[0] < 0.6 * errors[1]


def test_the_step_is_right_to_one_order_more_than_the_proximal_one():
    """Replicating the labelled set m times at fixed C: errors fall as m^-2 and m^-3."""
    errors = []
    for copies in (2, 4, 8):
        world = World(3, n=30)
        world.X, world.y = np.tile(world.X, (copies, 1)), np.tile(world.y, copies)
        world.n, world.C = 30 * copies, world.C / copies
        world.fit = world.refit(world.X, world.y, 1 / (world.n * world.C))
        expansion, S, residual = world.proximal("fixed_lambda", world.candidates[:1])
        step = implicit.steps(expansion, world.candidates[:1], residual, S)[0]
        row = np.append(world.candidates[0], 1.0)
        first = [
            expansion.shift - matrix(expansion) @ np.outer(expansion.Q.T @ r, row).ravel()
            for r in residual[0]
        ]
        exact = []
        for y in range(3):
            again = world.retrained(world.candidates[0], y, "fixed_lambda")
            exact.append(again.objective.phi(again.theta) - expansion.phi)
        errors.append([np.abs(np.array(s) - exact).max() for s in (first, step)])
    proximal, corrected = np.array(errors).T
    assert (proximal[:-1] / proximal[1:] > 3.2).all()
    assert (corrected[:-1] / corrected[1:] > 5.5).all()
    assert (corrected < 0.3 * proximal).all()


def test_kappa_is_the_largest_move_of_a_candidates_own_logits(K):
    world = World(K)
    expansion, S, residual = world.proximal("fixed_C")
    kappa = implicit.trust(residual, S, expansion.Q)
    row, B = np.append(world.candidates[0], 1.0), matrix(expansion)
    step = [B @ np.outer(expansion.Q.T @ r, row).ravel() for r in residual[0]]
    moves = [expansion.Q @ (d.reshape(K - 1, -1) @ row) for d in step]
    assert kappa[0] == pytest.approx(np.abs(moves).max())


def test_some_labels_are_solved_for_as_all_are(K):
    world = World(K)
    expansion, S, residual = world.proximal("fixed_C")
    X, Q = world.candidates, expansion.Q
    log_P = world.fit.log_proba(X)
    labels = implicit.boldest(log_P, S, Q, 2)
    some = implicit.proximal_residual(log_P, S, Q, labels)
    of_these = residual[np.arange(len(X))[:, None], labels]
    assert some == pytest.approx(of_these, abs=1e-9)
    unresisted = np.exp(log_P)[:, None, :] - np.eye(K)
    for x, first, own, r in zip(X, labels[:, 0], expansion.leverage(X), unresisted, strict=True):
        moves = [np.abs(Q @ own @ Q.T @ r[y]).max() for y in range(K)]
        assert moves[first] == pytest.approx(max(moves)), x
    kappa, least = implicit.trust(residual, S, Q), implicit.trust(some, S, Q)
    assert (least <= kappa + 1e-9).all()
    assert (least > 0.6 * kappa).all()


def test_classes_may_be_renamed(K):
    world = World(K)
    order = np.random.default_rng(4).permutation(K)
    renamed = World(K)
    renamed.y = order[world.y]
    renamed.fit = renamed.refit(renamed.X, renamed.y, world.fit.l2)
    a = implicit.steps(*_arguments(world))
    b = implicit.steps(*_arguments(renamed))
    Q = softmax.contrasts(K)
    theta_a = Q @ a.reshape(8, K, K - 1, -1)
    theta_b = Q @ b.reshape(8, K, K - 1, -1)
    assert theta_b[:, order][:, :, order] == pytest.approx(theta_a, abs=1e-7)


def _arguments(world):
    expansion, S, residual = world.proximal("fixed_C")
    return expansion, world.candidates, residual, S

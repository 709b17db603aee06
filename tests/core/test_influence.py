"""Utilities against refits: d tau / d epsilon by an independent solver, for every convention."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import goralx
from goralx.core import influence
from plugins.beyond_first_order import goal_changes
from tests.problems import Setting, build
from tests.reference import GOALS, central_difference, predict, relative, with_constant

CASES = list(product(GOALS, ("fixed_C", "fixed_lambda"), (False, True), (2, 3, 4)))
n, C = Setting.n, Setting.C


@pytest.mark.parametrize(("goal", "regime", "intercept", "K"), CASES)
def test_utilities_are_the_derivative_of_retraining(goal, regime, intercept, K):
    """Eqs 2-3: U = (1/n) d tau / d eps for every sample and every label."""
    default = Setting(K, regime, intercept)
    exact = Setting(K, regime, intercept, tolerance=1e-12)
    truth = np.array(
        [
            [default.derivative(goal, [(default.pool[i], k)]) / n for k in range(K)]
            for i in default.rows
        ]
    )
    loose, tight = relative(default.utilities(goal), truth), relative(exact.utilities(goal), truth)
    print(f"{goal} {regime} intercept={intercept} K={K}: {loose:.1e}, fit to 1e-12: {tight:.1e}")
    assert loose < 1e-6
    assert tight < 1e-8


@pytest.mark.parametrize(("goal", "regime", "intercept", "K"), CASES)
def test_utilities_are_equation_2_written_out(goal, regime, intercept, K):
    """-grad tau' H^+ grad R(z), each factor explicit and over-parametrised."""
    setting = Setting(K, regime, intercept, tolerance=1e-12)
    X, y = setting.reference_set(goal)
    theta = setting.optimum
    grad_tau = central_difference(lambda t: GOALS[goal](t, X, y), theta, h=1e-3).ravel()
    v = -np.linalg.pinv(setting.slow.hessian(theta), rcond=1e-13, hermitian=True) @ grad_tau / n
    share = setting.l2 * setting.slow.penalised * theta if regime == "fixed_lambda" else 0.0
    slow = np.empty((len(setting.rows), K))
    for i, x in enumerate(with_constant(setting.pool[setting.rows])):
        p = predict(setting.pool[setting.rows][i : i + 1], theta)[0]
        for k in range(K):
            slow[i, k] = v @ (share - np.outer(np.eye(K)[k] - p, x)).ravel()
    assert relative(setting.utilities(goal), slow) < 1e-8


@pytest.mark.parametrize("K", [2, 3])
def test_the_two_regimes_differ_by_a_constant_and_each_is_its_own_retrainings(K):
    """A wrong pairing of utility and retraining is off by lambda v.theta."""
    folded, kept = Setting(K, "fixed_lambda", False), Setting(K, "fixed_C", False)
    offset = folded.utilities("ent") - kept.utilities("ent")
    assert np.ptp(offset) < 1e-12
    assert abs(offset[0, 0]) > 1e-3
    wrong = kept.derivative("ent", [(kept.pool[11], 0)]) / n
    assert folded.utilities("ent")[0, 0] - wrong == pytest.approx(offset[0, 0], rel=1e-4)


def test_direction_is_minus_a_share_of_the_solution():
    g = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(influence.direction(g, 4), -g / 4)


def test_a_constant_added_to_a_samples_logit_derivatives_changes_nothing():
    rng = np.random.default_rng(0)
    P, S = rng.dirichlet(np.ones(4), size=7), rng.normal(size=(7, 4))
    U = influence.utilities(P, S)
    np.testing.assert_allclose(influence.utilities(P, S + rng.normal(size=(7, 1))), U, atol=1e-14)
    for i, k in product(range(7), range(4)):
        assert U[i, k] == pytest.approx(sum(P[i, j] * S[i, j] for j in range(4)) - S[i, k])


@pytest.mark.parametrize("goal", GOALS)
def test_candidates_are_not_the_goals_reference(goal):
    """Which samples may be queried says nothing about where the goal is measured."""
    setting = Setting(3, "fixed_C", False)
    everything = setting.utilities(goal, rows=np.arange(len(setting.pool)))
    some = setting.utilities(goal)
    np.testing.assert_allclose(some, everything[setting.rows], rtol=1e-12)
    confused = setting.utilities(
        goal, reference=(setting.pool[setting.rows], setting.dev_y[: len(setting.rows)])
    )
    assert relative(confused, some) > 0.1


@pytest.mark.parametrize("goal", ["ent", "fir", "dev"])
def test_scores_in_a_run_take_the_whole_initial_pool_as_reference(goal):
    """The same through `GoalOrientedUtility`, which chooses the reference itself."""
    setting = Setting(3, "fixed_C", False)
    scorer = goralx.GoalOrientedUtility(
        build("goal", goal),
        build("operator", "max"),
        build("utility", "influence"),
        setting.model,
        goralx.Labelled(setting.dev_X, setting.dev_y),
    )
    pool = goralx.Reference(setting.fit, setting.pool)
    scores = scorer(goralx.Candidates(pool, setting.rows, setting.labelled, 0.0))
    np.testing.assert_array_equal(scores.U, setting.utilities(goal))
    np.testing.assert_array_equal(scores.utility, scores.U.max(axis=1))


@pytest.mark.parametrize("K", [2, 4])
@pytest.mark.parametrize("goal", GOALS)
def test_float32_pool_gives_the_same_utilities(K, goal):
    setting = Setting(K, "fixed_C", False)
    pool = setting.pool.astype(np.float32)
    reference = None if goal == "dev" else (pool, None)
    single = setting.utilities(goal, pool=pool, reference=reference)
    assert single.dtype == np.float32
    assert relative(single, setting.utilities(goal)) < 5e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_of_two_classes_the_utility_of_what_is_nearly_certain_is_not_lost(dtype):
    """p's - s_y is the difference of two numbers that are nearly one; operator=min ranks by it."""
    margin = np.array([0.0, 5.0, -30.0, 40.0, -80.0, 80.0])
    log_P = -np.logaddexp(0.0, np.stack([margin, -margin], axis=1))
    S = np.random.default_rng(0).normal(size=(6, 2))
    truth = np.exp(log_P)[:, ::-1] * (S[:, ::-1] - S)
    U = influence.utilities(np.exp(log_P).astype(dtype), S.astype(dtype))
    assert U.dtype == dtype
    np.testing.assert_allclose(U, truth, rtol=50 * np.finfo(dtype).eps)


@pytest.mark.parametrize("K", [2, 5])
@pytest.mark.parametrize("goal", GOALS)
def test_no_change_of_the_parameters_changes_no_goal_of_a_float32_pool(K, goal):
    """Though log P is off by its round-off there, and 4,000 samples' add up."""
    rng = np.random.default_rng(0)
    X, y = 3.0 * rng.normal(size=(4000, 6)), rng.integers(K, size=4000)
    fit = build("model", "softmax", C=10.0).fit(goralx.Labelled(X[:60], y[:60]), K)
    reference = goralx.Reference(fit, X.astype(np.float32), y)
    expansion = fit.expansion("fixed_C")
    none = np.zeros((1, K, len(expansion.phi)))
    changes = goal_changes(build("goal", goal), reference, expansion, none)
    np.testing.assert_allclose(changes, 0.0, atol=1e-9)


@pytest.mark.parametrize("K", [2, 3])
def test_scikit_learns_fit_gives_the_same_utilities(K):
    setting = Setting(K, "fixed_C", False)
    ours = setting.utilities("ent")
    setting.fit = build("model", "sklearn", C=C).fit(setting.labelled, K)
    assert relative(setting.utilities("ent"), ours) < 1e-4

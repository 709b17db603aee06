"""Remarks 1 and 2, as properties of any data, goal and direction, and against refits."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import goralx
from goralx.core import influence
from goralx.core import softmax_regression as softmax
from tests.problems import Setting, blobs, build
from tests.reference import GOALS, predict, with_constant

every_regime = pytest.mark.parametrize("regime", ["fixed_C", "fixed_lambda"])


# --- Remark 1: under the model's own prediction the utility is a constant ------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([2, 3, 6]),
    st.booleans(),
    st.sampled_from(["fixed_C", "fixed_lambda"]),
    st.floats(1e-3, 1e3),
)
def test_remark_1_for_any_direction(seed, K, intercept, regime, C):
    """Any goal is a direction v: E_y[v' grad R] is 0, or lambda v.theta with the penalty in R."""
    rng = np.random.default_rng(seed)
    X, y = blobs(rng, 12, 3, K)
    pool = rng.normal(size=(9, 3)) * 4
    model = build("model", "softmax", C=C, regime=regime, penalize_intercept=intercept)
    fit = model.fit(goralx.Labelled(X, y), K)
    v = rng.normal(size=fit.theta.shape)
    if regime == "fixed_lambda":
        penalised = fit.theta if intercept else fit.theta * [1, 1, 1, 0]
        constant = float((v * penalised).sum() / (12 * C))
        penalty = float((v * fit.penalty_gradient).sum())
    else:
        constant = penalty = 0.0
    log_P = fit.log_proba(pool)
    U = influence.utilities(np.exp(log_P), fit.pushforward(pool, v), penalty)
    expected = build("operator", "expected")(U, log_P, None, 0.0)
    size = 1.0 + np.abs(U).max()
    np.testing.assert_allclose(expected, constant, atol=1e-13 * size)
    # the slow road: the expected gradient of Eq. 6 itself, then v
    for x, p, found in zip(with_constant(pool), predict(pool, fit.theta), expected, strict=True):
        score = sum(p[k] * np.outer(np.eye(K)[k] - p, x) for k in range(K))
        assert constant - (v * score).sum() == pytest.approx(found, abs=1e-11 * size)


@pytest.mark.parametrize("goal", GOALS)
@every_regime
@pytest.mark.parametrize("K", [2, 3])
def test_remark_1_in_a_run_is_noticed(goal, regime, K):
    """Through every part that a run uses, whichever the goal: scores call themselves vacuous."""
    setting = Setting(K, regime, False)
    dev = goralx.Labelled(setting.dev_X, setting.dev_y)
    pool = goralx.Reference(setting.fit, setting.pool)
    candidates = goralx.Candidates(pool, np.arange(14), setting.labelled, 0.0)

    def scores(operator, **options):
        return goralx.GoalOrientedUtility(
            build("goal", goal),
            build("operator", operator, **options),
            build("utility", "influence"),
            setting.model,
            dev,
        )(candidates)

    assert scores("expected").vacuous
    for operator in ("max", "min", "average", "annealed"):
        assert not scores(operator).vacuous
    # annealed at T = 1 is expected by another way
    assert scores("annealed", start=1.0, end=1.0).vacuous


def test_remark_1_does_not_hold_for_another_distribution():
    """Sec. 8: the expected gradient is x (p - p_y)', nothing but the model's own p makes it 0."""
    setting = Setting(3, "fixed_C", False)
    U = setting.utilities("ent", rows=np.arange(14))
    for p_y in (np.full(3, 1 / 3), np.array([0.2, 0.3, 0.5])):
        assert np.ptp(U @ p_y) > 1e-3


# --- Remark 2: a batch is worth the sum of its members -------------------------------------------


def resolved(U, labels):
    """Utility of a batch under one labelling: the sum of the members'."""
    return sum(U[i, k] for i, k in enumerate(labels))


@pytest.mark.parametrize("goal", GOALS)
@every_regime
@pytest.mark.parametrize(("K", "intercept"), [(2, False), (2, True), (3, False)])
def test_collective_influence_is_the_members_mean(goal, regime, K, intercept):
    """Refit with the batch at weight eps/b each: d tau/d eps is the mean of the influences."""
    setting = Setting(K, regime, intercept)
    U = setting.utilities(goal)
    b = len(setting.rows)
    for labels in ((0, 1, K - 1), (1, 1, 0)):
        batch = list(zip(setting.pool[setting.rows], labels, strict=True))
        joint = setting.derivative(goal, batch) / b  # eps is shared among b members
        individual = [setting.derivative(goal, [z]) for z in batch]
        scale = max(abs(i) for i in individual)
        assert joint == pytest.approx(np.mean(individual), abs=1e-8 * scale)
        # b/n times the collective influence is the sum of the utilities
        assert b / setting.n * joint == pytest.approx(
            resolved(U, labels), abs=1e-5 * scale / setting.n
        )


OPERATORS = {
    "max": lambda worth, chance, true: max(worth.values()),
    "min": lambda worth, chance, true: min(worth.values()),
    "average": lambda worth, chance, true: np.mean(list(worth.values())),
    "expected": lambda worth, chance, true: sum(chance[Y] * worth[Y] for Y in worth),
    "oracle": lambda worth, chance, true: worth[true],
}


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(("K", "b"), [(2, 5), (3, 4)])
def test_decomposable_operators_by_every_labelling(operator, K, b):
    """l_Y over all K^b labellings of the batch equals the sum of l_y over its members."""
    setting = Setting(K, "fixed_lambda", False)
    rows = np.array([3, 12, 0, 7, 9])[:b]
    U, true = setting.utilities("ent", rows=rows), tuple(np.arange(b) % K)
    P = predict(setting.pool[rows], setting.optimum)
    labellings = list(product(range(K), repeat=b))
    worth = {Y: resolved(U, Y) for Y in labellings}
    chance = {Y: np.prod([P[i, k] for i, k in enumerate(Y)]) for Y in labellings}
    part = build("operator", operator)
    assert part.decomposable
    y_true = np.array(true) if part.needs_ground_truth else None
    singles = part(U, setting.fit.log_proba(setting.pool[rows]), y_true, 0.0)
    whole = OPERATORS[operator](worth, chance, true)
    assert singles.sum() == pytest.approx(whole, abs=1e-8 * np.abs(U).max())


@pytest.mark.parametrize("operator", ["annealed", "laplace", "estimated"])
def test_expectations_under_other_beliefs_decompose_too(operator):
    setting = Setting(2, "fixed_C", False)
    rows, b = np.array([3, 12, 0]), 3
    part = build("operator", operator)
    pool = goralx.Reference(setting.fit, setting.pool)
    candidates = goralx.Candidates(pool, rows, setting.labelled, 0.3)
    U, log_Q = setting.utilities("dev", rows=rows), part.beliefs(candidates)
    Q = np.exp(log_Q)
    if operator == "annealed":
        Q = Q ** (1 / part.temperature(0.3))
        Q /= Q.sum(axis=1, keepdims=True)
    whole = sum(
        np.prod([Q[i, k] for i, k in enumerate(Y)]) * resolved(U, Y)
        for Y in product(range(2), repeat=b)
    )
    assert part.decomposable
    assert part(U, log_Q, None, 0.3).sum() == pytest.approx(whole, rel=1e-10)


def test_the_best_batch_is_the_best_members():
    """What Remark 2 buys: of all batches of b, the b highest utilities; no other is better."""
    from itertools import combinations

    setting = Setting(3, "fixed_C", False)
    rows = np.arange(9)
    u = setting.utilities("ent", rows=rows).max(axis=1)
    best = max(combinations(rows, 3), key=lambda batch: sum(u[i] for i in batch))
    chosen = goralx.top_b(u, 3, np.random.default_rng(0))
    assert set(chosen.tolist()) == set(best)
    assert (np.diff(u[chosen]) <= 0).all()


def test_softmax_pushforward_is_what_the_remarks_assume():
    """grad R is linear in the label's one-hot vector: utilities of soft labels are mixtures."""
    rng = np.random.default_rng(0)
    theta, v, X = rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), rng.normal(size=(5, 3))
    P = np.exp(softmax.log_proba(X, theta))
    U = influence.utilities(P, softmax.logits(X, v))
    for x, p, u in zip(with_constant(X), P, U, strict=True):
        soft = rng.dirichlet(np.ones(3))
        gradient = -np.outer(soft - p, x)
        assert (v * gradient).sum() == pytest.approx(soft @ u, abs=1e-12)

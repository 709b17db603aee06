"""Everything beyond first order on the roads of large problems, at sizes where both can be gone."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import goralx
from goralx import Candidates, Labelled, Reference
from goralx.core import softmax_regression as softmax
from goralx.core.inverse import cost, inverse_curvature, memory
from goralx.explanation.decomposition import contributions
from tests.problems import blobs, build

ESTIMATORS = ("implicit", "lookahead", "retrain")
DESIGN = ("firatio", "aopt", "dopt")


class World:
    """A fit that keeps nothing from before, and its pool; some of it may be asked."""

    def __init__(self, seed, K, n, d, C, regime="fixed_C", intercept=False):
        rng = np.random.default_rng(seed)
        X, y = blobs(rng, n + 30, d, K)
        self.known, self.pool = Labelled(X[:n], y[:n]), X[n:]
        self.K, self.regime = K, regime
        self.model = build(
            "model", "softmax", C=C, regime=regime, penalize_intercept=intercept, tolerance=1e-12
        )
        self.fitted = self.model.fit(self.known, K)
        self.rows = rng.permutation(30)[:6]

    def asked(self):
        """Candidates and the pool, through a fit whose curvature was not worked out yet."""
        pool = Reference(softmax.SoftmaxFit(**vars(self.fitted)), self.pool)
        return Candidates(pool, self.rows, self.known, 0.0), pool

    def utilities(self, name, goal="ent"):
        asked, pool = self.asked()
        return build("utility", name).utilities(
            asked, build("goal", goal), pool, regime=self.regime
        )


@pytest.fixture
def large(monkeypatch):
    """No dense inverse, and no matrix for a goal's curvature."""
    return large_roads(monkeypatch)


def large_roads(patch):
    def take():
        patch.setattr(inverse_curvature, "by_matrix", lambda n, q, K: False)
        patch.setattr(cost, "square", lambda *sizes: np.inf)
        patch.setattr(softmax, "_SPAN", 0)

    return take


def close(found, truth, rtol=1e-7):
    np.testing.assert_allclose(found, truth, rtol=0, atol=rtol * np.abs(truth).max())


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    K=st.sampled_from([2, 3, 7]),
    n=st.sampled_from([8, 40]),
    d=st.sampled_from([3, 15]),
    C=st.sampled_from([0.01, 1.0, 100.0]),
    regime=st.sampled_from(["fixed_C", "fixed_lambda"]),
    intercept=st.booleans(),
    name=st.sampled_from(ESTIMATORS),
    goal=st.sampled_from(["ent", "fir"]),
)
def test_utilities_and_kappa(seed, K, n, d, C, regime, intercept, name, goal):
    world = World(seed, K, n, d, C, regime, intercept)
    dense = world.utilities(name, goal)
    with pytest.MonkeyPatch.context() as patch:
        large_roads(patch)()
        found = world.utilities(name, goal)
    close(found.U, dense.U, 1e-6 if name == "lookahead" else 1e-7)  # its logits move in single
    if name != "retrain":
        close(found.trust, dense.trust)


@pytest.mark.parametrize("regime", ["fixed_C", "fixed_lambda"])
@pytest.mark.parametrize("d", [3, 50])
@pytest.mark.parametrize("name", DESIGN)
def test_design_goals(name, d, regime, large):
    def gains():
        asked, pool = world.asked()
        goal = build("goal", name)
        return goal.gains(asked, pool, regime=regime), goal.measure(pool)

    world = World(0, 4, 20, d, 1.0, regime)
    dense, tau = gains()
    large()
    found, again = gains()
    close(found, dense)
    assert again == pytest.approx(tau, rel=1e-9)


@pytest.mark.parametrize("name", DESIGN[:2])
def test_design_goals_look_closer_at_the_best(name, monkeypatch):
    world = World(0, 4, 20, 5, 1.0)
    world.rows = np.arange(30)
    asked, pool = world.asked()
    whole = build("goal", name).gains(asked, pool, regime="fixed_C")
    some = build("goal", name, screen=8).gains(asked, pool, regime="fixed_C")
    looked_at = np.flatnonzero(~np.isnan(some))
    np.testing.assert_allclose(some[looked_at], whole[looked_at], rtol=1e-9)
    assert len(looked_at) == 8
    assert np.argmax(whole) in looked_at and whole[looked_at].mean() > 1.2 * whole.mean()
    monkeypatch.setattr(cost, "MINUTE", 0.0)
    with pytest.warns(cost.LongComputation, match="goal.screen=20"):
        default = build("goal", name).gains(asked, pool, regime="fixed_C")
    assert np.isnan(default).sum() == 30 - cost.FEWEST
    scorer = goralx.GoalOrientedUtility(
        build("goal", name, screen=8), build("operator", "max"), build("utility", "influence"),
        world.model,
    )  # fmt: skip
    assert scorer(asked).looked_at.tolist() == looked_at.tolist()
    query = goralx.Query(asked, 9, np.random.default_rng(0), score=scorer)
    with pytest.raises(goralx.Incompatible, match=r"batch_size=9, and only 8 candidates"):
        query.batch()
    with pytest.raises(goralx.BadInput, match=r"goal.screen=0"):
        build("goal", name, screen=0)


@pytest.mark.parametrize("regime", ["fixed_C", "fixed_lambda"])
@pytest.mark.parametrize("d", [3, 50])
def test_samples_made_up_and_what_is_asked_of_the_model_then(d, regime, large):
    def answers():
        asked, _ = world.asked()
        fit = asked.model
        for row, label in ((0, 1), (7, None), (12, 2)):
            fit = fit.inserted(world.pool[row], label, regime)
        g = np.random.default_rng(0).normal(size=fit.theta.shape)
        g -= g.mean(axis=0)
        around = fit.expansion(regime, 1)
        X = world.pool[:5]
        return fit.theta, fit.solve(g).x, fit.logit_variance(X), around.leverage(X), around.shift

    world = World(1, 4, 20, d, 1.0, regime)
    dense = answers()
    large()
    for found, truth in zip(answers(), dense, strict=True):
        np.testing.assert_allclose(found, truth, rtol=0, atol=1e-8 * max(1.0, np.abs(truth).max()))


@pytest.mark.parametrize("batch", ["sequential", "kmeanspp"])
@pytest.mark.parametrize("utility", ["influence", "implicit"])
def test_batches(batch, utility, large):
    def chosen():
        asked, _ = world.asked()
        scorer = goralx.GoalOrientedUtility(
            build("goal", "ent"), build("operator", "laplace"), build("utility", utility),
            world.model, first_order=build("utility", "influence"),
        )  # fmt: skip
        rng = np.random.default_rng(0)
        query = goralx.Query(asked, 4, rng, score=scorer, rule=build("batch", batch))
        return query.batch().tolist()

    world = World(2, 4, 20, 30, 1.0)
    dense = chosen()
    large()
    assert chosen() == dense


@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_an_explanation_shares_out_adds_up(name, large):
    world = World(3, 4, 20, 30, 1.0)
    large()
    asked, pool = world.asked()
    goal, estimator = build("goal", "ent"), build("utility", name)
    U = estimator.utilities(asked, goal, pool, regime="fixed_C").U
    shared = contributions(estimator, asked, goal, pool, regime="fixed_C")
    close(shared.sum(axis=2), U, 2e-6)


def test_as_many_as_a_minute_pays_for_are_looked_at_unless_told_otherwise(monkeypatch):
    world = World(4, 3, 20, 5, 1.0)
    asked, pool = world.asked()
    for name in ESTIMATORS:
        assert build("utility", name).looks_at(asked, pool) > 1000
        assert build("utility", name, screen=7).looks_at(asked, pool) == 7
    monkeypatch.setattr(cost, "RATE", 1.0)
    monkeypatch.setattr(cost, "MINUTE", 60.0)
    for name in ESTIMATORS:
        assert build("utility", name).looks_at(asked, pool) == cost.FEWEST
        with pytest.warns(cost.LongComputation, match=f"(?i){name}.*6 candidates.*screen=20"):
            world.utilities(name)


def test_a_pool_that_would_take_minutes_is_screened(monkeypatch):
    world = World(5, 3, 20, 5, 1.0)
    monkeypatch.setattr(cost, "MINUTE", 0.0)
    monkeypatch.setattr(cost, "FEWEST", 4)
    asked, _ = world.asked()
    scorer = goralx.GoalOrientedUtility(
        build("goal", "ent"), build("operator", "max"), build("utility", "lookahead"),
        world.model, first_order=build("utility", "influence"),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cost.LongComputation)
        scores = scorer(asked)
    assert len(scores.looked_at) == 4
    assert np.isnan(scores.utility).sum() == 2


def test_kappa_ends_no_run(monkeypatch):
    world = World(6, 3, 20, 5, 1.0)
    truth = world.utilities("influence")
    for error in (MemoryError, ArithmeticError, np.linalg.LinAlgError, goralx.BadInput):

        def raises(self, X, error=error):
            raise error("no")

        monkeypatch.setattr(softmax.SoftmaxFit, "leverage", raises)
        found = world.utilities("influence")
        np.testing.assert_array_equal(found.U, truth.U)
        assert np.isnan(found.trust).all()


def test_what_cannot_be_had_is_refused_in_one_line(monkeypatch):
    world = World(7, 3, 20, 5, 1.0)
    monkeypatch.setattr(memory, "available", lambda: 1 << 10)
    for name in ESTIMATORS:
        with pytest.raises(goralx.Incompatible, match=r"takes .* of memory .*utility=influence"):
            world.utilities(name)

"""How far first order goes is said in every round, by the candidates that influence drew for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import goralx
from goralx.core.beyond import implicit
from goralx.core.fit import road
from tests.problems import build, experiment, instance


def test_kappa_is_logged_in_every_round_that_scores():
    rounds = list(experiment(instance(), n_queries=20, batch_size=5).rounds())
    for round in rounds[:-1]:
        assert round.metrics["trust/kappa_q050"] > 0
        assert round.metrics["trust/kappa_q100"] >= round.metrics["trust/kappa_q050"]
    assert np.isnan(rounds[-1].metrics["trust/kappa_q050"])


def test_it_is_near_that_of_the_fits_own_curvature_and_covers_as_many_as_asked():
    made = experiment(instance())
    model = made.model.fit(made.instance.labelled(made.instance.init), made.instance.n_classes)
    pool = goralx.Reference(model, made.instance.pool_X)
    rows = np.arange(len(pool.X))
    asked = goralx.Candidates(pool, rows, made.instance.labelled(made.instance.init), 0.0)
    found = build("utility", "influence", judged=6).utilities(
        asked, build("goal", "ent"), pool, regime="fixed_C"
    )
    drawn = np.flatnonzero(~np.isnan(found.trust))
    assert len(drawn) == 6
    expansion = model.expansion("fixed_C")
    some = asked.subset(drawn)
    S = expansion.leverage(some.X)
    exact = implicit.trust(implicit.proximal_residual(some.log_P, S, expansion.Q), S, expansion.Q)
    assert found.trust[drawn] == pytest.approx(exact, rel=0.5)
    none = build("utility", "influence", judged=0)
    assert none.utilities(asked, build("goal", "ent"), pool, regime="fixed_C").trust is None


@pytest.mark.parametrize("n_classes", [2, 4])
def test_an_earlier_rounds_curvature_does_not_understate_it(n_classes, monkeypatch):
    """More features than labels at first, so that the penalty's share decides."""
    for name in ("FEW", "_CUBE", "_GRAM", "_ANY"):  # an inverse is kept at any size
        monkeypatch.setattr(road, name, 0)
    made = instance(n_classes=n_classes, pool=150, init=8, d=30, dev=0)
    model = build("model", "softmax", C=0.1)
    fit, ratios, stale = None, [], 0
    for n in range(0, 100, 10):
        labelled = made.labelled(np.concatenate([made.init, made.pool[:n]]))
        fit = model.fit(labelled, n_classes, previous=fit)
        if fit.preconditioner is None:  # the first makes none
            continue
        stale += fit.preconditioner.rows < fit.n_labelled
        X = made.X[made.test]
        S, _ = fit.leverage(X)
        exact = fit.expansion("fixed_C").leverage(X)
        ratios += list(np.trace(S, axis1=1, axis2=2) / np.trace(exact, axis1=1, axis2=2))
    assert stale > 0
    assert min(ratios) > 0.9
    assert max(ratios) < 5.0


@pytest.mark.parametrize("utility", ["influence", "implicit", "lookahead", "retrain"])
def test_every_estimator_says_how_far_first_order_goes(utility):
    made = experiment(instance())
    estimator = build("utility", utility)
    scored = replace(made, utility=replace(made.utility, estimator=estimator), n_queries=5)
    first = next(scored.rounds())
    assert 0 < first.metrics["trust/kappa_q050"] <= first.metrics["trust/kappa_q100"]


def test_a_negative_number_is_refused():
    with pytest.raises(goralx.BadInput, match=r"utility\.judged=-1"):
        build("utility", "influence", judged=-1)

"""Models by what they can say: any classifier by refits, a head by solves, and softmax by both."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import goralx
from goralx import BadInput, Candidates, GoalOrientedUtility, Incompatible, Labelled, Reference
from goralx.learning import Audit, Auditor
from goralx.testing import check_model
from tests.problems import blobs, build, experiment, instance

FOREST = "sklearn.ensemble.RandomForestClassifier"
TREES = {"estimator": FOREST, "options": {"n_estimators": 10}}


@dataclass(frozen=True)
class Told:
    """Softmax regression that says of itself that it can no more than this."""

    capabilities: frozenset[str]
    regime: str = "fixed_C"
    C: float = 0.5

    @property
    def _inner(self) -> Any:
        return build("model", "softmax", C=self.C, regime=self.regime)

    def fit(self, labelled, n_classes, previous=None):
        return self._inner.fit(labelled, n_classes, previous)

    def restore(self, labelled, n_classes, arrays):
        return self._inner.restore(labelled, n_classes, arrays)


PLAIN, BY_SOLVES = Told(frozenset()), Told(frozenset({"derivatives"}))


def asked(learner, K=3, n=30, n_pool=20, d=3, seed=0):
    """Candidates, some of a pool, that know their learner."""
    X, y = blobs(np.random.default_rng([seed, K]), n + n_pool, d, K)
    known = Labelled(X[:n], y[:n])
    pool = Reference(learner.fit(known, K), X[n:])
    return Candidates(pool, np.arange(1, n_pool, 3), known, 0.0, learner=learner)


def utilities(candidates, utility, goal="ent", **options):
    regime = candidates.learner.regime
    estimator = build("utility", utility, **options)
    return estimator.utilities(candidates, build("goal", goal), candidates.pool, regime=regime).U


@pytest.mark.parametrize("regime", ["fixed_C", "fixed_lambda"])
@pytest.mark.parametrize("K", [2, 4])
def test_retraining_by_fits_is_retraining_in_batches(K, regime):
    by_fits = asked(replace(PLAIN, regime=regime), K)
    in_batches = replace(by_fits, learner=build("model", "softmax", C=0.5, regime=regime))
    slow, fast = (utilities(each, "retrain") for each in (by_fits, in_batches))
    np.testing.assert_allclose(slow, fast, atol=1e-6 * np.abs(fast).max())


@pytest.mark.parametrize("K", [2, 4])
def test_looking_ahead_by_solves_is_looking_ahead_in_closed_form(K):
    by_solves = asked(BY_SOLVES, K)
    in_closed_form = replace(by_solves, learner=build("model", "softmax", C=0.5))
    slow, fast = (utilities(each, "lookahead") for each in (by_solves, in_closed_form))
    np.testing.assert_allclose(slow, fast, atol=1e-5 * np.abs(fast).max())


@pytest.mark.parametrize("regime", ["fixed_C", "fixed_lambda"])
def test_looking_ahead_by_solves_is_near_retraining(regime):
    candidates = asked(replace(BY_SOLVES, regime=regime), 4, n=60)
    exact = utilities(replace(candidates, learner=replace(PLAIN, regime=regime)), "retrain")
    first, ahead = (utilities(candidates, name) for name in ("influence", "lookahead"))
    assert np.abs(ahead - exact).max() < 0.3 * np.abs(first - exact).max()


def test_candidates_imagined_by_refits_are_those_of_one_more_fit():
    candidates = asked(PLAIN)
    seen = candidates.inserted(2, 1, "fixed_C").inserted(0, 0, "fixed_C")
    X = np.concatenate([candidates.labelled.X, candidates.X[[2]], candidates.X[[0]]])
    y = np.append(candidates.labelled.y, [1, 0])
    expected = PLAIN.fit(Labelled(X, y), 3)
    assert seen.rows.tolist() == np.delete(candidates.rows, [0, 2]).tolist()
    assert seen.labelled is candidates.labelled and seen.imagined.y.tolist() == [1, 0]
    np.testing.assert_allclose(seen.log_P, expected.log_proba(seen.X), atol=1e-6)
    with pytest.raises(Incompatible, match="without a label"):
        candidates.inserted(0, None, "fixed_C")
    with pytest.raises(Incompatible, match="no learner"):
        replace(candidates, learner=None).refit(candidates.labelled)


def batch_of(learner, rule):
    """What the first round asks, and the run."""
    run = experiment(
        instance(pool=40, dev=0),
        model=learner,
        rule=build("batch", rule),
        batch_size=4,
        n_queries=4,
        goal="ent",
    )
    return next(run.rounds()).queried.tolist()


def test_kmeanspp_by_solves_and_sequential_by_fits_choose_as_in_closed_form():
    whole = build("model", "softmax", C=0.5)
    assert batch_of(BY_SOLVES, "kmeanspp") == batch_of(whole, "kmeanspp")
    assert len(set(batch_of(BY_SOLVES, "sequential"))) == 4


# --- any classifier of scikit-learn's ---------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"regime": "fixed_lambda"},
        TREES,
        {"estimator": "sklearn.naive_bayes.GaussianNB"},
        {"estimator": "sklearn.neighbors.KNeighborsClassifier", "options": {"n_neighbors": 3}},
    ],
)
def test_models_of_scikit_learn_keep_the_contract(options):
    check_model(build("model", "sklearn", **options))


def forest_run(operator="max", goal="ent", rounds=3, screen=None, **options):
    data, model = instance(pool=25, dev=0.6, spread=0.5), build("model", "sklearn", **TREES)
    dev = data.subset(data.dev)
    estimator = build("utility", "retrain", screen=screen)
    utility = GoalOrientedUtility(
        build("goal", goal), build("operator", operator), estimator, model, dev,
        data.y[data.pool], build("utility", "influence"), build("model", "softmax"),
    )  # fmt: skip
    auditor = Auditor(Audit(every=1, size=5, threshold=-1), utility, build("utility", "retrain"))
    goals = {goal: utility.goal}
    return goralx.Experiment(
        data, model, build("strategy", "goral"), utility, goals, goal,
        batch_size=2, n_queries=2 * rounds, auditor=auditor, **options,
    )  # fmt: skip


@pytest.mark.parametrize("goal", ["ent", "dev"])
def test_a_forest_is_steered_by_a_goal_and_goes_on_where_it_stopped(goal):
    rounds = list(forest_run(goal=goal, screen=6).rounds())
    assert len(rounds) == 4 and all(round.theta is None for round in rounds)
    scored = [np.isfinite(round.utility).sum() for round in rounds[:-1]]
    assert scored == [6, 6, 6]
    assert rounds[0].metrics["audit/spearman"] == pytest.approx(1.0)  # retraining is what it does
    again = list(forest_run(goal=goal, screen=6).rounds(resume=rounds[1].checkpoint))
    assert [r.queried.tolist() for r in again] == [r.queried.tolist() for r in rounds[2:]]
    assert again[-1].metrics["test/accuracy"] == rounds[-1].metrics["test/accuracy"]


def test_a_forest_is_screened_through_a_softmax_regression():
    run = forest_run(screen=6)
    rows, proxy = run.instance.init, build("model", "softmax")
    labelled = run.instance.labelled(rows)
    known = Reference(proxy.fit(labelled, 3), run.instance.pool_X)
    seen = Candidates(known, np.arange(25), labelled, 0.0, learner=proxy)
    ranked = GoalOrientedUtility(
        build("goal", "ent"), build("operator", "max"), build("utility", "influence"), proxy
    )(seen).utility
    best = np.sort(np.argsort(-ranked, kind="stable")[:6])
    assert np.flatnonzero(np.isfinite(next(run.rounds()).utility)).tolist() == best.tolist()


def test_a_forest_looks_at_twenty_unless_asked():
    candidates = asked(build("model", "sklearn", **TREES), n_pool=90)
    assert build("utility", "retrain").looks_at(candidates, candidates.pool) == 20
    assert build("utility", "retrain", screen=7).looks_at(candidates, candidates.pool) == 7


def test_classes_that_a_classifier_has_not_seen_keep_the_floor():
    X, y = blobs(np.random.default_rng(0), 40, 3, 4)
    seen = y != 2
    model = build("model", "sklearn", floor=0.01, **TREES)
    P = np.exp(model.fit(Labelled(X[seen], y[seen]), 4).log_proba(X))
    np.testing.assert_allclose(P.sum(axis=1), 1.0)
    assert (P[:, 2] < 0.011).all() and P[:, 2].min() > 0.009


@pytest.mark.parametrize("utility", ["influence", "lookahead", "implicit"])
def test_what_asks_more_of_a_forest_is_refused_with_the_way_out(utility):
    model = build("model", "sklearn", **TREES)
    with pytest.raises(Incompatible, match=r"utility=retrain or model=softmax"):
        GoalOrientedUtility(
            build("goal", "ent"), build("operator", "max"), build("utility", utility), model
        )


@pytest.mark.parametrize(
    "options, said",
    [
        ({"estimator": "os.system"}, "allowed: a classifier of sklearn"),
        ({"estimator": "sklearn"}, "by its path"),
        ({"estimator": "sklearn.nowhere.Forest"}, "nowhere"),
        ({"estimator": "sklearn.ensemble.Wood"}, "has no Wood"),
        ({"estimator": "sklearn.linear_model.Ridge"}, "no classifier with predict_proba"),
        ({"estimator": "sklearn.svm.SVC"}, "switch its probabilities on"),
        ({"estimator": "sklearn.utils.check_array"}, "check_array"),
        ({"estimator": FOREST, "options": {"trees": 3}}, "trees"),
        ({"options": {"C": 3}}, "logistic regression has model.C"),
        ({"floor": 0.0}, r"model\.floor"),
    ],
)
def test_what_is_no_classifier_is_refused(options, said):
    with pytest.raises(BadInput, match=said) as refused:
        build("model", "sklearn", **options)
    assert "\n" not in str(refused.value)


def test_what_a_classifier_refuses_to_fit_is_one_line_with_its_name():
    model = build("model", "sklearn", estimator=FOREST, options={"n_estimators": -1})
    X, y = blobs(np.random.default_rng(0), 10, 2, 2)
    with pytest.raises(
        BadInput, match=r"RandomForestClassifier cannot fit 10 samples.*n_estimators"
    ):
        model.fit(Labelled(X, y), 2)


def test_an_audit_that_cannot_be_had_is_refused():
    design = GoalOrientedUtility(
        build("goal", "dopt"), build("operator", "max"), build("utility", "influence"),
        build("model", "softmax"),
    )  # fmt: skip
    with pytest.raises(Incompatible, match=r"audit\.every=2.*nothing to audit"):
        Auditor(Audit(every=2), design, build("utility", "retrain"))
    assert not Auditor(Audit(), design, build("utility", "retrain")).possible


# --- a head in PyTorch ------------------------------------------------------------------------


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def test_without_torch_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BadInput, match=r"pip install 'goralx\[torch\]'"):
        build("model", "torch")


@pytest.mark.parametrize("regime", ["fixed_C", "fixed_lambda"])
def test_a_linear_head_keeps_the_contract(torch, regime):
    check_model(build("model", "torch", regime=regime))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("K", [2, 5])
def test_a_linear_head_is_softmax_regression(torch, K, dtype):
    scores = {}
    for name in ("softmax", "torch"):
        learner = build("model", name, C=0.5)
        candidates = asked(learner, K)
        pool = Reference(candidates.model, candidates.pool.X.astype(dtype))
        candidates = replace(candidates, pool=pool)
        scores[name] = candidates.model.log_proba(candidates.X), utilities(candidates, "influence")
    tolerance = 1e-6 if dtype == np.float64 else 1e-4
    for ours, theirs in zip(scores["softmax"], scores["torch"]):
        np.testing.assert_allclose(theirs, ours, atol=tolerance * np.abs(ours).max())


def test_a_hidden_layer_ranks_as_retraining_it_does(torch):
    learner = build("model", "torch", hidden=4, C=0.3)
    candidates = asked(learner, 3, n=60, n_pool=30)
    exact = utilities(candidates, "retrain")
    ahead = utilities(candidates, "lookahead")
    assert np.corrcoef(ahead.ravel(), exact.ravel())[0, 1] > 0.9
    restored = learner.restore(candidates.labelled, 3, candidates.model.checkpoint())
    np.testing.assert_array_equal(restored.log_proba(candidates.X), candidates.log_P)


def test_a_hidden_layer_has_the_derivatives_of_its_logits(torch):
    fit = asked(build("model", "torch", hidden=4), 3).model
    rng, X, h = np.random.default_rng(1), np.random.default_rng(2).normal(size=(6, 3)), 1e-5
    v, G = rng.normal(size=fit.theta.shape), rng.normal(size=(6, 3))
    G -= G.mean(axis=1, keepdims=True)
    there, back = (replace(fit, theta=fit.theta + s * h * v).log_proba(X) for s in (1, -1))
    slope = (there - back) / (2 * h)
    pushed = fit.pushforward(X, v)
    pushed = pushed - (np.exp(fit.log_proba(X)) * pushed).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(pushed, slope, atol=1e-7)
    np.testing.assert_allclose((fit.pullback(X, G) * v).sum(), (G * fit.pushforward(X, v)).sum())


def test_a_head_refuses_sparse_features(torch):
    from scipy.sparse import csr_array

    X, y = blobs(np.random.default_rng(0), 20, 3, 2)
    with pytest.raises(BadInput, match=r"no sparse features.*model=softmax"):
        build("model", "torch").fit(Labelled(csr_array(X), y), 2)

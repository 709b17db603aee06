"""A class that nobody has labelled yet: fits, utilities, runs and files get by, and say so."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

import goralx
from goralx import BadInput, Labelled
from goralx.contracts import Candidates, Query, Reference
from goralx.discovery import registry
from tests.problems import blobs, build, experiment, instance
from tests.program import SHORT, call, launch
from tests.reference import GOALS, Problem

SETTINGS = {"two of three": (3, (0, 2)), "one of three": (3, (1,)), "one of two": (2, (1,)),
            "two of five": (5, (1, 3))}  # fmt: skip


def world(K, seen, n=12, d=3, seed=0):
    """Labelled samples of some classes only, and a pool."""
    X, y = blobs(np.random.default_rng(seed), 300, d, K)
    known = np.flatnonzero(np.isin(y, seen))[:n]
    rest = np.setdiff1d(np.arange(300), known)
    return Labelled(X[known], y[known]), X[rest][:20], y[rest][:20]


# --- fits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["softmax", "sklearn"])
@pytest.mark.parametrize("K, seen", SETTINGS.values(), ids=SETTINGS)
def test_the_optimum_is_that_of_all_coordinates_penalised(name, K, seen):
    known, *_ = world(K, seen)
    model = build("model", name, C=0.7)
    fit = model.fit(known, K)
    problem = Problem.mean(known.X, known.y, K, 1.0 / (0.7 * len(known)), True)
    optimum = problem.minimise()
    optimum -= optimum.mean(axis=0)
    np.testing.assert_allclose(fit.theta, optimum, atol=1e-6 * np.abs(optimum).max())
    again = model.restore(known, K, fit.checkpoint())
    np.testing.assert_array_equal(again.log_proba(known.X), fit.log_proba(known.X))
    assert fit.held and again.held


def test_scikit_learns_of_sparse_features_too():
    known, pool, _ = world(3, (0, 2))
    thin = Labelled(sparse.csr_array(known.X), known.y)
    dense, rare = (build("model", "sklearn").fit(samples, 3) for samples in (known, thin))
    np.testing.assert_allclose(rare.log_proba(pool), dense.log_proba(pool), atol=1e-6)


@pytest.mark.parametrize("name", ["softmax", "sklearn"])
def test_once_every_class_has_a_label_the_fit_is_as_it_always_was(name):
    known, pool, y = world(3, (0, 2))
    model, more = build("model", name), Labelled(pool[y == 1][:1], np.array([1]))
    begun = model.fit(known, 3)
    after, anew = model.fit(known.and_(more), 3, begun), model.fit(known.and_(more), 3)
    assert not after.held and not after.objective.penalize_intercept
    np.testing.assert_allclose(after.theta, anew.theta, atol=1e-6)


ESTIMATORS = ["ensemble.RandomForestClassifier", "naive_bayes.GaussianNB",
              "ensemble.GradientBoostingClassifier",
              "discriminant_analysis.LinearDiscriminantAnalysis"]  # fmt: skip


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_of_one_class_any_classifier_has_but_one_answer(estimator):
    known, pool, _ = world(3, (1,))
    model = build("model", "sklearn", estimator=f"sklearn.{estimator}")
    P = np.exp(model.fit(known, 3).log_proba(pool))
    np.testing.assert_allclose(P, [[1e-6, 1 - 2e-6, 1e-6]] * 20, atol=1e-8)
    both, _, _ = world(3, (0, 2))
    P = np.exp(model.fit(both, 3).log_proba(pool))
    assert P[:, 1].max() < 1e-5 and np.isfinite(P).all()


# --- what a label would bring -------------------------------------------------------------------


@pytest.mark.parametrize("regime", ["fixed_C", "fixed_lambda"])
@pytest.mark.parametrize("d", [3, 30])
@pytest.mark.parametrize("K, seen", SETTINGS.values(), ids=SETTINGS)
def test_retraining_is_the_next_fit_also_where_it_brings_the_last_class(K, seen, d, regime):
    known, pool, _ = world(K, seen, d=d)
    model = build("model", "softmax", regime=regime)
    fit = model.fit(known, K)
    learner = Candidates(Reference(fit, pool), np.arange(4), known, 0.0, 0, model)
    reference = Reference(fit, pool)
    U = (
        build("utility", "retrain", screen=None)
        .utilities(learner, build("goal", "ent"), reference, regime=regime)
        .U
    )
    ent = GOALS["ent"]

    def tau(fitted):
        return ent(fitted.theta, pool, None)

    for i in range(4):
        for k in range(K):
            more = known.and_(Labelled(pool[[i]], np.array([k])))
            l2 = fit.l2 if regime == "fixed_lambda" else 1.0 / len(more)
            whole = len(set(more.y.tolist())) == K
            slow = Problem.mean(more.X, more.y, K, l2, not whole).minimise()
            expected = ent(slow, pool, None) - tau(fit)
            assert U[i, k] == pytest.approx(expected, rel=1e-4, abs=1e-5), (i, k)


def numbers(kind):
    return [name for name in registry().names(kind) if not name.startswith("skactiveml_")]


@pytest.mark.parametrize("K, seen", SETTINGS.values(), ids=SETTINGS)
def test_every_goal_operator_and_estimator_gives_numbers(K, seen):
    known, pool, y = world(K, seen)
    given = {"classes": list(range(K)), "X_dev": pool, "y_dev": y}
    asked = [("goal", g, {"goal": g}) for g in numbers("goal") if g != "accuracy"]
    asked += [("operator", o, {"operator": o}) for o in numbers("operator") if o != "oracle"]
    for u in numbers("utility"):
        part = {"screen": None} if u in ("retrain", "lookahead", "implicit") else {}
        estimator = build("utility", u, **part)
        asked += [("utility", u, {"utility": estimator, "operator": o}) for o in ("min", "max")]
    for kind, name, how in asked:
        u = goralx.utilities(known.X, known.y, pool, **given, **how)
        assert np.isfinite(u).all(), (kind, name)


@pytest.mark.parametrize("K, seen", SETTINGS.values(), ids=SETTINGS)
def test_every_strategy_and_batch_rule_chooses(K, seen):
    known, pool, _ = world(K, seen)
    learner = build("model", "softmax")
    fit = learner.fit(known, K)
    candidates = Candidates(Reference(fit, pool), np.arange(20), known, 0.0, 0, learner)
    for name in numbers("strategy"):
        strategy = build("strategy", name)
        if not strategy.uses_goal and not strategy.needs_ground_truth:
            rows = strategy.select(Query(candidates, 4, np.random.default_rng(0))).rows
            assert len(np.unique(rows)) == 4, name
    for name in numbers("batch"):
        rows = goralx.query(known.X, known.y, pool, batch=name, batch_size=4, classes=range(K))
        assert len(np.unique(rows)) == 4, name


# --- runs ---------------------------------------------------------------------------------------


def lopsided(K=3, seen=(0,)):
    """An instance whose init has some classes only."""
    data = instance(n_classes=K, pool=60, dev=None)
    rows = np.concatenate([data.init, data.pool])
    init = rows[np.isin(data.y[rows], seen)][:6]
    return replace(data, init=init, pool=np.setdiff1d(rows, init))


@pytest.mark.parametrize("strategy", ["goral", "random"])
def test_a_run_counts_the_classes_it_has_seen_and_only_where_one_was_missing(strategy):
    data = lopsided()
    rounds = list(experiment(data, strategy=strategy, n_queries=20, batch_size=4).rounds())
    seen = [r.metrics["n_classes_seen"] for r in rounds]
    queried = np.concatenate([r.queried for r in rounds])
    for r, n in zip(rounds, seen):
        rows = np.concatenate([data.init, queried[: r.n_labelled - 6]])
        assert n == len(np.unique(data.y[rows]))
    assert seen[0] == 1 and seen[-1] == 3
    whole = next(experiment(instance(dev=None), strategy=strategy, n_queries=20).rounds())
    assert "n_classes_seen" not in whole.metrics


def test_it_goes_on_from_every_checkpoint_bit_for_bit():
    data = lopsided()
    options = {"n_queries": 20, "batch_size": 4}
    whole = list(experiment(data, **options).rounds())
    for at in range(len(whole) - 1):
        rest = list(experiment(data, **options).rounds(whole[at].checkpoint))
        for a, b in zip(whole[at + 1 :], rest, strict=True):
            np.testing.assert_array_equal(a.queried, b.queried)
            np.testing.assert_array_equal(a.theta, b.theta)


BEGUN = ("initial=one_class", "initial.label=setosa", "strategy=random", "figures=false")


def test_what_is_found_is_told_as_it_comes_and_recorded(tmp_path):
    words = (*SHORT[:3], "batch_size=5", *BEGUN, "hydra.run.dir=run")
    done = launch(tmp_path, *words)
    assert done.status == 0, done.err
    assert "class 'virginica' has its first label: sample " in done.err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    with open(tmp_path / "run" / "queries.csv", newline="") as file:
        asked = [row["label"] for row in csv.DictReader(file)]
    first = {name: 6 + asked.index(name) + 1 for name in ("versicolor", "virginica")}
    assert summary["discovered"] == first
    assert "classes found  " in done.out and f"virginica at {first['virginica']} labels" in done.out
    with open(tmp_path / "run" / "rounds.csv", newline="") as file:
        seen = [float(row["n_classes_seen"]) for row in csv.DictReader(file)]
    assert seen[0] == 1.0 and seen[-1] == 3.0 and seen == sorted(seen)
    verified = launch(tmp_path, "verify", "run")  # in a process of its own
    assert verified.status == 0, verified.out


def test_a_run_with_all_classes_says_nothing_of_it(tmp_path, capsys):
    done = call(capsys, *SHORT, "figures=false", f"hydra.run.dir={tmp_path / 'run'}")
    assert "classes found" not in done.out and "first label" not in done.err
    assert "discovered" not in json.loads((tmp_path / "run" / "summary.json").read_text())
    assert "n_classes_seen" not in (tmp_path / "run" / "rounds.csv").read_text()


# --- files and arrays ---------------------------------------------------------------------------


def test_classes_may_be_named_that_are_in_none_of_the_labels():
    X, y = blobs(np.random.default_rng(0), 60, 2, 2)
    names = np.array(["b", "a"])[y]
    drawn = goralx.make_instance(
        "named", X, names, rng=np.random.default_rng(0), classes=["c", "b", "a", "NA"]
    )
    assert drawn.classes == ("c", "b", "a", "NA") and set(drawn.y) == {1, 2}
    np.testing.assert_array_equal(np.array(drawn.classes)[drawn.y], names)
    assert sorted(drawn.y[drawn.init]) == [1, 1, 2, 2]
    plain = goralx.make_instance("plain", X, names, rng=np.random.default_rng(0))
    more = goralx.make_instance(
        "more", X, names, rng=np.random.default_rng(0), classes=["a", "b", "c"]
    )
    for part in ("init", "pool", "test"):
        np.testing.assert_array_equal(getattr(plain, part), getattr(more, part))


@pytest.mark.parametrize(
    "classes, says",
    [
        ("a,c", "labels that dataset.classes does not name: b (first in row 1); the classes are a"),
        ("a", "dataset.classes=a; name at least two, each of them once"),
        ("a,b,a", "dataset.classes=a,b,a; name at least two, each of them once"),
    ],
)
def test_a_label_outside_the_classes_is_refused_in_a_line(tmp_path, capsys, classes, says):
    rows = [f"{i % 7},{i % 3},{'ab'[i % 2]}" for i in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["u,v,label", *rows]))
    done = call(capsys, *SHORT[1:], "dataset=csv", f"dataset.path={tmp_path / 't.csv'}",
                f"dataset.classes={classes}")  # fmt: skip
    assert done.status == 2 and len(done.errors) == 1 and says in done.err


def test_a_file_with_a_class_that_nobody_has_runs(tmp_path, capsys):
    rows = [f"{i % 7},{i % 3},{'ab'[i % 2]}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["u,v,label", *rows]))
    for classes in ("a,b,c", "[a,b,c]"):
        folder = tmp_path / f"run{len(classes)}"
        done = call(capsys, *SHORT[1:], "dataset=csv", f"dataset.path={tmp_path / 't.csv'}",
                    f"dataset.classes={classes}", f"hydra.run.dir={folder}", "figures=false",
                    )  # fmt: skip
        assert done.status == 0, done.err
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["discovered"] == {"c": None} and "never: c" in done.out


def test_the_library_takes_labels_of_one_class_and_refuses_those_of_none():
    known, pool, _ = world(3, (1,))
    rows = goralx.query(known.X, known.y, pool, classes=[0, 1, 2], batch_size=3)
    assert len(set(rows.tolist())) == 3
    with pytest.raises(BadInput, match=r"y_labelled has labels that classes has not: \[1\]"):
        goralx.query(known.X, known.y, pool, classes=[0, 2])

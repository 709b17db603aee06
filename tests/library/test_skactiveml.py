"""GORAL as a strategy of scikit-activeml: what `goralx.query` chooses, by their conventions."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier

import goralx
from goralx import BadInput, Incompatible
from goralx.scoring import VacuousUtility
from tests.problems import blobs, build

skactiveml = pytest.importorskip("skactiveml")

from skactiveml.base import SingleAnnotatorPoolQueryStrategy  # noqa: E402
from skactiveml.classifier import SklearnClassifier  # noqa: E402
from skactiveml.pool import SubSamplingWrapper  # noqa: E402

from goralx.skactiveml import GoralQuery  # noqa: E402


def world(seed=0, n=60, K=3, known=12):
    """X, y with labels missing, and which are known."""
    rng = np.random.default_rng(seed)
    X, y = blobs(rng, n, 4, K)
    labelled = np.zeros(n, bool)
    labelled[rng.permutation(n)[:known]] = True
    labelled[[int(np.flatnonzero(y == k)[0]) for k in range(K)]] = True
    return X, np.where(labelled, y, np.nan), labelled


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"goal": "fir", "operator": "average"},
        {"utility": "retrain", "C": 0.1},
        {"batch": "sequential", "operator": "laplace"},
        {"goal": "aopt", "penalize_intercept": True},
        {"goal": goralx.build("goal", "ent"), "batch": goralx.build("batch", "sequential")},
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", range(3))
def test_it_chooses_what_the_library_chooses(options, seed):
    X, y, known = world(seed)
    indices, utilities = GoralQuery(**options, random_state=seed).query(
        X, y, batch_size=4, return_utilities=True
    )
    unlabelled = np.flatnonzero(~known)
    labels = y[known].astype(int)
    chosen = goralx.query(X[known], labels, X[~known], batch_size=4, **options)
    assert indices.tolist() == unlabelled[chosen].tolist()
    assert utilities.shape == (4, 60)
    assert np.isnan(utilities[:, known]).all()
    plain = {k: v for k, v in options.items() if k != "batch"}
    expected = goralx.utilities(X[known], labels, X[~known], **plain)
    for i in range(4):
        left = ~np.isin(unlabelled, indices[:i])
        np.testing.assert_allclose(utilities[i, unlabelled[left]], expected[left], rtol=1e-7)
        assert np.isnan(utilities[i, indices[:i]]).all()


def test_a_dev_goal_and_progress_are_passed_on():
    X, y, known = world()
    dev = {"X_dev": X[:20], "y_dev": (X[:20].sum(axis=1) > 0).astype(int)}
    options = {"goal": "dev", "operator": "annealed"}
    for progress in (0.0, 1.0):
        found = GoralQuery(**options).query(X, y, **dev, progress=progress, batch_size=5)
        expected = goralx.query(
            X[known], y[known], X[~known], **options, **dev, progress=progress, batch_size=5
        )
        assert found.tolist() == np.flatnonzero(~known)[expected].tolist()
    with pytest.raises(Incompatible, match="dev"):
        GoralQuery(**options).query(X, y)


def test_candidates_by_index_are_judged_by_the_whole_pool():
    X, y, known = world()
    whole = GoralQuery().query(X, y, return_utilities=True)[1][0]
    some = np.random.default_rng(0).permutation(np.flatnonzero(~known))[:15]
    indices, utilities = GoralQuery().query(
        X, y, candidates=some, batch_size=3, return_utilities=True
    )
    assert utilities.shape == (3, 60)
    np.testing.assert_allclose(utilities[0, some], whole[some], rtol=1e-9)
    assert np.isnan(np.delete(utilities[0], some)).all()
    assert indices.tolist() == some[np.argsort(-whole[some])[:3]].tolist()


def test_candidates_may_be_labelled_or_samples_of_their_own():
    X, y, known = world()
    relabelled = np.flatnonzero(known)[:3]
    index = GoralQuery().query(X, y, candidates=relabelled)
    assert index[0] in relabelled
    others = np.random.default_rng(1).normal(size=(7, 4))
    indices, utilities = GoralQuery().query(
        X, y, candidates=others, batch_size=2, return_utilities=True
    )
    assert utilities.shape == (2, 7)
    pool = np.concatenate([X[~known], others])
    expected = goralx.utilities(X[known], y[known], pool)[-7:]
    np.testing.assert_allclose(utilities[0], expected, rtol=1e-9)
    assert indices.tolist() == np.argsort(-expected)[:2].tolist()


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csr_matrix, sparse.csc_matrix])
def test_sparse_features_choose_as_dense_ones_do(kind):
    X, y, known = world(n=40)
    thin, forest = kind(X), RandomForestClassifier(5, random_state=0)
    few, others = np.flatnonzero(~known)[:9], np.random.default_rng(1).normal(size=(7, 4))
    ways = ({}, {"candidates": few}, {"candidates": others}, {"clf": forest})
    for way in ways:
        strategy = GoralQuery(utility="retrain" if "clf" in way else "influence")
        dense, rare = (
            strategy.query(Z, y, batch_size=3, return_utilities=True, **way) for Z in (X, thin)
        )
        assert rare[0].tolist() == dense[0].tolist()
        np.testing.assert_allclose(rare[1], dense[1], rtol=1e-6)
    assert rare[0].tolist() != few[:3].tolist()
    with pytest.raises(BadInput, match="candidates are sparse; give them as indices"):
        GoralQuery().query(thin, y, candidates=kind(others))


def test_a_classifier_of_the_user_s_is_fit_again():
    X, y, known = world(n=40)
    forest = RandomForestClassifier(5, random_state=0)
    ours = build(
        "model", "sklearn", estimator="sklearn.ensemble.RandomForestClassifier",
        options={"n_estimators": 5},
    )  # fmt: skip
    expected = goralx.utilities(X[known], y[known], X[~known], utility="retrain", model=ours)
    for clf in (forest, SklearnClassifier(forest, classes=[0, 1, 2])):
        found = GoralQuery(utility="retrain").query(X, y, clf=clf, return_utilities=True)[1][0]
        np.testing.assert_allclose(found[~known], expected, rtol=1e-6)
    assert not hasattr(forest, "classes_"), "the user's own is left unfit"
    with pytest.raises(Incompatible, match=r"derivatives.*utility=retrain"):
        GoralQuery().query(X, y, clf=forest)
    with pytest.raises(BadInput, match="predict_proba"):
        GoralQuery().query(X, y, clf="forest")


def test_classes_that_have_no_label_yet():
    X, y, known = world()
    y[y == 2] = np.nan
    known = ~np.isnan(y)
    found = GoralQuery(classes=[0, 1, 2]).query(X, y, batch_size=3)
    expected = goralx.query(X[known], y[known], X[~known], batch_size=3, classes=[0, 1, 2])
    assert found.tolist() == np.flatnonzero(~known)[expected].tolist()
    forest = RandomForestClassifier(5, random_state=0)
    GoralQuery(classes=[0, 1, 2], utility="retrain").query(X, y, clf=forest)


@pytest.mark.parametrize("missing", [None, "", "nan"])
def test_labels_of_any_kind(missing):
    X, y, known = world()
    names = np.array(["a", "b", "c"], dtype=object)
    labels = np.full(60, missing, dtype=object)
    labels[known] = names[y[known].astype(int)]
    given = labels if missing is None else labels.astype(str)
    found = GoralQuery(missing_label=missing).query(X, given, batch_size=3)
    assert found.tolist() == GoralQuery().query(X, y, batch_size=3).tolist()


def test_it_is_an_estimator_of_theirs():
    strategy = GoralQuery(goal="fir", C=0.5, random_state=3)
    assert isinstance(strategy, SingleAnnotatorPoolQueryStrategy)
    again = clone(strategy)
    assert again is not strategy and again.get_params() == strategy.get_params()
    assert again.set_params(goal="ent").goal == "ent" and strategy.goal == "fir"
    assert set(strategy.get_params()) == {
        "goal", "operator", "utility", "batch", "model", "C", "regime", "penalize_intercept",
        "classes", "missing_label", "random_state",
    }  # fmt: skip
    assert repr(strategy) == "GoralQuery(C=0.5, goal='fir', random_state=3)"


def test_the_same_seed_chooses_the_same_and_another_breaks_ties_otherwise():
    X, y, known = world()
    alike = np.where(known[:, None], X, X[~known][0])
    with pytest.warns(VacuousUtility):
        rows = [GoralQuery(random_state=s).query(alike, y, batch_size=4).tolist() for s in range(6)]
    assert len({tuple(sorted(r)) for r in rows}) > 1
    strategy = GoralQuery(random_state=2)
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - what is to be left alone
    with pytest.warns(VacuousUtility):
        assert strategy.query(alike, y, batch_size=4).tolist() == rows[2]
        assert strategy.query(alike, y, batch_size=4).tolist() == rows[2]
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


@pytest.mark.parametrize(
    "wrong",
    [
        {"X": [[1.0, 2.0]]},
        {"X": "X"},
        {"y": [0.0, 1.0]},
        {"batch_size": 0},
        {"batch_size": 1.5},
        {"candidates": [100]},
        {"candidates": [[1.0, 2.0]]},
        {"return_utilities": "yes"},
        {"progress": 2.0},
        {"y": np.full(60, np.nan)},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(wrong):
    X, y, _ = world()
    with pytest.raises((TypeError, ValueError)):
        GoralQuery().query(**{"X": X, "y": y, **wrong})


@pytest.mark.parametrize("wrong", [{"goal": "enth"}, {"C": -1.0}, {"batch": 3}, {"model": "soft"}])
def test_options_are_looked_at_when_it_is_asked(wrong):
    X, y, _ = world()
    with pytest.raises(goralx.GoralxError):
        GoralQuery(**wrong).query(X, y)


def test_more_than_there_are_are_all():
    X, y, known = world()
    with pytest.warns(UserWarning, match="batch_size=100"):
        indices = GoralQuery().query(X, y, batch_size=100)
    assert sorted(indices.tolist()) == np.flatnonzero(~known).tolist()


def test_their_wrappers_take_it():
    X, y, known = world()
    wrapped = SubSamplingWrapper(GoralQuery(), max_candidates=10, random_state=0)
    indices, utilities = wrapped.query(X, y, batch_size=3, return_utilities=True)
    seen = np.isfinite(utilities[0])
    assert seen.sum() == 10 and seen[indices].all() and not seen[known].any()


def test_without_the_package_a_line_names_the_extra():
    code = (
        "import sys; sys.modules['skactiveml'] = None\n"
        "import goralx\n"
        "try:\n    import goralx.skactiveml\n"
        "except ImportError as error:\n"
        "    assert isinstance(error, goralx.GoralxError)\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "goralx.skactiveml needs scikit-activeml · pip install 'goralx[skactiveml]'"
    )


def test_nothing_of_theirs_is_imported_until_it_is_asked():
    code = "import sys, goralx; goralx.query; sys.exit('skactiveml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

"""Sparse features give what dense ones give, wherever they are taken, and stay sparse."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import sparse

import goralx
from goralx.discovery import registry
from tests.program import SHORT, call


def problem(N=80, d=30, K=3, n=24, seed=0):
    """Bags of words about K topics: labelled features and labels, and a pool."""
    rng = np.random.default_rng(seed)
    y = np.arange(N + n) % K
    X = sparse.random_array((N + n, d), density=0.1, rng=rng, format="lil")
    for i, k in enumerate(y):
        X[i, k * 3 + rng.integers(0, 3)] = 1.0 + rng.random()
    X = sparse.csr_array(X)
    return X[:n], y[:n], X[n:]


def dense(given):
    return given[0].toarray(), given[1], given[2].toarray()


GOALS = [
    name
    for name in registry().names("goal")
    if name not in ("composite", "weighted", "cost", "accuracy")
]


def options(goal, given):
    X, y, _ = given
    if registry().component("goal", goal).cls.reference != "dev":
        return {"goal": goal}
    return {"goal": goal, "X_dev": X[: len(y) // 2], "y_dev": y[: len(y) // 2]}


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("K", [2, 4])
def test_the_utilities_are_those_of_dense_features(goal, K):
    given = problem(K=K)
    flat = dense(given)
    found = goralx.utilities(*given, **options(goal, given))
    expected = goralx.utilities(*flat, **options(goal, flat))
    assert np.allclose(found, expected, rtol=0, atol=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize("utility", registry().names("utility"))
@pytest.mark.parametrize("K", [2, 3])
def test_every_estimator_takes_them(utility, K):
    given = problem(K=K)
    found = goralx.utilities(*given, utility=utility)
    expected = goralx.utilities(*dense(given), utility=utility)
    assert np.nanmax(np.abs(found - expected)) <= 1e-6 * np.nanmax(np.abs(expected))


@pytest.mark.parametrize("operator", registry().names("operator"))
def test_every_operator_takes_them(operator):
    if registry().component("operator", operator).cls.needs_ground_truth:
        return
    given = problem()
    found = goralx.utilities(*given, operator=operator)
    expected = goralx.utilities(*dense(given), operator=operator)
    assert np.allclose(found, expected, rtol=0, atol=max(1e-6 * np.abs(expected).max(), 1e-12))


# scikit-activeml's take no sparse features, and say so (tests/plugins/test_skactiveml_bridge.py);
# a ceiling cannot be asked here (tests/plugins/test_boss.py)
OURS = [
    name
    for name in registry().names("strategy")
    if not name.startswith("skactiveml_")
    and not registry().component("strategy", name).cls.needs_ground_truth
]


@pytest.mark.parametrize("batch", registry().names("batch"))
@pytest.mark.parametrize("strategy", OURS)
def test_every_strategy_and_batch_rule_chooses_the_same(batch, strategy):
    given = problem()
    chosen = {"batch": batch, "strategy": strategy, "batch_size": 3}
    assert np.array_equal(goralx.query(*given, **chosen), goralx.query(*dense(given), **chosen))


@pytest.mark.parametrize("utility", registry().names("utility"))
@pytest.mark.parametrize("batch", registry().names("batch"))
@pytest.mark.parametrize(("K", "n", "d"), [(2, 60, 10), (2, 12, 30), (5, 14, 60), (5, 60, 15)])
def test_every_batch_rule_takes_every_estimators_scores(batch, utility, K, n, d):
    given = problem(N=9, d=d, K=K, n=n)
    asked = {"batch": batch, "utility": utility, "batch_size": 3, "operator": "laplace"}
    for goal in ("ent", "dev", "aopt"):
        found = goralx.query(*given, **asked, **options(goal, given))
        flat = dense(given)
        assert np.array_equal(found, goralx.query(*flat, **asked, **options(goal, flat)))


def test_explained_alike():
    given = problem()
    one, other = goralx.explain(*given, [3, 5]), goralx.explain(*dense(given), [3, 5])
    assert np.allclose(one.contributions, other.contributions, atol=1e-7 * np.abs(other.U).max())


def test_memory_goes_with_the_non_zeros():
    N, d = 4_000, 50_000
    rng = np.random.default_rng(0)
    X = sparse.random_array((N, d), density=2e-4, rng=rng, format="csr")
    y = np.arange(40) % 2
    tracemalloc.start()
    goralx.query(X[:40], y, X[40:], batch_size=5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < N * d * 8 / 10


def test_a_matrix_of_objects_or_of_complex_numbers_is_refused_in_words():
    X, y, pool = problem()
    with pytest.raises(goralx.BadInput, match="sparse features must be numbers"):
        goralx.query(X.astype(complex), y, pool)


def test_whole_runs_from_files_are_those_of_dense_ones(tmp_path, monkeypatch, capsys):
    from sklearn.datasets import dump_svmlight_file

    monkeypatch.chdir(tmp_path)
    X, _, pool = problem(n=60)
    whole, labels = sparse.vstack([X, pool], format="csr"), np.arange(140) % 3
    dump_svmlight_file(whole, labels, "words.svm")
    sparse.save_npz("words.npz", whole)
    np.save("labels.npy", labels)
    np.savez("dense.npz", X=whole.toarray(), y=labels)
    sources = {
        "svm": ["dataset=svmlight", "dataset.path=words.svm"],
        "npz": ["dataset=npz", "dataset.path=words.npz", "dataset.labels=labels.npy"],
        "dense": ["dataset=npz", "dataset.path=dense.npz"],
    }
    queried = {}
    for name, words in sources.items():
        short = [word for word in SHORT if not word.startswith("dataset")]
        done = call(
            capsys, *words, "dataset.standardize=false", *short, "precision=double",
            f"hydra.run.dir={name}",
        )  # fmt: skip
        assert done.status == 0, done.err
        lines = (tmp_path / name / "queries.csv").read_text().splitlines()
        queried[name] = [line.rpartition(",")[0] for line in lines]
    assert queried["svm"] == queried["npz"] == queried["dense"]

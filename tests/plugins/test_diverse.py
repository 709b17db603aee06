"""Strategies that spread their batch, against loops over their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

import goralx
from goralx import BadInput, Candidates, Labelled, Query, Reference
from goralx.data import as_features
from tests.problems import blobs, build


def asked(b=4, *, K=3, N=14, seed=0, rng_seed=0, sparse=False, dtype=np.float64, X_pool=None):
    """A query about every other sample of a pool, with its learner."""
    rng = np.random.default_rng(seed)
    X, y = blobs(rng, 4 * K, 3, K)
    X_pool = 2 * rng.normal(size=(2 * N, 3)) if X_pool is None else X_pool
    X, X_pool = X.astype(dtype), X_pool.astype(dtype)
    if sparse:
        X, X_pool = (as_features(csr_array(each), "test") for each in (X, X_pool))
    learner = build("model", "softmax")
    known = Labelled(X[:] if sparse else X, y)
    pool = Reference(learner.fit(known, K), X_pool)
    rows = np.arange(1, X_pool.shape[0], 2)
    generator = np.random.default_rng(rng_seed)
    return Query(Candidates(pool, rows, known, 0.0, learner=learner), b, generator)


def dense(X):
    X = X[:]
    return X.toarray() if hasattr(X, "toarray") else X


@pytest.mark.parametrize("seed", range(3))
def test_kcenter_is_the_farthest_again_and_again(seed):
    query = asked(5, seed=seed)
    chosen = []
    X, centres = query.X, list(query.candidates.labelled.X)
    for _ in range(5):
        far = [min(np.linalg.norm(x - c) for c in centres) for x in X]
        far = [-1.0 if i in chosen else d for i, d in enumerate(far)]
        chosen.append(int(np.argmax(far)))
        centres.append(X[chosen[-1]])
        if len(chosen) == 1:
            first = far
    selection = build("strategy", "kcenter").select(query)
    assert selection.rows.tolist() == chosen
    np.testing.assert_allclose(selection.utility, first, rtol=1e-9)


def gradients(query):
    """g of every candidate, by the model's pullback of one at a time."""
    found = []
    for x, log_p in zip(query.X, query.log_P):
        residual = np.exp(log_p) - np.eye(len(log_p))[log_p.argmax()]
        found.append(query.candidates.model.pullback(x[None], residual[None]).ravel())
    return np.stack(found)


def test_badge_begins_with_the_longest_gradient_and_its_utility_is_the_length():
    query = asked(3)
    selection = build("strategy", "badge").select(query)
    lengths = np.linalg.norm(gradients(query), axis=1)
    np.testing.assert_allclose(selection.utility, lengths, rtol=1e-9)
    assert selection.rows[0] == lengths.argmax()


def test_badge_draws_the_others_by_squared_distance():
    g = gradients(asked())
    first = int(np.linalg.norm(g, axis=1).argmax())
    odds = ((g - g[first]) ** 2).sum(axis=1)
    odds /= odds.sum()
    strategy, draws = build("strategy", "badge"), 500
    candidates = asked().candidates
    second = np.zeros(len(g))
    for seed in range(draws):
        rows = strategy.select(Query(candidates, 2, np.random.default_rng(seed))).rows
        assert rows[0] == first
        second[rows[1]] += 1
    off = np.abs(second - draws * odds)
    assert (off <= 5 * np.sqrt(draws * odds * (1 - odds)) + 1e-9).all()


def test_badge_leaves_copies_of_what_is_chosen_to_the_end():
    rng = np.random.default_rng(3)
    five = np.repeat(2 * rng.normal(size=(5, 3)), 6, axis=0)  # three copies of each are candidates
    for seed in range(10):
        query = asked(5, X_pool=five, rng_seed=seed)
        rows = build("strategy", "badge").select(query).rows
        assert len(np.unique(query.X[rows], axis=0)) == 5


def follow(query, cluster, neighbours, min_size, rows):
    """Go through the authors' loop, in full distances, and see that each row is what it takes."""
    n, rows = len(query.candidates.labelled), list(rows)
    left = cluster[n:].copy()
    sizes, covered = np.bincount(cluster), np.bincount(cluster[:n], minlength=cluster.max() + 1)
    order = sorted(range(len(sizes)), key=lambda c: (covered[c], -sizes[c]))
    for tier in ([c for c in order if sizes[c] >= min_size], order):
        while rows and any((left == c).any() for c in tier):
            for c in tier:
                members = np.flatnonzero(left == c)
                if not len(members) or not rows:
                    continue
                count = min(neighbours, max(1, len(members) // 2))
                mean = {}
                for i in members:
                    far = sorted(np.linalg.norm(query.X[i] - query.X[j]) for j in members if j != i)
                    mean[i] = np.mean(far[:count]) if far else 0.0
                chosen = rows.pop(0)
                assert chosen in mean, "of another cluster"
                assert mean[chosen] == pytest.approx(min(mean.values())), "there are more typical"
                left[chosen] = -1
    assert not rows


@pytest.mark.parametrize("min_size", [1, 10, 100])
def test_typiclust_is_the_authors_loop(min_size):
    strategy = build("strategy", "typiclust", neighbours=3, min_size=min_size, max_clusters=4)
    followed = 0
    for seed in range(8):
        cluster = strategy._clusters(asked(9, N=40, seed=seed))
        places = np.bincount(cluster[:12], minlength=4), np.bincount(cluster)
        if len(set(zip(*places))) == 4:  # the order of equals is left to chance
            followed += 1
            rows = strategy.select(asked(9, N=40, seed=seed)).rows
            follow(asked(9, N=40, seed=seed), cluster, 3, min_size, rows)
    assert followed > 2


def test_typiclust_prefers_a_cluster_without_a_label():
    rng = np.random.default_rng(0)
    X, _ = blobs(rng, 12, 3, 3)
    near, away = X[rng.integers(12, size=40)], 50.0 + rng.normal(size=(40, 3))
    pool = np.concatenate([near, away]) + 0.01 * rng.normal(size=(80, 3))
    query = asked(1, X_pool=pool)
    strategy = build("strategy", "typiclust", max_clusters=2)
    row = strategy.select(query).rows[0]
    assert query.X[row].min() > 25.0


@pytest.mark.parametrize("name", ["kcenter", "badge", "typiclust"])
def test_sparse_and_single_precision_features_choose_the_same(name):
    strategy = build("strategy", name)
    plain = strategy.select(asked(5))
    for options in ({"sparse": True}, {"dtype": np.float32}):
        found = strategy.select(asked(5, **options))
        assert found.rows.tolist() == plain.rows.tolist()
        if plain.utility is not None:
            np.testing.assert_allclose(found.utility, plain.utility, rtol=1e-4)


@pytest.mark.parametrize("option", ["neighbours", "min_size", "max_clusters"])
def test_typiclust_refuses_what_is_no_number_of_anything(option):
    with pytest.raises(BadInput, match=f"strategy.{option}=0; allowed: at least 1"):
        build("strategy", "typiclust", **{option: 0})


@pytest.mark.parametrize(
    "name",
    ["kcenter", "badge", "typiclust", "maxherding", "density", "qbc", "bald", "epig"],
)
def test_they_serve_the_library(name):
    rng = np.random.default_rng(0)
    X, y = blobs(rng, 40, 3, 3)
    rows = goralx.query(X[:12], y[:12], X[12:], batch_size=3, strategy=name, random_state=1)
    assert len(set(rows.tolist())) == 3

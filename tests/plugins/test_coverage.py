"""MaxHerding, against all pairs held at once and no gain that is not worked out anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goralx import BadInput, Query
from tests.plugins.test_diverse import asked, dense
from tests.problems import build


def gains_of(query, scale, chosen):
    """What each candidate adds to what is labelled and chosen, by full kernels."""
    X, L = dense(query.X), dense(query.candidates.labelled.X)

    def k(A, B):
        return np.exp(-((A[:, None] - B[None]) ** 2).sum(axis=2) / scale**2)

    cover = k(X, np.concatenate([L, X[chosen]])).max(axis=1)
    gains = np.maximum(k(X, X) - cover[:, None], 0.0).mean(axis=0)
    gains[chosen] = -1.0
    return gains


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.3, 1.0, 4.0]), st.integers(1, 60))
def test_it_is_greedy_coverage(seed, scale, b):
    query = asked(b, N=60, seed=seed)
    selection = build("strategy", "maxherding", scale=scale).select(query)
    rows = selection.rows.tolist()
    np.testing.assert_allclose(selection.utility, gains_of(query, scale, []), rtol=1e-7, atol=1e-12)
    assert len(set(rows)) == b
    for i, row in enumerate(rows):
        gains = gains_of(query, scale, rows[:i])
        assert gains[row] >= gains.max() * (1 - 1e-7) - 1e-12


def test_old_gains_spare_most_of_the_new(monkeypatch):
    strategy = build("strategy", "maxherding")
    kernel = vars(__import__("sys").modules[type(strategy).__module__])["Kernel"]
    asked_for, gains = [], kernel.gains
    monkeypatch.setattr(
        kernel, "gains", lambda self, rows, c: asked_for.append(len(rows)) or gains(self, rows, c)
    )
    strategy.select(asked(10, N=2000))
    assert asked_for[0] == 2000 and sum(asked_for[1:]) < 9 * 2000 / 2


def test_the_scale_is_the_root_of_the_total_variance():
    query = asked(3, N=30)
    scale = float(np.sqrt(query.X.var(axis=0).sum()))
    by_default, said = (
        build("strategy", "maxherding", **options).select(query)
        for options in ({}, {"scale": scale})
    )
    np.testing.assert_allclose(by_default.utility, said.utility, rtol=1e-12)
    assert by_default.rows.tolist() == said.rows.tolist()
    rng = np.random.default_rng(0)
    far = rng.normal(size=(4000, 3))
    far /= np.linalg.norm(far, axis=1, keepdims=True)
    unit = asked(1, X_pool=far)
    default, one = (build("strategy", "maxherding", **o).select(unit) for o in ({}, {"scale": 1.0}))
    np.testing.assert_allclose(default.utility, one.utility, rtol=0.05)


def test_a_part_stands_for_all_that_are_to_be_covered():
    query = asked(4, N=400)
    whole = build("strategy", "maxherding").select(query).utility
    strategy = build("strategy", "maxherding", covered=200)
    parts = [
        strategy.select(Query(query.candidates, 4, np.random.default_rng(seed))).utility
        for seed in range(40)
    ]
    np.testing.assert_allclose(np.mean(parts, axis=0), whole, atol=0.1 * whole.max())
    assert np.std(parts, axis=0).max() > 0


def test_copies_of_what_is_chosen_cover_nothing_more():
    five = np.repeat(2 * np.random.default_rng(3).normal(size=(5, 3)), 6, axis=0)
    for seed in range(10):
        query = asked(5, X_pool=five, rng_seed=seed)
        rows = build("strategy", "maxherding").select(query).rows
        assert len(np.unique(query.X[rows], axis=0)) == 5


@pytest.mark.parametrize("options", [{"sparse": True}, {"dtype": np.float32}])
def test_sparse_and_single_precision_features_choose_the_same(options):
    strategy = build("strategy", "maxherding")
    plain, found = strategy.select(asked(5)), strategy.select(asked(5, **options))
    assert found.rows.tolist() == plain.rows.tolist()
    np.testing.assert_allclose(found.utility, plain.utility, rtol=1e-4)


@pytest.mark.parametrize("name", ["maxherding", "kcenter"])
def test_the_order_of_the_pool_does_not_matter(name):
    query = asked(6, N=40)
    order = np.random.default_rng(1).permutation(40)
    turned = replace(query, candidates=query.candidates.subset(order))
    rows = build("strategy", name).select(turned).rows
    assert order[rows].tolist() == build("strategy", name).select(query).rows.tolist()


def test_everybody_left_can_be_asked_and_no_more():
    query = asked(20, N=14)
    for b in (14, 20):
        question = Query(query.candidates, b, np.random.default_rng(0))
        rows = build("strategy", "maxherding").select(question).rows
        assert sorted(rows.tolist()) == list(range(14))


@pytest.mark.parametrize(
    "options, said",
    [
        ({"scale": 0.0}, "strategy.scale=0.0; allowed: null, or a finite number > 0"),
        ({"scale": float("inf")}, "strategy.scale=inf"),
        ({"covered": 0}, "strategy.covered=0; allowed: at least 1"),
    ],
)
def test_options_out_of_range_are_refused(options, said):
    with pytest.raises(BadInput, match=said):
        build("strategy", "maxherding", **options)

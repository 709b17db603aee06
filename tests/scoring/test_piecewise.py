"""More candidates and labels than are to be held: resolved a piece of the pool at a time."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import goralx
from goralx.contracts import samples
from goralx.data import matrix
from tests.problems import blobs


def problem(N=900, K=7, d=5, seed=0):
    X, y = blobs(np.random.default_rng(seed), N + 4 * K, d, K)
    first = np.concatenate([np.flatnonzero(y == k)[:2] for k in range(K)])
    return X[first], y[first], np.delete(X, first, axis=0)


@pytest.fixture
def little_is_held(monkeypatch):
    monkeypatch.setattr(samples, "HELD", 1 << 10)
    monkeypatch.setattr(matrix, "BLOCK", 128)


@pytest.mark.parametrize("goal", ["ent", "fir"])
@pytest.mark.parametrize("operator", ["max", "min", "average", "expected"])
def test_the_same_utilities_bit_for_bit(goal, operator, monkeypatch):
    monkeypatch.setattr(matrix, "BLOCK", 128)
    given = problem()
    held = goralx.utilities(*given, goal=goal, operator=operator)
    whole = goralx.utilities(*given, goal=goal, operator=operator, per_label=True)
    monkeypatch.setattr(samples, "HELD", 1 << 10)
    assert np.array_equal(goralx.utilities(*given, goal=goal, operator=operator), held)
    assert np.array_equal(
        goralx.utilities(*given, goal=goal, operator=operator, per_label=True), whole
    )


def test_rules_that_look_under_every_label_still_can(little_is_held):
    rows = goralx.query(*problem(), batch="kmeanspp", batch_size=4)
    assert len(set(rows.tolist())) == 4
    found = goralx.explain(*problem(), rows)
    assert found.U.shape == (4, 7)


def test_neither_log_P_nor_U_is_held(monkeypatch):
    given = problem(N=60_000, K=40, d=3)
    size = 60_000 * 40 * 8

    def peak():
        tracemalloc.start()
        goralx.query(*given, batch_size=3)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak() > 2 * size
    monkeypatch.setattr(samples, "HELD", size // 2)
    assert peak() < 1.2 * size


@pytest.mark.parametrize("goal", ["ent", "fir"])
def test_curvature_of_a_part_is_that_part_of_the_whole(goal):
    """Of a goal that is a mean, too, where the part knows not of how many it is the mean."""
    X, y, pool = problem(N=300)
    model = goralx.build("model", "softmax").fit(goralx.Labelled(X, y), 7)
    reference, goal = goralx.Reference(model, pool), goralx.build("goal", goal)
    whole = goal.logit_hessian(model.log_proba(pool), pool, None)
    for part in (slice(0, 300), slice(10, 17), slice(250, 300)):
        np.testing.assert_allclose(reference.curvature(goal)(part), whole[part], rtol=1e-12)


def test_an_explanation_does_not_hold_the_curvature_of_the_goal():
    """Of every pool sample (M, K, K) it is larger than all else by far."""
    M, K = 20_000, 20
    X, y, pool = problem(N=M, K=K, d=3)
    tracemalloc.start()
    found = goralx.explain(X, y, pool, np.array([3, 5]), utility="implicit")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(found.contributions.sum(axis=2), found.U, rtol=1e-6, atol=1e-9)
    assert most < M * K * K * 8

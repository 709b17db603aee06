"""Twins are found by what rows hold, whatever they are kept as."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_array

from goralx.data import Instance, count_twins, duplicates
from goralx.data.duplicates import row_hashes
from goralx.data.sparse import Sparse

FEW = st.sampled_from([0.0, -0.0, 1.0, 2.0, -1.0, 0.5, 1e-300, 1e300, 3.0])


def instance(X, init, pool, test, dev=()):
    rows = [np.asarray(part, dtype=np.int64) for part in (init, pool, test, dev)]
    return Instance("made", X, np.arange(len(X)) % 2, ("a", "b"), *rows)


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(float, st.tuples(st.integers(1, 30), st.integers(1, 5)), elements=FEW))
def test_rows_have_the_same_number_where_they_are_the_same_and_nowhere_else(X):
    same = (X[:, None] == X[None]).all(axis=2)
    hashed = row_hashes(X)
    np.testing.assert_array_equal(hashed[:, None] == hashed[None], same)
    np.testing.assert_array_equal(row_hashes(Sparse(csr_array(X))), hashed)


def test_a_million_small_whole_numbers_are_told_apart():
    """Whose bits differ in few places only, all of them high."""
    X = np.stack(np.divmod(np.arange(1_000_000), 1000), axis=1).astype(np.float32)
    assert len(np.unique(row_hashes(X))) == len(X)


def test_twins_are_counted_by_part():
    X = np.random.default_rng(0).normal(size=(12, 3))
    X[10], X[11], X[9] = X[0], X[5], X[5]
    made = instance(X, [0, 1], [2, 3, 4, 5, 6], [7, 8, 9, 10, 11], [5])
    assert count_twins(made) == {"init and test": 1, "pool and test": 2, "dev and test": 2}
    assert count_twins(dataclasses.replace(made, X=Sparse(csr_array(X)))) == count_twins(made)


def test_rows_in_both_are_another_matter():
    X = np.random.default_rng(0).normal(size=(6, 2))
    assert count_twins(instance(X, [0, 1], [2, 3], [4, 5], [4])) == {
        "init and test": 0, "pool and test": 0, "dev and test": 0,
    }  # fmt: skip


@pytest.mark.parametrize("most, found", [(11, None), (12, 0)])
def test_what_is_too_large_is_not_gone_through(most, found, monkeypatch):
    monkeypatch.setattr(duplicates, "MOST", most)
    told = count_twins(instance(np.arange(12.0).reshape(6, 2), [0, 1], [2, 3], [4, 5]))
    assert (told if told is None else told["pool and test"]) == found

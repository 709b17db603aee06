"""Instances: who plays which part, what the features are scaled by, and what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import goralx
from goralx import BadInput
from goralx.data.features import check_finite
from goralx.data.labels import encode_labels
from goralx.data.seeds import streams


@st.composite
def problems(draw):
    """Class sizes, n_init, n_test and a seed for which a split exists."""
    sizes = draw(st.lists(st.integers(12, 40), min_size=2, max_size=5))
    n_init = draw(st.integers(len(sizes), 3 * len(sizes)))
    n_test = draw(st.integers(1, sum(sizes) // 2))
    return sizes, n_init, n_test, draw(st.integers(0, 2**32 - 1)), draw(st.booleans())


def drawn(sizes, n_init, n_test, seed, stratify=True, **options):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    X = rng.normal(3.0, 2.0, size=(len(labels), 3)) * [1.0, 1e4, 1e-14]
    X = np.column_stack([X, np.full(len(X), 0.1)])
    return goralx.make_instance(
        "drawn", X, labels, rng=rng, n_init=n_init, n_test=n_test, stratify=stratify, **options
    )


@settings(max_examples=60, deadline=None)
@given(problems())
def test_the_parts_are_disjoint_complete_balanced_and_in_proportion(problem):
    sizes, n_init, n_test, seed, stratify = problem
    instance = drawn(sizes, n_init, n_test, seed, stratify)
    parts = [*instance.init, *instance.pool, *instance.test]
    assert sorted(parts) == list(range(sum(sizes)))
    assert (len(instance.init), len(instance.test)) == (n_init, n_test)
    init = [int((instance.y[instance.init] == k).sum()) for k in range(len(sizes))]
    assert min(init) >= 1 and max(init) - min(init) <= 1
    if stratify:
        for k, size in enumerate(sizes):
            share = n_test * size / sum(sizes)
            assert abs((instance.y[instance.test] == k).sum() - share) < 1


@settings(max_examples=30, deadline=None)
@given(problems())
def test_features_are_standardised_over_pool_and_init_alone(problem):
    instance = drawn(*problem)
    part = instance.X[np.union1d(instance.pool, instance.init)]
    np.testing.assert_allclose(part.mean(axis=0), 0.0, atol=1e-8)
    np.testing.assert_allclose(part[:, :3].var(axis=0), 1.0, rtol=1e-8)
    np.testing.assert_allclose(instance.X[:, 3], 0.0, atol=1e-12)  # the constant one


@settings(max_examples=20, deadline=None)
@given(problems())
def test_the_same_generator_state_draws_the_same_rows(problem):
    one, other = drawn(*problem), drawn(*problem)
    for part in ("init", "pool", "test", "X", "y"):
        np.testing.assert_array_equal(getattr(one, part), getattr(other, part))


def test_another_seed_draws_other_rows_and_streams_differ_by_name():
    assert set(drawn([40, 40], 4, 20, 0).test) != set(drawn([40, 40], 4, 20, 1).test)
    assert streams(0, "instance").random() != streams(0, "dev").random()
    assert streams(0, "instance").random() == streams(0, "instance").random()


def test_sizes_left_out_are_two_a_class_and_a_quarter():
    instance = drawn([40, 40, 20], None, None, 0)
    assert np.bincount(instance.y[instance.init]).tolist() == [2, 2, 2]
    assert np.bincount(instance.y[instance.test]).tolist() == [10, 10, 5]


@pytest.mark.parametrize("standardize", [True, False])
def test_single_precision_is_kept(standardize):
    X, y = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32), np.arange(40) % 2
    instance = goralx.make_instance(
        "f", X, y, rng=np.random.default_rng(0), standardize=standardize
    )
    assert instance.X.dtype == np.float32


def test_single_precision_is_refused_where_it_would_lose_what_tells_samples_apart():
    rng, y = np.random.default_rng(0), np.arange(40) % 2
    X = rng.normal(size=(40, 3))
    X[:, 1] = 7.0  # constant, and so it stays
    shifted, tiny, huge = X.copy(), X * 1e-30, X.copy()
    shifted[:, 2] = 1.7e9 + 3600.0 * X[:, 2]  # moments of a day, in seconds
    huge[:, 2] *= 1e39
    for fine in (X, tiny):
        instance = drawn_from(fine, y, standardize=False).in_single()
        assert instance.X.dtype == np.float32 and instance.in_single() is instance
    for values, column in ((shifted, "feature 2 by 6"), (huge, "feature 2")):
        with pytest.raises(goralx.BadInput, match=f"{column}.*precision=double"):
            drawn_from(values, y, standardize=False).in_single()
        drawn_from(values, y, standardize=True).in_single()


def drawn_from(X, y, **options):
    return goralx.make_instance("s", X, y, rng=np.random.default_rng(0), **options)


def test_missing_values_are_filled_by_the_mean_of_pool_and_init():
    rng = np.random.default_rng(3)
    X, y = rng.normal(5.0, 3.0, size=(60, 2)), np.arange(60) % 2
    holes = rng.random(X.shape) < 0.3
    given_X = np.where(holes, np.nan, X)
    instance = goralx.make_instance("m", given_X, y, rng=rng, standardize=False, impute=True)
    known = np.ones(60, dtype=bool)
    known[instance.test] = False
    for j in range(2):
        column = [given_X[i, j] for i in range(60) if known[i] and not holes[i, j]]
        np.testing.assert_allclose(instance.X[holes[:, j], j], sum(column) / len(column))
        np.testing.assert_array_equal(instance.X[~holes[:, j], j], X[~holes[:, j], j])


@pytest.mark.parametrize(
    ("labels", "classes", "y"),
    [
        ([3, 1, 3, 10, 1, 10], ("1", "3", "10"), [1, 0, 1, 2, 0, 2]),
        ([0.0, 1.0, 1.0, 0.0], ("0", "1"), [0, 1, 1, 0]),
        ([0.5, 1.5, 1.5, 0.5], ("0.5", "1.5"), [0, 1, 1, 0]),
        (["b", "a", "a", "b"], ("a", "b"), [1, 0, 0, 1]),
        ([b"b", b"a", b"a", b"b"], ("a", "b"), [1, 0, 0, 1]),
        ([True, False, False, True], ("False", "True"), [1, 0, 0, 1]),
        (np.array(["x", 1, 1, "x"], dtype=object), ("1", "x"), [1, 0, 0, 1]),
    ],
)
def test_labels_of_any_kind(labels, classes, y):
    encoded, names = encode_labels(labels, "here")
    assert names == classes
    assert encoded.tolist() == y


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([], "no labels"),
        ([1, 1, 1], "only one class, '1'"),
        ([0.0, np.nan, 1.0], "label of row 1 is nan"),
        (np.array(["a", "b", None, "a"], dtype=object), "label of row 2 is None"),
        (np.zeros((4, 1)), r"shape \(4, 1\)"),
        (np.arange(30), "regression target or an identifier"),
        ([f"id{i}" for i in range(30)], "regression target or an identifier"),
        (np.tile(np.linspace(0, 1, 21), 10), "regression target"),
    ],
)
def test_labels_that_are_refused(labels, says):
    with pytest.raises(BadInput, match=says):
        encode_labels(labels, "here")


def test_many_classes_with_several_samples_each_are_classes():
    assert len(encode_labels(np.repeat(np.arange(100), 3), "here")[1]) == 100


def test_a_missing_feature_is_named_by_its_own_row_although_columns_are_standardised():
    X, y = np.zeros((40, 3)), np.arange(40) % 2
    X[17, 2] = np.nan
    with pytest.raises(BadInput, match="nan in row 17, feature 2"):
        goralx.make_instance("n", X, y, rng=np.random.default_rng(0))
    X[17, 2] = -np.inf
    with pytest.raises(BadInput, match="-inf in row 17, feature 2"):
        goralx.make_instance("n", X, y, rng=np.random.default_rng(0), impute=True)


def test_the_search_for_missing_values_reaches_the_last_block():
    X = np.zeros((5000, 2000), dtype=np.float32)
    X[4999, 1] = np.inf
    with pytest.raises(BadInput, match="row 4999, feature 1"):
        check_finite(X, "large")


@pytest.mark.parametrize(
    ("X", "says"),
    [
        ([["a", "b"]] * 40, "features must be numbers"),
        (np.zeros((40, 2), dtype=complex), "features must be numbers"),
        (np.zeros((40, 2), dtype="datetime64[s]"), "features must be numbers"),
        (np.zeros(40), r"shape \(40,\)"),
        (np.zeros((40, 0)), r"shape \(40, 0\)"),
        (np.zeros((39, 2)), "39 rows of features but 40 labels"),
        (np.full((40, 1), 1e200) * np.array([[1], [-1]] * 20), "feature 0 overflows"),
        (np.column_stack([np.zeros(40), np.full(40, np.nan)]), "feature 1 has no value"),
    ],
)
def test_features_that_are_refused(X, says):
    impute = says.startswith("feature 1 has")
    with pytest.raises(BadInput, match=says):
        goralx.make_instance("x", X, np.arange(40) % 2, rng=np.random.default_rng(0), impute=impute)


@pytest.mark.parametrize(
    ("sizes", "options", "says"),
    [
        ([20, 20], {"n_init": 1, "n_test": 5}, "n_init >= 2"),
        ([20, 20], {"n_init": 4, "n_test": 0}, "n_test >= 1"),
        ([20, 20], {"n_init": 10, "n_test": 30}, "fewer than the split needs"),
        ([40, 3], {"n_init": 10, "n_test": 4}, "class '1' has 3 samples outside the test set"),
    ],
)
def test_splits_that_do_not_exist(sizes, options, says):
    with pytest.raises(BadInput, match=says):
        drawn(sizes, seed=0, **options)


def test_a_dev_set_comes_from_the_pool_and_stays_in_it_unless_removed():
    instance = drawn([40, 40], 4, 20, 0)
    dev = instance.with_dev(0.25, np.random.default_rng(1))
    assert len(dev.dev) == 14 and set(dev.dev) <= set(dev.pool)
    assert len(dev.pool) == 56
    apart = instance.with_dev(0.25, np.random.default_rng(1), remove_from_pool=True)
    assert set(apart.dev) == set(dev.dev) and len(apart.pool) == 42
    assert not set(apart.dev) & set(apart.pool)
    for fraction in (0.0, 1.0, -0.1):
        with pytest.raises(BadInput, match=r"dev\.fraction"):
            instance.with_dev(fraction, np.random.default_rng(1))


@pytest.mark.parametrize("group", [np.zeros(3, dtype=int), np.full(80, 2), np.full(80, -1)])
def test_a_group_is_one_of_the_names_for_every_row(group):
    instance = drawn([40, 40], 4, 20, 0)
    named = dataclasses.replace(instance, group=np.arange(80) % 2, groups=("a", "b"))
    assert named.with_dev(0.5, np.random.default_rng(0)).groups == ("a", "b")
    with pytest.raises(BadInput, match=r"group .* does not fit"):
        dataclasses.replace(instance, group=group, groups=("a", "b"))


@pytest.mark.parametrize("options", [(0, 5, 1.0), (5, 0, 1.0), (5, 5, 0.0), (5, 5, np.inf)])
def test_options_out_of_range(options):
    with pytest.raises(BadInput, match=r"dataset\.(n_init|n_test|C)="):
        goralx.check_split(*options)

"""What a stranger hands to the library: data frames, gaps, labels of every kind, unseen classes."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import goralx
from goralx import BadInput
from goralx.data import as_features, make_instance
from goralx.discovery import registry
from tests.problems import blobs, build

RNG = np.random.default_rng(0)
X, Y = blobs(RNG, 30, 3, 3)
POOL = RNG.normal(size=(12, 3))
NAMES = ["age", "height", "weight"]
FRAME, POOL_FRAME = pd.DataFrame(X, columns=NAMES), pd.DataFrame(POOL, columns=NAMES)


def refused(*given, **options):
    with pytest.raises(goralx.GoralxError) as caught:
        goralx.query(*given, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# columns have names


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(NAMES))
def test_columns_are_matched_by_name(order):
    expected = goralx.query(X, Y, POOL, batch_size=5).tolist()
    assert goralx.query(FRAME, Y, POOL_FRAME[order], batch_size=5).tolist() == expected
    dev = {"goal": "dev", "y_dev": Y}
    plain = goralx.utilities(X, Y, POOL, X_dev=X, **dev)
    shuffled = goralx.utilities(FRAME, Y, POOL_FRAME, X_dev=FRAME[order], **dev)
    np.testing.assert_allclose(shuffled, plain, rtol=1e-9)


def test_columns_of_other_names_are_refused():
    line = refused(FRAME, Y, POOL_FRAME.rename(columns={"age": "years"}))
    assert "X_pool has no column age and has column years, which X_labelled has not" in line
    assert "two columns are called 'age'" in refused(
        FRAME.astype(object).set_axis(["age", "age", "x"], axis=1), Y, POOL
    )


# what is missing, or no number, is named


def holed(frame, value):
    """A copy with ``value`` at row 7 of the first column."""
    frame = frame.copy()
    frame.iloc[7, 0] = value
    return frame


SPOILT = {
    "NaN": (holed(FRAME, np.nan), "nan in row 7, column 'age'"),
    "pd.NA": (holed(FRAME.convert_dtypes(), pd.NA), "nan in row 7, column 'age'"),
    "None": (holed(FRAME.astype(object), None), "nan in row 7, column 'age'"),
    "text": (FRAME.assign(city=["Oslo"] * 30), "column 'city' holds 'Oslo' in row 0"),
    "mixed": (
        holed(FRAME.astype(object), "heavy"),
        "column 'age' holds 'heavy' in row 7",
    ),
    "category": (FRAME.assign(c=pd.Categorical(["a", "b"] * 15)), "column 'c' holds 'a' in row 0"),
    "times": (FRAME.assign(t=pd.Timestamp("2020-01-01")), "column 't' holds times"),
    "objects": (np.where(X[7, 1] == X, None, X.astype(object)), "nan in row 7, feature 1"),
    "texts": (np.array([["1", "x"]] * 30), "feature 1 holds 'x' in row 0"),
    "masked": (np.ma.masked_equal(X, X[7, 1]), "nan in row 7, feature 1"),
    "masked integers": (
        np.ma.masked_equal(np.arange(90).reshape(30, 3), 22),
        "nan in row 7, feature 1",
    ),
}


@pytest.mark.parametrize("spoilt, says", SPOILT.values(), ids=SPOILT)
def test_what_is_no_number_is_named_by_row_and_column(spoilt, says):
    width = spoilt.shape[1]
    assert f"X_labelled: {says}" in refused(spoilt, Y, np.zeros((5, width)))


def test_frames_of_any_number_types_are_taken():
    for kind in ("Float64", "float32", object, "Int64"):
        frame = (FRAME if kind != "Int64" else FRAME.round()).astype(kind)
        expected = (X if kind != "Int64" else X.round()).astype(
            "float32" if kind == "float32" else float
        )
        np.testing.assert_array_equal(as_features(frame, "X"), expected)
    assert as_features(FRAME.astype("float32"), "X").dtype == np.float32
    flags = pd.DataFrame({"a": [True, False], "b": [1, 2]})
    np.testing.assert_array_equal(as_features(flags, "X"), [[1.0, 1.0], [0.0, 2.0]])


# labels

MISSING = {
    "NaN": np.array([np.nan, *Y[1:]]),
    "None": np.array([None, *Y[1:]], dtype=object),
    "pd.NA": pd.Series([pd.NA, *Y[1:]], dtype="Int64"),
    "text of NaN": np.array([np.nan, *Y[1:].astype(str)]).astype(str),
    "?": ["?", *Y[1:].astype(str)],
    "NA": ["NA", *Y[1:].astype(str)],
    "empty": ["", *Y[1:].astype(str)],
    "a time": np.array(["NaT", *["2020-01-01", "2020-01-02"] * 15][:30], dtype="datetime64[D]"),
    "masked": np.ma.masked_array(Y, np.arange(30) == 0),
    "masked text": np.ma.masked_array(Y.astype(str), np.arange(30) == 0),
    "category": pd.Series(pd.Categorical([None, *Y[1:].astype(str)])),
}


@pytest.mark.parametrize("labels", MISSING.values(), ids=MISSING)
def test_a_missing_label_is_never_a_class(labels):
    assert re.search(r"y_labelled: the label of row 0 is .*", refused(X, labels, POOL))
    with pytest.raises(BadInput, match="the label of row 0"):
        make_instance("mine", X, labels, rng=np.random.default_rng(0), n_test=5)


def test_a_class_may_be_called_na_if_it_is_said_so():
    labels = np.where(Y == 0, "NA", "DE")
    assert goralx.query(X, labels, POOL, classes=["DE", "NA"]).shape == (1,)


@pytest.mark.parametrize(
    "target", [RNG.normal(size=30), RNG.integers(1000, 900_000, 30), RNG.normal(size=30).tolist()]
)
def test_a_regression_target_is_refused_unless_its_values_are_said_to_be_classes(target):
    assert "regression target" in refused(X, target, POOL)
    few = {"classes": np.unique(target)}
    assert goralx.query(X, target, POOL, strategy="uncertainty", **few).shape == (1,)


def test_labels_of_two_kinds_are_refused():
    assert "mixes kinds of labels" in refused(X, ["1", *Y[1:].tolist()], POOL)


# a class that has no label yet


@pytest.fixture(scope="module")
def unseen():
    """X, y of "a" and "b", the pool, and the options that name a third class."""
    return X, np.array(["a", "b"])[Y % 2], POOL, {"classes": ["a", "b", "c"]}


def test_the_label_that_nobody_gave_has_a_utility(unseen):
    X, y, pool, more = unseen
    U = goralx.utilities(X, y, pool, per_label=True, **more)
    assert U.shape == (12, 3) and np.isfinite(U).all() and (U[:, 2] != 0).all()


def test_its_utility_is_what_a_refit_gives(unseen):
    """Against scikit-learn on the penalised problem, where the constant is a feature like any
    other; and with the third label, on the plain one, for then each class has one.
    """
    from sklearn.linear_model import LogisticRegression

    X, y, pool, more = unseen
    U = goralx.utilities(X, y, pool, utility="retrain", per_label=True, **more)
    y = np.searchsorted(["a", "b", "c"], y)

    def tau(X, y):
        if len(set(y.tolist())) == 3:
            whole = LogisticRegression(C=1.0, tol=1e-12, max_iter=100_000).fit(X, y)
            log_P = whole.predict_log_proba(pool)
            return (np.exp(log_P) * log_P).sum()
        X, P = np.column_stack([X, np.ones(len(X))]), np.column_stack([pool, np.ones(len(pool))])
        # a class without samples, for a solver that wants one of each: a weight of nothing
        X, y, w = np.vstack([X, X[:1]]), np.append(y, 2), np.append(np.ones(len(y)), 1e-12)
        model = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-12, max_iter=100_000)
        log_P = model.fit(X, y, w).predict_log_proba(P)
        return (np.exp(log_P) * log_P).sum()

    for row, label in ((0, 0), (3, 2), (5, 1), (8, 2)):
        exact = tau(np.vstack([X, pool[row]]), np.append(y, label)) - tau(X, y)
        assert abs(U[row, label] - exact) < 1e-4 * np.abs(U).max()


def test_the_order_of_the_classes_is_theirs_who_name_them(unseen):
    X, y, pool, _ = unseen
    U = goralx.utilities(X, y, pool, per_label=True, classes=["a", "b", "c"])
    other = goralx.utilities(X, y, pool, per_label=True, classes=["c", "a", "b"])
    np.testing.assert_allclose(other[:, [1, 2, 0]], U, rtol=1e-6, atol=1e-9)


def test_naming_the_classes_changes_nothing_where_all_are_seen(unseen):
    X, y, pool, _ = unseen
    named = goralx.utilities(X, y, pool, classes=["a", "b"])
    np.testing.assert_array_equal(named, goralx.utilities(X, y, pool))


OF_TWO_CLASSES = ("skactiveml_epistemicuncertaintysampling",)


@pytest.mark.filterwarnings("ignore::goralx.scoring.VacuousUtility")
@pytest.mark.parametrize("group", ["operator", "batch", "strategy"])
def test_every_component_takes_it(group, unseen):
    X, y, pool, more = unseen
    for name in registry().names(group):
        if getattr(build(group, name), "needs_ground_truth", False) or name in OF_TWO_CLASSES:
            continue
        rows = goralx.query(X, y, pool, batch_size=3, **{group: name}, **more)
        assert len(set(rows.tolist())) == 3


def test_all_of_one_class_will_do(unseen):
    X, _, pool, _ = unseen
    assert goralx.query(X, ["a"] * 30, pool, batch_size=2, classes=["a", "b"]).shape == (2,)


def test_labels_that_are_not_named_are_refused(unseen):
    X, y, pool, _ = unseen
    assert "classes has not: ['b']" in refused(X, y, pool, classes=["a", "c"])
    assert "2 of them different" in refused(X, y, pool, classes=["a", "b", "b"])


def test_a_run_begins_without_a_class_and_meets_it(tmp_path):
    """Init of one class; each fit is the one that starts from nothing on the same labels."""
    from dataclasses import replace

    from tests import runs

    experiment = runs.experiment("wine", n_queries=12, batch_size=4, operator="max")
    instance = experiment.instance
    one = instance.init[instance.y[instance.init] == 0]
    rest = np.setdiff1d(np.concatenate([instance.init, instance.pool]), one)
    experiment = replace(experiment, instance=replace(instance, init=one, pool=np.sort(rest)))
    for round in experiment.rounds():
        rows = round.checkpoint.rows[: round.n_labelled]
        fresh = build("model", "softmax").fit(experiment.instance.labelled(rows), 3)
        np.testing.assert_allclose(round.theta, fresh.theta, atol=1e-6)
        assert all(np.isfinite(v) for k, v in round.metrics.items() if k.startswith("goal/"))

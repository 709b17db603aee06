"""goralx in somebody's own labelling loop: scikit-learn's conventions in and out."""

from __future__ import annotations

import subprocess
import sys
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest

import goralx
from goralx import BadInput, GoralxError, Incompatible, UnknownName
from goralx.scoring.guard import VacuousUtility
from tests.problems import blobs, build, experiment, instance

NAMES = np.array(["pear", "apple", "fig"])  # not in alphabetical order: columns are sorted


@pytest.fixture(scope="module")
def data():
    """X_labelled, y_labelled (0, 1, 2), X_pool, X_dev, y_dev."""
    rng = np.random.default_rng(0)
    X, y = blobs(rng, 90, 3, 3)
    return X[:20], y[:20], X[20:60], X[60:], y[60:]


def refit_change(X, y, X_pool, row, label, *, C=1.0):
    """tau_ent after one more sample minus before, by scikit-learn."""
    from sklearn.linear_model import LogisticRegression

    def tau(X, y):
        model = LogisticRegression(C=C, tol=1e-12, max_iter=100_000).fit(X, y)
        log_P = model.predict_log_proba(X_pool)
        return (np.exp(log_P) * log_P).sum()

    return tau(np.vstack([X, X_pool[row]]), np.append(y, label)) - tau(X, y)


# --- what comes out --------------------------------------------------------------------------


def test_a_number_a_sample_and_with_per_label_a_column_a_class(data):
    X, y, pool, *_ = data
    utility = goralx.utilities(X, y, pool)
    U = goralx.utilities(X, y, pool, per_label=True)
    assert utility.shape == (40,) and U.shape == (40, 3)
    np.testing.assert_array_equal(utility, U.max(axis=1))


def test_utilities_estimate_what_a_refit_with_scikit_learn_gives():
    rng = np.random.default_rng(1)
    X, y = blobs(rng, 1500, 2, 3)
    pool = rng.normal(size=(6, 2))
    U = goralx.utilities(X, y, pool, per_label=True)
    exact = [[refit_change(X, y, pool, i, k) for k in range(3)] for i in range(6)]
    np.testing.assert_allclose(U, exact, atol=0.05 * np.abs(exact).max())


def test_indices_are_those_of_the_highest_utilities_best_first(data):
    X, y, pool, *_ = data
    rows = goralx.query(X, y, pool, batch_size=5)
    utility = goralx.utilities(X, y, pool)
    assert rows.tolist() == np.argsort(-utility)[:5].tolist()
    assert rows.dtype.kind == "i"


def test_a_batch_of_one_by_default_and_of_the_whole_pool_at_most(data):
    X, y, pool, *_ = data
    assert goralx.query(X, y, pool).shape == (1,)
    assert sorted(goralx.query(X, y, pool, batch_size=40)) == list(range(40))


def test_a_pool_of_one(data):
    X, y, pool, *_ = data
    assert goralx.query(X, y, pool[:1]).tolist() == [0]
    assert goralx.utilities(X, y, pool[:1]).shape == (1,)


# --- what goes in ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(lambda a: a.tolist(), id="lists"),
        pytest.param(lambda a: pd.DataFrame(a), id="DataFrame"),
        pytest.param(lambda a: pd.DataFrame(a, index=range(100, 100 + len(a))), id="other index"),
        pytest.param(np.asfortranarray, id="Fortran order"),
    ],
)
def test_features_of_any_kind_give_the_same_numbers(data, convert):
    X, y, pool, *_ = data
    got = goralx.utilities(convert(X), y, convert(pool))
    np.testing.assert_allclose(got, goralx.utilities(X, y, pool), rtol=1e-9)


def test_float32_and_integer_features(data):
    X, y, pool, *_ = data
    utility = goralx.utilities(X, y, pool)
    single = goralx.utilities(X.astype(np.float32), y, pool.astype(np.float32))
    np.testing.assert_allclose(single, utility, rtol=1e-4, atol=1e-4 * np.abs(utility).max())
    whole = np.round(10 * X).astype(int), np.round(10 * pool).astype(int)
    np.testing.assert_allclose(
        goralx.utilities(whole[0], y, whole[1]),
        goralx.utilities(whole[0].astype(float), y, whole[1].astype(float)),
    )


@pytest.mark.parametrize(
    "relabel",
    [
        pytest.param(lambda y: NAMES[y], id="strings"),
        pytest.param(lambda y: NAMES[y].tolist(), id="list of strings"),
        pytest.param(lambda y: NAMES[y].astype(object), id="objects"),
        pytest.param(lambda y: pd.Series(NAMES[y], index=range(7, 27)), id="Series"),
        pytest.param(lambda y: pd.Series(NAMES[y]).astype("category"), id="categories"),
        pytest.param(lambda y: pd.Series(NAMES[y]).astype("string"), id="pandas strings"),
        pytest.param(lambda y: np.array([30, 4, 17])[y], id="numbers"),
        pytest.param(lambda y: np.array([1.5, -1.0, 0.0])[y], id="floats"),
        pytest.param(lambda y: np.array([30, 4, 17])[y].astype(object), id="numbers as objects"),
    ],
)
def test_labels_of_any_kind_and_columns_in_the_order_of_np_unique(data, relabel):
    X, y, pool, *_ = data
    labels = relabel(y)
    U = goralx.utilities(X, labels, pool, per_label=True)
    plain = goralx.utilities(X, y, pool, per_label=True)
    for column, label in enumerate(np.unique(np.asarray(labels))):
        (k,) = set(y[np.asarray(labels) == label])
        np.testing.assert_allclose(U[:, column], plain[:, k], rtol=1e-6, atol=1e-9)


def test_two_classes_given_as_booleans(data):
    X, y, pool, *_ = data
    U = goralx.utilities(X, y > 0, pool, per_label=True)
    np.testing.assert_array_equal(U, goralx.utilities(X, (y > 0).astype(int), pool, per_label=True))


def test_nothing_that_was_given_is_changed(data):
    copies = [part.copy() for part in data]
    X, y, pool, X_dev, y_dev = data
    goralx.query(X, y, pool, goal="dev", X_dev=X_dev, y_dev=y_dev, operator="estimated")
    for part, copy in zip(data, copies, strict=True):
        np.testing.assert_array_equal(part, copy)


def test_a_dev_goal_reads_labels_of_the_same_kind(data):
    X, y, pool, X_dev, y_dev = data
    plain = goralx.utilities(X, y, pool, goal="dev", X_dev=X_dev, y_dev=y_dev)
    named = goralx.utilities(X, NAMES[y], pool, goal="dev", X_dev=X_dev, y_dev=NAMES[y_dev])
    np.testing.assert_allclose(named, plain, rtol=1e-6)
    some = y_dev != 1  # a dev set need not have every class
    part = goralx.utilities(X, y, pool, goal="dev", X_dev=X_dev[some], y_dev=y_dev[some])
    assert not np.allclose(part, plain)


def test_options_of_the_model_reach_it(data):
    X, y, pool, *_ = data
    options = {"C": 0.1, "regime": "fixed_lambda", "penalize_intercept": True}
    by_name = goralx.utilities(X, y, pool, **options)
    by_object = goralx.utilities(X, y, pool, model=build("model", "softmax", **options))
    np.testing.assert_array_equal(by_name, by_object)
    assert not np.allclose(by_name, goralx.utilities(X, y, pool))


def test_objects_of_ones_own_beside_names(data):
    X, y, pool, *_ = data
    hot = build("operator", "annealed", start=1e9, end=1e9)
    np.testing.assert_allclose(
        goralx.utilities(X, y, pool, operator=hot, goal=build("goal", "fir")),
        goralx.utilities(X, y, pool, operator="average", goal="fir"),
        rtol=1e-5,
        atol=1e-8,
    )


def test_progress_cools_the_annealed_operator(data):
    X, y, pool, *_ = data
    U = goralx.utilities(X, y, pool, per_label=True)
    first, last = (goralx.utilities(X, y, pool, operator="annealed", progress=p) for p in (0, 1))
    average = U.mean(axis=1)
    assert np.abs(first - average).max() < np.abs(last - average).max()


# --- randomness ------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"strategy": "random"}, {"operator": "estimated"}, {}])
def test_the_same_random_state_gives_the_same_indices(data, options):
    X, y, pool, *_ = data
    state = np.random.get_state()[1].tobytes()  # noqa: NPY002
    once, twice = (
        goralx.query(X, y, pool, batch_size=6, random_state=3, **options).tolist() for _ in range(2)
    )
    assert once == twice
    assert np.random.get_state()[1].tobytes() == state  # noqa: NPY002


def test_another_random_state_gives_other_random_indices(data):
    X, y, pool, *_ = data
    drawn = {
        tuple(goralx.query(X, y, pool, batch_size=6, strategy="random", random_state=s))
        for s in range(5)
    }
    assert len(drawn) == 5


def test_where_every_candidate_is_worth_the_same_the_indices_are_openly_random(data):
    X, y, pool, *_ = data
    drawn = set()
    for seed in range(4):
        with pytest.warns(VacuousUtility, match=r"Remark 1.*at random"):
            rows = goralx.query(X, y, pool, batch_size=3, operator="expected", random_state=seed)
        drawn.add(tuple(rows.tolist()))
    assert len(drawn) == 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        goralx.query(X, y, pool, batch_size=3, operator="max")


# --- the same as the experiment --------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"strategy": "goral", "goal": "ent", "operator": "max"},
        {"strategy": "goral", "goal": "fir", "operator": "laplace"},
        {"strategy": "goral", "goal": "dev", "operator": "average"},
        {"strategy": "goral", "goal": "dev", "operator": "annealed"},
        {"strategy": "uncertainty"},
    ],
    ids=lambda o: "-".join(o.values()),
)
def test_it_agrees_with_the_first_round_of_an_experiment(options):
    drawn = instance(seed=3)
    round = next(experiment(drawn, batch_size=5, model_options={"C": 0.3}, **options).rounds())
    known, dev = drawn.labelled(drawn.init), drawn.labelled(drawn.dev)
    given = {**options, "C": 0.3, "X_dev": dev.X, "y_dev": dev.y}
    rows = goralx.query(known.X, known.y, drawn.pool_X, batch_size=5, **given)
    assert drawn.pool[rows].tolist() == round.queried.tolist()
    if options["strategy"] == "goral":
        given.pop("strategy")
        np.testing.assert_allclose(
            goralx.utilities(known.X, known.y, drawn.pool_X, **given), round.utility, rtol=1e-10
        )


# --- bad input -------------------------------------------------------------------------------


class NotAGoal:
    pass


BAD = {
    "an unknown goal": ({"goal": "entt"}, UnknownName, "did you mean 'ent'"),
    "an unknown operator": ({"operator": "maximum"}, UnknownName, "available: .*max"),
    "an unknown utility": ({"utility": "influenza"}, UnknownName, "did you mean 'influence'"),
    "an unknown strategy": ({"strategy": "goal"}, UnknownName, "did you mean 'goral'"),
    "an unknown model": ({"model": "svm"}, UnknownName, "available: .*softmax"),
    "a goal that is none": ({"goal": NotAGoal()}, BadInput, "goal=.*ent"),
    "a class for an object": ({"goal": type(build("goal", "ent"))}, BadInput, "goal=.*object"),
    "no operator": ({"operator": None}, BadInput, "operator=None"),
    "the oracle": ({"operator": "oracle"}, Incompatible, "true labels.*max, min, average"),
    "dev without a dev set": ({"goal": "dev"}, Incompatible, "X_dev= and y_dev="),
    "C of zero": ({"C": 0.0}, BadInput, "C=0"),
    "C below zero": ({"C": -1.0}, BadInput, "C=-1"),
    "C not a number": ({"C": float("nan")}, BadInput, "C=nan"),
    "C in words": ({"C": "one"}, GoralxError, "softmax"),
    "an unknown regime": ({"regime": "fixed"}, BadInput, "fixed_C, fixed_lambda"),
    "an option beside an object": (
        {"model": build("model", "softmax"), "C": 2.0},
        BadInput,
        "C given beside a model object",
    ),
    "an option it lacks": (
        {"model": "sklearn", "penalize_intercept": True},
        UnknownName,
        "penalize_intercept",
    ),
    "no batch": ({"batch_size": 0}, BadInput, "batch_size=0"),
    "half a batch": ({"batch_size": 2.5}, BadInput, "batch_size=2.5"),
    "a batch in words": ({"batch_size": "5"}, BadInput, "batch_size='5'"),
    "a batch larger than the pool": ({"batch_size": 41}, BadInput, "1 to 40"),
    "progress above one": ({"progress": 1.5}, BadInput, "progress=1.5"),
    "progress not a number": ({"progress": float("nan")}, BadInput, "progress=nan"),
    "progress in words": ({"progress": "half"}, BadInput, "progress='half'"),
    "a negative seed": ({"random_state": -1}, BadInput, "random_state=-1"),
    "no seed": ({"random_state": None}, BadInput, "random_state=None"),
}


def one_clear_line(caught):
    message = str(caught.value)
    assert "\n" not in message and len(message) > 15


@pytest.mark.parametrize("options, error, says", BAD.values(), ids=BAD)
def test_a_bad_option_is_refused_in_one_clear_line(data, options, error, says):
    X, y, pool, *_ = data
    with pytest.raises(error, match=says) as caught:
        goralx.query(X, y, pool, **options)
    assert isinstance(caught.value, GoralxError)
    one_clear_line(caught)


def holed(X, value):
    X = X.copy()
    X[3, 1] = value
    return X


ARRAYS = {
    "one dimension": (lambda X, y, pool: (X[:, 0], y, pool), "X_labelled.*samples, features"),
    "a missing value": (lambda X, y, pool: (holed(X, np.nan), y, pool), "X_labelled.*row 3.*1"),
    "infinity": (lambda X, y, pool: (X, y, holed(pool, np.inf)), "X_pool.*row 3.*feature 1"),
    "words": (lambda X, y, pool: (X.astype(str).astype(object) + "x", y, pool), "numbers"),
    "an empty pool": (lambda X, y, pool: (X, y, pool[:0]), "X_pool"),
    "other features": (lambda X, y, pool: (X, y, pool[:, :2]), "X_pool has 2.*3"),
    "too few labels": (lambda X, y, pool: (X, y[:-1], pool), r"y_labelled.*\(20,\)"),
    "a column of labels": (lambda X, y, pool: (X, y[:, None], pool), r"y_labelled.*\(20,\)"),
    "one class": (lambda X, y, pool: (X, 0 * y, pool), "1 class"),
    "no sample": (lambda X, y, pool: (X[:0], y[:0], pool), "X_labelled"),
    "a NaN label": (
        lambda X, y, pool: (X, np.where(y == 2, np.nan, y), pool),
        "y_labelled.*nan",
    ),
    "no label": (
        lambda X, y, pool: (X, np.where(y == 2, None, y.astype(object)), pool),
        "y_labelled.*None",
    ),
    "pandas' NA": (
        lambda X, y, pool: (X, np.where(y == 2, pd.NA, y.astype(object)), pool),
        "y_labelled.*NA",
    ),
}


@pytest.mark.parametrize("spoil, says", ARRAYS.values(), ids=ARRAYS)
def test_a_bad_array_is_refused_in_one_clear_line(data, spoil, says):
    X, y, pool, *_ = data
    with pytest.raises(BadInput, match=says) as caught:
        goralx.query(*spoil(X, y, pool))
    one_clear_line(caught)


def test_labels_of_mixed_kinds_are_refused(data):
    X, y, pool, *_ = data
    mixed = y.astype(object)
    mixed[0] = "zero"
    with pytest.raises(BadInput, match="mixes kinds") as caught:
        goralx.query(X, mixed, pool)
    one_clear_line(caught)


@pytest.mark.parametrize(
    "dev, says",
    [
        (lambda X, y: {"X_dev": X}, "belong together"),
        (lambda X, y: {"y_dev": y}, "belong together"),
        (lambda X, y: {"X_dev": X, "y_dev": y[1:]}, "y_dev.*shape"),
        (lambda X, y: {"X_dev": X[:, 1:], "y_dev": y}, "X_dev has 2"),
        (lambda X, y: {"X_dev": X, "y_dev": y + 1}, r"has not: \[3\]"),
        (lambda X, y: {"X_dev": X, "y_dev": y.astype(str)}, "has not: .*'0'"),
        (lambda X, y: {"X_dev": X, "y_dev": np.where(y == 0, np.nan, y)}, "y_dev.*nan"),
        (lambda X, y: {"X_dev": holed(X, np.nan), "y_dev": y}, "X_dev.*row 3"),
    ],
)
def test_a_bad_dev_set_is_refused_in_one_clear_line(data, dev, says):
    X, y, pool, X_dev, y_dev = data
    with pytest.raises(BadInput, match=says) as caught:
        goralx.utilities(X, y, pool, goal="dev", **dev(X_dev, y_dev))
    one_clear_line(caught)


def test_a_strategy_that_needs_the_truth_is_refused(data):
    X, y, pool, *_ = data

    class Cheat(goralx.Strategy):
        needs_ground_truth = True

        def select(self, query):
            raise AssertionError

    with pytest.raises(BadInput, match="true labels"):
        goralx.query(X, y, pool, strategy=Cheat())


def test_what_a_strategy_selects_is_looked_at(data):
    X, y, pool, *_ = data

    class Careless(goralx.Strategy):
        def select(self, query):
            return goralx.Selection(np.array([40, 40]))

    with pytest.raises(
        goralx.PluginError, match=r"strategy Careless .*chose \[40 40\]; .* 0\.\.39"
    ):
        goralx.query(X, y, pool, batch_size=2, strategy=Careless())


# --- imports ---------------------------------------------------------------------------------


def test_a_query_imports_neither_hydra_nor_mlflow_nor_scikit_learn():
    code = """
import sys, numpy as np, goralx
rng = np.random.default_rng(0)
X, pool = rng.normal(size=(10, 2)), rng.normal(size=(20, 2))
goralx.query(X, np.arange(10) % 2, pool, batch_size=3)
goralx.utilities(X, np.arange(10) % 2, pool, operator="laplace", goal="fir", per_label=True)
heavy = {"hydra", "omegaconf", "mlflow", "sklearn", "matplotlib", "pandas", "torch", "tqdm"}
print(sorted(heavy & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


def test_a_strategy_is_given_the_classes_by_their_names(data):
    from dataclasses import dataclass, field

    @dataclass(frozen=True)
    class Asks(goralx.Strategy):
        seen: list = field(default_factory=list)

        def select(self, query):
            self.seen.append((query.classes, type(query.learner).__name__))
            return goralx.Selection(np.array([query.seed % len(query.candidates)]))

    X, y, pool, *_ = data
    asks = Asks()
    first = goralx.query(X, NAMES[y], pool, strategy=asks)
    assert asks.seen == [(("apple", "fig", "pear"), "SoftmaxRegression")]
    np.testing.assert_array_equal(first, goralx.query(X, NAMES[y], pool, strategy=Asks()))
    goralx.query(X, NAMES[y], pool, strategy=asks, classes=["pear", "kiwi", "fig", "apple"])
    assert asks.seen[-1][0] == ("pear", "kiwi", "fig", "apple")


def test_columns_that_only_count_are_in_order_too():
    """pandas' default names, of which one frame has another order."""
    rng = np.random.default_rng(0)
    X, P, y = rng.normal(size=(40, 3)), rng.normal(size=(50, 3)), np.arange(40) % 2
    order, same = [2, 0, 1], partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12)
    there, plain = pd.DataFrame(X), goralx.utilities(X, y, P)
    same(goralx.utilities(there, y, pd.DataFrame(P)[order]), plain)
    found = goralx.utilities(there[order], y, pd.DataFrame(P))
    same(found, plain)
    same(goralx.utilities(X, y, pd.DataFrame(P)[order]), plain)
    as_they_stand = goralx.utilities(there.set_axis(["u", "v", "w"], axis=1), y, pd.DataFrame(P))
    same(as_they_stand, plain)


@pytest.mark.parametrize("part", ["labelled", "dev"])
def test_labels_whose_index_has_the_rows_in_another_order_are_refused(part):
    rng = np.random.default_rng(0)
    X, y = pd.DataFrame(rng.normal(size=(40, 3)), index=np.arange(100, 140)), np.arange(40) % 2
    P, labels = rng.normal(size=(50, 3)), pd.Series(y, index=X.index)
    shuffled = labels.sample(frac=1.0, random_state=0)
    ours = {"goal": "dev", "X_dev": X, "y_dev": labels}
    expected = goralx.utilities(X, labels, P, **ours)
    given = {"labelled": (X, shuffled), "dev": (X, labels)}[part]
    theirs = ours | ({"y_dev": shuffled} if part == "dev" else {})
    with pytest.raises(goralx.BadInput, match=f"another order.*y_{part}.loc.X_{part}.index"):
        goralx.utilities(*given, P, **theirs)
    mended = shuffled.loc[X.index]
    given = (X, mended) if part == "labelled" else given
    theirs = ours | ({"y_dev": mended} if part == "dev" else {})
    np.testing.assert_array_equal(goralx.utilities(*given, P, **theirs), expected)
    apart = labels.set_axis(np.arange(40))  # other rows' names: as they stand
    np.testing.assert_array_equal(goralx.utilities(X, apart, P, **ours), expected)

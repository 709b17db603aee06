"""The loop: what is queried, what is measured, who is told what, and going on from a checkpoint."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import warnings
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

import goralx
from goralx.contracts.rounds import Checkpoint
from goralx.data.seeds import streams
from goralx.learning.stopping import kappa, stop_set
from goralx.scoring.guard import VacuousUtility
from tests.problems import build, experiment, instance
from tests.reference import GOALS, Problem, predict

RUNS = {
    "goral": {},
    "goral dev oracle": {"goal": "dev", "operator": "oracle"},
    "goral fir annealed": {"goal": "fir", "operator": "annealed"},
    "fixed_lambda": {"model_options": {"regime": "fixed_lambda", "penalize_intercept": True}},
    "laplace": {"operator": "laplace"},
    "neighbors": {"operator": "estimated", "operator_options": {"classifier": "neighbors"}},
    "uncertainty": {"strategy": "uncertainty"},
    "random": {"strategy": "random"},
    "scikit-learn": {"model": "sklearn", "operator": "min"},
}


def small(seed=0, **options):
    return instance(seed, pool=22, init=6, test=12, **options)


def threshold(min_gain, patience):
    return build("stop", "utility_threshold", min_gain=min_gain, patience=patience)


def run(data=None, resume=None, past=None, **options):
    made = experiment(data if data is not None else small(), **{"batch_size": 5, **options})
    return list(made.rounds(resume, past))


def facts(r):
    """A round without its clock, in a form that compares bit for bit."""
    metrics = {k: v for k, v in r.metrics.items() if not k.startswith("seconds/")}
    arrays = (r.pool_ids, r.queried, r.labels, r.queried_utility, r.theta)
    utility = None if r.utility is None else r.utility.tobytes()
    checkpoint = {k: np.asarray(v).tobytes() for k, v in r.checkpoint.model.items()}
    return (
        r.index,
        r.n_labelled,
        r.last,
        {k: np.float64(v).tobytes() for k, v in metrics.items()},
        [a.tobytes() for a in arrays],
        utility,
        checkpoint,
        r.checkpoint.rows.tobytes(),
        r.checkpoint.rng_state,
    )


def digest(rounds):
    return hashlib.sha256(repr([facts(r) for r in rounds]).encode()).hexdigest()


# --- what is queried -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", RUNS)
def test_every_query_is_of_the_pool_and_new(name):
    data = small()
    rounds = run(data, **RUNS[name])
    queried = np.concatenate([r.queried for r in rounds])
    assert len(np.unique(queried)) == len(queried) == len(data.pool)  # the whole pool, by default
    assert set(queried) == set(data.pool)
    for r in rounds:
        assert set(r.queried) <= set(r.pool_ids)
        np.testing.assert_array_equal(r.labels, data.y[r.queried])
        np.testing.assert_array_equal(
            r.pool_ids,
            np.setdiff1d(data.pool, np.concatenate([[], *[q.queried for q in rounds[: r.index]]])),
        )


@pytest.mark.parametrize(
    ("n_queries", "batch", "sizes"),
    [
        (12, 5, [5, 5, 2, 0]),
        (10, 5, [5, 5, 0]),
        (3, 5, [3, 0]),
        (1, 1, [1, 0]),
        (1000, 5, [5, 5, 5, 5, 2, 0]),
        (1000, 7, [7, 7, 7, 1, 0]),  # the last candidate is alone, which is no vacuous utility
        (22, 100, [22, 0]),
    ],
)
@pytest.mark.parametrize("strategy", ["goral", "random"])
def test_the_budget_is_spent_to_the_label(n_queries, batch, sizes, strategy):
    data = small()
    made = experiment(data, strategy=strategy, n_queries=n_queries, batch_size=batch)
    rounds = list(made.rounds())
    assert [len(r.queried) for r in rounds] == sizes
    assert [r.n_labelled for r in rounds] == list(6 + np.cumsum([0, *sizes[:-1]]))
    assert [r.index for r in rounds] == list(range(len(sizes)))
    assert [r.last for r in rounds] == [False] * (len(sizes) - 1) + [True]
    assert (made.budget, made.n_rounds) == (sum(sizes), len(sizes))


def test_goral_takes_the_best_and_uncertainty_the_least_certain():
    for r in run()[:-1]:
        best = np.sort(r.utility)[::-1][: len(r.queried)]
        np.testing.assert_array_equal(r.queried_utility, best)
    data = small()
    for r in run(data, strategy="uncertainty")[:-1]:
        P = np.sort(predict(data.X[r.pool_ids], r.theta), axis=1)
        margin = dict(zip(r.pool_ids, P[:, -1] - P[:, -2], strict=True))
        worst = max(margin[i] for i in r.queried)
        assert worst <= min((m for i, m in margin.items() if i not in r.queried), default=1) + 1e-12


def test_random_queries_differ_with_the_seed_and_favour_nobody():
    data, counts = small(), Counter()
    for seed in range(200):
        first = run(data, strategy="random", seed=seed, n_queries=5)[0]
        counts.update(first.queried.tolist())
    assert set(counts) == set(data.pool)
    expected = 200 * 5 / len(data.pool)
    assert sum((c - expected) ** 2 / expected for c in counts.values()) < 50  # chi2, 21 degrees


# --- what is measured ----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"model_options": {"regime": "fixed_lambda", "C": 0.5}}])
def test_every_rounds_facts_by_the_slow_road(options):
    """theta by an independent solver from the rows queried so far, and every metric from theta."""
    data = small(dev=0.3)
    rounds = run(data, goal="dev", operator="max", monitors=("ent", "fir"), **options)
    regime = options.get("model_options", {})
    rows = data.init
    for r in rounds:
        assert r.n_labelled == len(rows)
        n = len(data.init) if regime.get("regime") == "fixed_lambda" else len(rows)
        slow = Problem.mean(data.X[rows], data.y[rows], 3, 1 / (n * regime.get("C", 1.0)), False)
        theta = slow.minimise()
        np.testing.assert_allclose(r.theta, theta, atol=1e-5)
        P = predict(data.X[data.test], theta)
        y = data.y[data.test]
        assert r.metrics["test/accuracy"] == np.mean(P.argmax(axis=1) == y)
        log_loss = -np.mean([np.log(p[k]) for p, k in zip(P, y, strict=True)])
        assert r.metrics["test/log_loss"] == pytest.approx(log_loss, rel=1e-5)
        for name, tau in GOALS.items():  # ent and fir on the initial pool, however few are left
            where = data.dev if name == "dev" else data.pool
            value = tau(theta, data.X[where], data.y[where])
            assert r.metrics[f"goal/{name}"] == pytest.approx(value, rel=1e-5)
        rows = np.concatenate([rows, r.queried])


@pytest.mark.parametrize("name", RUNS)
def test_metrics_have_the_same_names_in_every_round(name):
    names = {tuple(r.metrics) for r in run(**RUNS[name])}
    assert len(names) == 1
    assert {"test/accuracy", "goal/ent", "utility/q050", "change/realised"} <= set(names.pop())


def test_random_has_goal_curves_and_no_utilities():
    for r in run(strategy="random"):
        assert np.isfinite([r.metrics["goal/ent"], r.metrics["goal/fir"]]).all()
        assert r.utility is None
        assert np.isnan(r.queried_utility).all()
        assert np.isnan([v for k, v in r.metrics.items() if k.startswith("utility/")]).all()
        assert np.isnan(r.metrics["change/predicted"])


def test_utility_quantiles_are_those_of_the_candidates():
    for r in run()[:-1]:
        assert r.utility.shape == r.pool_ids.shape
        for q, name in ((0, "q000"), (50, "q050"), (95, "q095"), (100, "q100")):
            assert r.metrics[f"utility/{name}"] == pytest.approx(np.percentile(r.utility, q))
        assert r.metrics["utility/spread"] == pytest.approx(r.utility.max() - r.utility.min())
        assert 0 < r.metrics["utility/noise"] < 1e-6


@pytest.mark.parametrize("goal", ["ent", "dev"])
def test_predicted_and_realised_changes(goal):
    rounds = run(small(dev=0.3), goal=goal)
    assert np.isnan(
        [rounds[0].metrics["change/predicted"], rounds[0].metrics["change/realised"]]
    ).all()
    for before, now in pairwise(rounds):
        tau = now.metrics[f"goal/{goal}"] - before.metrics[f"goal/{goal}"]
        assert now.metrics["change/realised"] == pytest.approx(tau, abs=1e-12)
        predicted = before.queried_utility.sum()
        assert now.metrics["change/predicted"] == pytest.approx(predicted, abs=1e-12)
    random = run(small(dev=0.3), goal=goal, strategy="random")
    assert np.isnan([r.metrics["change/realised"] for r in random]).all(), "it asks no goal"


def test_prediction_comes_true_where_one_sample_is_little():
    """A long-labelled set and the oracle's labels: predicted and realised changes agree."""
    data = instance(3, pool=30, init=400, test=10)
    rounds = run(data, operator="oracle", batch_size=1, n_queries=10)
    for r in rounds[1:]:
        predicted, realised = r.metrics["change/predicted"], r.metrics["change/realised"]
        assert realised == pytest.approx(predicted, rel=0.15)


@pytest.mark.parametrize("regime", ["fixed_C", "fixed_lambda"])
def test_full_pool_accuracy_is_where_a_run_over_the_whole_pool_ends(regime):
    data = instance(5, pool=60, init=6, test=200, spread=0.7)
    options = {"regime": regime, "C": 0.05}
    made = experiment(data, strategy="random", batch_size=20, model_options=options)
    last = list(made.rounds())[-1].metrics
    full = made.full_pool()
    assert full["accuracy"] == last["test/accuracy"]
    assert full == pytest.approx({name: last[f"test/{name}"] for name in full}, rel=1e-6)


# --- the same seed, the same run -----------------------------------------------------------------


@pytest.mark.parametrize("name", RUNS)
def test_same_seed_same_rounds(name):
    assert digest(run(**RUNS[name])) == digest(run(**RUNS[name]))


@pytest.mark.parametrize("options", [{"strategy": "random"}, {"operator": "expected"}])
def test_another_seed_another_run(options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VacuousUtility)
        one, other = (run(seed=seed, **options) for seed in (0, 1))
    assert [r.queried.tolist() for r in one] != [r.queried.tolist() for r in other]


def test_same_rounds_in_another_process():
    """Strategies, ties, and a classifier with a generator of its own."""
    runs = [{}, {"strategy": "random"}, {"operator": "estimated", "n_queries": 10}]
    code = (
        "from tests.learning.test_experiment import digest, run\n"
        f"for options in {runs}: print(digest(run(**options)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [digest(run(**options)) for options in runs]


def test_the_global_generator_is_neither_read_nor_moved():
    options = {"operator": "estimated", "n_queries": 10}
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one = digest(run(**options))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    assert digest(run(**options)) == one


def test_every_strategy_starts_from_the_same_instance():
    """Streams go by name: what one component draws moves no other's numbers."""

    def drawn(seed):
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(40, 2)), np.arange(40) % 2
        made = goralx.make_instance("x", X, y, rng=streams(seed, "instance"), n_init=4, n_test=10)
        return made.with_dev(0.2, streams(seed, "dev"))

    one = drawn(3)
    streams(3, "strategy").normal(size=1000)
    again = drawn(3)
    for part in ("init", "pool", "test", "dev", "X"):
        np.testing.assert_array_equal(getattr(one, part), getattr(again, part))
    assert not np.array_equal(one.test, drawn(4).test)
    first = [run(one, **{**RUNS[name], "monitors": ("ent",)})[0] for name in RUNS]
    for r in first:
        np.testing.assert_array_equal(r.pool_ids, first[0].pool_ids)
        assert r.metrics["test/accuracy"] == first[0].metrics["test/accuracy"]


# --- going on from a checkpoint ------------------------------------------------------------------


def on_disk(checkpoint):
    """Through text and raw bytes, as a file would keep it."""
    return replace(
        checkpoint,
        rows=np.frombuffer(checkpoint.rows.tobytes(), dtype=np.int64),
        model={
            name: np.frombuffer(np.asarray(a).tobytes()).reshape(np.shape(a))
            for name, a in checkpoint.model.items()
        },
        rng_state=json.loads(json.dumps(checkpoint.rng_state)),
    )


def columns(rounds):
    """What ``rounds.csv`` holds of them."""
    rows = [{"n_labelled": r.n_labelled, **r.metrics, "seconds/total": 1.0} for r in rounds]
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


@pytest.mark.parametrize("name", [*RUNS, "vacuous", "stop", "dev and predictions"])
def test_resume_from_every_round(name):
    options = {
        "vacuous": {"operator": "expected"},
        "stop": {"stop": threshold(10.0, 3)},
        "dev and predictions": {"stop": ALL, "data": small(dev=0.3)},
        **RUNS,
    }[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VacuousUtility)
        whole = run(batch_size=4, **options)
        assert len(whole) > 3
        for r in whole:
            assert isinstance(r.checkpoint, Checkpoint)
            past = columns(whole[: r.index + 1])
            rest = run(batch_size=4, resume=on_disk(r.checkpoint), past=past, **options)
            assert [facts(x) for x in rest] == [facts(x) for x in whole[r.index + 1 :]]


# --- who is told what ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*RUNS, "vacuous"])
def test_hidden_labels_change_nothing_unless_declared(name):
    """Every label that was not bought is replaced; the queries stay, except under the oracle."""
    options = {"operator": "expected"} if name == "vacuous" else RUNS[name]
    options = {"monitors": ("ent",), "n_queries": 10, **options}
    data = small(dev=0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VacuousUtility)
        rounds = run(data, **options)
        bought = np.concatenate([data.init, data.dev, *[r.queried for r in rounds]])
        y = (data.y + 1) % 3
        y[bought] = data.y[bought]
        again = run(replace(data, y=y), **options)
    same = all(
        np.array_equal(a.queried, b.queried) and np.array_equal(a.theta, b.theta)
        for a, b in zip(rounds, again, strict=True)
    )
    made = experiment(data, **{k: v for k, v in options.items() if k != "n_queries"})
    assert made.uses_ground_truth == (name == "goral dev oracle")
    assert same != made.uses_ground_truth


@dataclass(frozen=True)
class SpyOperator(goralx.LabelOperator):
    """Keeps what it is given."""

    needs_ground_truth: ClassVar[bool] = False
    seen: list

    def __call__(self, U, log_P, y_true, progress):
        self.seen.append((y_true, progress))
        return U.max(axis=1)


class TellingSpyOperator(SpyOperator):
    needs_ground_truth = True


@dataclass(frozen=True)
class SpyStrategy(goralx.Strategy):
    needs_ground_truth: ClassVar[bool] = False
    seen: list

    def select(self, query):
        self.seen.append((query.y_true, query.score, query.batch_size, len(query.candidates)))
        return goralx.Selection(np.arange(query.batch_size))


class TellingSpyStrategy(SpyStrategy):
    needs_ground_truth = True


def test_true_labels_reach_only_an_operator_that_declares_it():
    quiet, telling = SpyOperator([]), TellingSpyOperator([])
    data = small()
    assert not experiment(data, operator=quiet).uses_ground_truth
    run(data, operator=quiet)
    assert len(quiet.seen) == 5
    assert all(y_true is None for y_true, _ in quiet.seen)
    assert experiment(data, operator=telling).uses_ground_truth
    for r, (y_true, _) in zip(run(data, operator=telling), telling.seen, strict=False):
        np.testing.assert_array_equal(y_true, data.y[r.pool_ids])


@pytest.mark.parametrize(
    "n_queries, expected",
    [(20, [0.0, 1 / 3, 2 / 3, 1.0]), (17, [0.0, 1 / 3, 2 / 3, 1.0]), (5, [1.0])],
)
def test_progress_runs_from_nothing_at_the_first_selection_to_all_at_the_last(n_queries, expected):
    spy = SpyOperator([])
    run(operator=spy, n_queries=n_queries)
    assert [progress for _, progress in spy.seen] == pytest.approx(expected)


def test_true_labels_reach_only_a_strategy_that_declares_it():
    quiet, telling = SpyStrategy([]), TellingSpyStrategy([])
    data = small()
    assert not experiment(data, strategy=quiet, operator="oracle").uses_ground_truth
    run(data, strategy=quiet, operator="oracle")
    assert [b for _, _, b, _ in quiet.seen] == [5, 5, 5, 5, 2]
    assert [n for *_, n in quiet.seen] == [22, 17, 12, 7, 2]
    # nor the oracle's utilities, behind which the labels would be
    assert all(y_true is None and score is None for y_true, score, *_ in quiet.seen)
    assert experiment(data, strategy=telling).uses_ground_truth
    for r, (y_true, *_) in zip(run(data, strategy=telling), telling.seen, strict=False):
        np.testing.assert_array_equal(y_true, data.y[r.pool_ids])


def test_scores_are_for_strategies_that_say_they_read_them():
    @dataclass(frozen=True)
    class Undeclared(goralx.Strategy):
        def select(self, query):
            return query.top(query.scores.utility)

    with pytest.raises(goralx.Incompatible):
        run(strategy=Undeclared(), operator="oracle")


def test_dev_labels_are_the_dev_sets():
    """A spy goal on the dev set is given that set's labels and no others; a pool goal none."""
    seen = []

    @dataclass(frozen=True)
    class Spy(goralx.LogitGoal):
        reference: ClassVar[str] = "dev"

        def value_and_logit_gradient(self, log_P, X, y):
            seen.append((X, y))
            P = np.exp(log_P)
            return float(log_P[:, 0].sum()), np.eye(3)[0] - P

    @dataclass(frozen=True)
    class PoolSpy(Spy):
        reference: ClassVar[str] = "pool"

    data = small(dev=0.3)
    run(data, goal=Spy())
    for X, y in seen:
        np.testing.assert_array_equal(X, data.X[data.dev])
        np.testing.assert_array_equal(y, data.y[data.dev])
    seen.clear()
    run(data, goal=PoolSpy())
    assert seen
    for X, y in seen:
        np.testing.assert_array_equal(X, data.pool_X)
        assert y is None


# --- vacuous utilities ---------------------------------------------------------------------------


def test_a_vacuous_utility_is_said_once_and_selects_at_random():
    data = small()
    with pytest.warns(VacuousUtility, match="Remark 1") as caught:
        rounds = run(data, operator="expected")
    assert len([w for w in caught if w.category is VacuousUtility]) == 1
    for r in rounds[:-1]:
        assert r.metrics["utility/spread"] <= r.metrics["utility/noise"]
    counts = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VacuousUtility)
        for seed in range(200):
            first = run(data, operator="expected", seed=seed, n_queries=5)[0]
            counts.update(first.queried.tolist())
    expected = 200 * 5 / len(data.pool)
    assert set(counts) == set(data.pool)
    assert sum((c - expected) ** 2 / expected for c in counts.values()) < 50  # chi2, 21 degrees


def test_the_guard_may_end_the_run():
    with pytest.raises(goralx.Incompatible, match="Expected makes every utility the same"):
        run(operator="expected", guard="error")
    run(operator="max", guard="error")
    run(operator="expected", strategy="random", guard="error")  # nobody asks it


# --- stopping early ------------------------------------------------------------------------------


@pytest.mark.parametrize("patience", [1, 3])
def test_stops_once_nothing_is_to_be_gained(patience):
    rounds = run(batch_size=2, stop=threshold(1e6, patience))
    assert len(rounds) == patience + 1
    assert len(rounds[-1].queried) == 0
    assert rounds[-1].last


def test_patience_counts_rounds_in_a_row():
    whole = run(batch_size=2)
    gains = [r.queried_utility.sum() / abs(r.metrics["goal/ent"]) for r in whole if not r.last]
    middle = float(np.median(gains))
    low = [g < middle for g in gains]
    stops = next(i for i in range(len(low)) if i >= 1 and low[i] and low[i - 1])
    rounds = run(batch_size=2, stop=threshold(middle, 2))
    assert [len(r.queried) for r in rounds] == [2] * (stops + 1) + [0]


@pytest.mark.parametrize(
    "options", [{"stop": goralx.Budget()}, {"strategy": "random", "stop": threshold(1e6, 1)}]
)
def test_no_threshold_or_no_prediction_never_stops(options):
    assert len(run(**options)) == 6


@dataclass(frozen=True)
class Third(goralx.StoppingRule):
    """Stops in the third round, whatever it is; keeps what it was told."""

    needs: ClassVar[frozenset[str]] = frozenset({"dev", "predictions", "goal"})
    told: list = field(default_factory=list)

    def halt(self, history):
        self.told.append(history)
        return goralx.Halt("three rounds") if len(history) == 3 else None


ALL = build("stop", "any", rules=("goal_plateau", "stable_predictions", "accuracy_plateau"))


def test_a_rule_is_told_what_is_known_before_the_query_and_nothing_of_the_test_set():
    rule, data = Third(), small(dev=0.3)
    made = experiment(data, batch_size=5, stop=rule)
    rounds = list(made.rounds())
    assert [r.last for r in rounds] == [False, False, True] and len(rounds[-1].queried) == 0
    history = rule.told[-1]
    assert not [name for name in history.columns if name.startswith("test/")]
    assert history["n_labelled"].tolist() == [6, 11, 16]
    np.testing.assert_array_equal(history.tau, [r.metrics["goal/ent"] for r in rounds])
    np.testing.assert_array_equal(history["dev/accuracy"], columns(rounds)["dev/accuracy"])
    assert np.isnan(history["utility/q100"][-1]) and np.isfinite(history["utility/q100"][:-1]).all()
    dev = data.subset(data.dev)
    for r in rounds:
        predicted = predict_labels(r, dev.X, data)
        assert r.metrics["dev/accuracy"] == pytest.approx((predicted == dev.y).mean())
    first, *others = (predict_labels(r, stop_set(data, 0), data) for r in rounds)
    assert np.isnan(rounds[0].metrics["stop/agreement"])
    for r, labels in zip(rounds[1:], others, strict=True):
        assert r.metrics["stop/agreement"] == pytest.approx(cohen_kappa_score(labels, first))
        first = labels
    assert made.course.halted(history) == goralx.Halt("three rounds")


def predict_labels(r, X, data):
    """By the definition of softmax regression, from the round's own theta."""
    design = np.hstack([X, np.ones((len(X), 1))])
    return (design @ r.theta.reshape(data.n_classes, -1).T).argmax(axis=1)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_kappa_is_cohens(pairs):
    a, b = np.array(pairs).T
    expected = cohen_kappa_score(a, b, labels=range(4)) if len({*a, *b}) > 1 else 1.0
    assert kappa(a, b, 4) == pytest.approx(expected)


def test_a_rule_that_needs_a_dev_set_is_refused_without_one():
    with pytest.raises(goralx.Incompatible, match=r"Third is measured on a dev set"):
        experiment(small(dev=0), stop=Third())


def test_a_rule_is_not_asked_about_rounds_that_it_is_not_told_of():
    rounds = run(batch_size=5)
    with pytest.raises(goralx.BadInput, match="2 were made, 0 are given"):
        run(batch_size=5, resume=rounds[1].checkpoint, stop=threshold(1.0, 1))


# --- what is refused -----------------------------------------------------------------------------


BAD = {
    "the same twice": [0, 0],
    "past the end": [22],
    "negative": [-1],
    "nothing": [],
    "more than the batch": [0, 1, 2, 3, 4, 5],
    "fractions": [0.5, 1.5],
    "a mask": [True, False],
    "a table": [[0, 1]],
}


@pytest.mark.parametrize("name", BAD)
def test_bad_rows_are_refused_by_name(name):
    @dataclass(frozen=True)
    class Careless(goralx.Strategy):
        def select(self, query):
            return goralx.Selection(np.array(BAD[name]))

    with pytest.raises(goralx.PluginError, match=r"strategy Careless \(.*\) chose .* 0\.\.21"):
        run(strategy=Careless())


def test_utilities_of_the_wrong_shape_are_refused():
    @dataclass(frozen=True)
    class Careless(goralx.Strategy):
        def select(self, query):
            return goralx.Selection(np.arange(2), np.arange(2.0))

    with pytest.raises(goralx.PluginError, match=r"Careless.* of shape \(2,\); expected .*\(22,\)"):
        run(strategy=Careless())


@dataclass(frozen=True)
class Promising(goralx.Strategy):
    """The best, with a gain of its own making for each."""

    gains: tuple[float, ...]
    uses_goal: ClassVar[bool] = True

    def select(self, query):
        rows = query.batch()
        return goralx.Selection(rows, query.scores.utility, np.array(self.gains))


def test_gains_of_the_wrong_shape_are_refused():
    with pytest.raises(goralx.PluginError, match=r"the gains is .* \(3,\); expected .* \(2,\)"):
        run(strategy=Promising((1.0, 2.0, 3.0)), batch_size=2)


def test_gains_are_what_is_predicted_and_what_stopping_goes_by():
    rounds = run(strategy=Promising((1.0, 2.5)), batch_size=2, n_queries=12)
    assert [r.metrics["change/predicted"] for r in rounds[1:]] == [3.5] * 6
    stop = threshold(1e-9, 2)
    never = run(strategy=Promising((1.0, 2.5)), batch_size=2, n_queries=12, stop=stop)
    soon = run(strategy=Promising((1.0, -1.0)), batch_size=2, n_queries=12, stop=stop)
    assert len(never) == 7 and len(soon) == 3


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"n_queries": 0}, {"n_queries": -3}, {"guard": "maybe"}]
)
def test_bad_options_are_refused(options):
    with pytest.raises(goralx.BadInput, match=next(iter(options))):
        experiment(small(), **options)


def test_goals_that_cannot_be_measured_are_refused():
    with pytest.raises(goralx.Incompatible, match="dev set"):
        experiment(small(dev=0), goal="dev")
    with pytest.raises(goralx.Incompatible, match="dev set"):
        experiment(small(dev=0), monitors=("ent", "dev"))
    with pytest.raises(goralx.Incompatible, match="'gone' is not measured"):
        replace(experiment(small()), goal="gone")
    with pytest.raises(goralx.Incompatible, match="needs a goal"):
        replace(experiment(small()), utility=None)


def test_a_run_without_a_goal_oriented_utility():
    """Baselines need none."""
    made = replace(experiment(small(), strategy="random", batch_size=5), utility=None)
    assert len(list(made.rounds())) == 6
    assert not made.uses_ground_truth


def test_a_fit_that_does_not_converge_ends_the_run():
    from goralx.core.linear_solve import NotConverged

    with pytest.warns(UserWarning, match="converge"), pytest.raises(NotConverged, match="lbfgs"):
        run(model="sklearn", model_options={"max_iter": 1})


def test_two_classes_and_a_float32_pool():
    data = instance(2, n_classes=2, pool=40, init=6, test=20)
    single = replace(data, X=data.X.astype(np.float32))
    for options in ({}, {"strategy": "uncertainty"}, {"goal": "fir", "operator": "average"}):
        rounds, again = run(data, **options), run(single, **options)
        assert [r.queried.tolist() for r in rounds] == [r.queried.tolist() for r in again]
    assert build("goal", "ent").reference == "pool"


def test_a_round_of_which_no_kappa_is_known_warns_of_nothing():
    from goralx.learning.measures import utility_metrics

    utility = np.array([1.0, 2.0])
    scores = goralx.Scores(np.zeros((2, 2)), utility, 0.0, np.arange(2), np.full(2, np.nan))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = utility_metrics(utility, scores)
    assert np.isnan(found["trust/kappa_q050"]) and found["utility/q100"] == 2.0


@dataclass(frozen=True)
class Outsider(goralx.Strategy):
    """Fits for itself, by a seed; notes what it was given."""

    given: list[tuple] = field(default_factory=list)

    def select(self, query):
        known = query.candidates.known
        again = query.learner.fit(known, len(query.classes))
        rng = np.random.default_rng(query.seed)
        self.given.append((query.classes, query.seed, again.n_labelled))
        return goralx.Selection(rng.permutation(len(query.candidates))[: query.batch_size])


def test_strategies_are_given_the_learner_class_names_and_a_seed_that_a_resumed_run_repeats():
    data = replace(small(), classes=("pear", "fig", "apple"))
    whole, resumed = Outsider(), Outsider()
    rounds = run(data, strategy=whole)
    run(data, rounds[1].checkpoint, strategy=resumed)
    names, seeds, fitted = zip(*whole.given)
    assert set(names) == {("pear", "fig", "apple")}
    assert len(set(seeds)) == len(seeds) > 2
    assert fitted == tuple(r.n_labelled for r in rounds[:-1])
    assert resumed.given == whole.given[2:]

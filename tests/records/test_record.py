"""The run record: every file's content, read back with nothing but numpy, csv and json."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from goralx.app.closing_table import closing_table
from goralx.comparison import aulc, labels_needed, target
from goralx.data.seeds import streams
from goralx.errors import BadInput, PluginError
from goralx.records import (
    FORMAT,
    Record,
    in_use,
    inputs,
    read_queries,
    read_rounds,
    read_summary,
)
from tests import runs

FILES = {
    "rounds.csv", "queries.csv", "utilities.npz", "instance.npz", "summary.json", "seals.jsonl",
    "checkpoint.npz", "checkpoint.previous.npz",
    ".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml", ".lock",
    *(
        f"figures/{name}.{suffix}"
        for name in ("learning_curve", "goal_curves", "utility_distribution")
        for suffix in ("png", "svg", "pdf")
    ),
}  # fmt: skip


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def npz(path):
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def test_a_finished_run_leaves_these_files_and_no_others(finished):
    directory, _ = finished
    found = {str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file()}
    assert found == FILES
    for name, text in runs.HYDRA_FILES.items():
        assert (directory / ".hydra" / name).read_text() == text


def test_rounds_are_the_loop_s_metrics_to_the_last_bit(finished):
    directory, _ = finished
    rows, rounds = table(directory / "rounds.csv"), list(runs.experiment().rounds())
    assert len(rows) == len(rounds) == 7
    for row, round in zip(rows, rounds, strict=True):
        assert list(row) == ["round", "n_labelled", *round.metrics, "seconds/total"]
        assert (int(row["round"]), int(row["n_labelled"])) == (round.index, round.n_labelled)
        for name, value in round.metrics.items():
            if not name.startswith("seconds/"):
                assert row[name] == ("" if math.isnan(value) else repr(value))
    total = [float(row["seconds/total"]) for row in rows]
    assert total == sorted(total) and total[0] > 0


def test_queries_and_instance_rebuild_the_data_without_goralx(finished):
    from sklearn.datasets import load_iris

    directory, _ = finished
    bunch, parts = load_iris(), npz(directory / "instance.npz")
    queries = table(directory / "queries.csv")
    assert list(queries[0]) == ["round", "pool_id", "label", "utility"]
    ids = [int(q["pool_id"]) for q in queries]
    assert len(set(ids)) == len(ids) == 30 and set(ids) <= set(parts["pool"].tolist())
    assert [q["label"] for q in queries] == [bunch.target_names[bunch.target[i]] for i in ids]
    assert [int(q["round"]) for q in queries] == [r for r in range(6) for _ in range(5)]
    sizes = {name: len(rows) for name, rows in parts.items() if name != "format"}
    assert sizes == {"init": 6, "pool": 99, "test": 45, "dev": 0}
    together = np.concatenate([parts["init"], parts["pool"], parts["test"]])
    assert sorted(together.tolist()) == list(range(150))


def test_utilities_are_those_of_every_candidate_in_every_round(finished):
    directory, _ = finished
    stored, pool = npz(directory / "utilities.npz"), npz(directory / "instance.npz")["pool"]
    rounds = [r for r in runs.experiment().rounds() if r.utility is not None]
    assert stored["utility"].dtype == np.float32
    assert stored["ids"].tolist() == pool.tolist()
    assert stored["round"].tolist() == [r.index for r in rounds]
    assert stored["n_labelled"].tolist() == [r.n_labelled for r in rounds]
    for row, round in zip(stored["utility"], rounds, strict=True):
        values = dict(zip(round.pool_ids.tolist(), round.utility.astype(np.float32), strict=True))
        expected = [values.get(i, np.nan) for i in pool.tolist()]
        np.testing.assert_array_equal(row, expected)
    for query in table(directory / "queries.csv"):
        column = stored["ids"].tolist().index(int(query["pool_id"]))
        seen = stored["utility"][int(query["round"]), column]
        assert seen == np.float32(query["utility"])


def test_summary_says_what_the_tables_say(finished):
    directory, summary = finished
    stored = json.loads((directory / "summary.json").read_text())
    assert stored == json.loads(json.dumps(summary))
    rows = table(directory / "rounds.csv")
    assert stored["status"] == "finished"
    assert stored["metric"] == "accuracy" and stored["higher_is_better"]["accuracy"] is True
    assert list(stored["test"]) == ["accuracy", "log_loss", "balanced_accuracy", "macro_f1"]
    assert stored["test"] == {m: float(rows[-1][f"test/{m}"]) for m in stored["test"]}
    assert stored["goals"] == {g: float(rows[-1][f"goal/{g}"]) for g in ("ent", "fir")}
    assert stored["n_init"] == 6 and stored["n_queries"] == 30
    assert stored["dev_labels_used"] == 0 and stored["uses_ground_truth"] is False
    assert set(stored["labels_needed"]) == {"80%", "90%", "95%"}
    assert stored["fingerprint"] == stored["tags"]["goralx.fingerprint"]
    assert stored["versions"].keys() >= {"python", "goralx", "numpy", "scipy", "scikit-learn"}
    assert stored["seconds"]["fit"] == pytest.approx(sum(float(r["seconds/fit"]) for r in rows))
    curve = [(float(r["n_labelled"]), float(r["test/accuracy"])) for r in rows]
    area = sum((n - m) * (a + b) / 2 for (m, b), (n, a) in itertools.pairwise(curve))
    assert stored["aulc"] == pytest.approx(area / 30, abs=1e-12)


def test_full_pool_accuracy_is_a_fit_on_everything_but_the_test_set(finished):
    from sklearn.linear_model import LogisticRegression

    _, summary = finished
    instance = runs.experiment().instance
    rows = np.concatenate([instance.init, instance.pool])
    model = LogisticRegression(tol=1e-8, max_iter=10000).fit(instance.X[rows], instance.y[rows])
    score = model.score(instance.X[instance.test], instance.y[instance.test])
    assert summary["full_pool"]["accuracy"] == pytest.approx(score)


def test_dev_labels_are_counted_where_they_decide(tmp_path):
    asked = runs.run(tmp_path / "a", runs.experiment(goal="dev", operator="oracle", n_queries=5))
    assert asked["dev_labels_used"] == 10 and asked["uses_ground_truth"] is True
    unasked = runs.run(tmp_path / "b", runs.experiment(goal="dev", strategy="random", n_queries=5))
    assert unasked["dev_labels_used"] == 0
    assert not (tmp_path / "b" / "utilities.npz").exists()
    assert not (tmp_path / "b" / "figures" / "utility_distribution.png").exists()
    assert {q["utility"] for q in table(tmp_path / "b" / "queries.csv")} == {""}
    whole = runs.run(tmp_path / "c", runs.experiment(goal="dev", n_queries=200))
    assert whole["dev_labels_queried"] == 10
    assert "10 of them were queried, too" in closing_table(whole)


def test_dev_labels_that_are_trained_on_are_initial_labels(tmp_path):
    made = runs.experiment(goal="ent", strategy="random", n_queries=5)
    drawn = made.instance.with_dev(0.1, np.random.default_rng(0))
    made = dataclasses.replace(made, instance=drawn.trained_on_dev())
    summary = runs.run(tmp_path / "run", made)
    assert summary["n_init"] == 6 + len(drawn.dev)
    assert summary["dev_labels_in_init"] == len(drawn.dev) and summary["dev_labels_used"] == 0
    assert summary["dev_labels_queried"] == 0
    assert "trained on, among the initial labels" in closing_table(summary)


def test_closing_table_says_it_in_a_few_lines(finished, tmp_path):
    directory, summary = finished
    text = closing_table(summary)
    assert text.startswith("run-iris\n") and len(text.splitlines()) == 9
    assert "goal_curves.png, learning_curve.png, utility_distribution.png" in text
    prices = " / ".join(str(n) for n in summary["labels_needed"].values())
    for part in (f"{summary['test']['accuracy']:.4f}", prices, str(directory), "figures"):
        assert part in text
    never = {**summary, "labels_needed": {"80%": 6, "90%": None}, "uses_ground_truth": True}
    assert "6 / not reached" in closing_table(never)
    assert "upper bound" in closing_table(never)


def test_a_measurement_that_comes_late_gets_its_column(tmp_path):
    def observe(round):
        return {"audit/r": 0.1 * round.index} if round.index >= 2 else {}

    runs.run(tmp_path / "run", runs.experiment(n_queries=20), observe=observe)
    values = read_rounds(tmp_path / "run")["audit/r"]
    np.testing.assert_array_equal(values, [np.nan, np.nan, 0.2, 0.1 * 3, 0.4])
    assert list(table(tmp_path / "run" / "rounds.csv")[0])[-1] == "audit/r"


@given(st.lists(st.floats(), min_size=1, max_size=5))
def test_any_number_reads_back_exactly(tmp_path_factory, values):
    directory = tmp_path_factory.mktemp("numbers")
    record = Record(directory, instance=None)
    for i, value in enumerate(values):
        record._append_row({"round": i, 'a, "b"': value})
    read = read_rounds(directory)
    assert read["round"].tolist() == list(range(len(values)))
    np.testing.assert_array_equal(read['a, "b"'], values)


def test_class_names_may_be_anything(tmp_path):
    instance = runs.experiment().instance
    names = ('a,"b"\nc', "é", " ")
    odd = dataclasses.replace(instance, classes=names)
    experiment = dataclasses.replace(runs.experiment(), instance=odd)
    runs.run(tmp_path / "run", experiment)
    queries = table(tmp_path / "run" / "queries.csv")
    assert [q["label"] for q in queries] == [names[odd.y[int(q["pool_id"])]] for q in queries]
    assert read_queries(tmp_path / "run")[1].tolist() == [int(q["pool_id"]) for q in queries]


def test_no_file_is_pickled_and_objects_are_refused(tmp_path):
    class Odd(type(runs.build("model", "softmax"))):
        def fit(self, labelled, n_classes, previous=None):
            fitted = super().fit(labelled, n_classes, previous)
            arrays = {**fitted.checkpoint(), "notes": np.array([{}], dtype=object)}
            object.__setattr__(fitted, "checkpoint", lambda: arrays)
            return fitted

    experiment = dataclasses.replace(runs.experiment(), model=Odd())
    with pytest.raises(PluginError, match="notes"):
        runs.run(tmp_path / "run", experiment)


def test_a_directory_holds_one_run(tmp_path):
    runs.run(tmp_path / "run", runs.experiment(n_queries=5))
    before = (tmp_path / "run" / "summary.json").read_bytes()
    with pytest.raises(BadInput, match="already holds a run"):
        runs.run(tmp_path / "run", runs.experiment(n_queries=5))
    assert (tmp_path / "run" / "summary.json").read_bytes() == before


def test_one_writer_at_a_time(tmp_path):
    experiment = runs.experiment(n_queries=5)
    with Record(tmp_path, experiment.instance).hold():
        assert in_use(tmp_path)
        with pytest.raises(BadInput, match="another process"):
            runs.run(tmp_path, experiment)
    assert not in_use(tmp_path)
    assert not (tmp_path / "summary.json").exists()


def test_an_unwritable_directory_is_refused_in_a_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written") as refused:
        runs.run(tmp_path / "file" / "run", runs.experiment(n_queries=5))
    assert "\n" not in str(refused.value)


def test_what_is_refused_in_the_first_round_leaves_nothing(tmp_path):
    experiment = runs.experiment(operator="expected", guard="error")
    with pytest.raises(ValueError, match="Remark 1"):
        runs.run(tmp_path / "run", experiment)
    assert list(tmp_path.iterdir()) == []


def test_damage_is_said_and_not_guessed_at(tmp_path):
    with pytest.raises(BadInput, match="holds no run"):
        read_summary(tmp_path)
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(BadInput, match="cannot be read"):
        read_summary(tmp_path)
    (tmp_path / "checkpoint.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(BadInput, match="cannot be read"):
        Record(tmp_path, runs.experiment().instance).checkpoint()


def test_fingerprint_knows_what_matters_and_nothing_else():
    instance = runs.experiment().instance
    base = inputs({"a": 1, "b": [1.5, None]}, instance)
    assert inputs({"b": [1.5, None], "a": 1}, instance) == base
    assert inputs({"a": 1, "b": [1.5, 0]}, instance) != base
    renamed = dataclasses.replace(instance, name="other", source="elsewhere")
    assert inputs({"a": 1, "b": [1.5, None]}, renamed) == base
    X = instance.X.copy()
    X[3, 1] = np.nextafter(X[3, 1], np.inf)
    changed = [
        dataclasses.replace(instance, X=X),
        dataclasses.replace(instance, X=instance.X.astype(np.float32)),
        dataclasses.replace(instance, y=instance.y.astype(np.int32)),
        dataclasses.replace(instance, classes=("a", "b", "c")),
        dataclasses.replace(instance, pool=instance.pool[:-1]),
        dataclasses.replace(instance, dev=instance.pool[:1]),
        dataclasses.replace(instance, init=instance.init[::-1]),
    ]
    prints = {inputs({"a": 1, "b": [1.5, None]}, other) for other in changed}
    assert len(prints | {base}) == len(changed) + 1


def test_fingerprint_does_not_depend_on_memory_layout():
    instance = runs.experiment().instance
    turned = dataclasses.replace(instance, X=np.asfortranarray(instance.X))
    assert inputs({}, turned) == inputs({}, instance)


def test_aulc_by_hand():
    assert aulc([10, 20, 40], [0.5, 0.7, 0.9]) == pytest.approx((6 + 16) / 30)
    assert aulc([10], [0.5]) == 0.5


CURVE = arrays(float, st.integers(2, 30), elements=st.floats(0, 1))


@given(CURVE, st.integers(1, 50), st.integers(0, 2**16))
def test_aulc_is_a_mean(accuracy, n_init, seed):
    n = n_init + np.cumsum(streams(seed, "test").integers(1, 20, size=len(accuracy)))
    value = aulc(n, accuracy)
    assert accuracy.min() - 1e-12 <= value <= accuracy.max() + 1e-12
    assert aulc(10 * n, accuracy) == pytest.approx(value)
    assert aulc(n, np.full(len(n), 0.25)) == pytest.approx(0.25)
    assert aulc(n, n) == pytest.approx((n[0] + n[-1]) / 2)


def test_a_summary_of_before_metrics_were_chosen_is_read_as_one_of_now(tmp_path):
    before = {"status": "finished", "accuracy": 0.5, "log_loss": 0.7, "full_pool_accuracy": 0.9}
    (tmp_path / "summary.json").write_text(json.dumps(before))
    assert read_summary(tmp_path) == {
        "status": "finished", "metric": "accuracy",
        "higher_is_better": {"accuracy": True, "log_loss": False},
        "test": {"accuracy": 0.5, "log_loss": 0.7}, "full_pool": {"accuracy": 0.9},
        "format": FORMAT, "inputs": None, "sources": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("accuracy", "target", "expected"),
    [
        ([0.5, 0.8, 0.8, 0.8, 0.5], 0.8, 20),  # three in a row, whatever comes then
        ([0.5, 0.9, 0.7, 0.8, 0.8], 0.8, 40),  # one is luck; two to the end are enough
        ([0.9, 0.9, 0.9, 0.9, 0.9], 0.8, 10),
        ([0.5, 0.5, 0.5, 0.5, 0.9], 0.8, 50),
        ([0.9, 0.9, 0.5, 0.9, 0.5], 0.8, None),
        ([0.1, 0.1, 0.72, 0.72, 0.72], 0.8 * 0.9, 30),  # 0.8 * 0.9 > 0.72 in floating point
    ],
)
def test_labels_needed_by_hand(accuracy, target, expected):
    assert labels_needed([10, 20, 30, 40, 50], accuracy, target) == expected


@given(CURVE, st.floats(0.01, 1), st.sampled_from([0.8, 0.9, 0.95]))
def test_a_loss_is_as_good_as_its_reciprocal(values, full, share):
    n, loss = np.arange(1, len(values) + 1), 1.0 / (values + 0.1)
    as_gain = labels_needed(n, values + 0.1, target(full, share, True))
    assert labels_needed(n, loss, target(1.0 / full, share, False), False) == as_gain


def test_of_a_negative_value_there_are_no_shares():
    for better in (True, False):
        none = target(-0.5, 0.9, better)
        assert np.isnan(none) and labels_needed([10, 20], [-0.1, -0.1], none, better) is None


@given(CURVE, st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_needs_no_fewer_labels(accuracy, a, b):
    n = np.arange(1, len(accuracy) + 1)
    low, high = (labels_needed(n, accuracy, target) for target in sorted((a, b)))
    assert high is None or (low is not None and low <= high)
    if low is not None:
        assert (accuracy[low - 1 : low + 2] >= min(a, b) - 1e-9).all()

"""Runs that an oracle tells: what is learned, what is counted, and going on to the same end."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

import goralx
from goralx import ABSTAINED, Answers
from goralx.comparison import LEARNED, gather, group, said, said_in
from goralx.contracts import History
from goralx.learning import learned
from goralx.records import Answer, Record, read_answers, read_npz, read_queries, read_rounds
from tests import runs
from tests.program import call
from tests.runs import build

LIAR = {"oracle": "noisy rate=0.3", "rate": 0.25}


def oracle(name="abstaining", **options):
    return build("oracle", name, **(options or (LIAR if name == "abstaining" else {})))


def rounds(**options):
    return list(runs.experiment(**options).rounds())


def told(found):
    """Everything that two runs of the same course agree in, but for the clock."""
    return [
        (
            {k: repr(v) for k, v in r.metrics.items() if not k.startswith("seconds/")},
            r.queried.tolist(),
            r.labels.tolist(),
            r.theta.tobytes(),
            r.checkpoint.labels.tobytes(),
            r.checkpoint.cost,
        )
        for r in found
    ]


def test_what_is_learned_are_the_answers():
    experiment = runs.experiment(oracle=oracle("noisy", rate=0.4), strategy="random")
    found = list(experiment.rounds())
    rows, labels = experiment.instance.init, experiment.instance.y[experiment.instance.init]
    model = None
    for round in found:
        X = experiment.instance.X[rows]
        model = experiment.model.fit(goralx.Labelled(X, labels), 3, previous=model)
        np.testing.assert_array_equal(model.theta, round.theta)
        rows = np.concatenate([rows, round.queried])
        labels = np.concatenate([labels, round.answers.labels])
    assert (labels != experiment.instance.y[rows]).mean() > 0.2


def test_accuracy_falls_with_noise():
    def last(rate):
        options = {"dataset": "digits", "strategy": "random", "batch_size": 100, "n_queries": 200}
        noisy = oracle("noisy", rate=rate)
        scores = [rounds(oracle=noisy, seed=s, ceiling=False, **options)[-1] for s in range(2)]
        return np.mean([r.metrics["test/accuracy"] for r in scores])

    clean, some, much = (last(rate) for rate in (0.0, 0.3, 0.6))
    assert clean > some + 0.05 > much + 0.1


def test_who_gives_no_label_was_asked_all_the_same():
    experiment = runs.experiment(oracle=oracle(rate=0.5), n_queries=40)
    found = list(experiment.rounds())
    asked = np.concatenate([r.queried for r in found])
    labels = np.concatenate([r.labels for r in found])
    silent = labels == ABSTAINED
    assert 5 < silent.sum() < 35 and len(np.unique(asked)) == len(asked) == 40
    n_init = len(experiment.instance.init)
    assert [r.n_labelled for r in found] == [n_init + 5 * i for i in range(9)]
    last = found[-1]
    assert last.checkpoint.n_fitted == n_init + (~silent).sum()
    assert last.metrics["oracle/abstained"] == silent.sum() and last.metrics["cost"] == 40.0
    assert not np.isin(asked, last.pool_ids).any()
    truth = experiment.instance.y[asked[~silent]]
    assert last.metrics["oracle/error"] == (labels[~silent] != truth).mean()


def test_a_run_of_which_nothing_is_told_ends_all_the_same():
    found = rounds(oracle=oracle("abstaining", rate=1.0), batch_size=10)
    assert [r.last for r in found] == [False, False, False, True]
    assert all(np.allclose(r.theta, found[0].theta, atol=1e-6) for r in found)
    assert np.isnan(found[-1].metrics["oracle/error"])


@pytest.mark.parametrize("strategy", ["goral", "uncertainty"])
@pytest.mark.parametrize("name", ["abstaining", "annotators", "costly"])
def test_a_run_goes_on_from_any_round_to_the_same_end(name, strategy):
    def experiment():
        return runs.experiment(oracle=oracle(name), strategy=strategy, n_queries=25)

    whole = list(experiment().rounds())
    for i in (0, 2, 4):
        rest = list(experiment().rounds(resume=whole[i].checkpoint))
        assert told(rest) == told(whole[i + 1 :])


@pytest.mark.parametrize("name", ["abstaining", "annotators"])
@pytest.mark.parametrize("at", [1, 3])
def test_a_killed_run_is_resumed_from_its_record_to_the_same_end(tmp_path, name, at):
    class Killed(BaseException):
        pass

    def kill(round):
        if round.index == at:
            raise Killed
        return {}

    runs.run(tmp_path / "whole", runs.experiment(oracle=oracle(name)))
    with pytest.raises(Killed):
        runs.run(tmp_path / "cut", runs.experiment(oracle=oracle(name)), observe=kill)
    runs.resume(tmp_path / "cut", runs.experiment(oracle=oracle(name)))
    for file in ("queries.csv", "checkpoint.npz", "utilities.npz"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    a, b = (Record(tmp_path / d, runs.experiment().instance).results() for d in ("cut", "whole"))
    assert a == b


def test_a_file_of_the_truth_is_a_perfect_oracle_bit_for_bit(tmp_path):
    instance = runs.experiment().instance
    lines = ["label", *(instance.classes[y] for y in instance.y)]
    (tmp_path / "truth.csv").write_text("\n".join(lines) + "\n")
    file = oracle("file", path=str(tmp_path / "truth.csv"))
    runs.run(tmp_path / "perfect", runs.experiment())
    runs.run(tmp_path / "told", runs.experiment(oracle=file))
    perfect, by_file = (read_rounds(tmp_path / d) for d in ("perfect", "told"))
    assert {*by_file} - {*perfect} == {"cost", "oracle/error", "oracle/abstained"}
    for name, column in perfect.items():
        if not name.startswith("seconds/"):
            np.testing.assert_array_equal(by_file[name], column, err_msg=name)
    for file in ("checkpoint.npz", "utilities.npz", "instance.npz"):
        a, b = (read_npz(tmp_path / d / file) for d in ("perfect", "told"))
        assert a.keys() == b.keys() and all(a[n].tobytes() == b[n].tobytes() for n in a)
    a, b = (list(csv.reader((tmp_path / d / "queries.csv").open())) for d in ("perfect", "told"))
    assert a == [row[:4] for row in b]


def test_the_ground_truth_stays_the_truth():
    honest = runs.experiment(operator="oracle", n_queries=5)
    lied_to = replace(honest, oracle=oracle("noisy", rate=1.0))
    first, other = next(honest.rounds()), next(lied_to.rounds())
    np.testing.assert_array_equal(first.queried, other.queried)
    assert not (first.labels == other.labels).any()
    assert honest.full_pool() == lied_to.full_pool()


@dataclass(frozen=True)
class Wrong(goralx.Oracle):
    """Says what an oracle must not."""

    what: str = ""

    def answer(self, asked):
        n, y = len(asked), asked.y
        return {
            "no answers": y,
            "short": Answers.of_one(y[1:]),
            "class": Answers.of_one(np.full(n, 3)),
            "floats": Answers.of_one(y.astype(float)),
            "free": Answers.of_one(y, np.full(n, -1.0)),
            "endless": Answers.of_one(y, np.full(n, np.inf)),
            "said": Answers(y, np.ones(n), y[:, None], ("a", "b")),
        }[self.what]


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("no answers", "the answer is an array of int64"),
        ("short", "expected an array of numbers of shape"),
        ("class", "labels holds a label 3; allowed: whole numbers, 0 to 2"),
        ("floats", "labels holds a label of type float64"),
        ("free", "a cost is -1; at least 0"),
        ("endless", "cost is inf"),
        ("said", "said is an array"),
    ],
)
def test_an_oracle_that_breaks_the_contract_is_named(what, said):
    with pytest.raises(goralx.PluginError, match=rf"oracle Wrong .*{said}"):
        rounds(oracle=Wrong(what))


def test_what_labels_take_is_what_a_stopping_rule_counts():
    n, accuracy = np.array([10.0, 20.0, 30.0, 40.0]), np.array([0.5, 0.8, 0.82, 0.84])
    columns = {"n_labelled": n, "dev/accuracy": accuracy, "goal/own": n}
    rule = build("stop", "cost", n_future=1000, patience=1)
    assert rule.halt(History(columns, "own")) is None  # ten labels for twenty errors
    dear = History({**columns, "cost": 10 * (n - 10)}, "own")
    np.testing.assert_array_equal(dear.spent, [10, 110, 210, 310])
    assert rule.halt(dear) is not None


# --- the record, and what is made of it -----------------------------------------------------------


def test_the_record_says_who_said_what(tmp_path):
    experiment = runs.experiment(oracle=oracle("annotators", each=2))
    chosen = {group: {"name": group} for group in ("strategy", "operator", "utility", "batch")}
    summary = runs.run(tmp_path / "run", experiment, **chosen)
    _, ids = read_queries(tmp_path / "run")
    anew, answers = experiment.answers(ids), read_answers(tmp_path / "run")
    names = experiment.instance.classes
    for i, one in enumerate(answers):
        said = {w: names[y] for w, y in zip(anew.annotators, anew.said[i]) if y >= 0}
        assert one == Answer(ids[i], names[experiment.instance.y[ids[i]]], names[anew.labels[i]],
                             2.0, said)  # fmt: skip
    assert summary["cost"] == 60.0 and summary["abstained"] == 0
    assert summary["label_error"] == (anew.labels != experiment.instance.y[ids]).mean()
    arms = group(gather([tmp_path / "run"])[0])
    (whole,) = said_in(arms).values()
    assert [one.who for one in whole] == [LEARNED, *anew.annotators]
    assert whole[0].asked == 30 and sum(one.asked for one in whole[1:]) == 60
    assert whole[0].wrong == pytest.approx(summary["label_error"]) and whole[0].cost == 2.0
    np.testing.assert_array_equal(arms.all_runs[0].spent, read_rounds(tmp_path / "run")["cost"])
    assert arms.all_runs[0].costs_differ


def test_errors_are_counted_by_class_and_by_annotator():
    answers = [
        Answer(1, "10", "10", 1.0, {"x": "10", "y": "9"}),
        Answer(2, "9", "10", 1.0, {"x": "10", "y": "10"}),
        Answer(3, "9", None, 2.0, {"x": None}),
    ]
    learned_, x, y = said(answers)
    assert learned_.classes == ("9", "10") and learned_.cost == pytest.approx(4 / 3)
    assert learned_.counts.tolist() == [[0, 1, 1], [0, 1, 0]]
    assert (learned_.wrong, learned_.abstained) == (0.5, 1 / 3)
    assert x.counts.tolist() == [[0, 1, 1], [0, 1, 0]]
    assert y.counts.tolist() == [[0, 1, 0], [1, 0, 0]] and y.wrong == 1.0


def test_samples_without_a_label_are_left_out():
    instance = runs.experiment().instance
    found = learned(instance, np.array([3, 5, 8]), np.array([2, ABSTAINED, 0]))
    np.testing.assert_array_equal(found.X, instance.X[[3, 8]])
    assert found.y.tolist() == [2, 0]


# --- the command line -----------------------------------------------------------------------------

RUN = ("dataset=iris", "n_queries=20", "batch_size=10", "tracker=csv", "progress=false",
       "figures=false", "audit.every=0", "strategy=random")  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("oracle=noisy", "oracle.rate=1.5"), "oracle.rate=1.5; allowed: 0 to 1"),
        (("oracle=noisy", "+oracle.rates={lilac: 0.5}"), "oracle.rates.lilac: no class"),
        (("oracle=file",), "oracle.path=labels.csv"),
        (("oracle=file", "oracle.path=labels.csv"), "no class is called 'lilac'; allowed: setosa"),
        (("oracle=file", "oracle.path=few.csv", "oracle.missing=refuse"), "no label of "),
        (("oracle=noisi",), "did you mean 'noisy'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.csv").write_text("id,label\n60,lilac\n")
    (tmp_path / "few.csv").write_text("id,label\n60,setosa\n")
    done = call(capsys, *RUN, *words, "hydra.run.dir=run")
    assert done.status == 2 and len(done.err.strip().splitlines()) == 1
    assert said in done.err and not (tmp_path / "run").exists()


def test_a_run_is_named_verified_and_resumed_with_its_oracle(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.csv").write_text("id,label\n" + "".join(f"{i},setosa\n" for i in range(99)))
    words = ("oracle=file", "oracle.path=labels.csv", "hydra.run.dir=run")
    done = call(capsys, *RUN, *words)
    assert done.status == 0 and "iris-random-labels.csv-s0" in done.out
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["tags"]["goralx.oracle"] == "labels.csv"
    verified = call(capsys, "verify", "run")
    assert verified.status == 0 and "nothing differs" in verified.out, verified.out
    (tmp_path / "labels.csv").rename(tmp_path / "moved.csv")
    assert call(capsys, *RUN, "oracle=file", "oracle.path=moved.csv", "hydra.run.dir=b").status == 0
    other = json.loads((tmp_path / "b" / "summary.json").read_text())
    assert other["inputs"] == summary["inputs"] and other["results"] == summary["results"]
    (tmp_path / "labels.csv").write_text("id,label\n60,virginica\n")
    refused = call(capsys, "resume", "run")
    assert refused.status == 2 and "other options or other data" in refused.err

"""Metrics against scikit-learn, by hand where it has none, and where a test set lacks a class."""

from __future__ import annotations

import itertools
import json
import warnings
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax
from sklearn import metrics as sk

import goralx
from goralx.app.closing_table import closing_table
from goralx.discovery import registry
from goralx.learning import Undefined
from tests import runs
from tests.problems import build, experiment, instance
from tests.program import SHORT, call

NAMES = sorted(registry().names("metric"))
CLASSES = ("a", "b", "c", "d", "e")


def measure(name, log_P, y, **options):
    return build("metric", name, **options)(log_P, y, CLASSES[: log_P.shape[1]])


@st.composite
def predictions(draw, every_class=True):
    """log P (M, K) and y (M,), from noise to near certainty, often with ties."""
    K = draw(st.integers(2, 5))
    M = draw(st.integers(2 * K, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    y = rng.permutation(np.append(np.arange(K), rng.integers(0, K, M - K)))
    if not every_class:
        y = y % draw(st.integers(1, K))
    logits = rng.normal(size=(M, K)) + draw(st.floats(0, 3)) * np.eye(K)[y]
    if draw(st.booleans()):
        logits = np.round(logits)  # ties
    return log_softmax(draw(st.floats(0.1, 5)) * logits, axis=1), y


def by_scikit_learn(name, log_P, y):
    P, K = np.exp(log_P), log_P.shape[1]
    P /= P.sum(axis=1, keepdims=True)
    predicted, there = log_P.argmax(axis=1), np.unique(y)
    if name == "accuracy":
        return sk.accuracy_score(y, predicted)
    if name == "log_loss":
        return sk.log_loss(y, P, labels=np.arange(K))
    if name == "balanced_accuracy":
        return sk.balanced_accuracy_score(y, predicted)
    if name == "macro_f1":
        return sk.f1_score(y, predicted, labels=there, average="macro", zero_division=0.0)
    if name == "worst_class_recall":
        return sk.recall_score(y, predicted, labels=there, average=None).min()
    if name == "brier":
        return sum(np.mean((P[:, k] - (y == k)) ** 2) for k in range(K))
    areas = [sk.roc_auc_score(y == k, log_P[:, k]) for k in there]
    return np.mean(areas)


@given(predictions(), st.sampled_from([n for n in NAMES if n != "ece"]))
def test_as_scikit_learn(test_set, name):
    assert measure(name, *test_set) == pytest.approx(by_scikit_learn(name, *test_set), rel=1e-9)


@given(predictions(every_class=False), st.sampled_from([n for n in NAMES if n != "ece"]))
def test_a_class_that_is_not_in_the_test_set_is_in_no_average(test_set, name):
    log_P, y = test_set
    value = measure(name, log_P, y)
    if name == "roc_auc" and len(np.unique(y)) == 1:
        assert np.isnan(value)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a class that is predicted and not there
        assert value == pytest.approx(by_scikit_learn(name, log_P, y), rel=1e-9)


@given(predictions())
def test_roc_auc_counts_pairs_and_a_tie_as_half_of_one(test_set):
    log_P, y = test_set
    areas = []
    for k in range(log_P.shape[1]):
        inside, outside = log_P[y == k, k], log_P[y != k, k]
        pairs = [Fraction(int(a > b)) + Fraction(int(a == b), 2) for a in inside for b in outside]
        areas.append(sum(pairs) / len(pairs))
    assert measure("roc_auc", log_P, y) == pytest.approx(float(sum(areas) / len(areas)))


def test_roc_auc_of_two_classes_is_the_usual_one():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 50)
    log_P = log_softmax(rng.normal(size=(50, 2)), axis=1)
    assert measure("roc_auc", log_P, y) == pytest.approx(sk.roc_auc_score(y, log_P[:, 1]))


def test_brier_of_two_classes_is_twice_scikit_learn_s():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 50)
    log_P = log_softmax(rng.normal(size=(50, 2)), axis=1)
    binary = sk.brier_score_loss(y, np.exp(log_P[:, 1]))
    assert measure("brier", log_P, y) == pytest.approx(2 * binary)


@given(predictions(every_class=False), st.integers(1, 20))
def test_ece_bin_by_bin(test_set, bins):
    log_P, y = test_set
    confidence, right = np.exp(log_P.max(axis=1)), log_P.argmax(axis=1) == y
    edges = np.arange(bins + 1) / bins
    if (np.abs(confidence[:, None] - edges) < 1e-9).any():
        return  # on an edge, round-off says which bin
    total = 0.0
    for low, high in itertools.pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            gap = abs(confidence[inside].mean() - right[inside].mean())
            total += inside.mean() * gap
    assert measure("ece", log_P, y, bins=bins) == pytest.approx(total, abs=1e-12)


def test_ece_of_the_certain_and_of_one_bin():
    y = np.array([0, 1, 1, 0])
    sure = log_softmax(900.0 * np.eye(2)[[0, 1, 0, 0]], axis=1)
    assert measure("ece", sure, y) == 0.25
    log_P = log_softmax(np.random.default_rng(0).normal(size=(30, 3)), axis=1)
    y = np.arange(30) % 3
    gap = np.exp(log_P).max(axis=1).mean() - measure("accuracy", log_P, y)
    assert measure("ece", log_P, y, bins=1) == pytest.approx(abs(gap))


@pytest.mark.parametrize("name", NAMES)
def test_in_single_precision_nearly_the_same(name):
    log_P, y = log_softmax(np.random.default_rng(1).normal(size=(60, 4)), axis=1), np.arange(60) % 4
    single = measure(name, log_P.astype(np.float32), y)
    assert single == pytest.approx(measure(name, log_P, y), rel=1e-5)


# --- in a run ------------------------------------------------------------------------------------


def test_a_run_measures_what_is_chosen_in_that_order_whatever_it_queries():
    chosen = {n: build("metric", n) for n in ("roc_auc", "ece", "accuracy")}
    data = instance(3)
    ours = list(experiment(data, metrics=chosen, n_queries=20).rounds())
    usual = list(experiment(data, n_queries=20).rounds())
    for a, b in zip(ours, usual, strict=True):
        assert [m for m in a.metrics if m.startswith("test/")] == [f"test/{n}" for n in chosen]
        assert a.metrics["test/accuracy"] == b.metrics["test/accuracy"]
        assert a.queried.tolist() == b.queried.tolist()


def one_class(data):
    """The same, tested on its first class only."""
    return replace(data, test=data.test[data.y[data.test] == 0])


def test_a_first_metric_that_the_test_set_says_nothing_of_is_refused():
    chosen = {n: build("metric", n) for n in ("roc_auc", "accuracy")}
    with pytest.raises(goralx.Incompatible, match=r"roc_auc .*metrics=\[accuracy,roc_auc\]"):
        next(experiment(one_class(instance(3)), metrics=chosen).rounds())


def test_another_is_warned_of_once_and_stays_empty():
    chosen = {n: build("metric", n) for n in ("accuracy", "roc_auc")}
    made = experiment(one_class(instance(3)), metrics=chosen, n_queries=20)
    with pytest.warns(Undefined, match="test/roc_auc stays empty") as said:
        rounds = list(made.rounds())
    assert len(said) == 1
    assert all(np.isnan(r.metrics["test/roc_auc"]) for r in rounds)


def test_a_metric_that_fails_is_named():
    @dataclass(frozen=True)
    class Broken(goralx.Metric):
        """Raises."""

        def __call__(self, log_P, y, classes):
            raise IndexError("no such class")

    made = experiment(instance(3), metrics={"mine": Broken()})
    with pytest.raises(goralx.PluginError, match=r"metric Broken .*: IndexError: no such class"):
        next(made.rounds())
    with pytest.raises(goralx.BadInput, match="no metric"):
        experiment(instance(3), metrics={})


def test_the_first_metric_is_what_summary_and_closing_table_speak_of(tmp_path):
    chosen = {n: build("metric", n) for n in ("log_loss", "balanced_accuracy")}
    summary = runs.run(tmp_path / "run", runs.experiment(metrics=chosen))
    rows = np.genfromtxt(tmp_path / "run" / "rounds.csv", delimiter=",", names=True)
    n, loss = rows["n_labelled"], rows["testlog_loss"]
    assert summary["metric"] == "log_loss" and summary["higher_is_better"]["log_loss"] is False
    assert summary["test"]["log_loss"] == loss[-1]
    assert summary["aulc"] == pytest.approx(np.trapezoid(loss, n) / (n[-1] - n[0]))
    full = summary["full_pool"]["log_loss"]
    for share, needed in summary["labels_needed"].items():
        reached = loss <= full / (int(share.rstrip("%")) / 100)
        assert needed is None or reached[n == needed].all()
        assert needed is not None or not reached[-1]
    said = closing_table(summary)
    assert f"{loss[-1]:.4f}" in said.splitlines()[1] and "final log loss" in said
    assert "mean log loss over" in said and "as good as the full-pool log loss" in said


def test_metrics_and_their_options_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = "metrics=[balanced_accuracy,ece]", "metrics.ece.bins=3", "hydra.run.dir=run"
    out = call(capsys, *SHORT, *words, "figures=false", "record.utilities=quantiles")
    assert out.status == 0, out.err
    there = {path.name for path in (tmp_path / "run").iterdir()}
    assert not there & {"figures", "utilities", "utilities.npz"} and "rounds.csv" in out.out
    assert "final balanced accuracy" in out.out and "mean balanced accuracy" in out.out
    header = (tmp_path / "run" / "rounds.csv").read_text().splitlines()[0].split(",")
    tested = [name for name in header if name.startswith("test/")]
    assert tested == ["test/balanced_accuracy", "test/ece"]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    nodes = {"balanced_accuracy": {"name": "balanced_accuracy"}, "ece": {"name": "ece", "bins": 3}}
    assert summary["config"]["metrics"] == nodes

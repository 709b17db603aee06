"""MLflow as a view of the record: read back through its own client; and trackers that break."""

from __future__ import annotations

import math
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

import goralx
from goralx.app.closing_table import closing_table
from goralx.errors import BadInput
from goralx.records import read_rounds, read_summary, write_json
from goralx.scoring.guard import VacuousUtility
from goralx.tracking import guarded, how_far
from goralx.tracking.mlflow import MlflowTracker, tracker
from goralx.tracking.mlflow import sync as sync_record
from goralx.tracking.naming import metric_name, parameters
from tests import runs
from tests.app.test_resume import interrupt, stopping
from tests.tracking.reading import assert_tracked_in_full, client, points, tracked_runs

ROOT = Path(runs.__file__).resolve().parents[1]


def sync(directory, uri):
    return sync_record(directory, uri).run_id


def closing_lines(summary):
    lines = closing_table(summary).splitlines()[1:]
    return {line.split()[0]: line.strip().partition(" ")[2].strip() for line in lines}


def test_a_run_can_be_read_back(tmp_path, store, capsys):
    directory = tmp_path / "run"
    options = {"model": {"C": 0.1}, "monitors": ["ent", "fir"], "text": "x" * 7000, "none": None}
    summary = runs.run(directory, runs.experiment(), MlflowTracker(), **options)
    assert capsys.readouterr().err == ""
    run = assert_tracked_in_full(store, directory)
    assert run.info.status == "FINISHED" and run.info.run_name == "run-run"
    params = run.data.params
    assert params["goal.name"] == "ent" and params["model.C"] == "0.1"
    assert params["monitors"] == '["ent", "fir"]' and params["none"] == "null"
    assert len(params["text"]) <= 6000 and params["text"].endswith("whole in .hydra/config.yaml)")
    tags = run.data.tags
    assert {k: v for k, v in summary["tags"].items() if tags.get(k) != v} == {}
    assert {"mlflow.user", "mlflow.source.name", "mlflow.runName", "goralx.directory"} <= set(tags)
    assert "goralx.sweep" not in tags and "mlflow.parentRunId" not in tags
    final = {n.removeprefix("summary/"): v for n, v in run.data.metrics.items() if "summary" in n}
    assert final["aulc"] == summary["aulc"] and final["accuracy"] == summary["test"]["accuracy"]
    assert final["labels_needed_80"] == summary["labels_needed"]["80%"]
    assert points(store, run.info.run_id, "summary/aulc") == [(36, summary["aulc"])]
    for name in ("rounds.csv", "queries.csv", "utilities.npz", "summary.json", "instance.npz",
                 ".hydra/config.yaml", "figures/learning_curve.png"):  # fmt: skip
        local = client(store).download_artifacts(run.info.run_id, name, str(tmp_path))
        assert Path(local).read_bytes() == (directory / name).read_bytes()
    assert Path(store.removeprefix("sqlite:///")).parent.joinpath("mlartifacts").is_dir()


def test_a_resumed_run_goes_on_in_the_same_mlflow_run(tmp_path, store):
    directory, experiment = tmp_path / "run", runs.experiment()
    with pytest.raises(KeyboardInterrupt):
        runs.run(directory, experiment, MlflowTracker(), stopping(3, interrupt))
    (stopped,) = tracked_runs(store)
    assert stopped.info.status == "KILLED"
    assert [step for step, _ in points(store, stopped.info.run_id, "goal/ent")] == [6, 11, 16]
    runs.resume(directory, experiment, MlflowTracker())
    run = assert_tracked_in_full(store, directory)
    assert run.info.run_id == stopped.info.run_id and run.info.status == "FINISHED"


@dataclass
class ShortLived:
    """An MLflow tracker whose connection dies after some rounds."""

    rounds: int

    def start(self, run):
        tracked = MlflowTracker().start(run)
        if self.rounds < 0:
            raise ConnectionError("gone\nfor good")
        return Dying(tracked, self.rounds)


@dataclass
class Dying(goralx.TrackedRun):
    tracked: goralx.TrackedRun
    left: int

    def log_round(self, row):
        if not self.left:
            raise ConnectionError("gone\nfor good")
        self.left -= 1
        self.tracked.log_round(row)

    def finish(self, status, summary):
        raise ConnectionError("gone\nfor good")


@pytest.mark.parametrize("rounds", [-1, 0, 2, 7])
def test_a_tracker_that_breaks_is_one_line_and_sync_catches_up(tmp_path, store, capsys, rounds):
    directory = tmp_path / "run"
    summary = runs.run(directory, runs.experiment(), ShortLived(rounds))
    assert summary["status"] == "finished" and len(read_rounds(directory)["round"]) == 7
    told = how_far(directory)
    assert not told.level and told.error == "ConnectionError: gone for good"
    assert told.told == (None if rounds < 0 else 36) and told.n_labelled == 36
    table = closing_lines(summary)
    assert str(told) in table["tracked"] and f"goralx sync {directory}" in table["tracked"]
    assert table["curves"] == str(directory / "figures")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ConnectionError: gone for good" in line and f"goralx sync {directory}" in line
    (stale,) = tracked_runs(store)
    assert stale.info.status == "RUNNING"
    assert sync(directory, None) == stale.info.run_id
    assert assert_tracked_in_full(store, directory).info.status == "FINISHED"
    metrics = tracked_runs(store)[0].data.metrics
    assert sync(directory, store) == stale.info.run_id
    again = assert_tracked_in_full(store, directory)
    assert again.data.metrics == metrics
    assert points(store, again.info.run_id, "summary/aulc") == [(36, summary["aulc"])]


@dataclass
class Away:
    """An MLflow tracker that does not answer at some attempts, counted over starts and rounds."""

    attempts: list[bool]

    def start(self, run):
        return Dropping(MlflowTracker().start(self.answering(run)), self)

    def answering(self, given):
        if self.attempts and not self.attempts.pop(0):
            raise TimeoutError("no answer")
        return given


@dataclass
class Dropping(goralx.TrackedRun):
    tracked: goralx.TrackedRun
    away: Away

    def log_round(self, row):
        self.tracked.log_round(self.away.answering(row))

    def finish(self, status, summary):
        self.tracked.finish(status, self.away.answering(summary))


@pytest.mark.parametrize(
    ("attempts", "pause", "times"),
    [
        ([False], 0.0, 1),  # away when the run begins
        ([True, True, False, False, False], 0.0, 1),  # still away when it is tried again
        ([True, False, True, True, False], 0.0, 2),  # lost, back, lost again, back
        ([True, False, True, True, False], 3600.0, 1),  # it is always tried in the end
        ([True] * 7 + [False], 0.0, 1),  # away at the last round
    ],
)
def test_a_tracker_that_comes_back_misses_nothing(
    tmp_path, store, capsys, monkeypatch, attempts, pause, times
):
    monkeypatch.setattr(guarded, "PAUSE", pause)
    monkeypatch.setattr(guarded, "RATIO", 0.0)
    directory = tmp_path / "run"
    summary = runs.run(directory, runs.experiment(), Away(list(attempts)))
    assert assert_tracked_in_full(store, directory).info.status == "FINISHED"
    said = capsys.readouterr().err.splitlines()
    assert ["stopped" in line for line in said] == [True, False] * times
    assert how_far(directory).level
    table = closing_lines(summary)
    assert "all of it" in table["tracked"] and table["curves"] == "goralx ui"


def test_what_is_interrupted_while_it_is_told_is_on_record(tmp_path, store):
    class Interrupted(Away):
        def answering(self, given):
            raise KeyboardInterrupt

    directory = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        runs.run(directory, runs.experiment(), Interrupted([]))
    told = how_far(directory)
    assert (told.level, told.told, told.error) == (False, None, "interrupted")


def test_nobody_is_told_of_a_run_that_is_only_recorded(finished):
    assert how_far(finished[0]) is None and not (finished[0] / "tracking.json").exists()


def test_an_interrupt_while_artifacts_go_up_leaves_no_run_running(tmp_path, store, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    directory = tmp_path / "run"
    monkeypatch.setattr(tracker, "upload", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runs.run(directory, runs.experiment(), MlflowTracker())
    assert tracked_runs(store)[0].info.status == "FINISHED"
    assert read_summary(directory)["status"] == "finished" and not how_far(directory).level
    monkeypatch.undo()
    assert sync_record(directory, store).told and how_far(directory).level
    assert not sync_record(directory, store).told


def test_sync_rebuilds_a_run_that_was_never_tracked(tmp_path, store, finished):
    directory = tmp_path / "moved"
    shutil.copytree(finished[0], directory)
    run_id = sync(directory, None)
    (directory / "tracking.json").unlink()  # then its tags say which run it is
    assert sync(directory, None) == run_id
    run = assert_tracked_in_full(store, directory)
    assert run.info.status == "FINISHED"
    started = read_summary(directory)["started"]
    assert run.data.tags["goralx.started"] == started
    assert 0 < run.info.end_time - run.info.start_time < 60_000


def test_resume_of_a_finished_run_only_completes_its_tracking(tmp_path, store):
    directory = tmp_path / "run"
    runs.run(directory, runs.experiment(), ShortLived(3))
    runs.resume(directory, runs.experiment(), MlflowTracker())
    assert assert_tracked_in_full(store, directory).info.status == "FINISHED"


def test_sync_refuses_a_run_that_goes_on_and_ends_one_that_was_killed(tmp_path, store):
    directory = tmp_path / "run"
    refused = []

    def observe(round):
        if round.index == 3:
            with pytest.raises(BadInput, match="still being written") as error:
                sync(directory, None)
            refused.append(error)
        return {}

    runs.run(directory, runs.experiment(), observe=observe)
    assert len(refused) == 1
    summary = {**read_summary(directory), "status": "running"}  # as SIGKILL leaves it
    write_json(directory / "summary.json", summary)
    with (directory / "rounds.csv").open("a") as file:
        file.write("7,46,0.")
    sync(directory, None)
    run = assert_tracked_in_full(store, directory)
    assert run.info.status == "KILLED"
    assert max(step for step, _ in points(store, run.info.run_id, "goal/ent")) == 36


def test_nan_and_infinity_stay_out(tmp_path, store):
    def observe(round):
        return {"odd/@name": math.inf if round.index % 2 else 1.0, "odd/nothing": math.nan}

    directory = tmp_path / "run"
    runs.run(directory, runs.experiment(n_queries=10), MlflowTracker(), observe)
    (run,) = tracked_runs(store)
    assert points(store, run.info.run_id, "odd/_name") == [(6, 1.0), (16, 1.0)]
    assert "odd/nothing" not in run.data.metrics
    assert [step for step, _ in points(store, run.info.run_id, "change/realised")] == [11, 16]


def test_many_parameters_and_metrics_are_split_over_calls(tmp_path, store):
    def observe(round):
        return {f"extra/{i:03d}": float(i) for i in range(400)}

    directory = tmp_path / "run"
    many = {f"p{i:03d}": i for i in range(250)}
    runs.run(directory, runs.experiment(), observe=observe, **many)
    sync(directory, None)
    run = assert_tracked_in_full(store, directory)
    assert run.data.params["p249"] == "249"


@pytest.mark.parametrize("place", ["http", "sqlite"])
def test_a_store_that_cannot_be_reached_is_a_warning(tmp_path, capsys, place):
    (tmp_path / "file").write_text("")
    uri = {"http": "http://127.0.0.1:1", "sqlite": f"sqlite:///{tmp_path}/file/mlflow.db"}[place]
    summary = runs.run(tmp_path / "run", runs.experiment(), MlflowTracker(uri))
    assert summary["status"] == "finished"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("goralx: warning: tracking stopped") and "goralx sync" in line


def test_names_are_what_mlflow_takes():
    from mlflow.utils.validation import _validate_metric_name, _validate_param

    for name in ("acc@5", "goal/τ", "a b", "x%"):
        _validate_metric_name(metric_name(name))
    flat = parameters({"a": {"b": {"c@": [1, None]}, "d": True}, "e": 1e-8})
    assert flat == {"a.b.c_": "[1, null]", "a.d": "true", "e": "1e-08"}
    for key, value in flat.items():
        _validate_param(key, value)


def test_the_bar_and_the_vacuity_warning_are_plain_lines_on_stderr(tmp_path, capsys):
    warnings.simplefilter("default", VacuousUtility)
    for name in ("first", "second"):  # Python would show it once a process
        runs.run(tmp_path / name, runs.experiment(operator="expected"), progress=True)
        shown = capsys.readouterr().err
        assert shown.count("goralx: warning: operator Expected") == 1
        (line,) = [part for part in shown.split("\n") if "warning" in part]
        assert "Remark 1" in line and "experiment.py" not in shown
        last = shown.rstrip("\n").split("\r")[-1]
        summary = read_summary(tmp_path / name)
        assert f"run-{name}: 100%" in last and "30/30" in last
        assert (
            f"accuracy {summary['test']['accuracy']:.3f}, ent {summary['goals']['ent']:.4g}" in last
        )

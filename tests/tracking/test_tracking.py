"""MLflow as a view of the record: read back through its own client; and trackers that break."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

import goralx
from goralx.errors import BadInput
from goralx.records import read_rounds, read_summary
from goralx.scoring.guard import VacuousUtility
from goralx.tracking.mlflow import MlflowTracker, default_uri, sqlite_file, sync
from goralx.tracking.naming import metric_name, parameters
from tests import runs
from tests.app.test_resume import interrupt, stopping

ROOT = Path(runs.__file__).resolve().parents[1]


def client(uri):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def tracked_runs(uri):
    reader = client(uri)
    ids = [e.experiment_id for e in reader.search_experiments() if e.name == "goralx"]
    return reader.search_runs(ids) if ids else []


def points(uri, run_id, name):
    history = client(uri).get_metric_history(run_id, name)
    return sorted((m.step, m.value) for m in history)


def recorded(directory, name):
    rounds = read_rounds(directory)
    pairs = zip(rounds["n_labelled"], rounds[name], strict=True)
    return [(int(n), value) for n, value in pairs if math.isfinite(value)]


def assert_tracked_in_full(uri, directory):
    """Every number of the record is in MLflow once, at step = number of labels."""
    (run,) = tracked_runs(uri)
    names = set(read_rounds(directory)) - {"round", "n_labelled"}
    for name in names:
        assert points(uri, run.info.run_id, name) == recorded(directory, name), name
    others = {n for n in run.data.metrics if not n.startswith("summary/")}
    assert others == {n for n in names if recorded(directory, n)}
    return run


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
    (directory / "summary.json").write_text(json.dumps(summary))
    torn = (directory / "rounds.csv").read_text()[:-5]
    (directory / "rounds.csv").write_text(torn)
    sync(directory, None)
    run = assert_tracked_in_full(store, directory)
    assert run.info.status == "KILLED"
    assert max(step for step, _ in points(store, run.info.run_id, "goal/ent")) == 31


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


def test_the_default_store_is_under_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert sqlite_file(default_uri()) == tmp_path / "outputs" / "mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somewhere:5000")
    assert default_uri() == "http://somewhere:5000" and sqlite_file(default_uri()) is None


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


PARALLEL = """
import sys
from goralx.tracking.mlflow import MlflowTracker
from tests import runs
directory, uri, seed = sys.argv[1:]
runs.run(directory, runs.experiment(seed=int(seed), n_queries=10), MlflowTracker(uri))
"""


@pytest.mark.slow
def test_four_processes_share_a_store_that_is_not_there_yet(tmp_path):
    uri = f"sqlite:///{tmp_path}/fresh/mlflow.db"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", PARALLEL, str(tmp_path / str(seed)), uri, str(seed)],
            cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True,
        )
        for seed in range(4)
    ]  # fmt: skip
    messages = [job.communicate()[1] for job in jobs]
    assert [job.returncode for job in jobs] == [0] * 4 and messages == [""] * 4
    found = tracked_runs(uri)
    assert sorted(run.data.tags["goralx.seed"] for run in found) == ["0", "1", "2", "3"]
    assert {run.info.status for run in found} == {"FINISHED"}
    assert {len(points(uri, run.info.run_id, "test/accuracy")) for run in found} == {3}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_ui_refuses_what_it_cannot_show(tmp_path, store):
    from goralx.tracking.mlflow import serve

    with pytest.raises(BadInput, match="no runs at"):
        serve(f"sqlite:///{tmp_path}/nothing.db", free_port())
    with pytest.raises(BadInput, match="port=70000"):
        serve(store, 70000)
    with pytest.raises(BadInput, match="is a server already"):
        serve("http://127.0.0.1:5000", free_port())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadInput, match="cannot be used"):
            serve(store, taken.getsockname()[1])


@pytest.mark.slow
def test_ui_serves_the_curve_page_and_ends_with_its_children(tmp_path, store):
    runs.run(tmp_path / "run", runs.experiment(n_queries=5), MlflowTracker())
    (run,) = tracked_runs(store)
    port = free_port()
    code = f"from goralx.tracking.mlflow import serve; raise SystemExit(serve({store!r}, {port}))"
    server = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    lines = [server.stdout.readline() for _ in range(2)]
    address = lines[1].split()[-1]
    page = f"#/experiments/{run.info.experiment_id}/runs?compareRunsMode=CHART"
    assert address == f"http://127.0.0.1:{port}/?workflowType=machine_learning{page}"
    with urllib.request.urlopen(address) as answer:
        assert answer.status == 200
    server.send_signal(signal.SIGTERM)
    assert server.wait(timeout=60) == 0
    until = time.monotonic() + 20
    while listening(port) and time.monotonic() < until:
        time.sleep(0.1)
    assert not listening(port)


def listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

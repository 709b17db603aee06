"""``goralx ui``: what it prints, what is seen there, and that it ends with its children."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from goralx.contracts import RunInfo
from goralx.errors import BadInput
from goralx.tracking.mlflow import MlflowTracker, curves, serve
from goralx.tracking.mlflow.view import KEY, chart_view, curve_tags
from tests import browser, runs
from tests.tracking.reading import client, tracked_runs

ROOT = Path(runs.__file__).resolve().parents[1]
ARMS = ("random", "goral")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def served(tmp_path_factory, empty_store):
    """A server on a store with two seeds of each arm: process, port, printed address, store."""
    folder = tmp_path_factory.mktemp("served")
    store = f"sqlite:///{shutil.copy(empty_store, folder / 'mlflow.db')}"
    for strategy in ARMS:
        for seed in (0, 1):
            experiment = runs.experiment(strategy=strategy, seed=seed, n_queries=10)
            runs.run(folder / f"{strategy}-{seed}", experiment, MlflowTracker(store))
    port = free_port()
    code = f"from goralx.tracking import serve; raise SystemExit(serve({store!r}, {port}))"
    server = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=folder
    )
    lines = [server.stdout.readline() for _ in range(2)]
    yield server, port, lines[1].split()[-1], store
    server.send_signal(signal.SIGTERM)
    server.wait(timeout=60)


@pytest.mark.slow
def test_the_printed_address_shows_the_mean_curves(served):
    if browser.chromium() is None:
        pytest.skip(browser.REASON)
    seen = browser.page(served[2])
    arms = {run.data.tags["goralx.curve"] for run in tracked_runs(served[3])}
    named = set(re.findall(r">([^<>]+) [(]test/accuracy[)]<", seen))
    assert len(arms) == len(ARMS) and named == arms
    chart = seen[: seen.index("test/log_loss")]  # the next one
    assert len(re.findall(r'class="js-line" d="M[^"]*L', chart)) >= len(arms)
    ticks = re.findall(r'class="ytick"><text[^>]*data-unformatted="([^"]*)"', chart)
    assert 0 < min(map(float, ticks)) < max(map(float, ticks)) <= 1  # not from 0, where nothing is
    assert "share key" not in seen  # MLflow's complaint about a view that it cannot read


@pytest.mark.slow
def test_ui_serves_the_curve_page_and_ends_with_its_children(served):
    server, port, address, store = served
    number = tracked_runs(store)[0].info.experiment_id
    page = f"#/experiments/{number}/runs?compareRunsMode=CHART&viewStateShareKey={KEY}"
    assert address == f"http://127.0.0.1:{port}/?workflowType=machine_learning{page}"
    with urllib.request.urlopen(address) as answer:
        assert answer.status == 200
    server.send_signal(signal.SIGTERM)
    assert server.wait(timeout=60) == 0
    until = time.monotonic() + 20
    while listening(port) and time.monotonic() < until:
        time.sleep(0.1)
    assert not listening(port)


def test_ui_refuses_what_it_cannot_show(tmp_path, store):
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


def test_a_curve_is_drawn_for_each_data_set_and_arm():
    tags = {"goralx.dataset": "wine", "goralx.strategy": "goral", "goralx.goal": "ent"}
    tags |= {"goralx.operator": "max", "goralx.utility": "influence", "goralx.batch": "top"}

    def curve(**changed):
        changed = {f"goralx.{name}": value for name, value in changed.items()}
        return curve_tags(RunInfo(Path(), "name", {}, {**tags, **changed})).get("goralx.curve")

    assert curve() == "wine, goral ent max"
    assert (
        curve(utility="implicit", batch="sequential") == "wine, goral ent max implicit sequential"
    )
    none = dict.fromkeys(("goal", "operator", "utility", "batch"), "-")
    assert curve(strategy="random", **none) == "wine, random"
    assert curve(job="approximation") is None


def test_the_view_is_of_the_first_metric():
    state = json.loads(chart_view("balanced_accuracy", (0.4, 1.0)))
    (chart,) = state["compareRunCharts"]
    assert chart["metricKey"] == "test/balanced_accuracy"
    assert chart["range"] == {"yMin": 0.4, "yMax": 1.0} and state["runsHiddenMode"] == "SHOW_ALL"
    assert json.loads(chart_view("log_loss", None))["compareRunCharts"][0]["range"] == {}


def test_runs_and_experiments_are_described_and_have_their_data(tmp_path, store):
    for strategy in ARMS:
        experiment = runs.experiment(strategy=strategy, n_queries=10)
        runs.run(tmp_path / strategy, experiment, MlflowTracker())
    reader = client(store)
    one, other = tracked_runs(store)
    note = one.data.tags["mlflow.note.content"]
    assert "on **iris**, seed 0" in note and "After 10 queries: accuracy 0" in note
    (used,) = one.inputs.dataset_inputs
    (also,) = other.inputs.dataset_inputs  # paired: the same rows of the same data
    assert used.dataset == also.dataset and used.dataset.name == "iris"
    assert json.loads(used.dataset.profile) == {"init": 6, "pool": 99, "test": 45, "dev": 0}
    tags = reader.get_experiment(one.info.experiment_id).tags
    assert "mean curves" in tags["mlflow.note.content"]
    reader.set_experiment_tag(one.info.experiment_id, "mlflow.note.content", "my own words")
    runs.run(tmp_path / "third", runs.experiment(n_queries=5), MlflowTracker())
    kept = reader.get_experiment(one.info.experiment_id).tags["mlflow.note.content"]
    assert kept == "my own words"


def test_where_the_curves_of_a_run_are(tmp_path, monkeypatch):
    def where(**noted):
        (tmp_path / "tracking.json").write_text(json.dumps(noted))
        return curves(tmp_path)

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////data/mlflow.db")
    assert where(uri="sqlite:////data/mlflow.db", experiment_id="1") == "goralx ui"
    other = where(uri="postgresql://me:secret@host/runs", experiment_id="1")
    assert other == "goralx ui --store postgresql://me@host/runs"
    page = where(uri="http://host:5000/", experiment_id="7")
    assert page.startswith("http://host:5000/?") and "/experiments/7/runs?" in page
    assert where(uri="http://host:5000/") is None

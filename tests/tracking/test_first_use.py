"""Processes that all come first to a store that is not there yet: every run whole in each kind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests import runs
from tests.tracking import mysql, postgresql
from tests.tracking.crowd import ROUNDS

ROOT = Path(runs.__file__).resolve().parents[1]


@contextmanager
def sqlite(folder):
    yield lambda n: f"sqlite:///{folder}/fresh{n}/mlflow.db"


@contextmanager
def postgres(folder):
    reason = postgresql.missing()
    if reason:
        pytest.skip(reason)
    with postgresql.server() as address:
        yield lambda n: postgresql.create(address, f"runs{n}")


@contextmanager
def mariadb(folder):
    reason = mysql.missing()
    if reason:
        pytest.skip(reason)
    with mysql.server() as address:
        yield lambda n: mysql.create(address, f"runs{n}")


@contextmanager
def mlflow_server(folder):
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    store = f"sqlite:///{folder}/served.db"
    command = ["-m", "mlflow", "server", "--backend-store-uri", store, "--host", "127.0.0.1"]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    more = ["--port", str(port), "--workers", "1", "--artifacts-destination", f"{folder}/served"]
    with (Path(folder) / "log").open("w") as log:
        served = subprocess.Popen(
            [sys.executable, *command, *more], cwd=folder, env=environment, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        try:
            until = time.monotonic() + 120
            while not _healthy(port) and time.monotonic() < until and served.poll() is None:
                time.sleep(0.2)
            yield lambda n: f"http://127.0.0.1:{port}"
        finally:
            os.killpg(served.pid, 9)
            served.wait()


def _healthy(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("kind", [sqlite, postgres, mariadb, mlflow_server])
def test_every_run_is_tracked_whole_however_many_come_first(tmp_path, kind):
    from mlflow import MlflowClient

    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with kind(tmp_path) as store:
        for n in (1, 4, 8):
            uri, folder = store(n), tmp_path / str(n)
            done = subprocess.run(
                [sys.executable, "-m", "tests.tracking.crowd", folder, f"of {n}", str(n), uri],
                cwd=tmp_path, env=environment, capture_output=True, text=True,
            )  # fmt: skip
            assert (done.returncode, done.stderr) == (0, "")
            client = MlflowClient(uri)
            (ours,) = [e for e in client.search_experiments() if e.name == f"of {n}"]
            found = client.search_runs([ours.experiment_id])
            assert sorted(int(run.data.tags["goralx.seed"]) for run in found) == list(range(n))
            assert {run.info.status for run in found} == {"FINISHED"}
            for run in found:
                points = client.get_metric_history(run.info.run_id, "test/accuracy")
                assert len({m.step for m in points}) == len(points) == ROUNDS
                kept = {f.path for f in client.list_artifacts(run.info.run_id)}
                assert {"rounds.csv", "summary.json", "figures", ".hydra"} <= kept
    assert not (tmp_path / "mlruns").exists()

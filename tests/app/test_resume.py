"""A run that was stopped anywhere ends, once resumed, bit for bit where the whole run does."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from goralx.app import runner
from goralx.errors import BadInput
from goralx.records import read_rounds, read_summary
from goralx.scoring.guard import VacuousUtility
from tests import runs

ROOT = Path(runs.__file__).resolve().parents[1]


def without_seconds(path):
    """Every column and cell but those that a clock filled."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if not k.startswith("seconds/")} for row in rows]


def arrays(path):
    """Names, types, shapes and bytes of an archive's arrays."""
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as stored:
        return {k: (a.dtype.str, a.shape, a.tobytes().hex()) for k, a in stored.items()}


def summary_results(directory):
    summary = json.loads((directory / "summary.json").read_text())
    return {
        key: value
        for key, value in summary.items()
        if key
        not in (
            "seconds",
            "started",
            "directory",
            "name",
            "versions",
            "chain",
            "sha256",
            "peak_memory_mb",
            "extended_from",
        )
    }


def assert_equal_records(a, b):
    assert without_seconds(a / "rounds.csv") == without_seconds(b / "rounds.csv")
    assert (a / "queries.csv").read_bytes() == (b / "queries.csv").read_bytes()
    for name in ("utilities.npz", "checkpoint.npz", "instance.npz"):
        assert arrays(a / name) == arrays(b / name), name
    assert summary_results(a) == summary_results(b)
    left_over = [p.name for p in b.rglob("*") if p.suffix in (".part", ".npy")]
    assert left_over == []
    assert {p.name for p in a.iterdir()} == {p.name for p in b.iterdir()}


class Killed(BaseException):
    """What ends the process in these tests, as SIGKILL would: nothing is written after it."""


class Saw:
    """Counts writes and dies at the k-th, half-way through where a write has a half."""

    def __init__(self, monkeypatch, last):
        self.calls, self.last = 0, last
        rmtree = shutil.rmtree
        for owner, name in ((os, "replace"), (Path, "mkdir"), (Path, "unlink")):
            monkeypatch.setattr(owner, name, self.cut(getattr(owner, name)))
        monkeypatch.setattr(shutil, "rmtree", self.cut(rmtree, self.half_tree))
        monkeypatch.setattr(runner.report, "draw", self.cut(lambda *a: None))
        self.open = Path.open
        monkeypatch.setattr(Path, "open", lambda path, *a, **k: self.opened(path, *a, **k))

    def opened(self, path, mode="r", *args, **kwargs):
        file = self.open(path, mode, *args, **kwargs)
        if not set(mode) & set("wa+") or path.name == ".lock":
            return file
        write, begun = file.write, []

        def once(content):  # of a large file's many writes the first: they are all alike
            begun.append(content)
            cut = self.cut(write, lambda content: write(content[: len(content) // 2]))
            return cut(content) if len(begun) == 1 or path.suffix != ".part" else write(content)

        file.write = once
        return file

    def cut(self, write, half=lambda *a, **k: None):
        def writes(*args, **kwargs):
            self.calls += 1
            if self.calls == self.last:
                half(*args, **kwargs)
            if self.calls >= self.last:
                raise Killed
            return write(*args, **kwargs)

        return writes

    @staticmethod
    def half_tree(path):
        for part in sorted(Path(path).iterdir())[:1]:
            os.unlink(part)


def cut_short(monkeypatch, directory, experiment, k, observe):
    """Run or resume until the k-th write; returns whether it came through."""
    proceed = runs.resume if (directory / ".hydra").is_dir() else runs.run
    with monkeypatch.context() as patched:
        saw = Saw(patched, k)
        try:
            proceed(directory, experiment, observe=observe)
        except Killed:
            return False
        return saw.calls < k


def late(round):
    return {"late/metric": float(round.index)} if round.index == 2 else {}


@pytest.mark.parametrize("strategy", ["goral", "random"])
def test_killed_between_any_two_writes(tmp_path, monkeypatch, strategy):
    experiment = runs.experiment(strategy=strategy, n_queries=10)
    whole = tmp_path / "whole"
    monkeypatch.setattr(runner.report, "draw", lambda *a: None)
    runs.run(whole, experiment, observe=late)
    for k in range(1, 200):
        directory = tmp_path / str(k)
        if cut_short(monkeypatch, directory, experiment, k, late):
            break
        for again in (2, 5):  # killed again while it is resumed, early and a little later
            cut_short(monkeypatch, directory, experiment, again, late)
        proceed = runs.resume if (directory / ".hydra").is_dir() else runs.run
        proceed(directory, experiment, observe=late)
        assert_equal_records(whole, directory)
    assert 15 < k < 199, "every write was the last one once"


def stopping(index, how):
    def observe(round):
        if round.index == index:
            how()
        return {}

    return observe


def fail():
    raise OSError("the disk\nis gone")


def interrupt():
    raise KeyboardInterrupt


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("how", "raised", "status"),
    [
        (fail, OSError, "failed"),
        (interrupt, KeyboardInterrupt, "killed"),
        (terminate, SystemExit, "killed"),
    ],
)
def test_what_ends_a_run_is_noted_and_raised_and_can_be_resumed(tmp_path, how, raised, status):
    whole, directory = tmp_path / "whole", tmp_path / "stopped"
    runs.run(whole, runs.experiment())
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(raised):
        runs.run(directory, runs.experiment(), observe=stopping(3, how))
    assert signal.getsignal(signal.SIGTERM) is before
    summary = read_summary(directory)
    assert summary["status"] == status
    assert summary["error"].startswith(raised.__name__) and "\n" not in summary["error"]
    assert len(read_rounds(directory)["round"]) == 3
    resumed = runs.resume(directory, runs.experiment())
    assert resumed["status"] == "finished" and "error" not in resumed
    assert resumed["started"] == summary["started"]
    assert resumed["seconds"]["total"] > summary["seconds"]["total"]
    assert_equal_records(whole, directory)


@pytest.mark.parametrize("operator", ["expected", "annealed", "estimated"])
def test_ties_schedules_and_other_models_resume_too(tmp_path, operator):
    experiment = runs.experiment("wine", operator=operator, n_queries=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VacuousUtility)
        runs.run(tmp_path / "whole", experiment)
        with pytest.raises(KeyboardInterrupt):
            runs.run(tmp_path / "cut", experiment, observe=stopping(2, interrupt))
    with warnings.catch_warnings():  # what the first part said is not said again
        warnings.simplefilter("error", VacuousUtility)
        runs.resume(tmp_path / "cut", experiment)
    assert_equal_records(tmp_path / "whole", tmp_path / "cut")


def test_a_finished_run_is_left_as_it_is(tmp_path):
    experiment = runs.experiment(n_queries=5)
    first = runs.run(tmp_path / "run", experiment)
    files = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    assert runs.resume(tmp_path / "run", experiment) == json.loads(json.dumps(first))
    assert {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()} == files


def test_another_experiment_or_no_record_is_refused(tmp_path):
    with pytest.raises(BadInput, match="holds no run"):
        runs.resume(tmp_path, runs.experiment())
    with pytest.raises(KeyboardInterrupt):
        runs.run(tmp_path / "run", runs.experiment(), observe=stopping(2, interrupt))
    with pytest.raises(BadInput, match="fingerprints differ"):
        runs.resume(tmp_path / "run", runs.experiment(seed=1))


@pytest.mark.slow
def test_kill_9_at_random_moments(tmp_path):
    whole, directory = tmp_path / "whole", tmp_path / "killed"
    command = [sys.executable, "-m", "tests.runs"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(whole)], check=True, cwd=ROOT, env=environment)
    chance = random.Random(0)
    for rows in (chance.randrange(1, 15), chance.randrange(16, 35), chance.randrange(36, 60)):
        child = subprocess.Popen([*command, str(directory)], cwd=ROOT, env=environment)
        while child.poll() is None and lines(directory / "rounds.csv") < rows:
            time.sleep(0.001)
        time.sleep(chance.random() * 0.01)
        child.kill()
        assert child.wait() == -signal.SIGKILL
        assert read_summary(directory)["status"] == "running"
    subprocess.run([*command, str(directory)], check=True, cwd=ROOT, env=environment)
    assert_equal_records(whole, directory)


def lines(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0

"""5. Through the command line: what a run costs that is not learning.

A plugin of our own notes the CPU time at which each round is observed. What learning takes is
measured in this process, on the same rounds, and subtracted.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np

import goralx
from goralx.data.seeds import streams
from goralx.discovery import registry

from .measure import Row

CLOCK = """
import pathlib, time
import goralx

@goralx.hookimpl
def observe_round(round):
    with pathlib.Path({path!r}).open("a") as file:
        print(time.process_time(), file=file)
"""
RECORDING = {"mlflow": 0.025, "csv": 0.010}  # seconds a round
STARTUP = {"mlflow": 6.0, "csv": 3.0}


def learning(dataset: str, rounds: int) -> list[float]:
    """CPU seconds of each round of the same experiment, nobody watching."""
    build = registry().build
    drawn = build("dataset", dataset).instance(streams(0, "instance")).in_single()
    model = build("model", "softmax", {"C": build("dataset", dataset).C})
    goals = {name: build("goal", name) for name in ("ent", "fir")}
    utility = goralx.GoalOrientedUtility(
        goals["ent"], build("operator", "max"), build("utility", "influence"), model
    )
    experiment = goralx.Experiment(
        drawn, model, build("strategy", "goral"), utility, goals, "ent", n_queries=10 * rounds
    )
    times = [time.process_time()]
    for _ in experiment.rounds():
        times.append(time.process_time())
    return np.diff(times).tolist()


def through_the_command_line(
    folder: Path, dataset: str, tracker: str, rounds: int
) -> tuple[list[float], float]:
    """CPU time at which each round was observed, and of the whole process."""
    clock, plugins = folder / f"{tracker}-clock.txt", folder / f"{tracker}-plugins"
    plugins.mkdir()
    (plugins / "clock.py").write_text(CLOCK.format(path=str(clock)), encoding="utf-8")
    command = [
        sys.executable, "-m", "goralx", "goal=ent", "operator=max", f"dataset={dataset}",
        f"tracker={tracker}", f"n_queries={10 * rounds}", "audit.every=null",
        f"hydra.run.dir={folder / tracker}",
    ]  # fmt: skip
    environment = {**os.environ, "GORALX_PLUGINS": str(plugins), "OMP_NUM_THREADS": "1"}
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environment[name] = "1"
    environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment, cwd=folder, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [float(line) for line in clock.read_text().split()], total


def rows(smoke: bool) -> Iterator[Row]:
    dataset, rounds = ("iris", 3) if smoke else ("letter", 100)
    learnt = learning(dataset, rounds)
    with tempfile.TemporaryDirectory() as name:
        for tracker in ("csv", "mlflow"):
            if tracker == "mlflow":  # an existing store: the first run lays it out
                with tempfile.TemporaryDirectory(dir=name) as first:
                    _lay_out(Path(name), Path(first))
            at, total = through_the_command_line(Path(name), dataset, tracker, rounds)
            steps = np.diff(at)
            recording = median((steps - learnt[1:]).tolist()) if len(steps) > 1 else steps[0]
            opening = max(0.0, float(steps[0]) - learnt[1] - recording)  # the store's connection
            startup = at[0] - learnt[0] + opening
            yield Row(
                5, f"{dataset}, {tracker}: start-up", startup, "seconds", 1.0, STARTUP[tracker]
            )
            yield Row(
                5, f"{dataset}, {tracker}: recording a round", recording, "seconds", 1.0,
                RECORDING[tracker],
            )  # fmt: skip
            if tracker == "mlflow":
                rest = total - sum(learnt)
                yield Row(5, f"{dataset}, mlflow: all but learning", rest, "seconds", 1.0, 10.0)


def _lay_out(folder: Path, scratch: Path) -> None:
    command = [
        sys.executable, "-m", "goralx", "dataset=iris", "n_queries=10",
        f"hydra.run.dir={scratch / 'run'}",
    ]  # fmt: skip
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    subprocess.run(command, env=environment, cwd=scratch, check=True, capture_output=True)

"""Whoever runs the jobs of a sweep: the same records, the same counts, the objective told."""

from __future__ import annotations

import csv
import importlib.util
import json

import pytest
import yaml

from tests.program import call, launch, runs

FEW = ("-m", "dataset=iris", "n_queries=10", "tracker=csv", "progress=false", "figures=false",
       "report=false", "strategy=random")  # fmt: skip
LAUNCHERS = {
    "joblib": ("hydra.launcher.n_jobs=2",),
    "submitit_local": ("hydra.launcher.timeout_min=5",),
    "ray": ("+hydra.launcher.ray.init.num_cpus=2",),
}


def needs(package):
    there = importlib.util.find_spec("hydra_plugins") and importlib.util.find_spec(package)
    return pytest.mark.skipif(not there, reason=f"{package} is not installed")


def records(folder):
    """Of each run by its name: rounds without what a clock says, and queries."""
    found = {}
    for directory in runs(folder):
        with (directory / "rounds.csv").open() as file:
            rows = [
                {k: v for k, v in row.items() if "seconds" not in k} for row in csv.DictReader(file)
            ]
        found[directory.name] = rows, (directory / "queries.csv").read_text()
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher",
    [
        pytest.param("joblib", marks=needs("hydra_plugins.hydra_joblib_launcher")),
        pytest.param("submitit_local", marks=needs("hydra_plugins.hydra_submitit_launcher")),
        pytest.param("ray", marks=needs("hydra_plugins.hydra_ray_launcher")),
    ],
)
def test_every_launcher_gives_the_same_records_and_counts(launcher, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = (*FEW, "seed=0,1", "model.C=1,-1")
    done = launch(tmp_path, *words, f"hydra/launcher={launcher}", *LAUNCHERS[launcher],
                  "hydra.sweep.dir=away")  # fmt: skip
    assert done.status == 2, done
    assert "sweep: 2 done, 0 skipped, 0 resumed, 2 refused, 0 failed" in done.out
    assert "job 1 of 4 (" in done.out and "model.C=-1" in done.err
    call(capsys, *words, "hydra.sweep.dir=here")
    assert len(records(tmp_path / "away")) == 2
    assert records(tmp_path / "away") == records(tmp_path / "here")


@pytest.mark.slow
@needs("hydra_plugins.hydra_optuna_sweeper")
def test_optuna_is_told_the_objective(tmp_path):
    done = launch(
        tmp_path, *FEW, "seed=0", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=2",
        "hydra.sweeper.n_jobs=1", "hydra.sweeper.direction=maximize", "model.C=choice(1,2)",
        "hydra.sweep.dir=found",
    )  # fmt: skip
    assert done.status == 0, done
    best = yaml.safe_load((tmp_path / "found" / "optimization_results.yaml").read_text())
    told = [json.loads((run / "summary.json").read_text())["aulc"] for run in runs(tmp_path)]
    assert best["best_value"] == max(told)


@pytest.mark.slow
@needs("hydra_plugins.hydra_optuna_sweeper")
def test_a_refused_trial_costs_optuna_no_other(tmp_path):
    done = launch(
        tmp_path, *FEW, "seed=0", "hydra/sweeper=optuna", "hydra/sweeper/sampler=grid",
        "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=1", "hydra.sweeper.direction=maximize",
        "model.C=choice(-1,1,2)", "hydra.sweep.dir=found",
    )  # fmt: skip
    assert done.status == 2 and "refused" in done.out and "C is a positive" in done.err
    best = yaml.safe_load((tmp_path / "found" / "optimization_results.yaml").read_text())
    assert best["best_params"]["model.C"] in (1, 2)


@pytest.mark.slow
@needs("hydra_plugins.hydra_optuna_sweeper")
@pytest.mark.parametrize(
    "word, says",
    [("model.C=choice(-1,-2)", "C is a positive"), ("strategy=raising", "KeyError: 'nothing'")],
)
def test_where_every_trial_is_refused_optuna_says_so_in_a_line(tmp_path, word, says):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "raising.py").write_text(RAISING)
    done = launch(
        tmp_path, *FEW, "seed=0,1", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=2",
        "hydra.sweeper.n_jobs=1", word, "hydra.sweep.dir=found", GORALX_PLUGINS="mine",
    )  # fmt: skip
    assert done.status == 2, done
    assert "2 refused" in done.out.splitlines()[-1] and done.err.count(says) == 2
    (line,) = [e for e in done.errors if "none of 2 jobs came to a value" in e]
    assert line.startswith("goralx: ") and "GORALX_TRACEBACK" not in line


RAISING = """
from dataclasses import dataclass

import goralx


@dataclass(frozen=True)
class Raising(goralx.Strategy):
    def select(self, query):
        raise KeyError("nothing")


@goralx.hookimpl
def register_strategies(register):
    register("raising", Raising)
"""

DEADLY = """
import os
from dataclasses import dataclass

import goralx


@dataclass(frozen=True)
class Deadly(goralx.Strategy):
    def select(self, query):
        if query.candidates.random_state == 1:
            os.kill(os.getpid(), 9)
        return goralx.Selection(query.rng.permutation(len(query.candidates))[: query.batch_size])


@goralx.hookimpl
def register_strategies(register):
    register("deadly", Deadly)
"""


@pytest.mark.slow
@needs("hydra_plugins.hydra_joblib_launcher")
def test_a_killed_worker_costs_its_own_job_alone_and_is_said(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "deadly.py").write_text(DEADLY)
    words = [word for word in FEW if word != "strategy=random"]
    done = launch(
        tmp_path, *words, "strategy=deadly", "seed=range(4)", "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2", "hydra.sweep.dir=away", GORALX_PLUGINS="mine",
    )  # fmt: skip
    assert done.status == 1, done
    assert "3 done, 0 skipped" in done.out.replace(
        "2 done, 0 skipped, 1 resumed", "3 done, 0 skipped"
    )
    assert "1 failed" in done.out and "its process was killed, twice" in done.err
    ended = [json.loads((run / "summary.json").read_text()) for run in runs(tmp_path)]
    assert sorted(s["config"]["seed"] for s in ended if s["status"] == "finished") == [0, 2, 3]

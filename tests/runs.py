"""Small real runs through the library API: what the tests of the record and the trackers share.

``python -m tests.runs DIRECTORY`` begins such a run, or goes on with it, in its own process.
"""

from __future__ import annotations

import sys
from pathlib import Path

import goralx
from goralx.app import runner
from goralx.contracts.runs import RunInfo
from goralx.data.seeds import streams
from goralx.discovery import registry
from goralx.records import fingerprint, inputs

HYDRA_FILES = {
    "config.yaml": "goal:\n  name: ent\n",
    "hydra.yaml": "hydra: {}\n",
    "overrides.yaml": "- goal=ent\n",
}


def build(group, name, **options):
    return registry().build(group, name, options)


def experiment(dataset="iris", strategy="goral", goal="ent", operator="max", seed=0, **options):
    """An `Experiment` on a bundled data set, from registered names."""
    drawn = build("dataset", dataset) if isinstance(dataset, str) else dataset
    instance = drawn.instance(streams(seed, "instance"))
    monitors = {"ent", "fir", goal}
    if "dev" in monitors:
        instance = instance.with_dev(0.1, streams(seed, "dev"))
    model, chooser = build("model", "softmax"), build("strategy", strategy)
    dev = instance.labelled(instance.dev) if len(instance.dev) else None
    utility = goralx.GoalOrientedUtility(
        build("goal", goal), build("operator", operator), build("utility", "influence"), model,
        dev, pool_y=instance.y[instance.pool],
    )  # fmt: skip
    options = {"batch_size": 5, "n_queries": 30, **options}
    return goralx.Experiment(
        instance, model, chooser, utility if chooser.uses_goal else None,
        {name: build("goal", name) for name in sorted(monitors)}, goal, seed=seed, **options,
    )  # fmt: skip


def info(directory, experiment, **config):
    identity = {"strategy": type(experiment.strategy).__name__, "seed": experiment.seed}
    data = inputs(identity, experiment.instance)
    tags = {
        "goralx.fingerprint": fingerprint(data, {}),
        "goralx.goal": experiment.goal,
        "goralx.operator": "max",
        "goralx.strategy": identity["strategy"],
        "goralx.utility": "influence",
        "goralx.dataset": experiment.instance.name,
        "goralx.seed": str(experiment.seed),
        "goralx.uses_ground_truth": str(experiment.uses_ground_truth).lower(),
    }
    nested = {"goal": {"name": experiment.goal}, "batch_size": experiment.batch_size, **config}
    return RunInfo(Path(directory), f"run-{Path(directory).name}", nested, tags, data)


def run(directory, experiment, tracker=None, observe=lambda round: {}, progress=False, **config):
    return runner.run(
        experiment, info(directory, experiment, **config), hydra_files=HYDRA_FILES,
        tracker=tracker or build("tracker", "csv"), observe=observe, progress=progress,
    )  # fmt: skip


def resume(directory, experiment, tracker=None, observe=lambda round: {}, progress=False, **how):
    return runner.resume(
        experiment, info(directory, experiment), tracker=tracker or build("tracker", "csv"),
        observe=observe, progress=progress, **how,
    )  # fmt: skip


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    print("built", flush=True)
    proceed = resume if (folder / ".hydra").is_dir() else run
    proceed(folder, experiment(n_queries=60, batch_size=1))

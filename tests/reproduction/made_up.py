"""Runs made of numbers, as `goralx.reproduction.running` writes them."""

from __future__ import annotations

import numpy as np

from goralx.records import write_csv, write_json
from goralx.reproduction.arms import Arm, Plan, Setting
from goralx.reproduction.results import Results

SETTING = Setting("synth2", n_queries=30)


def write(runs, arm, seed, accuracy, *, step=10, ceiling=1.0, n_dev=0, queries=None, **columns):
    """One run whose accuracy after each batch is given; other columns are given by name."""
    n = step * np.arange(len(accuracy))
    folder = arm.folder(runs, seed)
    folder.mkdir(parents=True, exist_ok=True)
    columns = {"test/accuracy": accuracy, **{k.replace("__", "/"): v for k, v in columns.items()}}
    rows = [
        [i, 10 + int(n[i]), *(float(values[i]) for values in columns.values())]
        for i in range(len(accuracy))
    ]
    write_csv(folder / "rounds.csv", [["round", "n_labelled", *columns], *rows])
    ids = range(int(n[-1])) if queries is None else queries
    lines = [[i // step, int(row)] for i, row in enumerate(ids)]
    write_csv(folder / "queries.csv", [["round", "pool_id"], *lines])
    said = {"arm": arm.identity(), "seed": seed, "n_dev": n_dev, "ceiling": ceiling}
    write_json(folder / "run.json", said)


def results(runs, n_seeds, *names, setting=SETTING):
    return Results(runs, Plan(tuple(Arm(setting, name) for name in names), n_seeds))

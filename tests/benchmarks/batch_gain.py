"""What a batch truly gains, by rule: the model refit on the whole batch under its true labels.

    python tests/benchmarks/batch_gain.py [--seeds 8] [--batch-size 10] [--data digits ...]

n = 50 random labelled samples, a pool of 500, 200 dev samples; tau after minus tau before, mean and
standard error over seeds, and how often the rule beats the b best. rt_polarity is read from
GORALX_DATA and left out without it.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np

import goralx
from goralx import Candidates, GoalOrientedUtility, Labelled, Query, Reference
from goralx.discovery import registry

N_LABELLED, N_POOL, N_DEV = 50, 500, 200
RULES = ("top", "sequential", "gumbel", "kmeanspp", "random")


def draw(data: str, seed: int) -> tuple[Labelled, Labelled, Labelled, float]:
    """Labelled, pool and dev samples of one seed, and the data set's own C."""
    dataset = registry().build("dataset", data)
    rng = np.random.default_rng(seed)
    whole = dataset.instance(rng)
    rows = rng.permutation(np.concatenate([whole.init, whole.pool]))
    first = [int(np.flatnonzero(whole.y[rows] == k)[0]) for k in range(whole.n_classes)]
    rows = np.concatenate([rows[first], np.delete(rows, first)])  # no class without a sample
    ends = np.cumsum([N_LABELLED, N_POOL, N_DEV])
    known, pool, dev = (whole.labelled(part) for part in np.split(rows[: ends[-1]], ends[:-1]))
    return known, pool, dev, dataset.C


def gains(
    data: str, goal_name: str, operator: str, utility: str, b: int, seed: int
) -> dict[str, float]:
    """True change of tau as each rule's batch joins."""
    known, pool, dev, C = draw(data, seed)
    K = int(known.y.max()) + 1
    model = registry().build("model", "softmax", {"C": C})
    goal = registry().build("goal", goal_name)
    fitted = model.fit(known, K)
    estimator, l_y = registry().build("utility", utility), registry().build("operator", operator)
    scorer = GoalOrientedUtility(goal, l_y, estimator, model, dev, pool_y=pool.y)
    candidates = Candidates(
        Reference(fitted, pool.X), np.arange(len(pool)), known, 0.0, random_state=seed
    )

    def tau(fit: goralx.FittedModel) -> float:
        return goal.measure(scorer.reference(Reference(fit, pool.X)))

    found = {}
    for name in RULES:
        rng = np.random.default_rng([seed, 1])
        if name == "random":
            rows = rng.permutation(len(pool))[:b]
        else:
            rows = Query(
                candidates, b, rng, score=scorer, rule=registry().build("batch", name)
            ).batch()
        more = Labelled(
            np.concatenate([known.X, pool.X[rows]]), np.concatenate([known.y, pool.y[rows]])
        )
        found[name] = tau(model.fit(more, K, previous=fitted)) - tau(fitted)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--data", nargs="*", default=["rt_polarity", "digits"])
    parser.add_argument("--utility", nargs="*", default=["influence", "implicit"])
    asked = parser.parse_args()
    print(f"n={N_LABELLED} pool={N_POOL} b={asked.batch_size} seeds={asked.seeds}: true gain")
    print(f"{'':36}" + "".join(f"{name:>17}" for name in RULES) + f"{'wins':>7}")
    for data in asked.data:
        if data == "rt_polarity" and "GORALX_DATA" not in os.environ:
            print("rt_polarity: set GORALX_DATA to the folder that holds it")
            continue
        for goal in ("dev", "ent"):
            for operator in ("oracle", "average"):
                for utility in asked.utility:
                    started = time.perf_counter()
                    runs = [
                        gains(data, goal, operator, utility, asked.batch_size, seed)
                        for seed in range(asked.seeds)
                    ]
                    cells = []
                    for name in RULES:
                        values = np.array([run[name] for run in runs])
                        error = values.std(ddof=1) / np.sqrt(len(values))
                        cells.append(f"{values.mean():>9.2f} +-{error:5.2f}")
                    wins = sum(run["sequential"] > run["top"] for run in runs)
                    label = f"{data} {goal} {operator} {utility}"
                    took = time.perf_counter() - started
                    row = "".join(f"{cell:>17}" for cell in cells)
                    print(f"{label:36}{row}{wins:>4}/{len(runs)}   {took:.0f} s", flush=True)


if __name__ == "__main__":
    main()

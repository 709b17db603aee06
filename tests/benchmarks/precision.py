"""Does single precision choose other samples? `python -m tests.benchmarks.precision` (two minutes).

Whole runs, a hundred rounds of ten, with the pool's features in single and in double precision (the
same numbers, rounded before): in how many rounds both choose the same batch before the first that
differs. ``--smoke`` uses small synthetic sizes; else letter and rt-polarity come from GORALX_DATA.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np

import goralx
from goralx import Candidates, GoalOrientedUtility, Instance, Reference, top_b
from goralx.registry import registry

from .problems import Sized, letter, rt_polarity
from .whole_run import B

GOALS = ("ent", "fir", "dev")
OPERATORS = ("average", "max", "min", "oracle", "annealed")


def rounded(sized: Sized) -> Instance:
    """Its samples in single precision; of equal rows one, because a lot decides between them."""
    whole = sized.instance
    everyone = np.concatenate([whole.init, whole.pool])
    X, first = np.unique(whole.X[everyone].astype(np.float32), axis=0, return_index=True)
    rng, n_init = np.random.default_rng(0), len(whole.init)
    drawn = goralx.make_instance(
        whole.name, X, whole.y[everyone][first], rng=rng, n_init=n_init, n_test=100,
        standardize=False,
    )  # fmt: skip
    return drawn.with_dev(0.1, rng)


def batches(sized: Sized, instance: Instance, goal: str, operator: str) -> Iterator[set[int]]:
    """What a run asks to be labelled, round by round, as positions in the pool."""
    build, fitted = registry().build, None
    dev = instance.labelled(instance.dev) if goal == "dev" else None
    utility = GoalOrientedUtility(
        build("goal", goal), build("operator", operator), build("utility", "influence"),
        sized.model, dev, pool_y=instance.y[instance.pool],
    )  # fmt: skip
    rows, left, rng = instance.init, np.arange(len(instance.pool)), np.random.default_rng(0)
    for t in range(sized.rounds):
        labelled = instance.labelled(rows)
        fitted = sized.model.fit(labelled, instance.n_classes, previous=fitted)
        pool = Reference(fitted, instance.pool_X)
        scores = utility(Candidates(pool, left, labelled, t / sized.rounds))
        best = top_b(scores.utility, B, rng)
        yield set(left[best].tolist())
        rows, left = np.concatenate([rows, instance.pool[left[best]]]), np.delete(left, best)


def same_rounds(sized: Sized, goal: str, operator: str) -> int:
    """Rounds before the first whose batches differ, all of them if none does."""
    single = rounded(sized)
    double = replace(single, X=single.X.astype(np.float64))
    both = (batches(sized, instance, goal, operator) for instance in (single, double))
    for t, (one, other) in enumerate(zip(*both, strict=True)):
        if one != other:
            return t
    return sized.rounds


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="small synthetic sizes")
    smoke = parser.parse_args(arguments).smoke
    for read, goal, operator in product((letter, rt_polarity), GOALS, OPERATORS):
        sized = read(smoke)
        same = same_rounds(sized, goal, operator)
        print(f"{read.__name__:12} {goal} {operator:9} {same} of {sized.rounds}", flush=True)


if __name__ == "__main__":
    main()

"""Does single precision choose other samples? `python -m tests.benchmarks.precision` (two minutes).

Whole runs, a hundred rounds of ten, with the pool's features in single and in double precision (the
same numbers, rounded before): in how many rounds both choose the same batch before the first that
differs. ``--smoke`` uses small synthetic sizes; else letter and rt-polarity come from GORALX_DATA.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import product

import numpy as np

import goralx
from goralx import Instance

from .problems import Sized, letter, rt_polarity
from .whole_run import B, goralx_run

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


def same_rounds(sized: Sized, goal: str, operator: str) -> int:
    """Rounds before the first whose batches differ, all of them if none does."""
    single = rounded(sized)
    double = replace(single, X=single.X.astype(np.float64))
    runs = (
        goralx_run(replace(sized, instance=instance), goal, operator, kappa=8)
        for instance in (single, double)
    )
    one, other = (np.sort(rows[len(single.init) :].reshape(-1, B), axis=1) for rows in runs)
    differ = np.flatnonzero((one != other).any(axis=1))
    return int(differ[0]) if len(differ) else sized.rounds


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

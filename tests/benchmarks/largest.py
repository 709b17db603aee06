"""The largest pool that each estimator looks at as a whole in a minute, and what that took.

    python -m tests.benchmarks.largest [--seconds 60]

An estimator beyond first order looks at all candidates while that is reckoned to take a minute, and
screens them beyond (`goralx.core.cost`). Here the pool is doubled until a cold `goralx.query` under
a screen as large as the pool takes more CPU seconds than it may on one thread; what is printed is
the last that did not, and its seconds.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator

import numpy as np
from threadpoolctl import threadpool_limits

import goralx

from .any_size import Problem
from .measure import cpu

ESTIMATORS = ("influence", "implicit", "lookahead", "retrain")
SIZES = ((2, 384, 100), (10, 64, 200), (10, 768, 300), (26, 16, 300))
"""Classes, features, labels."""
SMALLEST, LARGEST = 25, 1_000_000
MEMORY = 4e9
"""Bytes of a pool at most: beyond, it would lie on disk."""


def one(problem: Problem, utility: str) -> float:
    """CPU seconds of a query that looks at every candidate."""
    screen = {} if utility == "influence" else {"screen": len(problem.pool)}
    estimator = goralx.build("utility", utility, screen)
    return cpu(lambda: goralx.query(problem.X, problem.y, problem.pool, utility=estimator))


def largest(utility: str, K: int, d: int, n: int, seconds: float) -> tuple[int, float]:
    """Candidates of the largest pool within so many seconds, and the seconds it took."""
    N, found = SMALLEST, (0, float("nan"))
    while N <= LARGEST and 8.0 * N * d <= MEMORY:
        took = one(Problem.drawn(N, d, K, n), utility)
        if took > seconds:
            break
        found = N, took
        N = N * 2 if took > seconds / 8 else N * 4
    return found


def lines(seconds: float) -> Iterator[str]:
    yield f"{'classes x features, labels':<28}" + "".join(f"{name:>22}" for name in ESTIMATORS)
    for K, d, n in SIZES:
        cells = [largest(utility, K, d, n, seconds) for utility in ESTIMATORS]
        told = "".join(f"{f'{N:,} in {took:.1f} s' if N else 'none':>22}" for N, took in cells)
        yield f"{f'{K} x {d}, {n}':<28}{told}"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    np.seterr(all="ignore")
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what takes long, which is what is measured
        for line in lines(parser.parse_args(argv).seconds):
            print(line, flush=True)


if __name__ == "__main__":
    main()

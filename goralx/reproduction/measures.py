"""Numbers of runs that claims are made of, and the ways of holding arms against one another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from scipy import stats

from goralx.data import Rows

from .evidence import Evidence, Region, closest_to_breaking, every, mean, nothing
from .results import ACCURACY, Results, Run

Number = Callable[[Run], float]

EVERYTHING = 1 << 30
"""More queries than any run makes."""


def aulc(run: Run) -> float:
    return run.aulc(EVERYTHING)


def final(column: str = ACCURACY) -> Number:
    """A column at the run's end."""
    return lambda run: float(run.rounds[column][-1])


def area(goal: str) -> Number:
    """A goal's mean over the rounds: how high it was raised, and how soon."""
    return lambda run: float(run.rounds[f"goal/{goal}"].mean())


def change(column: str, since: int) -> Number:
    """What a column gained from its value after ``since`` queries to the end."""
    return lambda run: float(run.rounds[column][-1] - run.after(column, since))


def agreement(one: str, other: str) -> Number:
    """Spearman correlation of two columns over the rounds of a run."""
    return lambda run: float(stats.spearmanr(run.rounds[one], run.rounds[other]).statistic)


def needed(target: float) -> Number:
    """Queries from which the accuracy is there to stay; infinite if it never is."""
    return lambda run: run.needed(target)


def of_arm(results: Results, arm: str, number: Number) -> Evidence:
    """The mean of a number over seeds."""
    return mean([number(run) for run in results.of(arm)])


def in_every_seed(results: Results, arm: str, number: Number) -> Evidence:
    """From the least to the greatest."""
    return every([number(run) for run in results.of(arm)])


def difference(results: Results, number: Number, a: str, b: str) -> Evidence:
    """Arm ``a`` minus arm ``b``, paired by seed."""
    pairs = results.paired(a, b)
    found = mean([number(x) - number(y) for x, y in pairs])
    return Evidence(found.number, found.low, found.high, found.n_seeds, beside=b)


def beyond(
    results: Results, number: Number, arm: str, others: Iterable[str], region: Region
) -> Evidence:
    """An arm against each of the others: the one where the claim comes nearest to failing."""
    found = (difference(results, number, arm, other) for other in others if other != arm)
    return closest_to_breaking(found, region)


def overlap(results: Results, a: str, b: str, n: int) -> Evidence:
    """Share of the first ``n`` queries that two arms have in common."""
    return mean([_common(x.queries[1], y.queries[1], n) for x, y in results.paired(a, b)])


def _common(x: Rows, y: Rows, n: int) -> float:
    return len(np.intersect1d(x[:n], y[:n])) / min(n, len(x), len(y))


def consistently_above(
    results: Sequence[Results], number: Number, arms: Sequence[str], baselines: Sequence[str]
) -> Evidence:
    """How many of the arms are above every baseline on every data set, by their intervals.

    ``low`` counts those that are surely above, ``high`` those that are not surely not.
    """
    sure = possible = 0
    seeds = []
    for arm in arms:
        found = [difference(r, number, arm, baseline) for r in results for baseline in baselines]
        seeds += [evidence.n_seeds for evidence in found]
        sure += all(evidence.low > 0 for evidence in found)
        possible += all(evidence.high > 0 for evidence in found)
    if not seeds or min(seeds) == 0:
        return nothing()
    return Evidence(float(sure), float(sure), float(possible), min(seeds), "count")

"""Arms across data sets: mean ranks, Friedman's test, Nemenyi's critical difference.

Demsar, Statistical comparisons of classifiers over multiple data sets, JMLR 7 (2006). A data set
counts once, by its mean over seeds: seeds are no data sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from goralx.data import Array

from .arms import Arm, Arms
from .paired import ALPHA, Comparison, is_higher_better
from .runs import AULC


@dataclass(frozen=True)
class Ranks:
    """``mean_ranks`` (k,) of ``arms``, 1 the best, ties shared, over ``datasets``.

    ``p`` is Friedman's (NaN below three arms), ``critical_difference`` Nemenyi's at 5 %, and
    ``nemenyi`` (k, k) the p-value of each pair. ``groups`` are the maximal runs of neighbours in
    rank that do not differ: the bars of a critical-difference diagram.
    """

    number: str
    datasets: tuple[str, ...]
    arms: tuple[Arm, ...]
    mean_ranks: Array
    p: float
    critical_difference: float
    nemenyi: Array

    @property
    def groups(self) -> list[tuple[Arm, ...]]:
        order = np.argsort(self.mean_ranks, kind="stable")
        ranks = self.mean_ranks[order]
        spans = [
            (i, int(np.flatnonzero(ranks - ranks[i] <= self.critical_difference)[-1]))
            for i in range(len(order))
        ]
        maximal = [s for s in spans if s[1] > s[0] and not any(_holds(o, s) for o in spans)]
        return [tuple(self.arms[j] for j in order[i : k + 1]) for i, k in maximal]


def _holds(outer: tuple[int, int], inner: tuple[int, int]) -> bool:
    return outer != inner and outer[0] <= inner[0] and inner[1] <= outer[1]


def rank(arms: Arms, number: str = AULC) -> Ranks | None:
    """Of the ranked arms that are on every data set that has two; None if there is but one."""
    datasets = tuple(
        d for d in arms.datasets if sum(not a.uses_truth for a in arms.in_dataset(d)) > 1
    )
    present = tuple(a for a in arms.ranked if all(arms.values(d, a, number) for d in datasets))
    if len(datasets) < 2 or len(present) < 2:
        return None
    table = np.array([[mean_of(arms, d, a, number) for a in present] for d in datasets])
    sign = -1.0 if is_higher_better(arms, number) else 1.0
    return of_table(number, datasets, present, sign * table)


def of_table(number: str, datasets: Sequence[str], arms: Sequence[Arm], cost: Array) -> Ranks:
    """From a table (data sets, arms) in which less is better."""
    from scipy import stats

    N, k = cost.shape
    mean_ranks = stats.rankdata(np.round(cost, 10), axis=1).mean(axis=0)
    scale = np.sqrt(k * (k + 1) / (6.0 * N))
    friedman = float(stats.friedmanchisquare(*cost.T).pvalue) if k > 2 else float("nan")
    apart = np.abs(mean_ranks[:, None] - mean_ranks) / scale * np.sqrt(2.0)
    nemenyi = stats.studentized_range.sf(apart, k, np.inf)
    critical = float(stats.studentized_range.ppf(1 - ALPHA, k, np.inf)) / np.sqrt(2.0) * scale
    return Ranks(
        number, tuple(datasets), tuple(arms), mean_ranks, friedman, float(critical), nemenyi
    )


def mean_of(arms: Arms, dataset: str, arm: Arm, number: str) -> float:
    return float(np.mean(list(arms.values(dataset, arm, number).values())))


@dataclass(frozen=True)
class Tally:
    """Row against column: data sets where it is better, undecided, worse; and pairs of runs."""

    better: int
    undecided: int
    worse: int
    wins: int
    ties: int
    losses: int


def tally(comparisons: Sequence[Comparison], number: str = AULC) -> dict[tuple[Arm, Arm], Tally]:
    """The win/tie/loss matrix of one number, both ways round."""
    found: dict[tuple[Arm, Arm], list[int]] = {}
    for c in comparisons:
        if c.metric != number or not c.n_pairs:
            continue
        shown = 0 if c.better == c.a else 2 if c.better == c.b else 1
        counts = found.setdefault((c.a, c.b), [0] * 6)
        counts[shown] += 1
        for i, n in enumerate((c.wins, c.ties, c.losses)):
            counts[3 + i] += n
    forward = {pair: Tally(*counts) for pair, counts in found.items()}
    backward = {
        (b, a): Tally(t.worse, t.undecided, t.better, t.losses, t.ties, t.wins)
        for (a, b), t in forward.items()
    }
    return forward | backward

"""Labels to reach a share of what the full pool gives; seeds that never do are right-censored.

A run that ends before it is there says "more than this": leaving it out would reward arms that
fail. The median is Kaplan and Meier's. Dev labels are labels: they are counted in.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from goralx.data import Array

from .arms import Arm, Arms
from .curves import LEVEL, mean_interval
from .learning_curve import labels_needed, target
from .runs import RecordedRun

SHARES = (0.80, 0.90, 0.95)


@dataclass(frozen=True)
class Reached:
    """When one run got there: after ``labels``, or, censored, not before its end at ``labels``."""

    seed: int
    labels: float
    censored: bool


@dataclass(frozen=True)
class Needed:
    """Of one arm and share: the Kaplan-Meier median over seeds and its 95 % interval.

    NaN where the curve does not come down that far: fewer than half of the seeds got there. The
    interval inverts the log-log band of the survival function. ``times`` and ``waiting`` are that
    function: the share of seeds that are not there yet.
    """

    dataset: str
    arm: Arm
    share: float
    median: float
    low: float
    high: float
    n_reached: int
    n_seeds: int
    times: Array
    waiting: Array


@dataclass(frozen=True)
class Savings:
    """Labels that ``arm`` saves against ``baseline``, a mean over paired seeds with its interval.

    A run that is not there by ``horizon``, the labels at which the shorter of the two arms ends,
    counts with these (the restricted mean): in ``n_censored`` pairs one is not, and what is saved
    may be more or less than this. ``p`` is the log-rank test of the two survival functions.
    """

    dataset: str
    arm: Arm
    baseline: Arm
    share: float
    n_pairs: int
    n_censored: int
    horizon: float
    mean: float
    low: float
    high: float
    p: float


def reached(run: RecordedRun, share: float, *, higher_is_better: bool = True) -> Reached | None:
    """When a run first holds ``share`` of its full pool's metric, or of its inverse for a loss.

    None where the full pool was not fit.
    """
    full = run.full_pool
    if full is None:
        return None
    values = run.rounds[f"test/{run.metrics[0]}"]
    least = target(full, share, higher_is_better)
    found = labels_needed(run.n_labelled, values, least, higher_is_better)
    place = len(run.n_labelled) - 1 if found is None else np.searchsorted(run.n_labelled, found)
    labels = float(run.total_labels[place])
    return Reached(run.seed, labels, found is None)


def times(arms: Arms, dataset: str, arm: Arm, share: float) -> list[Reached]:
    better = arms.higher_is_better(arms.metrics[0])
    found = (reached(run, share, higher_is_better=better) for run in arms.of(dataset, arm))
    return [r for r in found if r is not None]


def needed(arms: Arms, dataset: str, arm: Arm, share: float) -> Needed | None:
    """None where no run knows what the full pool gives."""
    found = times(arms, dataset, arm, share)
    if not found:
        return None
    from scipy import stats

    function = stats.ecdf(_censored(found)).sf
    x, waiting = function.quantiles, function.probabilities
    n_reached = sum(not r.censored for r in found)
    low = high = float("nan")
    if len(found) > 1 and n_reached:
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # where it ends
            band = function.confidence_interval(confidence_level=LEVEL, method="log-log")
        low = _first_at_most_half(x, band.low.probabilities)
        high = _first_at_most_half(x, band.high.probabilities)
    median = _first_at_most_half(x, waiting)
    if n_reached == len(found) > 1 and len(x) == 1:  # all at once: nothing varies
        low = high = median
    return Needed(
        dataset, arm, share, median, low, high, n_reached, len(found),
        np.asarray(x, dtype=np.float64), np.asarray(waiting, dtype=np.float64),
    )  # fmt: skip


def all_needed(arms: Arms) -> list[Needed]:
    found = (
        needed(arms, dataset, arm, share)
        for dataset in arms.datasets
        for arm in arms.in_dataset(dataset)
        for share in SHARES
    )
    return [one for one in found if one is not None]


def savings(arms: Arms, baseline: Arm) -> list[Savings]:
    """Of every other ranked arm against the baseline, by data set and share."""
    found = [
        _saving(arms, dataset, arm, baseline, share)
        for dataset in arms.datasets
        for arm in arms.in_dataset(dataset)
        if not arm.uses_truth and arm != baseline and arms.of(dataset, baseline)
        for share in SHARES
    ]
    return [one for one in found if one is not None]


def _saving(arms: Arms, dataset: str, arm: Arm, baseline: Arm, share: float) -> Savings | None:
    better = arms.higher_is_better(arms.metrics[0])
    pairs = [
        (x, y)
        for a, b in arms.pairs(dataset, arm, baseline)
        for x, y in [[reached(run, share, higher_is_better=better) for run in (a, b)]]
        if x is not None and y is not None
    ]
    if not pairs:
        return None
    ends = [
        min(float(run.total_labels[-1]) for run in arms.of(dataset, one)) for one in (arm, baseline)
    ]
    horizon = min(ends)
    saved = [min(y.labels, horizon) - min(x.labels, horizon) for x, y in pairs]
    mean, low, high = mean_interval(saved)
    censored = sum(any(r.censored or r.labels > horizon for r in pair) for pair in pairs)
    p = logrank_p([x for x, _ in pairs], [y for _, y in pairs])
    return Savings(
        dataset, arm, baseline, share, len(pairs), censored, horizon, mean, low, high, p
    )  # fmt: skip


def logrank_p(x: Sequence[Reached], y: Sequence[Reached]) -> float:
    """Two-sided; NaN below two seeds a side, or where nobody got there."""
    if min(len(x), len(y)) < 2 or all(r.censored for r in (*x, *y)):
        return float("nan")
    from scipy import stats

    with np.errstate(divide="ignore", invalid="ignore"):
        p = float(stats.logrank(_censored(x), _censored(y)).pvalue)
    return 1.0 if np.isnan(p) else p  # all at one time: nothing tells them apart


def _censored(found: Sequence[Reached]) -> Any:
    from scipy import stats

    return stats.CensoredData.right_censored([r.labels for r in found], [r.censored for r in found])


def _first_at_most_half(x: Array, probabilities: Array) -> float:
    there = np.flatnonzero(np.nan_to_num(probabilities, nan=1.0) <= 0.5 + 1e-12)
    return float(x[there[0]]) if len(there) else float("nan")

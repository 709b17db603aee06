"""Mean curves over seeds, with bootstrap bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from goralx.data import Array

from .runs import ON_TOP, SPENT, RecordedRun

LEVEL = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class Curve:
    """A column of the records, averaged over seeds at each number of labels, (R,) each.

    ``low`` and ``high`` bound 95 % of the bootstrap means (percentiles, seeds resampled whole, so
    that a curve stays a curve); NaN below two seeds. ``on_top`` are dev labels that were asked
    beside, ``cost`` is what the answers took, both means over seeds. ``n_seeds`` have got that far;
    where that is not all of them, early stopping has chosen who is left.
    """

    n_labelled: Array
    mean: Array
    low: Array
    high: Array
    n_seeds: Array
    on_top: Array
    cost: Array
    n_init: float

    @property
    def whole(self) -> Curve:
        """As far as every seed goes: what may be drawn as one line."""
        kept = self.n_seeds == self.n_seeds.max(initial=0)
        return replace(
            self,
            n_labelled=self.n_labelled[kept],
            mean=self.mean[kept],
            low=self.low[kept],
            high=self.high[kept],
            n_seeds=self.n_seeds[kept],
            on_top=self.on_top[kept],
            cost=self.cost[kept],
        )

    @property
    def queries(self) -> Array:
        return self.n_labelled - self.n_init

    @property
    def total_labels(self) -> Array:
        """Init, dev and queries: everything somebody was paid for."""
        return self.n_labelled + self.on_top


def stacked(runs: Sequence[RecordedRun], column: str) -> tuple[Array, Array]:
    """Numbers of labels (R,) of any of these runs, and the column there, (runs, R), NaN if none."""
    known = [run for run in runs if column in run.rounds]
    grid = np.unique(np.concatenate([run.n_labelled for run in known])) if known else np.empty(0)
    table = np.full((len(known), len(grid)), np.nan)
    for i, run in enumerate(known):
        table[i, np.searchsorted(grid, run.n_labelled)] = run.rounds[column]
    return grid, table


def mean_curve(runs: Sequence[RecordedRun], column: str) -> Curve:
    """The mean over seeds and its band; empty where no run has the column."""
    grid, table = stacked(runs, column)
    known = np.isfinite(table).any(axis=0) if len(table) else np.empty(0, dtype=bool)
    grid, table = grid[known], table[:, known]
    there = np.isfinite(table)
    n_seeds = there.sum(axis=0)
    values = np.where(there, table, 0.0)
    mean = values.sum(axis=0) / np.maximum(n_seeds, 1)
    low, high = np.full(len(grid), np.nan), np.full(len(grid), np.nan)
    if len(table) > 1 and len(grid):
        n = len(table)
        rng = np.random.default_rng(0)
        drawn = rng.multinomial(n, np.full(n, 1.0 / n), size=RESAMPLES).astype(np.float64)
        with np.errstate(invalid="ignore"):
            means = (drawn @ values) / (drawn @ there.astype(np.float64))
        enough = n_seeds > 1
        tails = [50 * (1 - LEVEL), 50 * (1 + LEVEL)]
        low[enough], high[enough] = np.nanpercentile(means[:, enough], tails, axis=0)
    n_init = float(np.mean([run.n_init for run in runs])) if runs else 0.0
    there_too = [run for run in runs if column in run.rounds]
    on_top, cost = (_mean_at(grid, there_too, name) for name in (ON_TOP, SPENT))
    return Curve(grid, mean, low, high, n_seeds, on_top, cost, n_init)


def _mean_at(grid: Array, runs: Sequence[RecordedRun], column: str) -> Array:
    """The mean over seeds of a column at these numbers of labels (R,)."""
    if not len(grid):
        return grid
    where, values = stacked(runs, column)
    mean: Array = np.nanmean(values, axis=0)[np.searchsorted(where, grid)]
    return mean


def mean_interval(values: Sequence[float] | Array) -> tuple[float, float, float]:
    """The mean (n,) and its 95 % bootstrap interval: BCa, or the mean itself if nothing varies.

    NaN bounds below three values, which tell nothing of their spread.
    """
    x = np.asarray(values, dtype=np.float64)
    if not len(x):
        return float("nan"), float("nan"), float("nan")
    mean = float(x.mean())
    if len(x) < 3:
        return mean, float("nan"), float("nan")
    if np.ptp(x) <= 1e-12 * max(1.0, float(np.abs(x).max())):
        return mean, mean, mean
    from scipy import stats

    found = stats.bootstrap(
        (x,), np.mean, n_resamples=RESAMPLES, confidence_level=LEVEL, method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return mean, float(found.low), float(found.high)

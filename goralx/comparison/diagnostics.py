"""What runs say of themselves: did utilities come true, may they be believed, what did it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from goralx.data import Array

from .arms import Arm, Arms
from .curves import mean_interval, stacked
from .runs import RecordedRun

LAST = 2 / 3
"""Of a curve: whether it rises or falls at last is asked beyond this share of its rounds."""


@dataclass(frozen=True)
class Kept:
    """What became of predictions, over all batches of an arm: medians over seeds.

    ``ratio`` is the sum of realised changes over that of predicted ones (1: kept in full),
    ``same_sign`` the share of batches that moved the goal the way they were said to, ``rank`` the
    Spearman correlation of both over a run's rounds.
    """

    dataset: str
    arm: Arm
    ratio: float
    same_sign: float
    rank: float
    n_seeds: int


@dataclass(frozen=True)
class Trust:
    """Audits of an arm (means over seeds of each run's mean) and its leverage, the median kappa."""

    dataset: str
    arm: Arm
    audits: Mapping[str, float]
    kappa: float
    n_audits: int


@dataclass(frozen=True)
class Cost:
    """Of an arm, medians over seeds: seconds in all, of fits, of scores; peak memory in MB."""

    dataset: str
    arm: Arm
    total: float
    fit: float
    score: float
    memory: float


@dataclass(frozen=True)
class Divergence:
    """A goal that goes on rising while the test metric gets worse, over the last third.

    Slopes are least squares per 100 labels, means over seeds with their 95 % interval; both
    intervals exclude no change. ``dev`` says that the goal is measured on the arm's own dev set:
    it is then over-fitted; else it is not what the test asks for.
    """

    dataset: str
    arm: Arm
    goal: str
    metric: str
    dev: bool
    since: float
    goal_slope: tuple[float, float, float]
    test_slope: tuple[float, float, float]


def predictions(arms: Arms) -> list[Kept]:
    found = []
    for dataset, arm, runs in _asking(arms):
        rows = [kept for kept in map(_kept, runs) if kept is not None]
        if rows:
            ratio, sign, rank = (_median(column) for column in zip(*rows))
            found.append(Kept(dataset, arm, ratio, sign, rank, len(rows)))
    return found


def _kept(run: RecordedRun) -> tuple[float, float, float] | None:
    from scipy import stats

    predicted, realised = run.rounds["change/predicted"], run.rounds["change/realised"]
    known = np.isfinite(predicted) & np.isfinite(realised)
    p, r = predicted[known], realised[known]
    if not len(p):
        return None
    varied = len(p) > 2 and np.ptp(p) > 0 and np.ptp(r) > 0
    rank = float(stats.spearmanr(p, r).statistic) if varied else float("nan")
    ratio = float(r.sum() / p.sum()) if p.sum() else float("nan")
    return ratio, float((np.sign(p) == np.sign(r)).mean()), rank


def trust(arms: Arms) -> list[Trust]:
    found = []
    for dataset, arm, runs in _asking(arms):
        columns = {c for run in runs for c in run.rounds if c.startswith("audit/")}
        audits = {c.removeprefix("audit/"): _mean(runs, c) for c in sorted(columns)}
        audited = [run.rounds.get("audit/spearman", np.empty(0)) for run in runs]
        n = sum(int(np.isfinite(values).sum()) for values in audited)
        kappa = _mean(runs, "trust/kappa_q050")
        if n or np.isfinite(kappa):
            found.append(Trust(dataset, arm, audits, kappa, n))
    return found


def _mean(runs: Sequence[RecordedRun], column: str) -> float:
    """Over seeds, of each run's mean; NaN where nothing was measured."""
    values = [run.rounds[column] for run in runs if column in run.rounds]
    means = [float(v[np.isfinite(v)].mean()) for v in values if np.isfinite(v).any()]
    return float(np.mean(means)) if means else float("nan")


def costs(arms: Arms) -> list[Cost]:
    return [Cost(dataset, arm, *_cost(runs)) for (dataset, arm), runs in arms.runs.items()]


def _cost(runs: Sequence[RecordedRun]) -> tuple[float, float, float, float]:
    seconds = [run.summary.get("seconds") or {} for run in runs]
    parts = [[float(s.get(k) or "nan") for s in seconds] for k in ("total", "fit", "score")]
    memory = [float(run.summary.get("peak_memory_mb") or "nan") for run in runs]
    total, fit, score = (_median(part) for part in parts)
    return total, fit, score, _median(memory)


def _median(values: Sequence[float]) -> float:
    """Of what is known."""
    known = [v for v in values if np.isfinite(v)]
    return float(np.median(known)) if known else float("nan")


def divergences(arms: Arms) -> list[Divergence]:
    """Where the last third of the curves shows a goal rising and the first metric getting worse."""
    metric = arms.metrics[0]
    worse = -1.0 if arms.higher_is_better(metric) else 1.0
    found = []
    for dataset, arm, runs in _asking(arms):
        grid, test = stacked(runs, f"test/{metric}")
        late = np.arange(len(grid)) >= LAST * (len(grid) - 1)
        _, goal = stacked(runs, f"goal/{arm.goal}")
        if len(runs) < 3 or late.sum() < 3 or goal.shape != test.shape:
            continue
        rising = mean_interval(_slopes(grid[late], goal[:, late]))
        falling = mean_interval(_slopes(grid[late], test[:, late]))
        if rising[1] > 0 and min(worse * falling[1], worse * falling[2]) > 0:
            dev = all(run.dev_labels > 0 for run in runs)
            since = float(grid[late][0])
            found.append(Divergence(dataset, arm, arm.goal, metric, dev, since, rising, falling))
    return found


def _slopes(x: Array, Y: Array) -> Array:
    """Least-squares slopes of whole rows (n, R) against x (R,), per 100 labels."""
    whole = Y[np.isfinite(Y).all(axis=1)]
    centred = x - x.mean()
    slopes: Array = 100.0 * (whole @ centred) / (centred @ centred)
    return slopes


def _asking(arms: Arms) -> list[tuple[str, Arm, tuple[RecordedRun, ...]]]:
    return [(d, arm, runs) for (d, arm), runs in arms.runs.items() if arm.asks_goal]

"""Where labels took more than one each, or a class had none at first: what runs came to by that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .arms import Arm, Arms
from .censored import SHARES
from .curves import mean_interval
from .learning_curve import aulc, cost_needed, target
from .runs import RecordedRun


@dataclass(frozen=True)
class ByCost:
    """An arm's curve over what its answers took; the initial labels took nothing.

    ``aulc`` is a mean over seeds with its interval. ``needed`` are medians over the ``n_reached``
    of ``n_seeds`` that got to each of `SHARES` of the full pool's, NaN where none did.
    """

    dataset: str
    arm: Arm
    aulc: tuple[float, float, float]
    needed: tuple[float, ...]
    n_reached: tuple[int, ...]
    n_seeds: int


@dataclass(frozen=True)
class Discovered:
    """A class without a label at the start: ``n_found`` of ``n_lacking`` runs had one later.

    ``labels`` is the median of how many there were in all by then, NaN where none had.
    """

    dataset: str
    arm: Arm
    name: str
    labels: float
    n_found: int
    n_lacking: int


def by_cost(arms: Arms) -> list[ByCost]:
    """Of data sets where some arm's labels did not take one each: all arms there."""
    differ = {d for (d, _), runs in arms.runs.items() if any(run.costs_differ for run in runs)}
    return [
        _of_arm(dataset, arm, runs, arms.higher_is_better(arms.metrics[0]))
        for (dataset, arm), runs in arms.runs.items()
        if dataset in differ
    ]


def _of_arm(dataset: str, arm: Arm, runs: Sequence[RecordedRun], better: bool) -> ByCost:
    areas = [aulc(run.spent, run.rounds[f"test/{run.metrics[0]}"]) for run in runs]
    by_share = [[_needed(run, share, better) for run in runs] for share in SHARES]
    reached = [[cost for cost in costs if cost is not None] for costs in by_share]
    medians = tuple(float(np.median(costs)) if costs else float("nan") for costs in reached)
    return ByCost(dataset, arm, mean_interval(areas), medians, tuple(map(len, reached)), len(runs))


def _needed(run: RecordedRun, share: float, better: bool) -> float | None:
    if run.full_pool is None:
        return None
    curve = run.rounds[f"test/{run.metrics[0]}"]
    return cost_needed(run.spent, curve, target(run.full_pool, share, better), better)


def discovered(arms: Arms) -> list[Discovered]:
    """Of each arm, the classes that some of its runs began without."""
    found = []
    for (dataset, arm), runs in arms.runs.items():
        told = [run.summary.get("discovered") or {} for run in runs]
        for name in sorted({name for one in told for name in one}):
            lacking = [one[name] for one in told if name in one]
            at = [n for n in lacking if n is not None]
            labels = float(np.median(at)) if at else float("nan")
            found.append(Discovered(dataset, arm, name, labels, len(at), len(lacking)))
    return found

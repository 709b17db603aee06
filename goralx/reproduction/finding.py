"""The finding: what costs, additivity or first order, and which practical arm is worth choosing.

Every number is paired by seed within a data set. What is said of all data sets is the mean of
their means, its interval from a bootstrap over data sets: seeds are not pooled as if they were
data. Arms that use dev labels are held against margin at equal totals: margin has as many queries
more as they have dev labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .evidence import ENOUGH, Evidence, mean
from .grid import CROSSED, DATA, DEAR, SIZED, name
from .results import ACCURACY, Results, Run

ALL = "all data sets"
MARGIN, RANDOM = "margin", "random"

Pair = Callable[[Run, Run], float]
Grid = dict[str, Results]
"""Results by the names of `goralx.reproduction.grid.plans`."""


@dataclass(frozen=True)
class Effect:
    """Arm ``a`` minus arm ``b`` on one data set, or on all of them."""

    question: str
    cell: str
    dataset: str
    batch_size: int
    evidence: Evidence

    @property
    def sign(self) -> int:
        """1 or -1 where the interval lies on one side of zero, else 0."""
        e = self.evidence
        if e.n_seeds < ENOUGH or not np.isfinite([e.low, e.high]).all():
            return 0
        return int(e.low > 0) - int(e.high < 0)


@dataclass(frozen=True)
class Contrast:
    """One question: which two arms are held against each other, in every cell that has both."""

    question: str
    cells: tuple[tuple[str, str], ...]
    a: tuple[str, str]
    b: tuple[str, str]


CONTRASTS = (
    Contrast(
        "additivity, at first order", CROSSED, ("influence", "sequential"), ("influence", "top")
    ),
    Contrast("first order, in top batches", CROSSED, ("implicit", "top"), ("influence", "top")),
    Contrast(
        "first order, in sequential batches",
        CROSSED,
        ("implicit", "sequential"),
        ("influence", "sequential"),
    ),
    Contrast(
        "additivity, beyond first order", CROSSED, ("implicit", "sequential"), ("implicit", "top")
    ),
    Contrast("both", CROSSED, ("implicit", "sequential"), ("influence", "top")),
)
"""Sequential minus top is what additivity costs; implicit minus influence what first order does."""


def area_gain(a: Run, b: Run) -> float:
    """Mean accuracy over the queries that both made, a less b."""
    n = int(min(a.n_queries[-1], b.n_queries[-1]))
    return a.aulc(n) - b.aulc(n)


def effects(grid: Grid) -> list[Effect]:
    """Every contrast in every cell: on each data set, then on all of them."""
    found: list[Effect] = []
    for contrast in CONTRASTS:
        for goal, operator in contrast.cells:
            a, b = (name(goal, operator, *side) for side in (contrast.a, contrast.b))
            found += _everywhere(
                grid, [d.name for d in DATA], contrast.question, f"{goal}-{operator}", 10, a, b
            )
    sequential = CONTRASTS[0]
    for batch_size in (5, 20):
        for goal, operator in DEAR:
            a, b = (name(goal, operator, *side) for side in (sequential.a, sequential.b))
            keys = [f"{d}-b{batch_size}" for d in SIZED]
            found += _everywhere(
                grid, keys, sequential.question, f"{goal}-{operator}", batch_size, a, b
            )
    return found


def _everywhere(
    grid: Grid, keys: Sequence[str], question: str, cell: str, batch_size: int, a: str, b: str
) -> Iterator[Effect]:
    each: dict[str, Evidence] = {}
    for key in keys:
        results = grid[key]
        if a in results.arms and b in results.arms and (pairs := results.paired(a, b)):
            each[results.arms[a].setting.dataset] = mean([area_gain(x, y) for x, y in pairs])
    for dataset, evidence in enough(each).items():
        yield Effect(question, cell, dataset, batch_size, evidence)
    if each:
        total = mean([evidence.number for evidence in enough(each).values()])
        yield Effect(question, cell, ALL, batch_size, total)


def enough(each: dict[str, Evidence]) -> dict[str, Evidence]:
    """Data sets with `ENOUGH` seeds, or as many as any has: one that is half run is left out."""
    least = min(ENOUGH, max((evidence.n_seeds for evidence in each.values()), default=0))
    return {name: evidence for name, evidence in each.items() if evidence.n_seeds >= least}


@dataclass(frozen=True)
class FirstBatch:
    """What a first batch was predicted to do to its own goal, and what it did."""

    dataset: str
    arm: str
    predicted: float
    realised: float
    lowered: int
    n_seeds: int


def first_batches(grid: Grid) -> list[FirstBatch]:
    """Of the dev oracle, whose labels are right: top against sequential."""
    found = []
    for data in DATA:
        for batch in ("top", "sequential"):
            arm = name("dev", "oracle", "influence", batch)
            runs = grid[data.name].of(arm)
            if runs:
                predicted, realised = (
                    np.array([run.rounds[f"change/{kind}"][1] for run in runs])
                    for kind in ("predicted", "realised")
                )
                found.append(
                    FirstBatch(
                        data.name, arm, float(predicted.mean()), float(realised.mean()),
                        int((realised < 0).sum()), len(runs),
                    )
                )  # fmt: skip
    return found


# What to choose ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """A practical arm against margin: on each data set, and on all of them.

    ``gain`` is the difference of mean accuracies at equal totals of labels; ``saved`` how many
    labels sooner it is at 95 % of the full pool's accuracy, dev labels counted, both cut off at the
    budget. ``wins`` and ``losses`` count data sets by their intervals of the gain.
    """

    arm: str
    dev_labels: bool
    gain: Evidence
    saved: Evidence
    wins: tuple[str, ...]
    losses: tuple[str, ...]
    datasets: tuple[str, ...]


SHARE = 0.95
"""Of the full-pool accuracy."""


def dev_labels(arm: str) -> bool:
    """Whether the arm pays for dev labels."""
    return arm.startswith("dev-") or arm.endswith("dev-trained")


def practical(results: Results) -> list[str]:
    """Arms that could be run where labels are unknown, but for margin itself."""
    return [arm for arm in results.arms if "oracle" not in arm and arm != MARGIN]


def equal_totals(a: Run, b: Run, paid: int) -> float:
    """Mean of a's accuracy after q queries less b's after q + ``paid``, over a's rounds."""
    reached = b.n_queries[-1] - paid
    q = a.n_queries[a.n_queries <= reached]
    theirs = np.interp(q + paid, b.n_queries, b.rounds[ACCURACY])
    return float(np.mean(a.rounds[ACCURACY][: len(q)] - theirs))


def sooner(a: Run, b: Run, paid: int) -> float:
    """Labels that b needs to `SHARE` of the ceiling less a's, both cut off at b's budget."""
    budget = float(b.n_queries[-1])
    return min(b.needed(SHARE * b.ceiling), budget) - min(
        a.needed(SHARE * a.ceiling) + paid, budget
    )


def choices(grid: Grid) -> list[Choice]:
    """Every practical arm, the one that wins most first."""
    names = dict.fromkeys(arm for data in DATA for arm in practical(grid[data.name]))
    found = [_choice(grid, arm) for arm in names]
    return sorted(
        (c for c in found if c.datasets),
        key=lambda c: (len(c.losses) - len(c.wins), -c.gain.number),
    )


def _choice(grid: Grid, arm: str) -> Choice:
    gains: dict[str, Evidence] = {}
    saved: dict[str, Evidence] = {}
    for data in DATA:
        results = grid[data.name]
        if arm in results.arms and (pairs := results.paired(arm, MARGIN)):
            paid = pairs[0][0].n_dev if dev_labels(arm) else 0
            gains[data.name] = mean([equal_totals(a, b, paid) for a, b in pairs])
            saved[data.name] = mean([sooner(a, b, paid) for a, b in pairs])
    gains, saved = enough(gains), enough(saved)
    sure = {name: Effect("", arm, name, 10, gain).sign for name, gain in gains.items()}
    return Choice(
        arm,
        dev_labels(arm),
        mean([gain.number for gain in gains.values()]),
        mean([gain.number for gain in saved.values()]),
        tuple(name for name, sign in sure.items() if sign > 0),
        tuple(name for name, sign in sure.items() if sign < 0),
        tuple(gains),
    )

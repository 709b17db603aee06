"""Two arms on one data set, run by run: paired by seed, corrected for how many are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from goralx.data import Array

from .arms import Arm, Arms
from .curves import mean_interval
from .runs import AULC

ALPHA = 0.05
DIGITS = 10
"""Decimals of a difference: what is smaller is round-off, and a tie."""

NO_DIFFERENCE = "no difference shown"
TOO_FEW = "too few pairs"


@dataclass(frozen=True)
class Comparison:
    """Arm ``a`` minus arm ``b`` in one number, over the seeds that pair them.

    ``low`` to ``high`` is the 95 % BCa bootstrap interval of the mean difference, ``p`` the exact
    two-sided Wilcoxon signed-rank test, ``p_holm`` corrected over all pairs of
    arms of this data set and number. ``effect`` is the matched-pairs rank-biserial correlation,
    -1 to 1. Wins, losses and the effect count what is better, whichever direction that is;
    the difference is in the number's own units.
    """

    dataset: str
    metric: str
    a: Arm
    b: Arm
    n_pairs: int
    mean_difference: float
    low: float
    high: float
    p: float
    p_holm: float
    wins: int
    ties: int
    losses: int
    effect: float
    verdict: str

    @property
    def better(self) -> Arm | None:
        """The arm that is shown to be better, if any."""
        return next((x for x in (self.a, self.b) if self.verdict == f"{x.label} better"), None)


def numbers(arms: Arms) -> tuple[str, ...]:
    """What is compared: the area under the first metric's curve, and every final metric."""
    return (AULC, *arms.metrics)


def is_higher_better(arms: Arms, number: str) -> bool:
    return arms.higher_is_better(arms.metrics[0] if number == AULC else number)


def compare_all(arms: Arms, baseline: Arm | None = None) -> list[Comparison]:
    """Every pair of ranked arms, or each with ``baseline`` alone, by data set and number.

    The family that Holm corrects over is what is compared of one data set and number.
    """
    found: list[Comparison] = []
    for dataset in arms.datasets:
        present = [arm for arm in arms.in_dataset(dataset) if not arm.uses_truth]
        if baseline is None:
            pairs = [(later, earlier) for earlier, later in combinations(present, 2)]
        else:
            pairs = [(arm, baseline) for arm in present if arm != baseline and baseline in present]
        for number in numbers(arms):
            family = [compare(arms, dataset, number, a, b) for a, b in pairs]
            corrected = holm([c.p for c in family])
            found += [verdict(replace(c, p_holm=p)) for c, p in zip(family, corrected)]
    return found


def compare(arms: Arms, dataset: str, number: str, a: Arm, b: Arm) -> Comparison:
    """One pair of arms, before it is corrected and judged."""
    pairs = arms.pairs(dataset, a, b)
    x = np.array([run.number(number) for run, _ in pairs])
    y = np.array([run.number(number) for _, run in pairs])
    known = np.isfinite(x) & np.isfinite(y)
    exact = x[known] - y[known]
    difference = np.round(exact, DIGITS)
    gain = difference if is_higher_better(arms, number) else -difference
    mean, low, high = mean_interval(exact)
    wins, losses = int((gain > 0).sum()), int((gain < 0).sum())
    p = signed_rank_p(difference)
    return Comparison(
        dataset, number, a, b, len(difference), mean, low, high, p, p,
        wins, len(difference) - wins - losses, losses, rank_biserial(gain), "",
    )  # fmt: skip


def verdict(c: Comparison) -> Comparison:
    """Who is better, if the corrected test says so."""
    if c.n_pairs < 2:
        return replace(c, verdict=TOO_FEW)
    if not c.p_holm < ALPHA or c.effect == 0:
        return replace(c, verdict=NO_DIFFERENCE)
    return replace(c, verdict=f"{(c.a if c.effect > 0 else c.b).label} better")


def signed_rank_p(difference: Array) -> float:
    """Two-sided Wilcoxon signed-rank test of (n,), exact with ties too; zeros are left out.

    The null distribution is that of the rank sum over all assignments of signs, one rank convolved
    after the other; mean ranks are halves, so that twice their sums are whole numbers. (scipy's is
    exact with ties up to 13 pairs, by enumeration.) 1 where all are zero, NaN below two.
    """
    if len(difference) < 2:
        return float("nan")
    moved = difference[difference != 0]
    if not len(moved):
        return 1.0
    ranks = _ranks(moved)
    doubled = np.rint(2 * ranks).astype(np.int64)
    chances = np.zeros(int(doubled.sum()) + 1)
    chances[0] = 1.0
    for rank in doubled:
        chances[rank:] = chances[rank:] + chances[: len(chances) - rank]
        chances *= 0.5
    away = np.abs(2 * np.arange(len(chances)) - doubled.sum())
    given = abs(2 * int(doubled[moved > 0].sum()) - int(doubled.sum()))
    return min(1.0, float(chances[away >= given].sum()))


def _ranks(moved: Array) -> Array:
    """Mean ranks of sizes."""
    from scipy import stats

    ranks: Array = stats.rankdata(np.abs(moved))
    return ranks


def rank_biserial(gain: Array) -> float:
    """(R+ - R-) / (R+ + R-) of the signed ranks of (n,), zeros left out; 0 where all are."""
    moved = gain[gain != 0]
    if not len(moved):
        return 0.0
    ranks = _ranks(moved)
    return float((ranks * np.sign(moved)).sum() / ranks.sum())


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction; NaN stays NaN and does not count."""
    given = np.asarray(p, dtype=np.float64)
    corrected = np.full(len(given), np.nan)
    tested = np.flatnonzero(np.isfinite(given))
    order = tested[np.argsort(given[tested], kind="stable")]
    worst = 0.0
    for i, place in enumerate(order):
        worst = max(worst, min(1.0, (len(order) - i) * float(given[place])))
        corrected[place] = worst
    return corrected.tolist()


def smallest_p(n_pairs: int) -> float:
    """What the signed-rank test can give at best with so many pairs."""
    return min(1.0, 2.0 ** (1 - n_pairs))

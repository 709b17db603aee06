"""What a sentence is worth: a number with its interval, held against where it would have to lie.

    holds            the whole interval lies where the sentence says
    does not hold    none of it does
    cannot be said   it lies across, or there are fewer than `ENOUGH` seeds

An interval is 95 %, of the bootstrap mean over seeds, unless it says otherwise. The test is one of
intersection: of a claim on many arms at once ("worst of all") the interval is that of the arm that
comes closest to breaking it, so that nothing needs correcting.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from goralx.comparison import mean_interval
from goralx.data import Array

ENOUGH = 5
"""Seeds below which nothing is said."""

HOLDS, FAILS, OPEN = "holds", "does not hold", "cannot be said"


@dataclass(frozen=True)
class Evidence:
    """A number, the interval that belongs to it, and how many seeds it is from.

    ``kind`` says what the interval is: "mean" (95 %, bootstrap), "range" (over all seeds, for what
    is said of every one of them) or "exact" (a number that no seed changes). ``beside`` names the
    arm that it is held against, if that was chosen among several.
    """

    number: float
    low: float
    high: float
    n_seeds: int
    kind: str = "mean"
    beside: str = ""


@dataclass(frozen=True)
class Region:
    """Where a number has to lie for a sentence to hold, its ends included."""

    low: float = -math.inf
    high: float = math.inf

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.low:g}"
        if math.isinf(self.high):
            return f">= {self.low:g}"
        if math.isinf(self.low):
            return f"<= {self.high:g}"
        return f"{self.low:g} to {self.high:g}"


def verdict(evidence: Evidence, region: Region) -> str:
    """What the evidence says of a number that is claimed to lie in the region."""
    bounds = evidence.low, evidence.high
    if not np.isfinite([evidence.number, *bounds]).all():
        return OPEN
    if evidence.kind != "exact" and evidence.n_seeds < ENOUGH:
        return OPEN
    if region.low <= bounds[0] and bounds[1] <= region.high:
        return HOLDS
    if bounds[1] < region.low or bounds[0] > region.high:
        return FAILS
    return OPEN


def nothing() -> Evidence:
    """Of what has not been run."""
    return Evidence(math.nan, math.nan, math.nan, 0)


def exact(number: float) -> Evidence:
    """A number that no seed changes."""
    return Evidence(float(number), float(number), float(number), 0, "exact")


def mean(values: Sequence[float] | Array) -> Evidence:
    """The mean over seeds (n,) and its bootstrap interval; NaN where a seed has none."""
    return Evidence(*mean_interval(values), len(values))


def every(values: Sequence[float] | Array) -> Evidence:
    """Of what is said of every seed (n,): the median, and from the least to the greatest."""
    x = np.asarray(values, dtype=np.float64)
    if not len(x):
        return nothing()
    return Evidence(float(np.median(x)), float(x.min()), float(x.max()), len(x), "range")


def closest_to_breaking(found: Iterable[Evidence], region: Region) -> Evidence:
    """Of several that must all lie in the region, the one whose interval reaches farthest out."""

    def outside(evidence: Evidence) -> float:
        if not np.isfinite([evidence.low, evidence.high]).all():
            return math.inf
        return max(region.low - evidence.low, evidence.high - region.high)

    return max(found, key=outside, default=nothing())

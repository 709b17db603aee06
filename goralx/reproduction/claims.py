"""A sentence as a named claim: what is measured, and where it must lie for the sentence to hold.

Thresholds are ours where the paper has a word and no number ("fairly well", "close"); each is in
the table that comes out, beside the number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from .evidence import Evidence, Region, verdict
from .results import Results
from .studies import Quality

ABOVE, BELOW = Region(low=1e-9), Region(high=-1e-9)
"""Zero is on neither side."""


@dataclass(frozen=True)
class World:
    """What claims look at: the results by data set, and where the studies' folders are."""

    results: dict[str, Results]
    runs: Path
    studies: dict[str, Quality]


Measure = Callable[[World], Evidence]


@dataclass(frozen=True)
class Claim:
    """``sentence`` is the paper's (or says whose else), ``what`` the number that stands for it."""

    name: str
    item: str
    sentence: str
    what: str
    region: Region
    measure: Measure


@dataclass(frozen=True)
class Checked:
    """A claim and what came of it."""

    claim: Claim
    evidence: Evidence

    @property
    def verdict(self) -> str:
        return verdict(self.evidence, self.claim.region)


def check(claims: Iterable[Claim], world: World) -> list[Checked]:
    """What is measured of every claim."""
    return [Checked(claim, claim.measure(world)) for claim in claims]


def on(dataset: str, measure: Callable[[Results], Evidence]) -> Measure:
    """A measure of one data set's results."""
    return lambda world: measure(world.results[dataset])


def in_study(name: str, measure: Callable[[Quality, Path], Evidence]) -> Measure:
    """A measure of one study's draws."""
    return lambda world: measure(world.studies[name], world.runs)

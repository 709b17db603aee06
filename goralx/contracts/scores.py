"""What a round knows of its candidates once a goal, an operator and an estimator have met."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from goralx.data import Array, Rows, guard_fields

from .samples import Candidates


@dataclass(frozen=True)
class Scores:
    """What a round knows of its N candidates.

    ``U`` (n, K) under every label and ``utility`` (N,) resolved, NaN where a candidate was not
    looked at; ``looked_at`` (n,) are the positions that were, ascending. ``noise`` is the absolute
    error that fit, solver and round-off leave in a utility, ``trust`` (n,) the estimator's kappa or
    None.
    ``log_Q`` (n, K) is log P(y) as labels were resolved under, certain where the operator is told
    the truth, or None where the goal asks no label. Where the pool was scored piece by piece (other
    processes, or U beyond `HELD` bytes and nobody asked for it), ``log_Q`` is None and ``U`` (2, K)
    only the smallest and largest under each label.
    """

    U: Array
    utility: Array
    noise: float
    looked_at: Rows
    trust: Array | None = None
    log_Q: Array | None = None

    def __post_init__(self) -> None:
        guard_fields(self, "U", "utility", "looked_at", "trust", "log_Q")

    @cached_property
    def spread(self) -> float:
        """Largest minus smallest utility over the candidates looked at."""
        return float(np.ptp(self.utility[self.looked_at]))

    @property
    def vacuous(self) -> bool:
        """True where the candidates differ by less than the noise: there is nothing to rank."""
        return self.spread <= self.noise


class Scorer(Protocol):
    """Resolved goal-oriented utilities of the candidates."""

    def __call__(self, candidates: Candidates, *, per_label: bool = False) -> Scores:
        """``per_label``: with U of every candidate, however large it is."""

    @property
    def regime(self) -> str:
        """The model's."""

"""What a round tells, and what the next one depends on: the loop's facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from goralx.core import Array, Floats
from goralx.data import Labels, Rows, guard_fields

from .oracles import Answers


@dataclass(frozen=True)
class Checkpoint:
    """What going on needs after ``round``: ids in order, the last fit, the generator's state.

    ``rows`` are all labelled source rows, the first ``n_fitted`` of which ``model`` was fit on;
    ``predicted`` and ``tau`` are what the next round's realised change is held against; ``warned``
    are the names of what has been warned of and is not to be said again.
    """

    round: int
    rows: Rows
    labels: Labels
    n_fitted: int
    model: Mapping[str, Array]
    rng_state: Mapping[str, Any]
    predicted: float
    tau: float
    done: bool
    warned: frozenset[str]
    cost: float = 0.0

    def __post_init__(self) -> None:
        guard_fields(self, "rows", "labels")


@dataclass(frozen=True)
class Round:
    """One round's facts. Ids are row numbers in the source data set.

    ``metrics`` has the same names in every round of a run, NaN where there is nothing to say.
    ``pool_ids`` (N,) are the candidates and ``utility`` (N,) what they were worth, if the strategy
    asked. ``theta`` are the fit's parameters, None where it has none to show. ``queried`` (b,) were
    sent to the oracle, and are learned as ``labels`` (b,); empty in the last round, which only
    measures. ``answers`` is all that the oracle said, None of a perfect one. ``n_labelled`` counts
    init and what was asked for, also where nobody gave a label.
    ``bound_from`` is the first round that a larger budget would have made otherwise, None before
    it: one whose batch was cut short, or the last. No array of it is to be written to.
    """

    index: int
    n_labelled: int
    metrics: Mapping[str, float]
    pool_ids: Rows
    utility: Floats | None
    queried: Rows
    labels: Labels
    queried_utility: Floats
    theta: Array | None
    last: bool
    checkpoint: Checkpoint = field(repr=False)
    answers: Answers | None = None
    bound_from: int | None = None

    def __post_init__(self) -> None:
        guard_fields(self, "pool_ids", "utility", "queried", "labels", "queried_utility", "theta")

"""Strategies: goal-oriented active learning and the baselines it is held against."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

import goralx
from goralx import BadInput, Candidates, Query, Scores, Selection


@dataclass(frozen=True)
class GoalOriented(goralx.Strategy):
    """The samples that raise the goal most, put together to a batch by the rule ``batch=``."""

    uses_goal: ClassVar[bool] = True

    def select(self, query: Query) -> Selection:
        return query.selection()


@dataclass(frozen=True)
class Shuffled(goralx.Strategy):
    """A control: as ``goral``, but each candidate has the utility of another, drawn at random.

    All that is worked out is what ``goral`` works out; only who is worth how much is lost. Whatever
    it gains over ``random`` is not due to utilities.
    """

    uses_goal: ClassVar[bool] = True

    def select(self, query: Query) -> Selection:
        rows = replace(query, score=_Permuted(query)).batch()
        return Selection(rows, query.scores.utility)


@dataclass(frozen=True)
class _Permuted:
    """Scores with the utilities of those looked at dealt out anew, each time."""

    query: Query

    @property
    def regime(self) -> str:
        return self.query.scorer.regime

    def __call__(self, candidates: Candidates, *, per_label: bool = False) -> Scores:
        first = candidates is self.query.candidates
        scores = self.query.scores if first else self.query.scorer(candidates, per_label=per_label)
        utility = scores.utility.copy()
        utility[scores.looked_at] = utility[self.query.rng.permutation(scores.looked_at)]
        return replace(scores, utility=utility)


@dataclass(frozen=True)
class Uncertainty(goralx.Strategy):
    """The samples the model is least sure of.

    ``measure``: "margin" (smallest gap between the two likeliest classes), "entropy", or
    "least_confident" (smallest largest probability). With two classes all three agree.
    """

    measure: str = "margin"

    def __post_init__(self) -> None:
        if self.measure not in ("margin", "entropy", "least_confident"):
            raise BadInput(
                f"strategy.measure={self.measure}; allowed: margin, entropy, least_confident"
            )

    def select(self, query: Query) -> Selection:
        P = np.exp(query.log_P)
        if self.measure == "entropy":
            return query.top(-(P * query.log_P).sum(axis=1))
        if self.measure == "least_confident":
            return query.top(-P.max(axis=1))
        top_two = np.partition(P, -2, axis=1)[:, -2:]
        return query.top(top_two[:, 0] - top_two[:, 1])


@dataclass(frozen=True)
class Random(goralx.Strategy):
    """A uniform draw: what every other strategy has to beat."""

    def select(self, query: Query) -> Selection:
        rows = query.rng.permutation(len(query.candidates))[: query.batch_size]
        return Selection(rows)


@goralx.hookimpl
def register_strategies(register):
    register("goral", GoalOriented)
    register("uncertainty", Uncertainty)
    register("random", Random)
    register("shuffled", Shuffled)

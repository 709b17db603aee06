"""Strategies: goal-oriented active learning and the baselines it is held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import goralx
from goralx import BadInput, Query, Selection


@dataclass(frozen=True)
class GoalOriented(goralx.Strategy):
    """The samples that raise the goal most, put together to a batch by the rule ``batch=``."""

    uses_goal: ClassVar[bool] = True

    def select(self, query: Query) -> Selection:
        return query.selection()


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

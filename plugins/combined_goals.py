"""A goal made of other goals, whoever registered them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np

import goralx
from goralx import Array, BadInput, Features, Incompatible, Labels, LogitGoal


@dataclass(frozen=True)
class Composite(goralx.LogitGoal):
    """tau_composite: a weighted sum of other goals, each as a mean over its reference.

    ``goals`` are names, taken with their default options, ``weights`` a number each (null: 1 each).
    A goal that is a sum (dev, ent, ...) is divided by the number of reference samples, so that a
    weight means the same however large the pool. All have one reference, the pool or the dev set.
    Units do not match (nats, hits, |x|^2): look at the goals' curves before choosing weights.
    """

    reduction: ClassVar[Literal["sum", "mean"]] = "mean"

    goals: tuple[str, ...] = ("ent", "fir")
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.goals:
            raise BadInput("goal.goals=[]; name at least one goal, e.g. goal.goals=[ent,fir]")
        weights = self.weights
        if weights is not None and len(weights) != len(self.goals):
            raise BadInput(
                f"goal.weights has {len(weights)} numbers for {len(self.goals)} goals "
                f"({', '.join(self.goals)}); give one each, or null for 1 each"
            )
        if weights is not None and not (np.isfinite(weights).all() and np.any(weights)):
            raise BadInput(f"goal.weights={list(weights)}; allowed: finite numbers, not all 0")
        for name, part in self._parts.items():
            if not isinstance(part, LogitGoal):
                raise Incompatible(
                    f"goal.goals: {name} has no gradient, which a composite needs; leave it out "
                    "and watch it instead (monitors)"
                )
        if len({part.reference for part in self._parts.values()}) > 1:
            where = ", ".join(f"{name} on {part.reference}" for name, part in self._parts.items())
            raise Incompatible(
                f"goal.goals mixes references: {where}; a composite is measured on one, "
                "choose goals of the pool or of the dev set"
            )

    @property
    def reference(self) -> Literal["pool", "dev"]:  # type: ignore[override]
        return next(iter(self._parts.values())).reference

    @property
    def separable(self) -> bool:  # type: ignore[override]
        return all(part.separable for part in self._parts.values())

    @cached_property
    def _parts(self) -> dict[str, LogitGoal]:
        return {name: goralx.build("goal", name) for name in self.goals}

    def _weighted(self, n: int) -> Iterator[tuple[float, LogitGoal]]:
        """Each part and what its own value is to be multiplied with, n reference samples."""
        for name, weight in zip(self.goals, self.weights or (1.0,) * len(self.goals), strict=True):
            part = self._parts[name]
            yield (weight / n if part.reduction == "sum" else weight), part

    def value_and_logit_gradient(
        self, log_P: Array, X: Features, y: Labels | None
    ) -> tuple[float, Array]:
        tau, gradient = 0.0, np.zeros_like(log_P)
        for weight, part in self._weighted(len(log_P)):
            value, G = part.value_and_logit_gradient(log_P, X, y)
            tau, gradient = tau + weight * value, gradient + weight * G
        return tau, gradient

    def logit_hessian(self, log_P: Array, X: Features, y: Labels | None) -> Array:
        K = log_P.shape[1]
        hessian = np.zeros((len(log_P), K, K))
        for weight, part in self._weighted(len(log_P)):
            try:
                hessian += weight * part.logit_hessian(log_P, X, y)
            except NotImplementedError:
                raise Incompatible(
                    f"goal {type(part).__name__} in a composite gives no logit_hessian, which "
                    "implicit needs; use utility=lookahead or utility=retrain"
                ) from None
        return hessian


@goralx.hookimpl
def register_goals(register):
    register("composite", Composite)

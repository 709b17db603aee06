"""The contract of an estimator: how the effect of one more sample on a goal is worked out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from goralx.data import Array

from .goals import LogitGoal
from .samples import Candidates, Reference


@dataclass(frozen=True)
class Utilities:
    """U (N, K), the relative error that solvers left in it, and how far it may be believed.

    ``trust`` (N,) is kappa, the largest move of a candidate's own logits under any label, NaN where
    it was not worked out, or None: below 0.05 first order is fine, above 2 only retraining is.
    """

    U: Array
    relative_error: float
    trust: Array | None = None


class UtilityEstimator(ABC):
    """pi(x) under every label: how the effect of one more sample on the goal is worked out.

    An estimator that costs much per candidate has a field ``screen``: the influence utility ranks
    the pool, and only that many of the best are looked at again (None: all of them).
    """

    _kind: ClassVar[str] = "utility"
    needs_model: ClassVar[frozenset[str]] = frozenset()
    needs: ClassVar[Literal["value", "gradient", "hessian"]] = "gradient"
    """What it asks of a goal: `PredictionGoal`, `LogitGoal`, or one with a ``logit_hessian``."""
    screen: int | None = None

    @abstractmethod
    def utilities(
        self, candidates: Candidates, goal: Any, reference: Reference, *, regime: str
    ) -> Utilities:
        """tau(theta_(x, y)) - tau(theta), estimated, for every candidate and label: (N, K)."""

    def looks_at(self, candidates: Candidates, reference: Reference) -> int | None:
        """How many of the best to look at again; None: all of them."""
        return self.screen

    def changes(self, candidates: Candidates, *, regime: str) -> NDArray[np.float64] | None:
        """Change of phi (N, K, m) after which the goal itself is measured; None for a series.

        What an explanation shares out among the reference samples: the goal before and after, or
        its series: of first order, or of `core.implicit`'s second where it `needs` a "hessian".
        """
        return None


@dataclass(frozen=True)
class Direction:
    """Where one more sample moves the parameters, per unit of its own gradient: v, as theta.

    ``penalty`` as in `influence.utilities`; ``relative_error`` is what the solver left in v.
    """

    v: NDArray[np.float64]
    penalty: float
    relative_error: float


class FirstOrderEstimator(UtilityEstimator):
    """An estimator whose pass over the reference leaves one direction for all candidates.

    Then a candidate costs a product with it, wherever the candidate lies.
    """

    needs_model: ClassVar[frozenset[str]] = frozenset({"derivatives"})

    @abstractmethod
    def direction(self, goal: LogitGoal, reference: Reference, *, regime: str) -> Direction:
        """From the slope of the goal, and the labelled set's curvature."""

    def trust(self, candidates: Candidates) -> Array | None:
        """kappa (N,), NaN where it was not looked at, as in `Utilities`; None if it cannot say."""
        return None

    def utilities(
        self, candidates: Candidates, goal: LogitGoal, reference: Reference, *, regime: str
    ) -> Utilities:
        found = self.direction(goal, reference, regime=regime)
        U = candidates.first_order(found.v, found.penalty)
        return Utilities(U, found.relative_error, self.trust(candidates))

"""The contract of a goal tau: what a model is to be good at (Sec. 2.1).

A component is a frozen dataclass: its fields are its options, ``__post_init__`` checks their
ranges, and its methods are pure. Components are told what they need and reach for nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np

from goralx.data import Array, Features, Labels

from .samples import Candidates, Reference


class Goal(ABC):
    """A goal tau (Sec. 2.1), the higher the better.

    ``reference`` is what it is measured on: "pool" (the initial pool, features only, the same in
    every round so that tau is comparable) or "dev" (the dev set, with labels).
    """

    _kind: ClassVar[str] = "goal"
    reference: ClassVar[Literal["pool", "dev"]] = "pool"
    unit: ClassVar[str] = ""
    """What tau is measured in, as an axis says it: "nats"; empty where it has no unit."""
    needs_model: ClassVar[frozenset[str]] = frozenset()
    """Capabilities that it asks of the model."""
    separable: ClassVar[bool] = False
    """Whether each sample has its own share in tau, that depends on no other: then tau and gradient
    of a large reference are put together (by ``reduction``) from those of its blocks. Of any other
    goal everything is worked out at once, in memory."""

    @abstractmethod
    def measure(self, reference: Reference) -> float:
        """tau of the model that the reference is seen through."""


class PredictionGoal(Goal):
    """A goal that sees the model through its predictions only; it need not be differentiable.

    Without a gradient only ``utility=lookahead`` and ``utility=retrain`` can work with it.
    """

    reduction: ClassVar[Literal["sum", "mean"]] = "sum"
    """Over the reference: a sum grows with it, and is scaled when a part stands for the whole."""

    @abstractmethod
    def value(self, log_P: Array, X: Features, y: Labels | None) -> float:
        """tau from the reference's log predictions (M, K), features (M, d), labels (M,) or None.

        Features and predictions are float32 or float64, as the data are.
        """

    def shares(self, log_P: Array, X: Features, y: Labels | None) -> Array:
        """tau of each reference sample on its own (M,): a separable goal is their sum or mean.

        One `value` after another unless overridden.
        """
        rows = [slice(u, u + 1) for u in range(len(log_P))]
        return np.array([self.value(log_P[u], X[u], None if y is None else y[u]) for u in rows])

    def measure(self, reference: Reference) -> float:
        return reference.value(self)


class LogitGoal(PredictionGoal):
    """A goal with a gradient with respect to the logits: what nearly every goal extends."""

    @abstractmethod
    def value_and_logit_gradient(
        self, log_P: Array, X: Features, y: Labels | None
    ) -> tuple[float, Array]:
        """tau, and its gradient with respect to the logits (M, K).

        log_P (M, K) are the log predictions of the reference X (M, d), without the constant; y (M,)
        are its labels for a dev goal and None for a pool goal. Rows of the gradient sum to zero.
        """

    def logit_hessian(self, log_P: Array, X: Features, y: Labels | None) -> Array:
        """Second derivative with respect to each sample's logits (M, K, K); optional.

        ``utility=implicit`` needs it. Rows and columns sum to zero.
        """
        raise NotImplementedError(f"{type(self).__name__} gives no logit_hessian")

    def value(self, log_P: Array, X: Features, y: Labels | None) -> float:
        return self.value_and_logit_gradient(log_P, X, y)[0]

    def measure(self, reference: Reference) -> float:
        if self.separable or type(self).value is not LogitGoal.value:
            return super().measure(reference)
        return reference.gradient(self)[0]


class DesignGoal(Goal):
    """A criterion of experimental design: it depends on which samples are labelled, not on labels.

    No label is unknown to it, so that neither a label operator nor an estimator is asked.
    """

    needs_model: ClassVar[frozenset[str]] = frozenset({"expansion"})

    @abstractmethod
    def gains(self, candidates: Candidates, reference: Reference, *, regime: str) -> Array:
        """By how much labelling each candidate, whatever its label, raises tau: (N,).

        NaN for a candidate that was not looked at, where there are too many.
        """


def has_logit_hessian(goal: Goal) -> bool:
    """Whether a goal overrides `LogitGoal.logit_hessian`."""
    return isinstance(goal, LogitGoal) and type(goal).logit_hessian is not LogitGoal.logit_hessian

"""The paper's goals (Sec. 2.1): dev loss, prediction entropy, Fisher information.

Gradients are with respect to the logits; the model turns them into gradients of its parameters.
Each row sums to zero, because a constant added to all logits changes no prediction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

import goralx
from goralx import Array, Features, Labels
from goralx.core import blocks, squares


@dataclass(frozen=True)
class NegativeDevLoss(goralx.LogitGoal):
    """tau_dev: the sum over the dev set of log P(y | x).

    A good proxy of accuracy that costs labels and can be over-fitted; one mislabelled dev sample
    can dominate it. A sum: it grows with the dev set.
    """

    unit: ClassVar[str] = "nats"
    reference: ClassVar[Literal["pool", "dev"]] = "dev"
    separable: ClassVar[bool] = True

    def value_and_logit_gradient(
        self, log_P: Array, X: Features, y: Labels | None
    ) -> tuple[float, Array]:
        rows = np.arange(len(log_P))
        gradient = -np.exp(log_P)
        gradient[rows, y] += 1.0
        return float(log_P[rows, y].sum()), gradient

    def logit_hessian(self, log_P: Array, X: Features, y: Labels | None) -> Array:
        return -fisher_information(np.exp(log_P))


@dataclass(frozen=True)
class NegativeEntropy(goralx.LogitGoal):
    """tau_ent: the sum over the initial pool of sum_k p_k log p_k, in nats; at most 0.

    Favours models that are certain, right or wrong: reaching it can cost accuracy (Sec. 6.3).
    """

    unit: ClassVar[str] = "nats"
    separable: ClassVar[bool] = True

    def value(self, log_P: Array, X: Features, y: Labels | None) -> float:
        return float(np.vdot(np.exp(log_P), log_P))

    def shares(self, log_P: Array, X: Features, y: Labels | None) -> Array:
        return np.vecdot(np.exp(log_P), log_P)

    def value_and_logit_gradient(
        self, log_P: Array, X: Features, y: Labels | None
    ) -> tuple[float, Array]:
        total, gradient = 0.0, np.empty_like(log_P)
        for part in blocks(*log_P.shape):
            some, slope = log_P[part], gradient[part]
            P = np.exp(some)
            negative_entropy = np.einsum("nk,nk->n", P, some)
            np.subtract(some, negative_entropy[:, None], out=slope)
            slope *= P
            total += float(negative_entropy.sum())
        return total, gradient

    def logit_hessian(self, log_P: Array, X: Features, y: Labels | None) -> Array:
        P = np.exp(log_P)
        pa = P * (log_P - (P * log_P).sum(axis=1, keepdims=True))
        cross = pa[:, :, None] * P[:, None, :]
        hessian = -(P[:, :, None] * P[:, None, :]) - cross - cross.transpose(0, 2, 1)
        return add_to_diagonal(hessian, pa + P)


@dataclass(frozen=True)
class NegativeFisherInformation(goralx.LogitGoal):
    """tau_fir: minus the mean over the initial pool of tr I(theta | x) = (1 - |p|^2) |x|^2 (Eq. 8).

    |x|^2 includes the constant 1 of the intercept unless ``include_intercept`` is false. Eq. 8 adds
    tr(lambda I), which does not depend on theta and drifts as n grows: it is left out.
    """

    reduction: ClassVar[Literal["sum", "mean"]] = "mean"
    separable: ClassVar[bool] = True

    include_intercept: bool = True

    def value_and_logit_gradient(
        self, log_P: Array, X: Features, y: Labels | None
    ) -> tuple[float, Array]:
        total, gradient = 0.0, np.empty_like(log_P)
        for part in blocks(*log_P.shape):
            P, slope = np.exp(log_P[part]), gradient[part]
            nu = np.einsum("nk,nk->n", P, P)
            scale = self._squares(X[part]) / X.shape[0]
            total += float(scale @ (nu - 1.0))
            np.subtract(P, nu[:, None], out=slope)
            slope *= P
            slope *= 2.0 * scale[:, None]
        return total, gradient

    def shares(self, log_P: Array, X: Features, y: Labels | None) -> Array:
        P = np.exp(log_P)
        return self._squares(X) * (np.vecdot(P, P) - 1.0)

    def logit_hessian(self, log_P: Array, X: Features, y: Labels | None) -> Array:
        P = np.exp(log_P)
        nu = (P * P).sum(axis=1, keepdims=True)
        norm = self._squares(X)
        cross = (P * P)[:, :, None] * P[:, None, :]
        hessian = 3.0 * (nu * P)[:, :, None] * P[:, None, :]
        hessian -= 2.0 * (cross + cross.transpose(0, 2, 1))
        hessian = add_to_diagonal(hessian, P * (2.0 * P - nu))
        return (2.0 / X.shape[0]) * norm[:, None, None] * hessian

    def _squares(self, X: Features) -> Array:
        """|x|^2 (M,), with the intercept's constant or without."""
        return squares(X) + float(self.include_intercept)


def fisher_information(P: Array) -> Array:
    """diag(p) - p p' of every row of P (M, K): (M, K, K)."""
    return add_to_diagonal(-(P[:, :, None] * P[:, None, :]), P)


def add_to_diagonal(matrices: Array, diagonals: Array) -> Array:
    """Matrices (M, K, K), with diagonals (M, K) added in place."""
    K = diagonals.shape[1]
    matrices[:, np.arange(K), np.arange(K)] += diagonals
    return matrices


@goralx.hookimpl
def register_goals(register):
    register("dev", NegativeDevLoss)
    register("ent", NegativeEntropy)
    register("fir", NegativeFisherInformation)

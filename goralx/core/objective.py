"""The training objective of softmax regression (Sec. 8), and its first two derivatives (Eqs 6-7).

Averaged over n labelled samples it is

    F(theta) = -(1/n) sum_i log p_{y_i}(x_i) + (l2/2) |theta_pen|^2,    p(x) = softmax(theta x),

with all K rows of theta free (footnote 4) and l2 = 1 / (n C). ``theta_pen`` leaves the intercepts
out unless ``penalize_intercept``; scikit-learn leaves them out, Eq. 6 to the letter keeps them in.
Everything here is in contrast coordinates phi (see the package's docstring).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.linalg import helmert

from .linear_solve import Array
from .predictions import log_softmax

_CHUNK = 1 << 22  # floats in the temporary of one Hessian block, 32 MB


def contrasts(n_classes: int) -> Array:
    """Q (K, K-1): an orthonormal basis of the vectors that sum to zero over classes."""
    return np.ascontiguousarray(helmert(n_classes).T)


@dataclass(frozen=True)
class Objective:
    """F and its derivatives in phi (K-1, D), raveled to (m,), for labels y (n,) of X (n, D)."""

    X: Array
    y: NDArray[np.int64]
    n_classes: int
    l2: float
    penalize_intercept: bool

    @classmethod
    def of(
        cls, X: ArrayLike, y: ArrayLike, n_classes: int, l2: float, penalize_intercept: bool
    ) -> Objective:
        """From features without the constant column: X (n, d), y (n,) in 0..K-1."""
        features = np.asarray(X)
        with_constant = np.empty((len(features), features.shape[1] + 1))
        with_constant[:, :-1], with_constant[:, -1] = features, 1.0
        return cls(with_constant, np.asarray(y, dtype=np.int64), n_classes, l2, penalize_intercept)

    @cached_property
    def Q(self) -> Array:
        return contrasts(self.n_classes)

    @cached_property
    def decay(self) -> Array:
        """(D,): l2 on the penalised coordinates, 0 on an unpenalised intercept."""
        decay = np.full(self.X.shape[1], self.l2)
        decay[-1] *= self.penalize_intercept
        return decay

    @property
    def size(self) -> int:
        return (self.n_classes - 1) * int(self.X.shape[1])

    def rows(self, flat: Array) -> Array:
        return flat.reshape(self.n_classes - 1, -1)

    def theta(self, phi: Array) -> Array:
        """phi (m,) as theta (K, D), whose rows sum to zero."""
        return self.Q @ self.rows(phi)

    def phi(self, theta: Array) -> Array:
        """theta (K, D) without its gauge, as phi (m,)."""
        return (self.Q.T @ theta).ravel()

    def log_proba(self, phi: Array) -> Array:
        return log_softmax(self._contrasted(self.rows(phi)))

    def _contrasted(self, rows: Array) -> Array:
        """Q (rows x) for every sample (n, K), in Fortran order: one product, over K - 1 or K."""
        if self.n_classes == 2:
            return (self.Q @ (self.X @ rows.T).T).T
        return ((self.Q @ rows) @ self.X.T).T

    def _pulled(self, S: Array) -> Array:
        """Its transpose: Q' S' X (K-1, D) for S (n, K)."""
        if self.n_classes == 2:
            return (S @ self.Q).T @ self.X
        pulled: Array = self.Q.T @ (S.T @ self.X)
        return pulled

    def value(self, phi: Array, log_P: Array) -> float:
        penalty = 0.5 * float(((self.rows(phi) ** 2) @ self.decay).sum())
        return penalty - float(log_P[np.arange(len(self.y)), self.y].mean())

    def gradient(self, phi: Array, P: Array) -> Array:
        """Eq. 6, averaged: (m,)."""
        residual = P.copy()
        residual[np.arange(len(self.y)), self.y] -= 1.0
        mean = self._pulled(residual) / len(self.y)
        return (mean + self.rows(phi) * self.decay).ravel()

    def hessian_product(self, P: Array, direction: Array) -> NDArray[np.floating]:
        """H times a direction (m,), without forming H: two products with X."""
        return self.curvature(P)(direction)

    def curvature(self, P: Array, dtype: DTypeLike = np.float64) -> Curvature:
        """H where the predictions are P (n, K), to be multiplied with vectors of this precision."""
        X = self.X if dtype == np.float64 else self._single_X
        share = P / len(self.y)
        if self.n_classes == 2:  # Q' Lambda Q is the scalar 2 p0 p1
            share = 2.0 * share[:, :1] * P[:, 1:]
        return Curvature(
            X,
            share.T.astype(dtype, copy=False),
            P.T.astype(dtype, copy=False),
            self.Q.astype(dtype, copy=False),
            self.decay.astype(dtype, copy=False),
        )

    def at(self, phi: Array) -> Point:
        """F and its derivatives at phi (m,)."""
        log_P = self.log_proba(phi)
        return Point(self, phi, log_P, self.value(phi, log_P))

    @cached_property
    def _single_X(self) -> NDArray[np.float32]:
        return self.X.astype(np.float32)

    def hessian(self, P: Array) -> Array:
        """Eq. 7, averaged: Q' Lambda Q (x) x x' plus l2, as a matrix (m, m)."""
        if self.n_classes == 2:  # Q' Lambda Q is the scalar 2 p0 p1
            scaled = self.X * np.sqrt(2.0 * P[:, :1] * P[:, 1:])
            H = scaled.T @ scaled
        else:
            H = self._hessian_over_parametrised(P)
            H = np.tensordot(self.Q, np.tensordot(H, self.Q, axes=(2, 0)), axes=(0, 0))
            H = H.transpose(0, 1, 3, 2).reshape(self.size, self.size)
        H /= len(self.y)
        H[np.diag_indices(self.size)] += np.tile(self.decay, self.n_classes - 1)
        return H

    def _hessian_over_parametrised(self, P: Array) -> Array:
        """Sum of Lambda_i (x) x_i x_i', (K, D, K, D): a block diagonal minus one Gram matrix."""
        n, D = self.X.shape
        K = self.n_classes
        H = np.zeros((K * D, K * D))
        step = max(1, _CHUNK // (K * D))
        for start in range(0, n, step):
            X, p = self.X[start : start + step], P[start : start + step]
            weighted = (p[:, :, None] * X[:, None, :]).reshape(len(X), K * D)
            H -= weighted.T @ weighted
            for k in range(K):
                block = slice(k * D, (k + 1) * D)
                H[block, block] += weighted[:, block].T @ X
        return H.reshape(K, D, K, D)


@dataclass(frozen=True)
class Curvature:
    """H at one point as an operator: what many products with it share.

    X (n, D) and, a row each class, P (K, n) and its ``share`` P / n; for two classes (1, n), the
    weights 2 p0 p1 / n. All in the precision that vectors are given in: conjugate gradients in
    single precision wait half as long for X.
    """

    X: NDArray[np.floating]
    share: NDArray[np.floating]
    P: NDArray[np.floating]
    Q: NDArray[np.floating]
    decay: NDArray[np.floating]

    def __call__(self, direction: NDArray[np.floating]) -> NDArray[np.floating]:
        """H times a direction (m,)."""
        if len(self.share) == 1:
            along = self.X @ direction
            along *= self.share[0]
            product: NDArray[np.floating] = along @ self.X
            product += self.decay * direction
            return product
        rows = direction.reshape(len(self.P) - 1, -1)
        S = (self.Q @ rows) @ self.X.T
        S -= np.einsum("kn,kn->n", self.P, S)
        S *= self.share
        pulled = self.Q.T @ (S @ self.X)
        pulled += rows * self.decay
        flat: NDArray[np.floating] = pulled.ravel()
        return flat


@dataclass(frozen=True)
class Point:
    """F at phi (m,): its value, log predictions (n, K), and derivatives once they are asked for."""

    objective: Objective = field(repr=False)
    phi: Array
    log_P: Array
    value: float

    @cached_property
    def P(self) -> Array:
        return np.exp(self.log_P)

    @cached_property
    def gradient(self) -> Array:
        return self.objective.gradient(self.phi, self.P)

    @cached_property
    def norm(self) -> float:
        """max |grad F|."""
        return float(np.abs(self.gradient).max())

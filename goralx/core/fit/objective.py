"""The training objective of softmax regression (Sec. 8), and its first two derivatives (Eqs 6-7).

Averaged over n labelled samples it is

    F(theta) = -(1/n) sum_i log p_{y_i}(x_i) + (l2/2) |theta_pen|^2,    p(x) = softmax(theta x),

with all K rows of theta free (footnote 4) and l2 = 1 / (n C). ``theta_pen`` leaves the intercepts
out unless ``penalize_intercept``; scikit-learn leaves them out, Eq. 6 to the letter keeps them in.
Everything here is in contrast coordinates phi (see the package's docstring).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.sparse import csr_array, hstack, issparse

from ..linear_solve import Array
from ..predictions import by_row, log_softmax
from .contrasts import contrasted, contrasts, expanded

F = TypeVar("F", bound=np.floating)

_CHUNK = 1 << 22  # floats in the temporary of one Hessian block, 32 MB


@dataclass(frozen=True)
class Objective:
    """F and its derivatives in phi (K-1, D), raveled to (m,), for labels y (n,) of X (n, D).

    X holds the constant 1 in its last column, dense or CSR. Where ``centre`` (d,) was taken off the
    features, an intercept that is penalised is the last coordinate less the rest times it.
    """

    X: Any
    y: NDArray[np.int64]
    n_classes: int
    l2: float
    penalize_intercept: bool
    centre: Array | None = None

    @classmethod
    def of(
        cls, X: ArrayLike, y: ArrayLike, n_classes: int, l2: float, penalize_intercept: bool
    ) -> Objective:
        """From features without the constant column: X (n, d), dense or sparse, y (n,) in 0..K-1.

        Sparse features stay sparse.
        """
        rows = appended(X if issparse(X) else np.asarray(X))
        return cls(rows, np.asarray(y, np.int64), n_classes, l2, penalize_intercept)

    @cached_property
    def dense(self) -> Array:
        """X (n, D) as an array: what curvature is worked out of, whose cost is that of its own."""
        return self.X.toarray() if issparse(self.X) else np.asarray(self.X)

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
        return expanded(self.Q, self.rows(phi))

    def phi(self, theta: Array) -> Array:
        """theta (K, D) without its gauge, as phi (m,)."""
        return contrasted(self.Q, theta).ravel()

    def log_proba(self, phi: Array) -> Array:
        return log_softmax(self._contrasted(self.rows(phi)))

    def _contrasted(self, rows: Array) -> Array:
        """Q (rows x) for every sample (n, K), in Fortran order: one product, over K - 1 or K."""
        if self.n_classes == 2:
            logits: Array = self.Q @ (self.X @ rows.T).T
        else:
            logits = by_row(expanded(self.Q, rows), self.X)
        return logits.T

    def _pulled(self, S: Array) -> Array:
        """Its transpose: Q' S' X (K-1, D) for S (n, K)."""
        if self.n_classes == 2:
            pulled: Array = (S @ self.Q).T @ self.X
        else:
            pulled = contrasted(self.Q, S.T @ self.X)
        return pulled

    def penalised(self, phi: Array) -> Array:
        """The penalty's gradient (K-1, D)."""
        return penalised(self.rows(phi), self.decay, self.centre)

    def penalty(self, phi: Array) -> float:
        """l2/2 |theta_pen|^2."""
        return 0.5 * float((self.rows(phi) * self.penalised(phi)).sum())

    def value(self, phi: Array, log_P: Array) -> float:
        return self.penalty(phi) - float(log_P[np.arange(len(self.y)), self.y].mean())

    def gradient(self, phi: Array, P: Array) -> Array:
        """Eq. 6, averaged: (m,). P - 1 of a label that is nearly sure is what others have."""
        residual, told = P.copy(order="K"), (np.arange(len(self.y)), self.y)
        residual[told] = 0.0
        residual[told] = -residual.sum(axis=1)
        mean = self._pulled(residual) / len(self.y)
        return (mean + self.penalised(phi)).ravel()

    def curvature(self, P: Array, dtype: DTypeLike = np.float64) -> Curvature:
        """H where the predictions are P (n, K), to be multiplied with vectors of this precision."""
        X = self.X if dtype == np.float64 else self.single_X
        share, top = P / len(self.y), None
        if self.n_classes == 2:  # Q' Lambda Q is the scalar 2 p0 p1
            share = 2.0 * share[:, :1] * P[:, 1:]
        elif np.finfo(dtype).eps ** 0.5 * self.scale > self.l2:  # round-off counts beside l2
            top = P.argmax(axis=1)
        return Curvature(
            X,
            share.T.astype(dtype, copy=False),
            P.T.astype(dtype, copy=False),
            self.Q.astype(dtype, copy=False),
            self.decay.astype(dtype, copy=False),
            None if self.centre is None else self.centre.astype(dtype, copy=False),
            top,
        )

    def weights(self, P: Array) -> Array:
        """p (1 - p) / n of each class and sample (K, n), 2 p0 p1 / n (1, n) for two classes."""
        if self.n_classes == 2:
            weights: Array = (2.0 / len(self.y) * P[:, :1] * P[:, 1:]).T
        else:
            weights = (P * (1.0 - P) / len(self.y)).T
        return weights

    def diagonal_of(self, weights: NDArray[np.floating]) -> Array:
        """Diagonal (K, D) of H in theta, for the `weights` of (some of) the samples.

        To single precision; every entry is positive.
        """
        diagonal = weights.astype(np.float32, copy=False) @ self._squares
        diagonal = np.ascontiguousarray(diagonal, np.float64) + self.decay
        if self.centre is not None and self.penalize_intercept:
            diagonal[:, :-1] += self.l2 * self.centre**2
        positive: Array = np.maximum(diagonal, 1e-30 * diagonal.max())
        return positive

    @cached_property
    def _squares(self) -> Any:
        X = self.single_X
        return X.multiply(X).tocsr() if issparse(X) else X * X

    @cached_property
    def scale(self) -> float:
        """Mean |x|^2 of the samples, over their number: what one of them can add to H."""
        values = self.X.data if issparse(self.X) else self.X.ravel()
        return float(values @ values) / len(self.y) ** 2

    def at(self, phi: Array) -> Point:
        """F and its derivatives at phi (m,)."""
        log_P = self.log_proba(phi)
        return Point(self, phi, log_P, self.value(phi, log_P))

    @cached_property
    def single_X(self) -> Any:
        return self.X.astype(np.float32)

    def hessian(self, P: Array) -> Array:
        """Eq. 7, averaged: Q' Lambda Q (x) x x' plus l2, as a matrix (m, m)."""
        X = self.X.toarray() if issparse(self.X) else self.X
        if self.n_classes == 2:  # Q' Lambda Q is the scalar 2 p0 p1
            scaled = X * np.sqrt(2.0 * P[:, :1] * P[:, 1:])
            H: Array = scaled.T @ scaled
        else:
            H = self._hessian_over_parametrised(X, P)
            H = np.tensordot(self.Q, np.tensordot(H, self.Q, axes=(2, 0)), axes=(0, 0))
            H = H.transpose(0, 1, 3, 2).reshape(self.size, self.size)
        H /= len(self.y)
        if self.centre is None or not self.penalize_intercept:
            H[np.diag_indices(self.size)] += np.tile(self.decay, self.n_classes - 1)
        else:
            D, each = X.shape[1], penalised(np.eye(X.shape[1]), self.decay, self.centre)
            for k in range(self.n_classes - 1):
                H[k * D : (k + 1) * D, k * D : (k + 1) * D] += each
        return H

    def _hessian_over_parametrised(self, X: Array, P: Array) -> Array:
        """Sum of Lambda_i (x) x_i x_i', (K, D, K, D): a block diagonal minus one Gram matrix."""
        n, D = X.shape
        K = self.n_classes
        H = np.zeros((K * D, K * D))
        step = max(1, _CHUNK // (K * D))
        for start in range(0, n, step):
            x, p = X[start : start + step], P[start : start + step]
            weighted = (p[:, :, None] * x[:, None, :]).reshape(len(x), K * D)
            H -= weighted.T @ weighted
            for k in range(K):
                block = slice(k * D, (k + 1) * D)
                H[block, block] += weighted[:, block].T @ x
        return H.reshape(K, D, K, D)


@dataclass(frozen=True)
class Curvature:
    """H at one point as an operator: what many products with it share.

    X (n, D) and, a row each class, P (K, n) and its ``share`` P / n; for two classes (1, n), the
    weights 2 p0 p1 / n. ``top`` (n,) are the likeliest classes where predictions are so sure that
    1 - p would be lost to round-off, else None. All in the precision that vectors are given in:
    conjugate gradients in single precision wait half as long for X.
    """

    X: Any
    share: NDArray[np.floating]
    P: NDArray[np.floating]
    Q: NDArray[np.floating]
    decay: NDArray[np.floating]
    centre: NDArray[np.floating] | None = None
    top: NDArray[np.int64] | None = None

    def __call__(self, direction: NDArray[np.floating]) -> NDArray[np.floating]:
        """H times a direction (m,)."""
        rows = direction.reshape(len(self.P) - 1, -1)
        if len(self.share) == 1:
            along = self.X @ direction
            along *= self.share[0]
            product = (along @ self.X)[None]
        else:
            S = by_row(expanded(self.Q, rows), self.X)
            if self.top is not None:
                S -= S[self.top, np.arange(len(self.top))]
            S -= np.einsum("kn,kn->n", self.P, S)
            S *= self.share
            product = contrasted(self.Q, S @ self.X)
        product += penalised(rows, self.decay, self.centre)
        flat: NDArray[np.floating] = product.ravel()
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

    @cached_property
    def length(self) -> float:
        """sqrt(l2) |theta_pen|: theta in the metric of its penalty, which is at most that of H."""
        return math.sqrt(2.0 * self.objective.penalty(self.phi))


def appended(X: Any) -> Any:
    """Features (n, d) with the constant 1 as last column: (n, D), float64, dense or CSR."""
    X = X if issparse(X) else X[:]
    if issparse(X):
        ones = csr_array(np.ones((X.shape[0], 1)))
        return csr_array(hstack([csr_array(X, dtype=np.float64), ones], format="csr"))
    features = np.asarray(X)
    joined = np.empty((features.shape[0], features.shape[1] + 1))
    joined[:, :-1], joined[:, -1] = features, 1.0
    return joined


def penalised(rows: NDArray[F], decay: NDArray[F], centre: NDArray[F] | None) -> NDArray[F]:
    """Product of rows (C, D) with the penalty's matrix (D, D), diagonal unless there is a centre.

    A penalised intercept is then c - W centre in the coordinates (W, c): |W|^2 + |c - W centre|^2.
    """
    product: NDArray[F] = rows * decay
    if centre is not None and decay[-1] > 0.0:
        intercept = product[:, -1] - product[:, :-1] @ centre
        product[:, :-1] -= np.outer(intercept, centre)
        product[:, -1] = intercept
    return product

"""The inverse curvature of what was labelled, in the span of the labelled samples.

Away from that span their summed objective is its penalty alone. With R (d, r) an orthonormal basis
of their features, its Hessian A is a small one in the coordinates (R'x, 1), r <= n, and the penalty
across: exact, for what lies off the span too. Nothing here is square in d.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..linear_solve import Array
from .class_blocks import ClassBlocks
from .curvature import parts, with_constant
from .dense_inverse import Dense
from .low_rank import Updated

Inner = TypeVar("Inner", bound=Dense | ClassBlocks)


@dataclass(frozen=True)
class Span(Generic[Inner]):
    """``basis`` R (d, r), ``inner`` the inverse of A in it, ``penalty`` off it, C = K - 1."""

    basis: Array
    inner: Inner
    penalty: float
    C: int

    @classmethod
    def of(
        cls, X: Array, C: int, decay: Array, inverse: Callable[[Array, Array], Inner]
    ) -> Span[Inner]:
        """Of samples X (n, D) with a summed penalty ``decay`` (D,).

        ``inverse`` makes the inner one, of coordinates (n, q) and their penalty (q,), q = r + 1.
        """
        basis = np.linalg.qr(X[:, :-1].T)[0]
        inside = np.column_stack([X[:, :-1] @ basis, X[:, -1]])
        inner = inverse(inside, np.append(np.full(basis.shape[1], decay[0]), decay[-1]))
        return cls(basis, inner, float(decay[0]), C)

    @property
    def log_det(self) -> float:
        d, r = self.basis.shape
        return float(self.inner.log_det + self.C * (d - r) * np.log(self.penalty))

    def split(self, V: Array) -> tuple[Array, Array]:
        """V (..., D) as its coordinates (..., q) and what is off the span (..., d)."""
        inside = V[..., :-1] @ self.basis
        off = inside @ self.basis.T
        np.subtract(V[..., :-1], off, out=off)
        return np.concatenate([inside, V[..., -1:]], axis=-1), off

    def times_B(self, inside: Array, off: Array) -> Array:
        """B times what was `split`, in (t, C, q) and (t, C, d): (t, C, D)."""
        within = self.inner.times(inside)
        product = np.empty((*off.shape[:2], off.shape[2] + 1))
        np.matmul(within[..., :-1], self.basis.T, out=product[..., :-1])
        product[..., :-1] += off / self.penalty
        product[..., -1] = within[..., -1]
        return product

    def times(self, V: Array) -> Array:
        return self.times_B(*self.split(V))

    def leverage(self, X: NDArray[np.floating]) -> Array:
        S = np.empty((X.shape[0], self.C, self.C))
        for part, inside, across in self._split(X):
            S[part] = self.inner.leverage(inside)
            S[part] += across[:, None, None] * np.eye(self.C)
        return S

    def variance(self, X: NDArray[np.floating], Q: Array) -> Array:
        variance = np.empty((X.shape[0], len(Q)))
        for part, inside, across in self._split(X):
            variance[part] = self.inner.variance(inside, Q) + across[:, None] * (Q * Q).sum(axis=1)
        return variance

    def with_sample(self, x: Array, information: Array) -> Updated:
        return Updated.of(self, x, information)

    def _split(self, X: NDArray[np.floating]) -> Iterator[tuple[slice, Array, Array]]:
        """Of blocks of X (N, d): slice, coordinates (t, r) and leverage off the span (t,)."""
        for part in parts(X.shape[0], 3 * X.shape[1]):
            inside, off = self.split(with_constant(X[part]))
            yield part, inside[:, :-1], np.einsum("nd,nd->n", off, off) / self.penalty

"""The inverse curvature of what was labelled, in the span of the labelled samples.

Away from that span their summed objective is its penalty alone. With R (d, r) an orthonormal basis
of their features, its Hessian A is a small matrix in the coordinates (R'x, 1), r <= n, and the
penalty across; B = A^-1 (m, m) is never made, nor is anything else that is square in d.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .curvature import weighted_gram
from .linear_solve import Array, Factor


@dataclass(frozen=True)
class Span:
    """``basis`` R (d, r), ``inverse`` of A in it (Cq, Cq) with q = r + 1, ``penalty`` off it."""

    basis: Array
    inverse: Array
    penalty: float

    @classmethod
    def of(cls, X: Array, curvature: Array, decay: Array) -> Span:
        """Of samples X (n, D) with ``curvature`` (n, C, C), their summed penalty ``decay`` (D,)."""
        basis = np.linalg.qr(X[:, :-1].T)[0]
        A = weighted_gram(X[:, :-1] @ basis, curvature)
        inside = np.append(np.full(basis.shape[1], decay[0]), decay[-1])
        A[np.diag_indices(len(A))] += np.tile(inside, curvature.shape[1])
        return cls(basis, Factor.of(A).inverse(), float(decay[0]))

    def split(self, V: Array) -> tuple[Array, Array]:
        """V (..., D) as its coordinates (..., q) and what is off the span (..., d)."""
        inside = V[..., :-1] @ self.basis
        off = inside @ self.basis.T
        np.subtract(V[..., :-1], off, out=off)
        return np.concatenate([inside, V[..., -1:]], axis=-1), off

    def times_B(self, inside: Array, off: Array) -> Array:
        """B times what was `split`, in (t, C, q) and (t, C, d): (t, C, D)."""
        within = (inside.reshape(len(inside), -1) @ self.inverse).reshape(inside.shape)
        product = np.empty((*off.shape[:2], off.shape[2] + 1))
        np.matmul(within[..., :-1], self.basis.T, out=product[..., :-1])
        product[..., :-1] += off / self.penalty
        product[..., -1] = within[..., -1]
        return product

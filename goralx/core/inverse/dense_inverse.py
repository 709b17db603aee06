"""The inverse curvature as one matrix: the plain road, while (K-1) D is small."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..linear_solve import Array, Factor
from .curvature import quadratic_form, weighted_gram, with_constant


@dataclass(frozen=True)
class Dense:
    """B = A^-1 as ``matrix`` (m, m); see `inverse_curvature.InverseCurvature`."""

    matrix: Array
    log_det: float

    @classmethod
    def of(cls, X: Array, curvature: Array, decay: Array) -> Dense:
        """Of samples X (n, D) with ``curvature`` (n, C, C), their summed penalty ``decay`` (D,)."""
        A = weighted_gram(X[:, :-1], curvature)
        A[np.diag_indices(len(A))] += np.tile(decay, curvature.shape[1])
        factor = Factor.of(A)
        log_det = 2.0 * float(np.log(np.diag(factor.cholesky)).sum())
        return cls(factor.inverse(), log_det)

    def times(self, V: Array) -> Array:
        product: Array = (V.reshape(len(V), -1) @ self.matrix).reshape(V.shape)
        return product

    def leverage(self, X: NDArray[np.floating]) -> Array:
        return quadratic_form(X, self.matrix)

    def variance(self, X: NDArray[np.floating], Q: Array) -> Array:
        rows = with_constant(X)
        (K, C), D = Q.shape, rows.shape[1]
        blocks, variance = self.matrix.reshape(C, D, C, D), np.empty((len(rows), K))
        for k in range(K):
            B = np.tensordot(np.tensordot(Q[k], blocks, axes=(0, 0)), Q[k], axes=(1, 0))
            variance[:, k] = np.einsum("nd,nd->n", rows @ B, rows)
        return variance

    def with_sample(self, x: Array, information: Array) -> Dense:
        contrasts, B = len(information), self.matrix
        BU = B.reshape(len(B), contrasts, -1) @ x
        S = np.tensordot(BU.reshape(contrasts, -1, contrasts), x, axes=(1, 0))
        system = np.eye(contrasts) + information @ S
        updated = B - BU @ np.linalg.solve(system, information) @ BU.T
        return Dense(updated, self.log_det + float(np.linalg.slogdet(system)[1]))

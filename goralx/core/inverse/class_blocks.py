"""The inverse curvature class by class, and one system as large as the number of samples.

Softmax's curvature of a sample is diag p - p p'. So the labelled set's, over all K rows of theta,

    A = blockdiag(D_1 .. D_K) - Z'Z,      D_k = X' diag(p_k) X + penalty,      Z_i = p_i (x) x_i,

is K blocks (D, D) less a matrix of rank n, and by Woodbury's identity so is its inverse. Among rows
of theta that sum to zero, where alone it is asked for (no other direction changes a prediction),

    B = E + E Z' (I - Z E Z')^-1 Z E,      E = D^-1 - D^-1 1 G^-1 1' D^-1,      G = sum_k D_k^-1.

Exact, linear in the number of classes: K D^2 + n^2 numbers, K D (D^2 + n D + n^2) operations.
Where a dense inverse costs ((K-1) D)^3 it is K^2 times cheaper.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from ..linear_solve import Array, Factor, NotConverged
from .curvature import parts, with_constant
from .low_rank import Updated

_ENOUGH = 1e-6  # relative residual of B A v beyond which weak penalties have cost too many digits


@dataclass(frozen=True)
class ClassBlocks:
    """``blocks`` D_k^-1 (K, D, D); ``common`` (D, D) and ``root`` (n, n) are Cholesky factors of G
    and of I - Z E Z', ``mean`` (n, D) is Z D^-1 1 G^-1. X (n, D), P (n, K) of the labelled samples.
    """

    Q: Array
    X: Array = field(repr=False)
    P: Array = field(repr=False)
    blocks: Array = field(repr=False)
    common: Array = field(repr=False)
    mean: Array = field(repr=False)
    root: Array = field(repr=False)
    log_det: float

    @classmethod
    def of(cls, Q: Array, X: Array, P: Array, decay: Array) -> ClassBlocks:
        """Of samples X (n, D) with predictions P (n, K), their summed penalty ``decay`` (D,)."""
        (n, D), K = X.shape, P.shape[1]
        blocks, along, within = np.empty((K, D, D)), np.zeros((n, D)), np.eye(n)
        log_det = -D * np.log(K)
        for k, p in enumerate(P.T):
            block = (X * p[:, None]).T @ X
            block[np.diag_indices(D)] += decay
            factor = Factor.of(block)
            log_det += 2.0 * np.log(np.diag(factor.cholesky)).sum()
            blocks[k] = factor.inverse()
            reached = (X * p[:, None]) @ blocks[k]
            along += reached
            within -= (reached @ X.T) * p
        common = Factor.of(blocks.sum(axis=0))
        mean = common.solve(along.T).T
        within += mean @ along.T
        root = Factor.of(0.5 * (within + within.T))
        log_det += 2.0 * sum(np.log(np.diag(f.cholesky)).sum() for f in (common, root))
        made = cls(
            Q, X, P, blocks, np.tril(common.cholesky), mean, np.tril(root.cholesky), float(log_det)
        )
        made._check(decay)
        return made

    def times(self, V: Array) -> Array:
        found = np.empty_like(V)
        K = len(self.Q)
        for part in parts(len(V), 4 * K * max(self.X.shape)):
            theta = np.tensordot(self.Q, V[part], axes=(1, 1))  # (K, t, D)
            first = self._among_classes(theta)
            z = np.einsum("ktn,nk->tn", first @ self.X.T, self.P)
            z = Factor(self.root).solve(z.T)
            first += self._among_classes((self.P.T[:, :, None] * z).transpose(0, 2, 1) @ self.X)
            found[part] = np.tensordot(self.Q, first, axes=(0, 0)).transpose(1, 0, 2)
        return found

    def leverage(self, X: NDArray[np.floating]) -> Array:
        K, C = self.Q.shape
        S = np.empty((X.shape[0], C, C))
        for part, alone, less, more in self._pieces(X):
            full = more.transpose(1, 0, 2) @ more.transpose(1, 2, 0)
            full -= less.transpose(1, 0, 2) @ less.transpose(1, 2, 0)
            full[:, np.arange(K), np.arange(K)] += alone.T
            S[part] = self.Q.T @ full @ self.Q
        return S

    def variance(self, X: NDArray[np.floating], Q: Array) -> Array:
        variance = np.empty((X.shape[0], len(Q)))
        for part, alone, less, more in self._pieces(X):
            squares = [np.einsum("knd,knd->kn", each, each) for each in (less, more)]
            variance[part] = (alone - squares[0] + squares[1]).T
        return variance

    def with_sample(self, x: Array, information: Array) -> Updated:
        return Updated.of(self, x, information)

    def _among_classes(self, theta: Array) -> Array:
        """E theta for theta (K, t, D)."""
        found: Array = theta @ self.blocks
        excess = Factor(self.common).solve(found.sum(axis=0).T).T
        found -= excess @ self.blocks
        return found

    def _pieces(self, X: NDArray[np.floating]) -> Iterator[tuple[slice, Array, Array, Array]]:
        """Of blocks of X (N, d): their slice, and what S is made of, diag a - l l' + m m': a (K, t)
        is x' D_k^-1 x, l (K, t, D) and m (K, t, n) are of the directions left out and of Z.
        """
        K, (n, D) = len(self.Q), self.X.shape
        for part in parts(X.shape[0], K * (2 * D + n + K)):
            rows = with_constant(X[part])
            reached = rows @ self.blocks
            alone = np.einsum("knd,nd->kn", reached, rows)
            flat = reached.reshape(-1, D).T
            less = solve_triangular(self.common, flat, lower=True, check_finite=False)
            more = np.empty((n, K, len(rows)))
            for k, p in enumerate(self.P.T):
                more[:, k] = (self.X * p[:, None] - self.mean) @ reached[k].T
            more = solve_triangular(
                self.root, more.reshape(n, -1), lower=True, check_finite=False, overwrite_b=True
            )
            yield (
                part, alone,
                less.T.reshape(K, -1, D), more.T.reshape(K, -1, n),
            )  # fmt: skip

    def _check(self, decay: Array) -> None:
        """B A v = v for one vector: what weak penalties and certain predictions cost in digits."""
        v = np.random.default_rng(0).normal(size=(1, self.Q.shape[1], len(decay)))
        s = (self.X @ v[0].T) @ self.Q.T
        s -= (self.P * s).sum(axis=1, keepdims=True)
        image = self.Q.T @ ((self.P * s).T @ self.X) + v[0] * decay
        if not np.abs(self.times(image[None]) - v).max() <= _ENOUGH * np.abs(v).max():
            raise NotConverged(
                "curvature of the labelled set: nearly singular (features on very different "
                "scales, or too little regularisation); standardise the features or lower C"
            )

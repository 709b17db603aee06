"""An inverse curvature with a few samples more, by Woodbury's identity, kept as its factors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from ..linear_solve import Array
from .curvature import InverseCurvature, parts, with_constant


@dataclass(frozen=True)
class Updated:
    """B - Y' N Y: ``before`` is B, ``reach`` Y (r, C, D), ``weight`` N (r, r), C rows a sample."""

    before: InverseCurvature = field(repr=False)
    reach: Array = field(repr=False)
    weight: Array = field(repr=False)
    log_det: float

    @classmethod
    def of(cls, before: InverseCurvature, x: Array, information: Array) -> Updated:
        """(B^-1 + U Lambda U')^-1 for x (D,) and its Lambda (C, C)."""
        C, D = len(information), len(x)
        empty = cls(before, np.empty((0, C, D)), np.empty((0, 0)), before.log_det)
        return empty.with_sample(x, information)

    def times(self, V: Array) -> Array:
        Y = self.reach.reshape(len(self.reach), V[0].size)
        product: Array = self.before.times(V)
        product -= ((V.reshape(len(V), -1) @ Y.T) @ self.weight @ Y).reshape(V.shape)
        return product

    def leverage(self, X: NDArray[np.floating]) -> Array:
        S = self.before.leverage(X)
        for part, reached in self._reached(X):
            S[part] -= reached.transpose(0, 2, 1) @ (self.weight @ reached)
        return S

    def variance(self, X: NDArray[np.floating], Q: Array) -> Array:
        variance = self.before.variance(X, Q)
        for part, reached in self._reached(X):
            logits = reached @ Q.T
            variance[part] -= np.einsum("nrk,nrk->nk", logits, self.weight @ logits)
        return variance

    def with_sample(self, x: Array, information: Array) -> Updated:
        C = len(information)
        BU = self.times(np.eye(C)[:, :, None] * x)
        system = np.eye(C) + information @ (BU @ x)
        damped = np.linalg.solve(system, information).astype(np.float64, copy=False)
        return Updated(
            self.before,
            np.concatenate([self.reach, BU]),
            block_diag(self.weight, damped) if len(self.reach) else damped,
            self.log_det + float(np.linalg.slogdet(system)[1]),
        )

    def _reached(self, X: NDArray[np.floating]) -> Iterator[tuple[slice, Array]]:
        """Y x of blocks of X (N, d): their slice and (t, r, C)."""
        r, C, D = self.reach.shape
        for part in parts(X.shape[0], 3 * r * C + D):
            rows = with_constant(X[part])
            yield part, (rows @ self.reach.reshape(r * C, D).T).reshape(len(rows), r, C)

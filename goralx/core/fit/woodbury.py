"""Each class's block of the Hessian, from the samples that weigh most in it and a diagonal.

In the block of class k, sum_i w_ik x_i x_i' + l2 I with w = p (1 - p) / n, a few samples hold most
of the weight: those of the class, and those that are taken for it. The ``rank`` heaviest are taken
as they are, the rest by their diagonal J, and the Woodbury identity inverts it:

    (J + Y'Y)^-1 = J^-1/2 (I - Z'(I + Z Z')^-1 Z) J^-1/2,      Z = Y J^-1/2  (rank, D).

It costs rank / n of a product with H, and takes half to a quarter of the diagonal's iterations.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from .contrasts import contrasted, expanded
from .objective import Objective, Point

_SHARE = 24  # samples for each of the rank, so that an application costs half a product with H
_CACHED, _FEW = 1 << 17, 32  # numbers that are read from cache, and samples that are soon inverted
_LEAST = 1e-2  # J over what the heaviest samples add: single precision resolves no less
_MOST = 1 << 23  # numbers at most, 32 MB in single precision


@dataclass(frozen=True)
class Woodbury:
    """``root`` (K, D) is J^-1/2, ``Z`` (K, rank, D) and ``core`` (K, rank, rank) as above; (1, ...)
    for two classes. In contrasts it is Q' of that Q.
    """

    root: NDArray[np.float32] = field(repr=False)
    Z: NDArray[np.float32] = field(repr=False)
    core: NDArray[np.float32] = field(repr=False)
    Q: NDArray[np.float32] = field(repr=False)

    @classmethod
    def at(cls, point: Point) -> Woodbury:
        objective = point.objective
        weights = objective.weights(point.P).astype(np.float32)
        r = rank(objective)
        heaviest = np.argpartition(-weights, r - 1, axis=1)[:, :r]
        own = np.take_along_axis(weights, heaviest, axis=1)
        np.put_along_axis(weights, heaviest, 0.0, axis=1)
        Z = objective.single_X[heaviest]
        Z *= np.sqrt(own)[:, :, None]
        rest = np.maximum(objective.diagonal_of(weights), _LEAST * np.einsum("krd,krd->kd", Z, Z))
        root = (1.0 / np.sqrt(rest)).astype(np.float32)
        Z *= root[:, None, :]
        small = (Z @ Z.transpose(0, 2, 1)).astype(np.float64)
        small[:, np.arange(r), np.arange(r)] += 1.0
        core = np.linalg.inv(small).astype(np.float32)
        return cls(root, Z, core, objective.Q.astype(np.float32))

    def __call__(self, residual: NDArray[np.floating]) -> NDArray[np.floating]:
        """In single precision, whatever the residual's: it is near the inverse, not the inverse."""
        K, single = len(self.root), residual.astype(np.float32, copy=False)
        rows = single[None] if K == 1 else expanded(self.Q, single.reshape(K - 1, -1))
        rows = rows * self.root
        inside = self.core @ (self.Z @ rows[:, :, None])
        rows -= (inside.transpose(0, 2, 1) @ self.Z)[:, 0]
        rows *= self.root
        applied: NDArray[np.floating] = rows[0] if K == 1 else contrasted(self.Q, rows).ravel()
        return applied.astype(residual.dtype, copy=False)


def rank(objective: Objective) -> int:
    """Samples of each class, 0 where none are to be had."""
    if issparse(objective.X):
        return 0
    n, D = objective.X.shape
    of_one = D * (1 if objective.n_classes == 2 else objective.n_classes)
    return int(min(max(n // _SHARE, min(_FEW, _CACHED // of_one)), _MOST // of_one, n))

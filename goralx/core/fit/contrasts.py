"""Contrasts: what is left of K classes once the gauge, a constant over them, is gone.

Q (K, K-1) is the Householder reflection that maps (1, ..., 1) to the last axis, without its last
column: products with it cost two passes, whatever K is.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..linear_solve import Array

F = TypeVar("F", bound=np.floating)

_FEW = 64  # classes up to which a matrix product with Q is quicker than the reflection


def contrasts(n_classes: int) -> Array:
    """Q (K, K-1): an orthonormal basis of the vectors that sum to zero over classes."""
    return _reflected(np.eye(n_classes, n_classes - 1))


def contrasted(Q: NDArray[F], S: NDArray[F]) -> NDArray[F]:
    """Q'S (K-1, ...) for S (K, D)."""
    product: NDArray[F] = Q.T @ S if len(Q) <= _FEW else _reflected(S)[:-1]
    return product


def expanded(Q: NDArray[F], rows: NDArray[F]) -> NDArray[F]:
    """Q rows (K, D) for rows (K-1, D)."""
    if len(Q) <= _FEW:
        product: NDArray[F] = Q @ rows
    else:
        product = _reflected(np.concatenate([rows, np.zeros_like(rows[:1])]))
    return product


def _reflected(S: NDArray[F]) -> NDArray[F]:
    """(I - u u' / (1 - a)) S for u = (a, ..., a, a - 1), a = 1 / sqrt(K)."""
    a = 1.0 / np.sqrt(len(S))
    along = (a * S.sum(axis=0) - S[-1]) / (1.0 - a)
    reflected: NDArray[F] = S - (a * along).astype(S.dtype, copy=False)
    reflected[-1] += along.astype(S.dtype, copy=False)
    return reflected

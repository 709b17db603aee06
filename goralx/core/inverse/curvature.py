"""Curvature: forms and sums over samples x, and what can be asked of its inverse.

For a sample x, U = I (x) x maps phi (m,), m = (K-1) D, to its K-1 logit contrasts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from ..linear_solve import Array

_BLOCK = 1 << 22  # floats in the temporaries of one block, 32 MB


class InverseCurvature(Protocol):
    """B (m, m) as what can be done with it; vectors (t, C, D) are rows of contrasts, C = K - 1."""

    @property
    def log_det(self) -> float:
        """log det A, of its m coordinates."""

    def times(self, V: Array) -> Array:
        """B v for every v of V (t, C, D)."""

    def leverage(self, X: NDArray[np.floating]) -> Array:
        """S(x) = U'BU for every row of X (N, d): (N, C, C)."""

    def variance(self, X: NDArray[np.floating], Q: Array) -> Array:
        """Diagonal of Q S(x) Q' (N, K): of the class-centred logits of X (N, d), by Laplace's
        approximation (MacKay 1992, doi:10.1162/neco.1992.4.5.720).
        """

    def with_sample(self, x: Array, information: Array) -> InverseCurvature:
        """(A + U Lambda U')^-1 for x (D,) and its Lambda (C, C)."""


def with_constant(X: NDArray[np.floating]) -> Array:
    """X (N, d), dense or sparse, with the constant 1 as last column: (N, D), dense, float64."""
    taken: Any = X if issparse(X) else X[:]
    dense = taken.toarray() if issparse(taken) else taken
    return np.column_stack([np.asarray(dense, dtype=np.float64), np.ones(X.shape[0])])


def quadratic_form(X: NDArray[np.floating], matrix: NDArray[np.floating]) -> Array:
    """U' M U for every row of X (N, d) and a matrix M (m, m): (N, K-1, K-1).

    In M's precision.
    """
    rows = with_constant(X).astype(matrix.dtype, copy=False)
    D = rows.shape[1]
    blocks = matrix.reshape(len(matrix) // D, D, -1)
    contrasts = len(blocks)
    form = np.empty((len(rows), contrasts, contrasts))
    for part in parts(len(rows), contrasts * contrasts * D):
        left = (rows[part] @ blocks).reshape(contrasts, -1, contrasts, D)
        form[part] = np.einsum("jnkd,nd->njk", left, rows[part])
    return form


def weighted_gram(X: NDArray[np.floating], weights: Array) -> Array:
    """sum_i W_i (x) x_i x_i' (m, m), for symmetric weights W (N, K-1, K-1) of rows X (N, d)."""
    rows = with_constant(X)
    D, contrasts = rows.shape[1], weights.shape[1]
    gram = np.zeros((contrasts, D, contrasts, D))
    for j in range(contrasts):
        for k in range(j + 1):
            block = (rows * weights[:, j, k, None]).T @ rows
            gram[j, :, k, :] = block
            gram[k, :, j, :] = block
    return gram.reshape(contrasts * D, contrasts * D)


def fisher(P: Array, Q: Array) -> Array:
    """Q' (diag p - p p') Q for every row of P (N, K): (N, K-1, K-1)."""
    mean = P @ Q
    weighted = np.einsum("ka,nk,kb->nab", Q, P, Q, optimize=True)
    difference: Array = weighted - mean[:, :, None] * mean[:, None, :]
    return difference


def parts(n: int, floats_a_row: int) -> Iterator[slice]:
    """Slices of range(n) whose temporaries stay small."""
    step = max(1, _BLOCK // max(1, floats_a_row))
    for start in range(0, n, step):
        yield slice(start, min(n, start + step))

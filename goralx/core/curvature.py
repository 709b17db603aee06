"""The curvature of what was labelled: what a new sample runs up against.

Adding b samples to the n that were labelled, their objective (summed, not averaged) around the old
optimum is, to second order, 1/2 (d - d0)' A (d - d0) in the change d of the parameters. A is its
Hessian and d0 the pull of the penalty that new samples bring along: zero under ``fixed_C``. Under
``fixed_lambda`` each brings l2/2 |theta_pen|^2, in A as well. Everything is in contrast coordinates
phi, m = (K-1) D, and for a sample x, U = I (x) x maps phi to its K-1 logit contrasts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from .linear_solve import Array

if TYPE_CHECKING:
    from .inverse_curvature import InverseCurvature

_BLOCK = 1 << 22  # floats in the temporaries of one block, 32 MB


@dataclass(frozen=True)
class Expansion:
    """The labelled set around its optimum.

    ``Q`` (K, K-1) contrasts; ``X`` (n, D) labelled samples with the constant; ``log_P`` (n, K)
    their log predictions; ``phi`` (m,) the optimum; ``B`` the inverse of A, which may be no matrix;
    ``shift`` (m,) is d0.
    """

    Q: Array
    X: Array
    log_P: Array
    phi: Array
    B: InverseCurvature
    shift: Array

    @cached_property
    def logit_shift(self) -> bool:
        """Whether d0 moves anything."""
        return bool(self.shift.any())

    def leverage(self, X: NDArray[np.floating]) -> Array:
        """S(x) = U' B U for every row of X (N, d): (N, K-1, K-1)."""
        return self.B.leverage(X)

    def times_B(self, V: Array) -> Array:
        """B v for every row of V (t, m)."""
        return self.B.times(V.reshape(len(V), self.Q.shape[1], -1)).reshape(V.shape)

    def shifted(self, X: NDArray[np.floating], log_P: NDArray[np.floating]) -> Array:
        """Logits of X (N, d) after d0, from its log predictions (N, K); in double precision."""
        logits = log_P.astype(np.float64, copy=False)
        if not self.logit_shift:
            return logits
        rows = self.shift.reshape(-1, X.shape[1] + 1)
        return logits + (with_constant(X) @ rows.T) @ self.Q.T


@runtime_checkable
class Levered(Protocol):
    """A fit with leverages at hand, about right and at no cost: what kappa is worked out from."""

    @property
    def n_labelled(self) -> int: ...

    def log_proba(self, X: NDArray[np.floating]) -> NDArray[np.floating]:
        """log predictions (N, K) of X (N, d)."""

    def leverage(self, X: NDArray[np.floating]) -> tuple[Array, Array]:
        """About S(x) (N, K-1, K-1) of X (N, d), and the contrasts Q (K, K-1) it is in."""


def with_constant(X: NDArray[np.floating]) -> Array:
    """X (N, d), dense or sparse, with the constant 1 as last column: (N, D), dense, float64."""
    dense = cast(Any, X).toarray() if issparse(X) else X
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

"""Passes over many samples: predictions, and derivatives of the logits both ways.

Arrays over samples and classes (N, K) are in Fortran order: each class is one long contiguous
column, so that every reduction over the few classes adds long columns; over a short last axis numpy
takes several times as long. Samples are taken in blocks whose temporaries stay in cache.

Features are dense or sparse in rows (CSR); sparse ones are multiplied as they are, and never made
dense. What is said of samples has the precision of their features, what is said of parameters is
double.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from .linear_solve import Array

Floats = NDArray[np.floating]
"""Of many samples: float32 where their features are, else float64."""
F = TypeVar("F", bound=np.floating)

_BLOCK = 1 << 18  # floats of a block's features or logits, 1 MB in single precision


@dataclass(frozen=True)
class Predictor:
    """The predictions of theta (K, D) and their derivatives: all that a pass over a pool asks."""

    theta: Array

    def __post_init__(self) -> None:
        shared = self.theta.view()
        shared.flags.writeable = False  # whoever sees the model sees the same parameters
        object.__setattr__(self, "theta", shared)

    @property
    def n_classes(self) -> int:
        return len(self.theta)

    def log_proba(self, X: Floats) -> Floats:
        """log P(y | x): (N, K) for X (N, d)."""
        return log_proba(X, self.theta)

    def pullback(self, X: Floats, G: Floats) -> Array:
        """Jacobian' G summed over samples: (K, D) for X (N, d) and G (N, K)."""
        return pullback(X, G)

    def pushforward(self, X: Floats, v: Array) -> Floats:
        """Derivative of the logits along v (K, D), up to a constant per row: (N, K)."""
        return logits(X, v)


def blocks(N: int, width: int) -> Iterator[slice]:
    """Slices of N samples, of ``width`` numbers each, that are small enough for the cache."""
    step = max(64, _BLOCK // width)
    return (slice(start, min(start + step, N)) for start in range(0, N, step))


def width(X: Floats, theta: Array) -> int:
    """Numbers that a sample brings into cache: its features that are not zero, or its logits."""
    samples: Any = X
    features = samples.nnz // max(1, samples.shape[0]) if issparse(X) else samples.shape[1]
    return max(len(theta), int(features))


def logits(X: Floats, theta: Array) -> Floats:
    """theta x for every row of X (N, d), up to a constant per row: (N, K), in Fortran order."""
    if len(theta) == 2:
        half = 0.5 * _difference(X, theta)
        return np.stack([-half, half]).T
    return _joined([_logits(X[part], theta) for part in blocks(X.shape[0], width(X, theta))])


def log_proba(X: Floats, theta: Array) -> Floats:
    """log P(y | x) for every row of X (N, d) and every class: (N, K), in Fortran order."""
    if len(theta) == 2:  # log p_1 = m - log(1 + e^m) for the difference m of the logits
        m = _difference(X, theta)
        likelier = -np.log1p(np.exp(-np.abs(m)))
        return np.stack([likelier - np.maximum(m, 0.0), likelier + np.minimum(m, 0.0)]).T
    parts = [_logits(X[part], theta) for part in blocks(X.shape[0], width(X, theta))]
    safe = _safe(X.dtype)
    for z in parts:
        with np.errstate(over="ignore"):  # it is looked for
            total = np.exp(z).sum(axis=0)
        if not (total.min() > safe and total.max() < np.inf):
            z -= z.max(axis=0)
            total = np.exp(z).sum(axis=0)
        z -= np.log(total)
    return _joined(parts)


def log_softmax(z: NDArray[F]) -> NDArray[F]:
    """z - log sum exp z over the classes of z (N, K)."""
    shifted: NDArray[F] = z - z.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def squares(X: Any) -> Floats:
    """|x|^2 of every row of X (N, d), dense or sparse: (N,)."""
    if issparse(X):
        return np.asarray((X * X).sum(axis=1)).ravel()
    total: Floats = np.vecdot(X, X)  # twice as fast as einsum
    return total


def in_double(log_P: Floats) -> Array:
    """log P (N, K) in double precision, normalised there: what small changes are measured from.

    Single precision leaves the sum of P off 1 by its round-off, and a change that renormalises
    would count that in.
    """
    if log_P.dtype == np.float64:
        return log_P.astype(np.float64, copy=False)
    return log_softmax(log_P.astype(np.float64))


def pullback(X: Floats, G: Floats) -> Array:
    """Gradient in theta of a sum over samples whose gradient in the logits is G (N, K): (K, D).

    It is centred over classes, in double precision. That removes the gauge component, which no
    prediction sees, and with it the round-off that makes a float32 pool's right-hand side
    inconsistent.
    """
    G = G.astype(X.dtype, copy=False)
    if G.shape[1] == 2:
        half = 0.5 * (G[:, 1] - G[:, 0])
        row = np.append(half @ X, half.sum()).astype(np.float64, copy=False)
        return np.stack([-row, row])
    by_class = G.T
    summed = np.zeros((len(by_class), X.shape[1] + 1))
    for part in blocks(X.shape[0], len(by_class)):
        block = by_class[:, part]
        summed[:, :-1] += block @ X[part]
        summed[:, -1] += block.sum(axis=1)
    summed -= summed.mean(axis=0)
    return summed


def _difference(X: Floats, theta: Array) -> Floats:
    """(theta_1 - theta_0) x (N,): two classes need one product."""
    w = (theta[1] - theta[0]).astype(X.dtype, copy=False)
    product: Floats = X @ w[:-1]
    product += w[-1]
    return product


def _logits(X: Floats, theta: Array) -> Floats:
    """theta x of a block of samples, a row each class: (K, n)."""
    rows = theta.astype(X.dtype, copy=False)
    z = by_row(rows[:, :-1], X)
    z += rows[:, -1:]
    return z


def by_row(rows: NDArray[F], X: Any) -> NDArray[F]:
    """rows X' (C, n), a row each of rows (C, D), for samples X (n, D), dense or sparse.

    In single precision BLAS multiplies samples by few rows in half the time of few rows by samples
    (C below a half of D; measured with OpenBLAS), in double precision it does not.
    """
    if X.dtype == np.float32 and 2 * len(rows) < X.shape[1] and not issparse(X):
        return np.ascontiguousarray((X @ rows.T).T)
    return np.ascontiguousarray(rows @ X.T)


def _safe(dtype: np.dtype[np.floating]) -> float:
    """A sum of exponentials above which none that counts is lost to underflow."""
    return float(np.finfo(dtype).tiny / np.finfo(dtype).eps ** 2)


def _joined(parts: list[Floats]) -> Floats:
    """Parts (K, n) as one (N, K)."""
    return (parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)).T

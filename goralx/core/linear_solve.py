"""Symmetric positive definite systems: a Cholesky factor, and conjugate gradients leaning on it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import dpotri, spotrf, spotri

Array = NDArray[np.float64]

ENOUGH = 0.25
"""Share of what the slope promises that a damped Newton step must bring (Armijo). Near the optimum
it brings half; were a token share enough, it could jump to and fro across the optimum for ever."""

_SWEEPS = 5
_SWEEP = 1e-5  # what a sweep in single precision leaves of the residual


class NotConverged(ArithmeticError):
    """An iteration met its cap before its tolerance; its last iterate is never used."""


@dataclass(frozen=True)
class Solution:
    """x with ``relative_residual`` = |A x - b| / |b| (Euclidean) after ``n_iter`` iterations."""

    x: Array
    relative_residual: float
    n_iter: int


@dataclass(frozen=True)
class Factor:
    """Cholesky factor of a symmetric positive definite matrix (m, m)."""

    cholesky: Array

    @classmethod
    def of(cls, matrix: Array) -> Factor:
        """Factorise; ``matrix`` is overwritten. `NotConverged` where it is singular."""
        try:
            return cls(cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)[0])
        except np.linalg.LinAlgError:
            raise NotConverged(
                "Cholesky factor: the system is nearly singular (features on very different "
                "scales, or too little regularisation); standardise the features or lower C"
            ) from None

    def solve(self, b: Array) -> Array:
        """A^-1 b for b of shape (m,) or (m, r)."""
        solved: Array = cho_solve((self.cholesky, True), b, check_finite=False)
        return solved

    def inverse(self) -> Array:
        """A^-1 (m, m), at a third of the cost of solving for every column."""
        lower = np.tril(dpotri(self.cholesky, lower=True)[0])
        full: Array = lower + np.tril(lower, -1).T
        return full


def approximate_inverse(matrix: Array) -> NDArray[np.float32]:
    """The inverse (m, m) of a symmetric positive definite matrix, in single precision.

    Good for preconditioning only, and applied several times faster than triangular solves. Where
    single precision cannot factorise it, its diagonal is raised until it can.
    """
    root = np.sqrt(np.diag(matrix))
    scaled = matrix / root
    scaled /= root[:, None]
    scaled = scaled.astype(np.float32)
    for ridge in (0.0, 1e-6, 1e-4, 1e-2, 1.0):
        if ridge:
            scaled[np.diag_indices(len(root))] = 1.0 + ridge
        factor, failed = spotrf(scaled)
        if not failed:
            upper: NDArray[np.float32] = spotri(factor, overwrite_c=True)[0]
            inverse = upper.T + np.triu(upper, 1)
            inverse /= root.astype(np.float32)
            inverse /= root.astype(np.float32)[:, None]
            return inverse
    raise NotConverged("not positive definite: the curvature of the model is not finite")


Vector = NDArray[Any]
Operator = Callable[[Vector], Vector]


def conjugate_gradients(
    product: Operator,
    b: Vector,
    *,
    precondition: Operator,
    rtol: float,
    max_iter: int = 500,
) -> Solution:
    """Solve A x = b for symmetric positive definite A, given products with A, in b's precision.

    Preconditioned with the inverse of a nearby matrix (the factor of an earlier Hessian) it needs
    a handful of products. ``b`` (m,). Stops at |residual| <= rtol |b|, the residual being the one
    that is updated along; raises `NotConverged` at ``max_iter`` or where A is singular. Reference:
    Nocedal and Wright, Numerical Optimization (2006), Algorithm 5.3.
    """
    scale = norm = _norm(b)
    x = np.zeros_like(b)
    if scale == 0.0:
        return Solution(x, 0.0, 0)
    residual = b.copy()
    z = precondition(residual)
    step = z.copy()
    rho = float(residual @ z)
    for n_iter in range(1, max_iter + 1):
        image = product(step)
        curvature = float(step @ image)
        if not curvature > 0.0:  # singular to the last bit, or overflown
            break
        alpha = rho / curvature
        x += alpha * step
        residual -= alpha * image
        norm = _norm(residual)
        if norm <= rtol * scale:
            return Solution(x, norm / scale, n_iter)
        z = precondition(residual)
        rho, previous = float(residual @ z), rho
        step *= rho / previous
        step += z
    raise NotConverged(
        f"conjugate gradients: relative residual {norm / scale:.1e} after {n_iter} iterations, "
        f"{rtol:.0e} asked for; the system is nearly singular (features on very different scales, "
        "or too little regularisation)"
    )


def refined(
    product: Operator, quick: Operator, b: Array, *, precondition: Operator, rtol: float
) -> Solution:
    """`conjugate_gradients` with most of the work in single precision.

    ``quick`` is the same operator for float32 vectors. Each sweep solves for what is left of the
    residual, which is measured in double; where sweeps no longer help, double precision takes over.
    ``relative_residual`` is measured at x. Reference: Higham, Accuracy and Stability of Numerical
    Algorithms (2002), ch. 12.
    """
    scale = left = _norm(b)
    x, residual, n_iter = np.zeros_like(b), b, 0
    for _ in range(_SWEEPS):
        if left <= rtol * scale:
            return Solution(x, left / scale if scale > 0.0 else 0.0, n_iter)
        aim = max(_SWEEP, 0.5 * rtol * scale / left)
        try:
            sweep = conjugate_gradients(
                quick, (residual / left).astype(np.float32), precondition=precondition, rtol=aim,
                max_iter=100,
            )  # fmt: skip
        except NotConverged:
            break
        x = x + left * sweep.x
        residual, before = b - product(x), left
        left, n_iter = _norm(residual), n_iter + sweep.n_iter
        if left > 0.1 * before:
            break
    rest = conjugate_gradients(
        product, residual, precondition=precondition, rtol=min(0.5, rtol * scale / left)
    )
    x = x + rest.x
    return Solution(x, _norm(b - product(x)) / scale, n_iter + rest.n_iter)


def _norm(b: Vector) -> float:
    return math.sqrt(float(b @ b))

"""Symmetric positive definite systems: a Cholesky factor, and conjugate gradients that say how far
they are from the solution.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import dpotri, dsterf

from ..errors import NotSolvable

Array = NDArray[np.float64]

ENOUGH = 0.25
"""Share of what the slope promises that a damped Newton step must bring (Armijo). Near the optimum
it brings half; were a token share enough, it could jump to and fro across the optimum for ever."""

USELESS = 1e-4
"""Relative error that round-off may leave at most; what is further off is refused."""

_SWEEPS = 12
_SWEEP = 1e-5  # what a sweep in single precision leaves of the error
_HELPS = 0.1  # of the error, that a sweep in this precision must not leave


class NotConverged(NotSolvable):
    """An iteration met its cap before its tolerance; its last iterate is never used."""


@dataclass(frozen=True)
class Solution:
    """x, and how far A x = b is from being solved, after ``n_iter`` iterations.

    ``relative_error`` bounds |x - A^-1 b| / |A^-1 b| in the norm of A, v'A v (see
    `conjugate_gradients`). ``energy`` is b'x, and ``smallest`` the smallest eigenvalue of the
    preconditioned A that was met on the way.
    """

    x: Array
    relative_error: float
    n_iter: int
    energy: float = 0.0
    smallest: float = 1.0


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

    ``precondition`` is a product with some M^-1 near A^-1. Stops once the error in the norm of A is
    at most ``rtol`` of the solution: with r the residual, |x - A^-1 b|_A^2 = r'A^-1 r is at most
    r'M^-1 r over the smallest eigenvalue of M^-1 A, for which the smallest Ritz value stands, and
    |x|_A^2 = b'x is summed on the way. At ``max_iter``, or where A is singular to the last bit, it
    returns what it has, with an error beyond ``rtol``. References: Nocedal and Wright, Numerical
    Optimization (2006), Algorithm 5.3; Meurant and Tichy (2013, doi:10.1007/s11075-012-9591-9).
    """
    x = np.zeros_like(b)
    residual = b.copy()
    z = precondition(residual)
    rho = float(residual @ z)
    if rho == 0.0:
        return Solution(x, 0.0, 0)
    step = z.copy()
    longest, energy, n_iter, smallest = 0.0, 0.0, 0, 0.0
    alphas: list[float] = []
    betas: list[float] = []
    while n_iter < max_iter:
        image = product(step)
        curvature = float(step @ image)
        if not (curvature > 0.0 and rho > 0.0):  # singular to the last bit, or overflown
            break
        alpha = rho / curvature
        x += alpha * step
        residual -= alpha * image
        n_iter += 1
        z = precondition(residual)
        energy += alpha * rho
        alphas.append(alpha)
        rho, previous = float(residual @ z), rho
        longest = max(longest, alpha)  # at most the inverse of the smallest Ritz value
        if 0.0 <= longest * rho <= rtol * rtol * energy:
            smallest = smallest_ritz(alphas, betas)
            longest = max(longest, 1.0 / smallest)
            if longest * rho <= rtol * rtol * energy:
                break
            smallest = 0.0
        beta = rho / previous
        betas.append(beta)
        step *= beta
        step += z
    if energy == 0.0:
        return Solution(x, math.inf, n_iter)
    smallest = smallest or smallest_ritz(alphas, betas[: len(alphas) - 1])
    error = math.sqrt(rho / (smallest * energy)) if 0.0 <= rho < math.inf else math.inf
    return Solution(x, error, n_iter, energy, smallest)


def smallest_ritz(alphas: list[float], betas: list[float]) -> float:
    """Of the preconditioned matrix, from the coefficients of conjugate gradients (Lanczos)."""
    if len(alphas) == 1:
        return 1.0 / alphas[0]
    a, b = np.array(alphas), np.array(betas)
    diagonal = 1.0 / a
    diagonal[1:] += b / a[:-1]
    values, failed = dsterf(diagonal, np.sqrt(b) / a[:-1])
    least = float(values[0])
    return least if not failed and least > 0.0 else math.ulp(0.0) / math.ulp(1.0)


def refined(
    product: Operator,
    quick: Operator | None,
    b: Array,
    *,
    precondition: Operator,
    rtol: float,
    max_iter: int = 500,
) -> Solution:
    """`conjugate_gradients` with most of the work in single precision, to ``rtol`` in A's norm.

    ``quick`` is the same operator for float32 vectors. Each sweep solves for what is left of the
    residual, which is measured in double; where single precision no longer helps, double takes
    over. Round-off may leave more than ``rtol``: ``relative_error`` says how much. Raises
    `NotConverged` where that is more than `USELESS`. Reference: Higham, Accuracy and Stability of
    Numerical Algorithms (2002), ch. 12.
    """
    x, residual, n_iter = np.zeros_like(b), b, 0
    error, smallest, single = 1.0, math.inf, quick is not None
    if not b.any():
        return Solution(x, 0.0, 0)
    for _ in range(_SWEEPS):
        aim = max(_SWEEP if single else 0.0, min(0.1, 0.3 * rtol / error))
        scale = math.sqrt(float(residual @ residual))
        operator = quick if single and quick is not None else product
        part = (residual / scale).astype(np.float32 if single else np.float64)
        sweep = conjugate_gradients(
            operator, part, precondition=precondition, rtol=aim, max_iter=max_iter
        )
        n_iter += sweep.n_iter
        there = x + scale * sweep.x.astype(np.float64, copy=False)
        left = b - product(there)
        smallest = min(smallest, sweep.smallest)
        energy = float(b @ there)
        before, error_there = error, math.inf
        rho = float(left @ precondition(left))
        if energy > 0.0 and 0.0 <= rho < math.inf:
            error_there = math.sqrt(rho / smallest / energy)
        if error_there < error:
            x, residual, error = there, left, error_there
        if error <= rtol:
            return Solution(x, error, n_iter, energy, smallest)
        if error > _HELPS * before:
            if not single:
                break
            single = False
    if error > USELESS:
        raise NotConverged(
            f"conjugate gradients: relative error {error:.1e} after {n_iter} iterations, "
            f"{rtol:.0e} asked for; the system is nearly singular (features on very different "
            "scales, or too little regularisation); standardise the features or lower C"
        )
    return Solution(x, error, n_iter, float(b @ x), smallest)

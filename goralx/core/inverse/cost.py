"""What a computation will cost, in floating-point operations, before it starts.

Counted, not measured, so that what depends on it is the same on every machine: which of two roads
is the cheaper, and how many candidates are looked at where a whole pool would take minutes.
"""

from __future__ import annotations

import warnings

from ...errors import RunWarning
from .inverse_curvature import by_matrix

RATE = 1.5e10
"""Operations a second of one core, as these computations get them (measured: 1 to 3e10)."""
MINUTE = 60 * RATE
FEWEST = 20
"""Candidates that are looked at, however much each costs: two batches of 10."""
_PROXIMAL_STEPS = 6
_REFIT_PRODUCTS = 25  # with the Hessian and with B, of a refit to 1e-10
_CALL = 3e4  # operations that a small system's overhead is worth


class LongComputation(RunWarning):
    """What was asked for will take more than a minute."""


def affordable(fixed: float, each: float) -> int:
    """Candidates that a minute pays for, at least `FEWEST`."""
    return max(FEWEST, int((MINUTE - fixed) / each))


def announce(operations: float, what: str, way_out: str) -> None:
    """Say before it starts that ``what`` will take more than a minute."""
    if operations > MINUTE:
        seconds = operations / RATE
        time = f"{seconds:.0f} seconds" if seconds < 300 else f"{seconds / 60:.0f} minutes"
        warnings.warn(f"{what} will take about {time}; {way_out}", LongComputation, stacklevel=3)


def coordinates(n: int, D: int) -> int:
    return min(n + 1, D)


def inverse(n: int, D: int, K: int) -> float:
    """Of `inverse_curvature`."""
    q = coordinates(n, D)
    m = (K - 1) * q
    if by_matrix(n, q, K):
        return float(m**3 + n * m * m)
    return float(K * (q**3 + 3 * n * q * q + 2 * n * n * q) + n**3 / 3 + 2 * n * q * q)


def times(n: int, D: int, K: int) -> float:
    """Of B with one vector."""
    q, C = coordinates(n, D), K - 1
    across = 8 * (D - 1) * q * C if q < D else 0
    within = 2 * (C * q) ** 2 if by_matrix(n, q, K) else 8 * K * q * q + 4 * K * n * q
    return float(across + within)


def leverage(n: int, D: int, K: int) -> float:
    """Of one candidate."""
    q = coordinates(n, D)
    across = 4 * (D - 1) * q if q < D else 0
    if by_matrix(n, q, K):
        return float(across + 2 * ((K - 1) * q) ** 2)
    return float(across + K * (3 * q * q + 2 * n * q + n * n) + 2 * K * K * (n + q + 2 * K))


def proximal(K: int) -> float:
    """Of one candidate under every label."""
    return float(K * _PROXIMAL_STEPS * (4 * K**3 + _CALL))


def square(M: int, n: int, D: int, K: int, N: int) -> float:
    """Of `second_order.Square` for N candidates."""
    C = K - 1
    m = C * D
    return float(M * D * D * C * K + 2 * m * times(n, D, K) + 2 * N * m * m)


def passes(M: int, n: int, D: int, K: int, N: int) -> float:
    """Of `second_order.Passes` for N candidates."""
    C = K - 1
    return N * (2.0 * M * D * C * C + 4.0 * M * C**3 + C * times(n, D, K))


def probes(M: int, n: int, D: int, K: int, size: int) -> tuple[float, float]:
    """Of ``size`` `second_order.Probes`: once, and for each candidate."""
    C = K - 1
    once = size * (times(n, D, K) + 2.0 * M * C * (C + D)) + 30.0 * M * C**3
    return once, 2.0 * size * C * (D + C)


def implicit(M: int, n: int, D: int, K: int, N: int) -> tuple[float, float]:
    """Once, and for each of N candidates."""
    alone = leverage(n, D, K) + proximal(K)
    if passes(M, n, D, K, N) < square(M, n, D, K, N):
        return inverse(n, D, K), alone + passes(M, n, D, K, 1)
    return inverse(n, D, K) + square(M, n, D, K, 0), alone + 2.0 * ((K - 1) * D) ** 2


def lookahead(M: int, n: int, D: int, K: int) -> tuple[float, float]:
    """Once, and for each candidate; logarithms and exponentials count for twenty operations."""
    steps = 2 * K * times(n, D, K) + 4.0 * K * n * D * K
    goal = K * M * K * (1.0 * D + 40.0)
    return inverse(n, D, K), leverage(n, D, K) + proximal(K) + steps + goal


def retrain(M: int, n: int, D: int, K: int) -> tuple[float, float]:
    """Once, and for each candidate."""
    refit = _REFIT_PRODUCTS * (times(n, D, K) + 4.0 * n * D * K)
    return inverse(n, D, K), leverage(n, D, K) + K * (refit + M * K * (2.0 * D + 40.0))

"""B = A^-1, the inverse curvature of what was labelled, whatever its size: which road to it.

=================  ==============================  ===============================================
road               numbers kept                    taken
=================  ==============================  ===============================================
`dense_inverse`    m^2, m = (K-1) D                two to four classes, or many samples a class
`class_blocks`     K D^2 + n^2                     else: it is K^2 times cheaper
`span`             either, with q = n+1 for D      where n < d; exact off the span, too
`low_rank`         those, and 2 (K-1) m a sample   samples made up (`fantasy`)
=================  ==============================  ===============================================

All are exact and agree to round-off.
"""

from __future__ import annotations

from ..linear_solve import Array
from . import memory
from .class_blocks import ClassBlocks
from .curvature import InverseCurvature, fisher
from .dense_inverse import Dense
from .span import Span

SMALL = 256
"""Coordinates up to which a dense inverse costs no more than calling for anything else."""


def inverse_curvature(Q: Array, X: Array, P: Array, decay: Array) -> InverseCurvature:
    """Of labelled samples X (n, D) with predictions P (n, K), their summed penalty ``decay`` (D,).

    Raises `goralx.errors.Incompatible`, with the number of bytes, where memory is too small.
    """
    n, D = X.shape
    K, C = Q.shape
    spanned = n < D - 1
    q = n + 1 if spanned else D
    memory.ensure(
        needed(n, D, K), f"the curvature of {n} labels, {D - 1} features and {K} classes",
        "use utility=influence with operator other than laplace, or fewer classes",
    )  # fmt: skip

    def road(rows: Array, penalty: Array) -> Dense | ClassBlocks:
        if by_matrix(n, q, K):
            return Dense.of(rows, fisher(P, Q), penalty)
        return ClassBlocks.of(Q, rows, P, penalty)

    return Span.of(X, C, decay, road) if spanned else road(X, decay)


def by_matrix(n: int, q: int, K: int) -> bool:
    """Whether one matrix is cheaper than class blocks, of n samples in q coordinates.

    By what a candidate's leverage costs, in floating-point operations.
    """
    m = (K - 1) * q
    return m <= SMALL or 2 * m * m <= K * (2 * q * q + 2 * n * q + n * n)


def needed(n: int, D: int, K: int) -> int:
    """Bytes that `inverse_curvature` takes at its peak."""
    q = n + 1 if n < D - 1 else D
    m = (K - 1) * q
    if by_matrix(n, q, K):
        inner = 3 * m * m + 2 * n * K * K
    else:
        inner = K * q * q + 4 * n * n + 4 * q * q + 3 * n * q
    return 8 * (inner + (n * D if n < D - 1 else 0))

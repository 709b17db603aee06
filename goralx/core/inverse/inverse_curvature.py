"""B = A^-1, the inverse curvature of what was labelled, whatever its size: which road to it.

=================  ==============================  ===============================================
road               numbers kept                    taken
=================  ==============================  ===============================================
`dense_inverse`    m^2, m = (K-1) D                two to four classes, or many samples a class
`class_blocks`     K D^2 + n^2                     else: it is K^2 times cheaper
`span`             either, with q = n+1 for D      where n < d; exact off the span, too
`centred`          those of the others             features far from the origin
`low_rank`         those, and 2 (K-1) m a sample   samples made up (`fantasy`)
=================  ==============================  ===============================================

All are exact and agree to round-off, of which class blocks bring more: where weak penalties leave
them no digits, a matrix takes over while it is of moderate size.
"""

from __future__ import annotations

import numpy as np

from ..linear_solve import Array, NotConverged
from . import memory
from .centred import Centred
from .class_blocks import ClassBlocks
from .curvature import InverseCurvature, fisher
from .dense_inverse import Dense
from .span import Span

SMALL = 256
"""Coordinates up to which a dense inverse costs no more than calling for anything else."""
LARGE = 4096
"""Coordinates up to which a matrix takes over where class blocks lose their digits (0.4 GB)."""


def inverse_curvature(
    Q: Array, X: Array, P: Array, decay: Array, centre: Array | None = None
) -> InverseCurvature:
    """Of labelled samples X (n, D) with predictions P (n, K), their summed penalty ``decay`` (D,).

    ``centre`` (d,) is where samples are that are far from the origin, for an intercept without a
    penalty. Raises `goralx.errors.Incompatible`, with the number of bytes, where memory is too
    small.
    """
    if centre is not None:
        about = np.column_stack([X[:, :-1] - centre, X[:, -1]])
        return Centred(inverse_curvature(Q, about, P, decay), centre)
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
        try:
            return ClassBlocks.of(Q, rows, P, penalty)
        except NotConverged:
            if C * rows.shape[1] > LARGE:
                raise
            return Dense.of(rows, fisher(P, Q), penalty)

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

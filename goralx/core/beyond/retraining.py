"""Exact retraining, many labelled sets at once: what every estimate is held against.

Each problem is the labelled set plus b samples under given labels. With A the curvature of what
was labelled, B its inverse and d0 the pull of the penalty (`curvature`), the retrained optimum is
phi + d0 - B U c, where U stacks the n + b samples and c is one small vector for each: the
representer theorem, around the old optimum. Newton's method in c (`dual_newton`) asks only for the
leverages U'BU, which `span` has for any number of features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..fit.objective import Objective, appended
from ..inverse.curvature import parts, with_constant
from ..inverse.dense_inverse import Dense
from ..inverse.span import Span
from ..linear_solve import Array
from ..predictions import Floats
from .dual_newton import Problems
from .expansion import Expansion
from .link import Link, log_softmax


def retrained(
    objective: Objective,
    phi: Array,
    X_new: NDArray[np.floating],
    y_new: NDArray[np.int64],
    *,
    n_shares: int,
    tolerance: float = 1e-10,
) -> Array:
    """Change of phi (T, m), optimal for ``objective``, as X_new[t] (b, d) join under y_new[t] (b,).

    X_new (1, b, d) are the same samples in every problem. ``n_shares`` is how many samples' penalty
    they bring along. Exact: no residual further than ``tolerance`` from its fixed point, Euclidean.
    Raises `NotConverged` rather than return less.
    """
    labelled = _Labelled.of(objective, phi, n_shares)
    T, b = y_new.shape
    common = labelled.joined_by(X_new) if len(X_new) == 1 else None
    changes = np.empty((T, objective.size))
    for part in parts(T, ((len(objective.y) + b) * objective.Q.shape[1]) ** 2 + b * len(phi)):
        joining = common or labelled.joined_by(X_new[part])
        changes[part] = labelled.change(joining, objective.Q[y_new[part]], tolerance)
    return changes


@dataclass(frozen=True)
class _Joining:
    """New samples of t problems, or (1, ...) the same in each.

    Their coordinates ``inside`` the span (t, b, q) and ``off`` it (t, b, d), contrasts ``s``
    (t, b, C) at d0, leverages ``between`` (t, bC, nC) them and the labelled, and ``among`` them.
    """

    inside: Array
    off: Array
    s: Array
    between: Array
    among: Array


@dataclass(frozen=True)
class _Labelled:
    """What all problems share.

    ``theta`` (C, D) is phi + d0, where the labelled samples, ``inside`` their span (n, q), have
    contrasts ``s`` (n, C); ``H`` (n, C, C) is their curvature at phi, and ``offset`` (n, C) their
    mean there less what H makes of d0. ``reach`` (q, C, n, C) is B U and ``among`` U'B U.
    """

    link: Link
    span: Span[Dense]
    d0: Array
    theta: Array
    inside: Array
    s: Array
    H: Array
    offset: Array
    reach: Array
    among: Array

    @classmethod
    def of(cls, objective: Objective, phi: Array, n_shares: int) -> _Labelled:
        link, X, rows = Link(objective.Q), objective.dense, objective.rows(phi)
        n, C = len(X), len(rows)
        before = X @ rows.T
        H = link.curvature(before)
        decay = (n + n_shares) * objective.decay
        span = Span.of(X, C, decay, lambda inside, penalty: Dense.of(inside, H, penalty))
        inside, off = span.split(n_shares * objective.decay * rows)
        d0 = -span.times_B(inside[None], off[None])[0]
        inside = span.split(X)[0]
        s = X @ (rows + d0).T
        offset = link.mean(before) + np.einsum("nab,nb->na", H, s - before)
        q = inside.shape[1]
        reach = np.tensordot(span.inner.matrix.reshape(C, q, C, q), inside, axes=(3, 1))
        reach = np.ascontiguousarray(reach.transpose(1, 0, 3, 2))
        among = np.tensordot(inside, reach, axes=1).reshape(n * C, n * C)
        return cls(link, span, d0, rows + d0, inside, s, H, offset, reach, among)

    def joined_by(self, X: NDArray[np.floating]) -> _Joining:
        """X (t, b, d) and their leverages."""
        t, b, d = X.shape
        q, C, n = self.reach.shape[:3]
        rows = with_constant(X.reshape(-1, d))
        inside, off = self.span.split(rows)
        between = inside @ self.reach.reshape(q, -1)
        across = inside @ self.span.inner.matrix.reshape(C, q, C, q).transpose(1, 0, 2, 3).reshape(
            q, -1
        )
        inside, off = inside.reshape(t, b, q), off.reshape(t, b, d)
        among = across.reshape(t, -1, q) @ inside.transpose(0, 2, 1)
        among = among.reshape(t, b, C, C, b).transpose(0, 1, 2, 4, 3)
        gram = off @ off.transpose(0, 2, 1) / self.span.penalty
        among = among + np.einsum("tij,kl->tikjl", gram, np.eye(C))
        return _Joining(
            inside,
            off,
            (rows @ self.theta.T).reshape(t, b, C),
            between.reshape(t, b * C, n * C),
            among.reshape(t, b * C, b * C),
        )

    def change(self, new: _Joining, targets: Array, tolerance: float) -> Array:
        """Of phi (t, m), as ``new`` samples join with targets Q'e_y (t, b, C)."""
        t, b, C = targets.shape
        n = len(self.s)
        s, offset = np.empty((t, n + b, C)), np.empty((t, n + b, C))
        s[:, :n], s[:, n:] = self.s, new.s
        offset[:, :n], offset[:, n:] = self.offset, targets
        H = np.concatenate([self.H, np.zeros((b, C, C))])
        problems = Problems(self.link, s, offset, H, self.among, new.between, new.among)
        c = problems.solve(tolerance).reshape(t, n + b, C)
        own = c[:, n:].transpose(0, 2, 1)
        inside = np.tensordot(c[:, :n], self.inside, axes=(1, 0)) + own @ new.inside
        return (self.d0 - self.span.times_B(inside, own @ new.off)).reshape(t, -1)


def predictions(expansion: Expansion, X: Floats, log_P: Floats, changes: Array) -> Iterator[Array]:
    """log P (M, K) of X (M, d) after each change (T, m) of phi, from log_P (M, K) before it."""
    rows, C = appended(X), expansion.Q.shape[1]
    M = rows.shape[0]
    for part in parts(len(changes), 2 * M * (C + 1)):
        each = changes[part]
        moved = each.reshape(len(each) * C, -1) @ rows.T  # one product for many models
        contrasts = moved.reshape(len(each), C, M).transpose(0, 2, 1)
        yield from log_softmax(log_P + contrasts @ expansion.Q.T)

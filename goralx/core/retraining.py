"""Exact retraining, many labelled sets at once: what every estimate is held against.

Each problem is the labelled set plus b samples under given labels. With A the curvature of what
was labelled (`curvature.Expansion`), the retrained optimum is phi + d0 - B U c, where U stacks the
n + b samples and c is one small vector for each: the representer theorem, around the old optimum.
Newton's method in c (`dual_newton`) costs the same for any number of features.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .curvature import Expansion, parts, with_constant
from .dual_newton import Problems, log_softmax
from .linear_solve import Array


def retrained(
    expansion: Expansion,
    X_new: NDArray[np.floating],
    y_new: NDArray[np.int64],
    *,
    tolerance: float = 1e-10,
) -> Array:
    """Change of phi (T, m) as problem t's samples X_new[t] (b, d) join under labels y_new[t] (b,).

    X_new (1, b, d) are the same samples in every problem. Exact: no residual further than
    ``tolerance`` from its fixed point. Raises `NotConverged` rather than return less.
    """
    T, b = y_new.shape
    n, K = expansion.log_P.shape
    J, C, D = n + b, K - 1, expansion.X.shape[1]
    common = len(X_new) == 1
    new = with_constant(X_new.reshape(-1, D - 1)).reshape(-1, b, D)
    logits_old = expansion.shifted(expansion.X[:, :-1], expansion.log_P)
    logits_new = (new @ (expansion.phi + expansion.shift).reshape(C, D).T) @ expansion.Q.T
    blocks = expansion.B.reshape(C, D, C, D)
    B_old = np.tensordot(expansion.X, blocks, axes=(1, 3))  # (n, j, D, k): B U of what was labelled
    S_old = np.tensordot(B_old, expansion.X, axes=(2, 1)).transpose(3, 1, 0, 2)
    changes = np.empty((T, C * D))
    for part in parts(T, 4 * J * K + C * D + b * C * (C * D + n * C) * (not common)):
        t = part.stop - part.start
        own = slice(None) if common else part
        x = new[own]
        logits = np.empty((t, J, K))
        logits[:, :n], logits[:, n:] = logits_old, logits_new[own]
        targets = np.empty((t, J, K))
        targets[:, :n], targets[:, n:] = expansion.targets, np.eye(K)[y_new[part]]
        B_new = np.tensordot(x.reshape(-1, D), blocks, axes=(1, 3)).reshape(-1, b, C, D, C)
        between = np.einsum("tijdk,nd->tnjik", B_new, expansion.X, optimize=True)
        among = np.einsum("tijdk,tmd->tmjik", B_new, x, optimize=True)
        problem = Problems(
            S_old.reshape(n * C, n * C),
            between.reshape(-1, n * C, b * C),
            among.reshape(-1, b * C, b * C),
            logits,
            targets,
            expansion,
        )
        c = problem.solve(tolerance).reshape(t, J, C)
        changes[part] = -np.tensordot(c[:, :n], B_old, axes=((1, 2), (0, 3))).reshape(t, -1)
        pull = np.einsum("tjc,ujd->tcd" if common else "tjc,tjd->tcd", c[:, n:], x, optimize=True)
        changes[part] -= pull.reshape(t, -1) @ expansion.B
    return changes + expansion.shift


def predictions(
    expansion: Expansion, X: NDArray[np.floating], log_P: Array, changes: Array
) -> Iterator[Array]:
    """log P (M, K) of X (M, d) after each change (T, m) of phi, from log_P (M, K) before it."""
    rows, C = with_constant(X), expansion.Q.shape[1]
    for part in parts(len(changes), 2 * len(rows) * (C + 1)):
        each = changes[part]
        moved = each.reshape(len(each) * C, -1) @ rows.T  # one product for many models
        contrasts = moved.reshape(len(each), C, len(rows)).transpose(0, 2, 1)
        yield from log_softmax(log_P + contrasts @ expansion.Q.T)

"""Exact retraining, many labelled sets at once: what every estimate is held against.

Each problem is the labelled set plus b samples under given labels. With A the curvature of what
was labelled (`curvature.Expansion`), the retrained optimum is phi + d0 - B U c, where U stacks the
n + b samples and c is one small vector for each: the representer theorem, around the old optimum.
Newton's method in c costs the same for any number of features, and thousands of problems are solved
together.
Steps are halved until each problem's own objective falls, and none is left before its own gradient
vanishes: undamped batches diverge silently where the penalty is weak.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from .curvature import Expansion, fisher, parts, with_constant
from .linear_solve import Array, NotConverged

MAX_ITER = 100


def retrained(
    expansion: Expansion,
    X_new: NDArray[np.floating],
    y_new: NDArray[np.int64],
    *,
    tolerance: float = 1e-10,
) -> Array:
    """Change of phi (T, m) as problem t's samples X_new[t] (b, d) join under labels y_new[t] (b,).

    Exact: no residual further than ``tolerance`` from its fixed point. Raises `NotConverged` rather
    than return less.
    """
    T, b, d = X_new.shape
    n, K = expansion.log_P.shape
    J, C, D = n + b, K - 1, d + 1
    blocks = expansion.B.reshape(C, D, C, D)
    old, new = expansion.X, with_constant(X_new.reshape(T * b, d))
    B_old = np.tensordot(old, blocks, axes=(1, 3))  # (n, j, D, k): B U of what was labelled
    S_old = np.tensordot(B_old, old, axes=(2, 1)).transpose(3, 1, 0, 2)
    logits_old = expansion.shifted(old[:, :-1], expansion.log_P)
    logits_new = (new @ (expansion.phi + expansion.shift).reshape(C, D).T) @ expansion.Q.T
    changes = np.empty((T, C * D))
    for part in parts(T, (J * C) ** 2 + b * C * C * D):
        t = part.stop - part.start
        x = new[part.start * b : part.stop * b]
        B_new = np.tensordot(x, blocks, axes=(1, 3))
        S = np.empty((t, J, C, J, C))
        S[:, :n, :, :n] = S_old
        cross = np.tensordot(B_new, old, axes=(2, 1)).reshape(t, b, C, C, n)
        S[:, n:, :, :n] = cross.transpose(0, 1, 3, 4, 2)
        S[:, :n, :, n:] = cross.transpose(0, 4, 2, 1, 3)
        near = B_new.reshape(t, b, C, D, C), x.reshape(t, b, D)
        S[:, n:, :, n:] = np.einsum("tijdk,tmd->tmjik", *near, optimize=True)
        problem = _Problem(
            S.reshape(t, J * C, J * C),
            np.concatenate(
                [
                    np.broadcast_to(logits_old, (t, n, K)),
                    logits_new[part.start * b : part.stop * b].reshape(t, b, K),
                ],
                axis=1,
            ),
            np.concatenate(
                [np.broadcast_to(expansion.targets, (t, n, K)), np.eye(K)[y_new[part]]], axis=1
            ),
            expansion,
        )
        c = problem.solve(tolerance).reshape(t, J, C)
        changes[part] = -np.einsum("tjc,jd->tcd", c[:, :n], old, optimize=True).reshape(t, -1)
        changes[part] -= np.einsum(
            "tjc,tjd->tcd", c[:, n:], x.reshape(t, b, D), optimize=True
        ).reshape(t, -1)
    return changes @ expansion.B + expansion.shift


@dataclass(frozen=True)
class _Problem:
    """t problems of J samples: leverages S (t, JC, JC), logits at d0 and targets (t, J, K)."""

    S: Array
    logits: Array
    targets: Array
    expansion: Expansion

    def solve(self, tolerance: float) -> Array:
        """c (t, JC) with c = residual - (old residual + old curvature times the move): Newton."""
        t, size = self.S.shape[:2]
        c = np.zeros((t, size))
        open_ = np.arange(t)
        moved, log_P = self._at(open_, c)
        for _ in range(MAX_ITER):
            P = np.exp(log_P)
            error = self._wanted(open_, moved, P) - c[open_]
            left = np.abs(error).max(axis=1) > tolerance
            if not left.any():
                return c
            open_, error, P = open_[left], error[left], P[left]
            moved, log_P = moved[left], log_P[left]
            # I + M S, not its transpose I + S M: both look alike, only one gives Newton's step
            M = self._curvature_change(P)
            S = self.S[open_].reshape(*M.shape[:3], size)
            system = (M @ S).reshape(len(open_), size, size)
            system[:, np.arange(size), np.arange(size)] += 1.0
            step = np.linalg.solve(system, error[:, :, None])[:, :, 0]
            c[open_], moved, log_P = self._damped(open_, c[open_], step, error, moved, log_P)
        raise NotConverged(f"retraining: {len(open_)} of {t} problems open after {MAX_ITER} steps")

    def _at(self, rows: NDArray[np.int64], c: Array) -> tuple[Array, Array]:
        """Logit contrasts' move from d0 (t, JC), and log P (t, J, K), at coefficients c."""
        moved = -(self.S[rows] @ c[:, :, None])[:, :, 0]
        contrasts = moved.reshape(len(rows), -1, self.expansion.Q.shape[1])
        return moved, log_softmax(self.logits[rows] + contrasts @ self.expansion.Q.T, axis=2)

    @property
    def _old_P(self) -> Array:
        return np.exp(self.expansion.log_P)

    def _from_optimum(self, rows: NDArray[np.int64], moved: Array) -> Array:
        """The old samples' contrasts less those at the old optimum, d0 included: (t, n, K-1)."""
        n = len(self.expansion.X)
        C = self.expansion.Q.shape[1]
        shift = (self.logits[rows, :n] - self.expansion.log_P) @ self.expansion.Q
        return moved.reshape(len(rows), -1, C)[:, :n] + shift

    def _wanted(self, rows: NDArray[np.int64], moved: Array, P: Array) -> Array:
        """What c has to equal (t, JC): residuals, less what the expansion already accounts for."""
        Q, n = self.expansion.Q, len(self.expansion.X)
        wanted = (P - self.targets[rows]) @ Q
        wanted[:, :n] -= (self._old_P - self.expansion.targets) @ Q
        curved = np.einsum("nab,tnb->tna", fisher(self._old_P, Q), self._from_optimum(rows, moved))
        wanted[:, :n] -= curved
        return wanted.reshape(len(rows), -1)

    def _curvature_change(self, P: Array) -> Array:
        """Fisher blocks at P less the expansion's, zero for the new samples: (t, J, K-1, K-1)."""
        Q, n = self.expansion.Q, len(self.expansion.X)
        t, J, K = P.shape
        M = fisher(P.reshape(-1, K), Q).reshape(t, J, K - 1, K - 1)
        M[:, :n] -= fisher(self._old_P, Q)
        return M

    def _objective(self, rows: NDArray[np.int64], c: Array, moved: Array, log_P: Array) -> Array:
        """Each problem's own objective (t,), up to a constant."""
        Q = self.expansion.Q
        from_optimum = self._from_optimum(rows, moved)
        linear = np.einsum("tna,na->t", from_optimum, (self._old_P - self.expansion.targets) @ Q)
        curved = np.einsum(
            "tna,nab,tnb->t", from_optimum, fisher(self._old_P, Q), from_optimum, optimize=True
        )
        loss = -np.einsum("tjk,tjk->t", self.targets[rows], log_P)
        value: Array = loss - linear - 0.5 * curved - 0.5 * (c * moved).sum(axis=1)
        return value

    def _damped(
        self,
        rows: NDArray[np.int64],
        c: Array,
        step: Array,
        error: Array,
        moved: Array,
        log_P: Array,
    ) -> tuple[Array, Array, Array]:
        """Take each problem's step, halved until its objective falls (Armijo)."""
        value = self._objective(rows, c, moved, log_P)
        slope = -(error * (self.S[rows] @ step[:, :, None])[:, :, 0]).sum(axis=1)
        noise = 1e-12 * (1.0 + np.abs(value))
        length = np.ones(len(rows))
        while length.min() > 1e-10:
            trial = c + length[:, None] * step
            moved, log_P = self._at(rows, trial)
            allowed = value + 1e-4 * length * slope + noise
            worse = self._objective(rows, trial, moved, log_P) > allowed
            if not worse.any():
                return trial, moved, log_P
            length[worse] *= 0.5
        raise NotConverged("retraining: no step lowers the objective")

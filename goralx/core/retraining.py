"""Exact retraining, many labelled sets at once: what every estimate is held against.

Each problem is the labelled set plus b samples under given labels. With A the curvature of what
was labelled (`curvature.Expansion`), the retrained optimum is phi + d0 - B U c, where U stacks the
n + b samples and c is one small vector for each: the representer theorem, around the old optimum.
Newton's method in c costs the same for any number of features, and thousands of problems are solved
together. Where they share their samples and differ in labels only, they share every leverage as
well, and one step matrix serves them all until few are left.
Steps are halved until each problem's own objective falls, and none is left before its own gradient
vanishes: undamped batches diverge silently where the penalty is weak.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

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
    old = _Old.of(expansion)
    changes = np.empty((T, C * D))
    for part in parts(T, 4 * J * K + C * D if common else (J * C) ** 2 + b * C * C * D):
        t = part.stop - part.start
        own = slice(None) if common else part
        x = new[own]
        logits = np.empty((t, J, K))
        logits[:, :n], logits[:, n:] = logits_old, logits_new[own]
        targets = np.empty((t, J, K))
        targets[:, :n], targets[:, n:] = expansion.targets, np.eye(K)[y_new[part]]
        S = old.leverages(x).reshape(len(x), J * C, J * C)
        c = _Problem(S, logits, targets, expansion).solve(tolerance).reshape(t, J, C)
        changes[part] = -np.tensordot(c[:, :n], old.B, axes=((1, 2), (0, 3))).reshape(t, -1)
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
        yield from _log_softmax(log_P + contrasts @ expansion.Q.T)


def _log_softmax(logits: Array) -> Array:
    """Over the last axis, class by class: numpy reduces a short axis many times slower."""
    highest = logits[..., 0].copy()
    for k in range(1, logits.shape[-1]):
        np.maximum(highest, logits[..., k], out=highest)
    shifted: Array = logits - highest[..., None]
    total = np.exp(shifted[..., 0])
    for k in range(1, logits.shape[-1]):
        total += np.exp(shifted[..., k])
    shifted -= np.log(total)[..., None]
    return shifted


@dataclass(frozen=True)
class _Old:
    """What the problems share: B U of what was labelled (n, C, D, C), and its leverages."""

    expansion: Expansion
    blocks: Array
    B: Array
    S: Array

    @classmethod
    def of(cls, expansion: Expansion) -> _Old:
        C, D = expansion.Q.shape[1], expansion.X.shape[1]
        blocks = expansion.B.reshape(C, D, C, D)
        B = np.tensordot(expansion.X, blocks, axes=(1, 3))
        S = np.tensordot(B, expansion.X, axes=(2, 1)).transpose(3, 1, 0, 2)
        return cls(expansion, blocks, B, S)

    def leverages(self, x: Array) -> Array:
        """U'BU of the labelled samples and each problem's own x (t, b, D): (t, J, C, J, C)."""
        t, b, D = x.shape
        n, C = self.B.shape[:2]
        rows = x.reshape(t * b, D)
        B_new = np.tensordot(rows, self.blocks, axes=(1, 3))
        S = np.empty((t, n + b, C, n + b, C))
        S[:, :n, :, :n] = self.S
        cross = np.tensordot(B_new, self.expansion.X, axes=(2, 1)).reshape(t, b, C, C, n)
        S[:, n:, :, :n] = cross.transpose(0, 1, 3, 4, 2)
        S[:, :n, :, n:] = cross.transpose(0, 4, 2, 1, 3)
        near = B_new.reshape(t, b, C, D, C)
        S[:, n:, :, n:] = np.einsum("tijdk,tmd->tmjik", near, x, optimize=True)
        return S


@dataclass(frozen=True)
class _Point:
    """Where some of the problems are: coefficients c (t, JC), what they move, what is left.

    ``rows`` (t,) says which problems, ``moved`` (t, JC) are the logit contrasts' moves from d0,
    ``log_P`` (t, J, K) the predictions there, and ``error`` (t, JC) what c lacks.
    """

    rows: NDArray[np.int64]
    c: Array
    moved: Array
    log_P: Array
    error: Array

    @property
    def left(self) -> Array:
        """Largest error of each problem (t,)."""
        largest: Array = np.abs(self.error).max(axis=1)
        return largest

    def only(self, mask: NDArray[np.bool_]) -> _Point:
        return _Point(*(getattr(self, f.name)[mask] for f in fields(self)))

    def but(self, mask: NDArray[np.bool_], other: _Point) -> _Point:
        """The same with ``other`` in the places of ``mask``."""
        merged = {f.name: getattr(self, f.name).copy() for f in fields(self)}
        for name, values in merged.items():
            values[mask] = getattr(other, name)
        return _Point(**merged)


@dataclass(frozen=True)
class _Problem:
    """t problems of J samples: logits at d0 and targets (t, J, K), and their leverages S.

    S is (t, JC, JC), or (1, JC, JC) where all problems share it.
    """

    S: Array
    logits: Array
    targets: Array
    expansion: Expansion

    def solve(self, tolerance: float) -> Array:
        """c (t, JC) with c = residual - (old residual + old curvature times the move)."""
        t, size = len(self.logits), self.S.shape[1]
        found = np.empty((t, size))
        at = self._point(np.arange(t), np.zeros((t, size)))
        for _ in range(MAX_ITER):
            done = at.left <= tolerance
            found[at.rows[done]] = at.c[done]
            at = at.only(~done)
            if len(at.rows) == 0:
                return found
            at = self._newton(at) if len(self.S) > 1 else self._chord(at)
        raise NotConverged(
            f"retraining: {len(at.rows)} of {t} problems open after {MAX_ITER} steps"
        )

    def _newton(self, at: _Point) -> _Point:
        """Newton's step of each problem, damped."""
        # I + M S, not its transpose I + S M: both look alike, only one gives Newton's step
        M = self._curvature_change(at)
        size = self.S.shape[1]
        S = self._S(at.rows).reshape(-1, *M.shape[1:3], size)
        system = (M @ S).reshape(len(at.rows), size, size)
        system[:, np.arange(size), np.arange(size)] += 1.0
        step = np.linalg.solve(system, at.error[:, :, None])[:, :, 0]
        return self._damped(at, step.astype(np.float64, copy=False))

    def _chord(self, at: _Point) -> _Point:
        """Newton's step with the mean curvature of all problems, kept where it halves the error.

        S is the same for all of them, so that this is one product; the others get their own step.
        """
        M = self._curvature_change(at).mean(axis=0)
        size = self.S.shape[1]
        system = np.eye(size) + (M @ self.S[0].reshape(*M.shape[:2], size)).reshape(size, size)
        there = self._point(at.rows, at.c + np.linalg.solve(system, at.error.T).T)
        slow = there.left > 0.5 * at.left
        return there.but(slow, self._newton(at.only(slow))) if slow.any() else there

    def _S(self, rows: NDArray[np.int64]) -> Array:
        return self.S if len(self.S) == 1 else self.S[rows]

    def _times_S(self, rows: NDArray[np.int64], c: Array) -> Array:
        """S c of each problem: (t, JC)."""
        if len(self.S) == 1:
            product: Array = c @ self.S[0]
            return product
        return (self.S[rows] @ c[:, :, None])[:, :, 0]

    def _point(self, rows: NDArray[np.int64], c: Array) -> _Point:
        Q = self.expansion.Q
        moved = -self._times_S(rows, c)
        contrasts = moved.reshape(len(rows), -1, Q.shape[1])
        log_P = _log_softmax(self.logits[rows] + contrasts @ Q.T)
        return _Point(rows, c, moved, log_P, self._wanted(rows, moved, np.exp(log_P)) - c)

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

    def _curvature_change(self, at: _Point) -> Array:
        """Fisher blocks less the expansion's, zero for the new samples: (t, J, K-1, K-1)."""
        Q, n = self.expansion.Q, len(self.expansion.X)
        t, J, K = at.log_P.shape
        M = fisher(np.exp(at.log_P).reshape(-1, K), Q).reshape(t, J, K - 1, K - 1)
        M[:, :n] -= fisher(self._old_P, Q)
        return M

    def _objective(self, at: _Point) -> Array:
        """Each problem's own objective (t,), up to a constant."""
        Q = self.expansion.Q
        from_optimum = self._from_optimum(at.rows, at.moved)
        linear = np.einsum("tna,na->t", from_optimum, (self._old_P - self.expansion.targets) @ Q)
        curved = np.einsum(
            "tna,nab,tnb->t", from_optimum, fisher(self._old_P, Q), from_optimum, optimize=True
        )
        loss = -np.einsum("tjk,tjk->t", self.targets[at.rows], at.log_P)
        value: Array = loss - linear - 0.5 * curved - 0.5 * (at.c * at.moved).sum(axis=1)
        return value

    def _damped(self, at: _Point, step: Array) -> _Point:
        """Take each problem's step, halved until its objective falls (Armijo)."""
        value = self._objective(at)
        slope = -(at.error * self._times_S(at.rows, step)).sum(axis=1)
        noise = 1e-12 * (1.0 + np.abs(value))
        length = np.ones(len(at.rows))
        while length.min() > 1e-10:
            there = self._point(at.rows, at.c + length[:, None] * step)
            worse = self._objective(there) > value + 1e-4 * length * slope + noise
            if not worse.any():
                return there
            length[worse] *= 0.5
        raise NotConverged("retraining: no step lowers the objective")

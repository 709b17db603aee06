"""Newton's method for many retrainings at once, in one coefficient for each sample and contrast.

The labelled samples are the same in every problem and their curvature hardly differs: with its mean
over the problems in place of each one's own, a step costs a product and b equations. It is kept
where it halves the error; the others take Newton's own step, halved until their objective falls.
None is left before its gradient vanishes: undamped batches diverge silently where the penalty is
weak.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .curvature import Expansion, fisher
from .linear_solve import Array, NotConverged

MAX_ITER = 100


def log_softmax(logits: Array) -> Array:
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


def _times(matrices: Array, vectors: Array) -> Array:
    """Each matrix (t, i, j), or the only one (1, i, j), times its vector (t, j): (t, i)."""
    if len(matrices) == 1:
        product: Array = vectors @ matrices[0].T
        return product
    return (matrices @ vectors[:, :, None])[:, :, 0]


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
class Problems:
    """t problems of J = n + b samples: logits at d0 and targets (t, J, K), and leverages.

    ``among_old`` (nC, nC) is the same for all; ``between`` (t, nC, bC) the labelled and each one's
    own samples, and ``among_new`` (t, bC, bC), are (1, ...) where the samples are the same too.
    """

    among_old: Array
    between: Array
    among_new: Array
    logits: Array
    targets: Array
    expansion: Expansion

    def solve(self, tolerance: float) -> Array:
        """c (t, JC) with c = residual - (old residual + old curvature times the move)."""
        t, size = len(self.logits), self.between.shape[1] + self.between.shape[2]
        found = np.empty((t, size))
        at = self._point(np.arange(t), np.zeros((t, size)))
        for _ in range(MAX_ITER):
            done = at.left <= tolerance
            found[at.rows[done]] = at.c[done]
            at = at.only(~done)
            if len(at.rows) == 0:
                return found
            near = self._chord(at)
            slow = near.left > 0.5 * at.left
            at = near.but(slow, self._newton(at.only(slow))) if slow.any() else near
        raise NotConverged(
            f"retraining: {len(at.rows)} of {t} problems open after {MAX_ITER} steps"
        )

    def _chord(self, at: _Point) -> _Point:
        """Newton's step, but for the labelled samples' curvature: the mean over all problems."""
        nC, C = len(self.among_old), self.expansion.Q.shape[1]
        M = self._curvature_change(at)
        n = nC // C
        mean, own = M[:, :n].mean(axis=0), M[:, n:]
        between, among_new = self._own(at.rows)
        inverse = np.linalg.inv(
            np.eye(nC) + (mean @ self.among_old.reshape(n, C, nC)).reshape(nC, nC)
        )
        weighted = (inverse.reshape(nC, n, 1, C) @ mean).reshape(nC, nC)
        # eliminating the labelled samples leaves b C equations for each problem's own
        through = np.tensordot(between, weighted, axes=(1, 1)).transpose(0, 2, 1)
        left = among_new - between.transpose(0, 2, 1) @ through
        old = at.error[:, :nC] @ inverse.T
        pulled = _times(between.transpose(0, 2, 1), old).reshape(own.shape[:3])
        rest = at.error[:, nC:] - np.einsum("tbij,tbj->tbi", own, pulled).reshape(len(own), -1)
        b, bC = own.shape[1], left.shape[2]
        system = (own @ left.reshape(-1, b, C, bC)).reshape(len(own), bC, bC)
        system += np.eye(bC)
        new = np.linalg.solve(system, rest[:, :, None])[:, :, 0]
        step = np.concatenate([old - _times(through, new), new], axis=1)
        return self._point(at.rows, at.c + step)

    def _newton(self, at: _Point) -> _Point:
        """Newton's step of each problem, damped."""
        # I + M S, not its transpose I + S M: both look alike, only one gives Newton's step
        M = self._curvature_change(at)
        between, among_new = self._own(at.rows)
        nC, size = len(self.among_old), len(self.among_old) + among_new.shape[1]
        S = np.empty((len(between), size, size))
        S[:, :nC, :nC], S[:, nC:, nC:] = self.among_old, among_new
        S[:, :nC, nC:], S[:, nC:, :nC] = between, between.transpose(0, 2, 1)
        system = (M @ S.reshape(-1, *M.shape[1:3], size)).reshape(len(M), size, size)
        system += np.eye(size)
        step = np.linalg.solve(system, at.error[:, :, None])[:, :, 0]
        return self._damped(at, step.astype(np.float64, copy=False))

    def _own(self, rows: NDArray[np.int64]) -> tuple[Array, Array]:
        """``between`` and ``among_new`` of these problems."""
        if len(self.between) == 1:
            return self.between, self.among_new
        return self.between[rows], self.among_new[rows]

    def _times_S(self, rows: NDArray[np.int64], c: Array) -> Array:
        """S c of each problem: (t, JC)."""
        between, among_new = self._own(rows)
        old, new = np.split(c, [len(self.among_old)], axis=1)
        return np.concatenate(
            [
                old @ self.among_old + _times(between, new),
                _times(between.transpose(0, 2, 1), old) + _times(among_new, new),
            ],
            axis=1,
        )

    def _point(self, rows: NDArray[np.int64], c: Array) -> _Point:
        Q = self.expansion.Q
        moved = -self._times_S(rows, c)
        contrasts = moved.reshape(len(rows), -1, Q.shape[1])
        log_P = log_softmax(self.logits[rows] + contrasts @ Q.T)
        return _Point(rows, c, moved, log_P, self._wanted(rows, moved, np.exp(log_P)) - c)

    @cached_property
    def _old_P(self) -> Array:
        return np.exp(self.expansion.log_P)

    @cached_property
    def _old_curvature(self) -> Array:
        """Fisher blocks of the labelled samples at the old optimum (n, K-1, K-1)."""
        return fisher(self._old_P, self.expansion.Q)

    @cached_property
    def _shift(self) -> Array:
        """By d0, of the labelled samples' contrasts: (n, K-1), the same in every problem."""
        n = len(self.expansion.X)
        shift: Array = (self.logits[0, :n] - self.expansion.log_P) @ self.expansion.Q
        return shift

    def _from_optimum(self, rows: NDArray[np.int64], moved: Array) -> Array:
        """The old samples' contrasts less those at the old optimum, d0 included: (t, n, K-1)."""
        n, C = self._shift.shape
        return moved.reshape(len(rows), -1, C)[:, :n] + self._shift

    def _wanted(self, rows: NDArray[np.int64], moved: Array, P: Array) -> Array:
        """What c has to equal (t, JC): residuals, less what the expansion already accounts for."""
        Q, n = self.expansion.Q, len(self.expansion.X)
        wanted = (P - self.targets[rows]) @ Q
        wanted[:, :n] -= (self._old_P - self.expansion.targets) @ Q
        curved = np.einsum("nab,tnb->tna", self._old_curvature, self._from_optimum(rows, moved))
        wanted[:, :n] -= curved
        return wanted.reshape(len(rows), -1)

    def _curvature_change(self, at: _Point) -> Array:
        """Fisher blocks less the expansion's, zero for the new samples: (t, J, K-1, K-1)."""
        Q, n = self.expansion.Q, len(self.expansion.X)
        t, J, K = at.log_P.shape
        M = fisher(np.exp(at.log_P).reshape(-1, K), Q).reshape(t, J, K - 1, K - 1)
        M[:, :n] -= self._old_curvature
        return M

    def _objective(self, at: _Point) -> Array:
        """Each problem's own objective (t,), up to a constant."""
        Q = self.expansion.Q
        from_optimum = self._from_optimum(at.rows, at.moved)
        linear = np.einsum("tna,na->t", from_optimum, (self._old_P - self.expansion.targets) @ Q)
        curved = np.einsum(
            "tna,nab,tnb->t", from_optimum, self._old_curvature, from_optimum, optimize=True
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

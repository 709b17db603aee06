"""Newton's method for many retrainings at once, in one coefficient for each sample and contrast.

The labelled samples are the same in every problem and their curvature hardly moves from what it was
at the old optimum: with that for a preconditioner a step takes a few sweeps, each one product with
the leverages that all problems share. It is kept where the error falls to half of the least so far;
the others take Newton's exact step, halved until their objective falls. So the quick steps are few,
and none is left before its gradient vanishes: undamped batches diverge silently where the penalty
is weak.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..linear_solve import ENOUGH, Array, NotConverged
from .link import Link

MAX_ITER = 100
_START = 1e-3  # error of the proximal step, which is only where to start
_SWEEPS = 4  # of a step: from an error of 1e-3 two or three steps reach 1e-10
_TAME = 1e4  # leverages up to which single precision resolves the contrasts


@dataclass(frozen=True)
class Point:
    """c (t, JC), its ``pull`` S c on the contrasts, and its ``error``, of length ``left`` (t,)."""

    c: Array
    pull: Array
    error: Array
    left: Array

    def only(self, mask: NDArray[np.bool_]) -> Point:
        return Point(*(getattr(self, f.name)[mask] for f in fields(self)))

    def put(self, mask: NDArray[np.bool_], other: Point) -> None:
        """``other`` in the places of ``mask``."""
        for f in fields(self):
            getattr(self, f.name)[mask] = getattr(other, f.name)


@dataclass(frozen=True)
class Problems:
    """t problems of J = n + b samples in C contrasts: c = mean(s - S c) - offset + H S c.

    ``s`` (t, J, C) are the contrasts at d0; ``H`` (J, C, C) is the curvature that S accounts for,
    the labelled samples' at the old optimum and none of the new ones; ``offset`` (t, J, C) what c
    leaves out: a new sample's Q'e_y, a labelled one's part of that expansion. The leverages S are
    ``among_old`` (nC, nC), ``between`` (t, bC, nC) new and old, and ``among_new`` (t, bC, bC), the
    last two (1, ...) where the same samples join in every problem.
    """

    link: Link
    s: Array
    offset: Array
    H: Array
    among_old: Array
    between: Array
    among_new: Array

    def solve(self, tolerance: float) -> Array:
        """c (t, JC), to an error no longer than ``tolerance``; `NotConverged` rather than less.

        From the proximal step on: the same problem where only the new samples have a loss.
        """
        nC, C = len(self.among_old), self.s.shape[2]
        n, t = nC // C, len(self.s)
        proximal = replace(
            self,
            s=self.s[:, n:],
            offset=self.offset[:, n:],
            H=self.H[n:],
            among_old=self.among_old[:0, :0],
            between=self.between[:, :, :0],
        )
        c = np.zeros((t, self.s.shape[1] * C))
        c[:, nC:] = proximal.descend(proximal.point(c[:, nC:]), _START)
        start = self.point(c)
        far = start.left > np.sqrt(2.0 * (len(self.H) - n))  # no step at all errs less
        if far.any():
            start = self.point(np.where(far[:, None], 0.0, c))
        return self.descend(start, tolerance)

    def descend(self, at: Point, tolerance: float) -> Array:
        """From where the problems are to the solution."""
        found, rows, going, least = np.empty_like(at.c), np.arange(len(at.c)), self, at.left
        for _ in range(MAX_ITER):
            wrong = ~(at.left <= tolerance)  # neither are NaNs right
            if not wrong.all():
                found[rows[~wrong]] = at.c[~wrong]
                rows, least = rows[wrong], least[wrong]
                going, at = going.only(wrong), at.only(wrong)
            if len(rows) == 0:
                return found
            near = going.point(at.c + going.swept(at))
            slow = ~(near.left <= 0.5 * least)
            if slow.any():
                near.put(slow, going.only(slow).damped_newton(at.only(slow)))
            at, least = near, np.minimum(least, near.left)
        raise NotConverged(
            f"retraining: {len(rows)} of {len(found)} problems open after {MAX_ITER} steps"
        )

    def only(self, mask: NDArray[np.bool_]) -> Problems:
        some = replace(self, s=self.s[mask], offset=self.offset[mask])
        if len(self.between) < len(mask):  # the same for all
            return some
        return replace(some, between=self.between[mask], among_new=self.among_new[mask])

    def point(self, c: Array) -> Point:
        pull = self.times_S(c)
        along = pull.reshape(self.s.shape)
        wanted = self.link.mean(self.s - along)
        wanted -= self.offset
        wanted += _blocks(self.H, along)
        error = wanted.reshape(c.shape)
        error -= c
        return Point(c, pull, error, np.sqrt(np.einsum("ti,ti->t", error, error)))

    def swept(self, at: Point) -> Array:
        """About Newton's step (t, JC), by sweeps in single precision.

        The labelled samples' equations would be solved as they stand, were their curvature H still.
        Each sweep corrects for its change, and solves the few equations of the new samples.
        """
        nC, (t, J, C) = len(self.among_old), self.s.shape
        n = nC // C
        quick = self.single if self.tame else self
        error = at.error.astype(quick.s.dtype, copy=False)
        M = quick.curvature_change(at.pull.astype(error.dtype, copy=False))
        by_sample, step = error.reshape(t, J, C), error.copy()
        labelled = step.reshape(t, J, C)[:, :n]
        for sweep in range(_SWEEPS if n else 1):
            if sweep > 0:
                pull = quick.on_labelled(step).reshape(t, n, C)
                np.subtract(by_sample[:, :n], _blocks(M[:, :n], pull), out=labelled)
            through = product(quick.between, step[:, :nC]).reshape(t, J - n, C)
            rest = by_sample[:, n:] - _blocks(M[:, n:], through)
            step[:, nC:] = solved(M[:, n:], quick.among_new, rest.reshape(t, -1))
        return step

    @cached_property
    def tame(self) -> bool:
        """Whether single precision resolves the contrasts."""
        return bool(np.abs(self.among_new).max() < _TAME)

    @cached_property
    def single(self) -> Problems:
        """The same in single precision, but for the offset: steps do not ask for it."""
        parts = ("s", "H", "among_old", "between", "among_new")
        single = {name: getattr(self, name).astype(np.float32) for name in parts}
        return replace(self, link=Link(self.link.Q.astype(np.float32)), **single)

    def curvature_change(self, pull: Array) -> Array:
        """Of every sample, from H: (t, J, C, C)."""
        M = self.link.curvature(self.s - pull.reshape(self.s.shape))
        M -= self.H
        return M

    def damped_newton(self, at: Point) -> Point:
        """Newton's step of each problem, halved until its objective falls (Armijo)."""
        nC, size = len(self.among_old), at.c.shape[1]
        S = np.empty((len(self.between), size, size))
        S[:, :nC, :nC], S[:, nC:, nC:] = self.among_old, self.among_new
        S[:, nC:, :nC], S[:, :nC, nC:] = self.between, self.between.transpose(0, 2, 1)
        step = solved(self.curvature_change(at.pull), S, at.error)
        value = self.objective(at)
        slope = -(at.error * self.times_S(step)).sum(axis=1)
        noise = 1e-12 * (1.0 + np.abs(value))
        length = np.ones(len(at.c))
        while length.min() > 1e-10:
            there = self.point(at.c + length[:, None] * step)
            worse = self.objective(there) > value + ENOUGH * length * slope + noise
            if not worse.any():
                return there
            length[worse] *= 0.5
        raise NotConverged("retraining: no step lowers the objective")

    def times_S(self, c: Array) -> Array:
        """S c of each problem: (t, JC)."""
        nC, pull = len(self.among_old), np.empty_like(c)
        self.on_labelled(c, out=pull[:, :nC])
        pull[:, nC:] = product(self.between, c[:, :nC])
        pull[:, nC:] += product(self.among_new, c[:, nC:])
        return pull

    def on_labelled(self, c: Array, out: Array | None = None) -> Array:
        """Of S c the labelled samples' part: (t, nC)."""
        nC = len(self.among_old)
        pull: Array = np.matmul(c[:, :nC], self.among_old, out=out)
        pull += product(self.between.transpose(0, 2, 1), c[:, nC:])
        return pull

    def objective(self, at: Point) -> Array:
        """What each problem minimises (t,), up to a constant."""
        pull = at.pull.reshape(self.s.shape)
        value: Array = self.link.normaliser(self.s - pull).sum(axis=1)
        value += (self.offset * pull).sum(axis=(1, 2))
        value += 0.5 * (at.c * at.pull).sum(axis=1)
        value -= 0.5 * np.einsum("tja,jab,tjb->t", pull, self.H, pull, optimize=True)
        return value


def _blocks(M: Array, vectors: Array) -> Array:
    """Blocks (J, C, C), or (t, J, C, C), times vectors (t, J, C): (t, J, C)."""
    if M.shape[-1] == 1:
        product: Array = M[..., 0] * vectors
    else:
        product = np.einsum("...ab,...b->...a", M, vectors)
    return product


def product(matrices: Array, vectors: Array) -> Array:
    """Each matrix (t, i, j), or the only one (1, i, j), times its vector (t, j): (t, i)."""
    each: Array
    if len(matrices) == 1:
        each = vectors @ matrices[0].T
    elif vectors.shape[1] == 1:
        each = matrices[:, :, 0] * vectors
    else:  # not einsum: over an empty axis that is 0 times whatever memory holds, NaN at times
        each = (matrices @ vectors[:, :, None])[:, :, 0]
    return each


def solved(M: Array, S: Array, error: Array) -> Array:
    """(I + M S)^-1 error (t, JC), M block diagonal (t, J, C, C), S (t or 1, JC, JC).

    I + M S, not its transpose I + S M: both look alike, only one gives Newton's step.
    """
    size = S.shape[1]
    system = (M @ S.reshape(len(S), -1, M.shape[2], size)).reshape(len(M), size, size)
    system += np.eye(size)
    if size == 1:  # LAPACK takes many times as long to divide
        quotient: Array = error / system[:, :, 0]
        return quotient
    return np.linalg.solve(system, error[:, :, None])[:, :, 0].astype(error.dtype, copy=False)

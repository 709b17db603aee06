"""B T B for a T that is a sum over samples, whatever its size: what a goal's curvature is asked.

T = sum_i W_i (x) x_i x_i' over some thousands of samples, W(x) = U'BTBU of a candidate: as one
matrix (m, m), made once, or by a pass over the samples for each candidate, whose unit pulls move
the contrasts of sample i by V_i = x_i'BU: then W = sum_i V_i' W_i V_i.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..inverse import cost, memory
from ..inverse.curvature import parts, quadratic_form, weighted_gram, with_constant
from ..linear_solve import Array
from .expansion import Expansion


@dataclass(frozen=True)
class SampleSum:
    """T as its samples, in C contrasts: each of ``shares`` is X (M, d), without the constant, and
    what gives their W (n, C, C) for a slice: of thousands of samples they are not all held.
    """

    shares: tuple[tuple[NDArray[np.floating], Callable[[slice], Array]], ...]
    C: int

    def __len__(self) -> int:
        return sum(X.shape[0] for X, _ in self.shares)

    def matrix(self) -> Array:
        """T (m, m)."""
        m = self.C * (self.shares[0][0].shape[1] + 1)
        T = np.zeros((m, m))
        for X, weights in self._blocks():
            T += weighted_gram(X[:, :-1], weights)
        return T

    def times(self, v: Array) -> Array:
        """T v for v (m,)."""
        rows = v.reshape(self.C, -1)
        image = np.zeros_like(rows)
        for X, weights in self._blocks():
            image += np.einsum("nab,nb->an", weights, X @ rows.T, optimize=True) @ X
        return image.ravel()

    def form(self, steps: Array) -> Array:
        """d_a' T d_b for steps d (t, s, C, D), among the s of each of t: (t, s, s)."""
        t, s, C, D = steps.shape
        flat = steps.transpose(2, 0, 1, 3).reshape(-1, D)  # so that no product waits for a copy
        total = np.zeros((t, s, s))
        for X, weights in self._blocks(2 * t * s * C):
            moved = (X @ flat.T).reshape(len(X), C, t * s)
            bent = (weights @ moved).reshape(-1, t * s)
            flat_moved = moved.reshape(-1, t * s)
            if s == 1:
                total[:, 0, 0] += np.einsum("nt,nt->t", flat_moved, bent)
                continue
            for i in range(t):
                own = slice(i * s, (i + 1) * s)
                total[i] += flat_moved[:, own].T @ bent[:, own]
        return total

    def _blocks(self, width: int = 0) -> Iterator[tuple[Array, Array]]:
        """Blocks of the samples that fit in memory: X (n, D) and W (n, C, C)."""
        for X, weights in self.shares:
            for part in parts(X.shape[0], X.shape[1] + 4 * self.C**2 + width):
                yield with_constant(X[part]), weights(part)


class Sandwich(Protocol):
    """B T B."""

    def form(self, X: NDArray[np.floating]) -> Array:
        """W(x) = U'BTBU for every row of X (N, d): (N, C, C)."""


@dataclass(frozen=True)
class Square:
    """B T B as a matrix (m, m)."""

    matrix: Array = field(repr=False)

    def form(self, X: NDArray[np.floating]) -> Array:
        return quadratic_form(X, self.matrix)


@dataclass(frozen=True)
class Passes:
    """B T B by a pass over T's samples for each block of candidates."""

    expansion: Expansion = field(repr=False)
    T: SampleSum = field(repr=False)

    def form(self, X: NDArray[np.floating]) -> Array:
        C = self.expansion.Q.shape[1]
        W = np.empty((X.shape[0], C, C))
        for part in parts(X.shape[0], C * C * (X.shape[1] + 1) // 4):  # T's samples serve some
            W[part] = self.T.form(unit_steps(self.expansion, X[part]))
        return W


@dataclass(frozen=True)
class Probes:
    """B T B, T with no negative weights, from random vectors f whose f f' is T on average.

    (N of them in ``reached`` B f (N, C, D).) Good for ranking candidates: off by a tenth or so.
    Hutchinson 1990, doi:10.1080/03610919008812866.
    """

    reached: Array = field(repr=False)

    @classmethod
    def of(cls, expansion: Expansion, T: SampleSum, size: int) -> Probes:
        """Of ``size`` vectors; the same in every call."""
        C, D, rng = T.C, expansion.X.shape[1], np.random.default_rng(0)
        f = np.zeros((C, size, D))
        for X, weights in T._blocks(2 * C * size):
            values, vectors = np.linalg.eigh(weights)
            root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
            pulls = root @ rng.normal(size=(len(X), C, size))
            f += np.tensordot(pulls, X, axes=(0, 0))
        return cls(expansion.B.times(f.transpose(1, 0, 2)))

    def form(self, X: NDArray[np.floating]) -> Array:
        size, C, D = self.reached.shape
        W = np.empty((X.shape[0], C, C))
        for part in parts(X.shape[0], 2 * size * C + D):
            moved = (with_constant(X[part]) @ self.reached.reshape(-1, D).T).reshape(-1, size, C)
            W[part] = moved.transpose(0, 2, 1) @ moved / size
        return W


def sandwich(expansion: Expansion, T: SampleSum, n_candidates: int) -> Sandwich:
    """B T B, for so many candidates by whichever road is cheaper."""
    C, D = expansion.Q.shape[1], expansion.X.shape[1]
    sizes = len(T), len(expansion.X), D, C + 1
    if cost.square(*sizes, n_candidates) > cost.passes(*sizes, n_candidates):
        return Passes(expansion, T)
    m = C * D
    memory.ensure(32 * m * m, f"a goal's curvature in {m} parameters", "use utility=influence")
    TB = expansion.times_B(T.matrix())
    return Square(expansion.times_B(np.ascontiguousarray(TB.T)))


def unit_steps(expansion: Expansion, X: NDArray[np.floating]) -> Array:
    """B U of every row of X (N, d): (N, C, C, D), C directions and in each C rows of contrasts."""
    rows, C = with_constant(X), expansion.Q.shape[1]
    memory.ensure(
        24 * len(rows) * C * C * rows.shape[1],
        f"how {C + 1} classes and {rows.shape[1]} coordinates move with a candidate",
        "use utility=influence, or fewer classes",
    )
    pulls = np.eye(C)[None, :, :, None] * rows[:, None, None, :]
    return expansion.B.times(pulls.reshape(-1, C, rows.shape[1])).reshape(pulls.shape)

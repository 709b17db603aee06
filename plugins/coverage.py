"""A strategy that covers the pool: each sample is to be near one that is labelled.

==============  =========================  ==================================================
strategy        a round costs              chooses
==============  =========================  ==================================================
``maxherding``  N x ``covered`` distances  who brings most others nearer to a label
==============  =========================  ==================================================

Distances of every pair are worked out block by block and never held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import goralx
from goralx import Array, BadInput, Query, Rows, Selection
from goralx.core import parts
from goralx.data import blocks


@dataclass(frozen=True)
class MaxHerding(goralx.Strategy):
    """MaxHerding: who raises the generalised coverage of the candidates most, again and again.

    Bae, Noh and Sutherland (2024, "Generalized coverage for more robust low-budget active
    learning", arXiv:2407.12212): a sample is covered by the labelled one nearest to it, to
    k(x, z) = exp(-|x - z|^2 / ``scale``^2), and the batch greedily raises the mean. ``scale``
    null: the root of the candidates' total variance, which is 1 for vectors of unit length around
    0, as the authors' are. Of more than ``covered`` candidates so many, drawn each round, stand for
    all that are to be covered; any may be chosen. The utility is the gain before the batch.
    """

    scale: float | None = None
    covered: int = 10_000

    def __post_init__(self) -> None:
        if self.scale is not None and not (self.scale > 0 and np.isfinite(self.scale)):
            raise BadInput(f"strategy.scale={self.scale}; allowed: null, or a finite number > 0")
        if self.covered < 1:
            raise BadInput(f"strategy.covered={self.covered}; allowed: at least 1")

    def select(self, query: Query) -> Selection:
        N, rng, X = len(query.candidates), query.rng, query.X
        some = np.arange(N)
        if self.covered < N:
            some = np.sort(rng.choice(N, self.covered, replace=False))
        kernel = Kernel(X, in_double(X[some]), self.scale or spread(X))
        cover = kernel.nearest(query.candidates.known.X)
        gains = kernel.gains(np.arange(N), cover)
        bound, chosen = gains.copy(), []
        while len(chosen) < min(query.batch_size, N):
            chosen.append(self._best(kernel, bound, cover, rng, first=not chosen))
            bound[chosen] = -np.inf  # never again
            cover = np.maximum(cover, kernel.of(np.array(chosen[-1:]))[0])
        return Selection(np.array(chosen, dtype=np.intp), gains)

    def _best(
        self, kernel: Kernel, bound: Array, cover: Array, rng: np.random.Generator, first: bool
    ) -> int:
        """Whose gain is largest, drawn among equals; gains only fall, so that old ones bound new.

        Writes the new ones that it works out into ``bound`` (N,).
        """
        order = np.argsort(-bound, kind="stable")
        best, seen = -np.inf, 0
        while not first and seen < len(order) and bound[order[seen]] >= same_as(best):
            next_ones = order[seen : seen + AT_ONCE]
            next_ones = next_ones[np.isfinite(bound[next_ones])]
            if not len(next_ones):
                break
            bound[next_ones] = kernel.gains(next_ones, cover)
            best, seen = max(best, float(bound[next_ones].max())), seen + len(next_ones)
        return int(rng.choice(np.flatnonzero(bound >= same_as(float(bound.max())))))


AT_ONCE = 64
"""Candidates whose gains are brought up to date together."""


def same_as(best: float) -> float:
    """What equals the best gain, but for round-off."""
    return best - 1e-9 * abs(best)


@dataclass(frozen=True)
class Kernel:
    """k between candidates (N, d), dense, sparse or on disk, and what is to be covered (m, d)."""

    candidates: Any
    covered: Any
    scale: float

    def of(self, rows: Rows) -> Array:
        """k of these candidates and all that is to be covered: (n, m)."""
        from sklearn.metrics.pairwise import euclidean_distances

        distances = euclidean_distances(
            in_double(self.candidates[rows]), self.covered, squared=True
        )
        k: Array = np.exp(distances / -(self.scale**2))
        return k

    def gains(self, rows: Rows, cover: Array) -> Array:
        """What each of these candidates would add to the mean coverage (m,): (n,)."""
        gains, m = np.empty(len(rows)), len(cover)
        for b in parts(len(rows), m):
            gains[b] = np.maximum(self.of(rows[b]) - cover, 0.0).sum(axis=1) / m
        return gains

    def nearest(self, labelled: Any) -> Array:
        """How far each is covered by the labelled sample nearest to it: (m,)."""
        from sklearn.metrics import pairwise_distances_argmin_min

        far = pairwise_distances_argmin_min(self.covered, in_double(labelled))[1]
        k: Array = np.exp(far * far / -(self.scale**2))
        return k


def spread(X: Any) -> float:
    """The root of the total variance of X (N, d); 1 where nothing varies."""
    total, square, N = np.zeros(X.shape[1]), 0.0, X.shape[0]
    for b in blocks(N):
        rows = in_double(X[b])
        total += np.asarray(rows.sum(axis=0)).ravel()
        square += float((rows.multiply(rows) if hasattr(rows, "multiply") else rows * rows).sum())
    variance = square / N - float((total / N) @ (total / N))
    return float(np.sqrt(variance)) if variance > 1e-12 * square / N else 1.0


def in_double(X: Any) -> Any:
    """The same features, in memory and in double precision."""
    return X[:].astype(np.float64)


@goralx.hookimpl
def register_strategies(register):
    register("maxherding", MaxHerding)

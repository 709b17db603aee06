"""Initial sets: who is labelled before the first query.

==============  =======================================  ============  =================
initial set     takes                                    sees labels   features on disk
==============  =======================================  ============  =================
``given``       what the data set brings                 as that does  yes
``random``      anybody                                  no            yes
``stratified``  of each class its share                  yes           yes
``kmeans``      the nearest to each of ``size`` means    no            no
``kcenter``     the farthest from those taken so far     no            yes
``density``     the densest, each another neighbourhood  no            no
``one_class``   one class alone                          yes           yes
==============  =======================================  ============  =================

All are drawn by the seed, from what the data set has for init and pool; the test set stays. They
see features as they are: standardise them. Sparse ones will do.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

import goralx
from goralx import Array, BadInput, Beginning, Incompatible, Rows, top_b
from goralx.data import blocks


@dataclass(frozen=True)
class Random(goralx.InitialSet):
    """A uniform draw, without a look at the labels: some class may have none."""

    size: int | None = None

    def choose(self, asked: Beginning) -> Rows:
        return asked.rng.permutation(len(asked))[: asked.size]


@dataclass(frozen=True)
class Stratified(goralx.InitialSet):
    """Of each class its share of the samples, drawn within it: looks at labels nobody has yet.

    Shares are rounded to the largest remainder; in a small set a rare class may have none.
    ``balanced``: as many of each class instead, as far as they go.
    """

    needs_labels: ClassVar[bool] = True

    size: int | None = None
    balanced: bool = False

    def choose(self, asked: Beginning) -> Rows:
        assert asked.y is not None
        of_class = [np.flatnonzero(asked.y == k) for k in range(len(asked.classes))]
        there = np.array([len(rows) for rows in of_class])
        counts = self._counts(there, asked.size, asked.rng)
        drawn = [asked.rng.permutation(rows)[:n] for rows, n in zip(of_class, counts, strict=True)]
        return np.concatenate(drawn)

    def _counts(self, there: Rows, size: int, rng: np.random.Generator) -> Rows:
        """How many of each class (K,), of those that are ``there``; ties at random."""
        if not self.balanced:
            share = there * (size / there.sum())
            counts = np.floor(share).astype(np.int64)
            order = np.lexsort((rng.random(len(there)), counts - share))
            counts[order[: size - counts.sum()]] += 1
            return counts
        counts = np.zeros_like(there)
        while counts.sum() < size:
            open_to = rng.permutation(np.flatnonzero(counts < there))
            counts[open_to[: size - counts.sum()]] += 1
        return counts


@dataclass(frozen=True)
class KMeans(goralx.InitialSet):
    """The nearest sample to each of ``size`` cluster means: spread, and typical of where many are.

    scikit-learn's k-means, by mini-batches for more than 50 clusters.
    """

    size: int | None = None

    def choose(self, asked: Beginning) -> Rows:
        from sklearn.cluster import KMeans, MiniBatchKMeans
        from sklearn.exceptions import ConvergenceWarning

        in_memory(asked, "kmeans")
        seed, X = int(asked.rng.integers(2**31 - 1)), asked.X[:]
        kind = KMeans if asked.size <= 50 else MiniBatchKMeans
        with warnings.catch_warnings():  # fewer different samples than clusters are no fault
            warnings.simplefilter("ignore", ConvergenceWarning)
            means = kind(asked.size, n_init=1, random_state=seed).fit(X).cluster_centers_
        chosen: list[int] = []
        for mean in means:
            distance = squared_distances(X, mean[None, :])
            distance[chosen] = np.nan  # nobody stands for two
            chosen.append(int(top_b(-distance, 1, asked.rng)[0]))
        return np.array(chosen)


@dataclass(frozen=True)
class KCenter(goralx.InitialSet):
    """One at random, then always the sample that is farthest from all those chosen.

    Gonzalez (1985, doi:10.1016/0304-3975(85)90224-5): nobody is left more than twice as far from
    one that is labelled as need be. Outliers come early.
    """

    size: int | None = None

    def choose(self, asked: Beginning) -> Rows:
        chosen = [int(asked.rng.integers(len(asked)))]
        distance = np.full(len(asked), np.inf)
        while len(chosen) < asked.size:
            distance = np.minimum(distance, squared_distances(asked.X, asked.X[chosen[-1:]]))
            distance[chosen] = np.nan  # never again
            chosen.append(int(top_b(distance, 1, asked.rng)[0]))
        return np.array(chosen)


@dataclass(frozen=True)
class Density(goralx.InitialSet):
    """The samples in the densest places, of each neighbourhood the densest first.

    Dense is who is near its ``neighbours`` nearest, by their mean distance. The neighbours of one
    that is chosen are passed over as long as there are others.
    """

    size: int | None = None
    neighbours: int = 20

    def __post_init__(self) -> None:
        if self.neighbours < 1:
            raise BadInput(f"initial.neighbours={self.neighbours}; allowed: at least 1")

    def choose(self, asked: Beginning) -> Rows:
        from sklearn.neighbors import NearestNeighbors

        in_memory(asked, "density")
        count = min(self.neighbours, len(asked) - 1)
        search = NearestNeighbors(n_neighbors=count).fit(asked.X[:])
        distance, near = search.kneighbors()  # without arguments: nobody is its own neighbour
        far = distance.mean(axis=1)
        order = np.lexsort((asked.rng.random(len(far)), far))
        free, chosen = np.ones(len(far), bool), np.zeros(len(far), bool)
        while chosen.sum() < asked.size:
            for place in order:
                if chosen.sum() == asked.size:
                    break
                if free[place]:
                    chosen[place] = True
                    free[place], free[near[place]] = False, False
            free = ~chosen  # all are near one that is chosen: from the beginning again
        return np.flatnonzero(chosen)


@dataclass(frozen=True)
class OneClass(goralx.InitialSet):
    """All of one class, so that every other has to be discovered: looks at labels nobody has yet.

    ``label`` names the class; if null, one is drawn among those with enough samples.
    """

    needs_labels: ClassVar[bool] = True

    size: int | None = None
    label: str | None = None

    def choose(self, asked: Beginning) -> Rows:
        assert asked.y is not None
        if self.label is not None and self.label not in asked.classes:
            raise BadInput(f"initial.label={self.label}; the classes: {', '.join(asked.classes)}")
        there = np.bincount(asked.y, minlength=len(asked.classes))
        enough = np.flatnonzero(there >= asked.size)
        if self.label is None and len(enough):
            label = int(asked.rng.choice(enough))
        else:
            label = int(there.argmax()) if self.label is None else asked.classes.index(self.label)
        if there[label] < asked.size:
            raise BadInput(
                f"initial.size={asked.size}; class {asked.classes[label]!r} has {there[label]} "
                "samples outside the test set"
            )
        return asked.rng.permutation(np.flatnonzero(asked.y == label))[: asked.size]


def in_memory(asked: Beginning, name: str) -> None:
    """Refuse features that are read from disk, for what needs all of them at once."""
    if getattr(asked.X, "on_disk", False):
        raise Incompatible(
            f"initial={name} needs all features at once, and these are read from disk; use "
            "initial=kcenter, random or stratified"
        )


def squared_distances(X: Any, x: Any) -> Array:
    """Of every row of X (N, d), dense, sparse or on disk, to x (1, d): (N,)."""
    from sklearn.metrics.pairwise import euclidean_distances

    def far(part: Any) -> Array:
        return np.asarray(euclidean_distances(part, x, squared=True)[:, 0], dtype=np.float64)

    return over_blocks(X, far)


def over_blocks(X: Any, of: Callable[[Any], Array]) -> Array:
    """What ``of`` says of every row of X (N, d), asked block by block: (N,)."""
    return np.concatenate([of(X[block]) for block in blocks(X.shape[0])])


@goralx.hookimpl
def register_initial_sets(register):
    register("given", goralx.Given)
    register("random", Random)
    register("stratified", Stratified)
    register("kmeans", KMeans)
    register("kcenter", KCenter)
    register("density", Density)
    register("one_class", OneClass)

"""Strategies that spread the batch: over the features, over gradients, over clusters.

=============  ==============================  ================================================
strategy       a round costs                   chooses
=============  ==============================  ================================================
``kcenter``    N (n + b) distances             who is farthest from all that is labelled
``badge``      N b products of gradients       who would move the model, each another way
``typiclust``  a k-means with n + b clusters   who is typical of a cluster without a label
=============  ==============================  ================================================

None holds numbers of every pair of candidates. They see features as they are: standardise them.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

import goralx
from goralx import Array, BadInput, Incompatible, Query, Rows, Selection, top_b
from goralx.data import blocks


@dataclass(frozen=True)
class KCenter(goralx.Strategy):
    """Core-set: the candidate farthest from all that is labelled or chosen, again and again.

    The greedy k-center of Sener and Savarese (2018, arXiv:1708.00489), in Euclidean distance
    between features: no candidate is left more than twice as far from a label as it need be. The
    utility is the distance to what is labelled before the batch. Outliers are liked best.
    """

    def select(self, query: Query) -> Selection:
        from sklearn.metrics import pairwise_distances_argmin_min

        labelled = query.candidates.known.X
        utility = over_blocks(query.X, lambda X: pairwise_distances_argmin_min(X, labelled)[1])
        distance, chosen = utility.copy(), []
        while len(chosen) < min(query.batch_size, len(utility)):
            chosen.append(int(top_b(distance, 1, query.rng)[0]))
            distance = np.minimum(distance, np.sqrt(squared_distances(query.X, chosen[-1])))
            distance[chosen] = np.nan  # never again
        return Selection(np.array(chosen), utility)


@dataclass(frozen=True)
class Badge(goralx.Strategy):
    """k-means++ on the gradients that the likeliest labels would give (BADGE).

    A candidate is the gradient of its log loss under the model's own label with respect to a last
    layer on the features, g = (p - e_y) x', x with its constant 1 (Ash et al. 2020,
    arXiv:1906.03671): long where the model is unsure. The longest comes first, as in the authors'
    code, each other at random by its squared distance to those chosen. The utility is the length.
    """

    def select(self, query: Query) -> Selection:
        residual = np.exp(query.log_P.astype(np.float64))
        residual[np.arange(len(residual)), query.log_P.argmax(axis=1)] -= 1.0
        reach = over_blocks(query.X, lambda X: products(X, X)) + 1.0
        norms = (residual * residual).sum(axis=1) * reach
        utility, rng = np.sqrt(norms), query.rng
        chosen = [int(top_b(utility, 1, rng)[0])]
        distance, free = np.full(len(norms), np.inf), np.ones(len(norms), bool)
        while len(chosen) < min(query.batch_size, len(norms)):
            last = chosen[-1]
            free[last] = False
            x = query.X[[last]]
            along = over_blocks(query.X, lambda X, x=x: products(X, x)) + 1.0
            overlap = (residual @ residual[last]) * along
            squared = norms + norms[last] - 2.0 * overlap
            squared[squared < 1e-12 * (norms + norms[last])] = 0.0  # the same, but for round-off
            distance = np.minimum(distance, squared)
            odds = distance * free
            odds = odds if odds.sum() > 0.0 else free.astype(float)
            chosen.append(int(rng.choice(len(odds), p=odds / odds.sum())))
        return Selection(np.array(chosen), utility)


@dataclass(frozen=True)
class TypiClust(goralx.Strategy):
    """The most typical of the largest clusters that have no label: for the very first batches.

    k-means over labelled samples and candidates, as many clusters as there will be labels, at most
    ``max_clusters``; those with the fewest labels come first, of them the largest. Typical is who
    is near its nearest ``neighbours`` in its cluster (Hacohen, Dekel and Weinshall 2022,
    arXiv:2202.02794). Clusters of fewer than ``min_size`` samples come after all others.
    """

    neighbours: int = 20
    min_size: int = 5
    max_clusters: int = 500

    def __post_init__(self) -> None:
        for name in ("neighbours", "min_size", "max_clusters"):
            if getattr(self, name) < 1:
                raise BadInput(f"strategy.{name}={getattr(self, name)}; allowed: at least 1")

    def select(self, query: Query) -> Selection:
        n, b = len(query.candidates.known), min(query.batch_size, len(query.candidates))
        cluster = self._clusters(query)
        of_known, left = cluster[:n], cluster[n:]
        sizes = np.bincount(cluster)
        covered = np.bincount(of_known, minlength=len(sizes))
        order = np.lexsort((query.rng.random(len(sizes)), -sizes, covered))
        large = sizes[order] >= self.min_size
        chosen: list[int] = []
        for tier in (order[large], order[~large]):
            while len(chosen) < b:
                found = [self._typical(query, left, int(c)) for c in tier[: b - len(chosen)]]
                found = [place for place in found if place is not None]
                left[found] = -1
                chosen += found
                tier = tier[np.isin(tier, left)]
                if not len(tier):
                    break
        return Selection(np.array(chosen, dtype=np.intp))

    def _clusters(self, query: Query) -> Rows:
        """The cluster of every labelled sample, then of every candidate."""
        from sklearn.cluster import KMeans, MiniBatchKMeans
        from sklearn.exceptions import ConvergenceWarning

        if getattr(query.X, "on_disk", False):
            raise Incompatible(
                "strategy=typiclust clusters all features at once, and these are read from disk; "
                "use strategy=kcenter or badge"
            )
        # labels do not matter here, only that the rows are put together
        unlabelled = goralx.Labelled(query.X, np.zeros(len(query.candidates), dtype=np.intp))
        X = query.candidates.known.and_(unlabelled).X
        count = min(len(query.candidates.known) + query.batch_size, self.max_clusters, X.shape[0])
        kind = KMeans if count <= 50 else MiniBatchKMeans  # as the authors do
        with warnings.catch_warnings():  # fewer different samples than clusters are no fault
            warnings.simplefilter("ignore", ConvergenceWarning)
            found: Rows = (
                kind(count, n_init=1, random_state=query.seed).fit_predict(X).astype(np.intp)
            )
        return found

    def _typical(self, query: Query, cluster: Rows, which: int) -> int | None:
        """The place of the most typical candidate of a cluster; None if none is left there."""
        places = np.flatnonzero(cluster == which)
        if len(places) < 2:
            return int(places[0]) if len(places) else None
        from sklearn.neighbors import NearestNeighbors

        count = min(self.neighbours, max(1, len(places) // 2))
        search = NearestNeighbors(n_neighbors=count).fit(query.X[places])
        far = search.kneighbors()[0].mean(axis=1)  # without arguments: nobody is its own neighbour
        return int(places[top_b(-far, 1, query.rng)[0]])


def over_blocks(X: Any, of: Any) -> Array:
    """What ``of`` says of every row of X (N, d), asked block by block: (N,), float64."""
    return np.concatenate([np.asarray(of(X[b]), dtype=np.float64) for b in blocks(X.shape[0])])


def squared_distances(X: Any, place: int) -> Array:
    """Of every row of X (N, d), dense or sparse, to one of them: (N,)."""
    from sklearn.metrics.pairwise import euclidean_distances

    x = X[[place]]
    return over_blocks(X, lambda part: euclidean_distances(part, x, squared=True)[:, 0])


def products(X: Any, Z: Any) -> Array:
    """x'z of every row of X with its row of Z, or with the only one: (N,), float64."""
    if hasattr(X, "multiply"):  # sparse
        if Z.shape[0] == X.shape[0]:
            return np.asarray(X.astype(np.float64).multiply(Z).sum(axis=1)).ravel()
        return np.asarray((X.astype(np.float64) @ Z.T.astype(np.float64)).toarray()).ravel()
    X, Z = X.astype(np.float64), np.broadcast_to(Z, X.shape).astype(np.float64)
    summed: Array = np.einsum("nd,nd->n", X, Z)
    return summed


@goralx.hookimpl
def register_strategies(register):
    register("kcenter", KCenter)
    register("badge", Badge)
    register("typiclust", TypiClust)

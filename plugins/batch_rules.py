"""Batch rules: how a batch is put together from what each candidate is worth on its own.

==============  =======================  =======================================================
batch           beside the scoring       use it
==============  =======================  =======================================================
``top``         nothing                  as the paper does; while batches are small beside n
``sequential``  ``batch_size`` scorings  where the best say the same: few labels, large batches
``gumbel``      nothing                  many classes; where the best are near-duplicates
``kmeanspp``    a matrix product         the same, by measure instead of by chance
==============  =======================  =======================================================
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

import goralx
from goralx import Array, BadInput, Candidates, Query, Rows, Scores, Selection, top_b
from goralx.core import with_constant


@dataclass(frozen=True)
class Top(goralx.BatchRule):
    """The highest utilities: to first order the best batch there is (Remark 2).

    Beyond first order they overlap: samples that all fix the same mistake fix it once.
    """

    utility_only: ClassVar[bool] = True

    def choose(self, query: Query) -> Rows:
        return top_b(query.scores.utility, query.batch_size, query.rng)


@dataclass(frozen=True)
class Sequential(goralx.BatchRule):
    """The best; then the best once it is labelled, with a label made up; and so on.

    ``fantasy``: "argmax" is the likeliest label under the operator's beliefs, for an operator that
    is told the truth the true one; "optimistic" the label of the highest utility. The model moves
    by the proximal step and its curvature by a low-rank update, no refit (`goralx.core.fantasy`);
    under ``regime=fixed_lambda`` every sample costs a factorisation. A model without a curvature in
    closed form is fit anew. Only candidates that the
    estimator looked at are scored again. A design criterion asks no label: then it is BAIT's
    forward pass (Ash et al. 2021, arXiv:2106.09675).

    What each is predicted to add, those before it labelled, is its gain: summed, the batch's.
    A wrong label misleads the rest of its batch: the gain is large for an oracle, less for others.
    """

    fantasy: str = "argmax"

    def __post_init__(self) -> None:
        if self.fantasy not in ("argmax", "optimistic"):
            raise BadInput(f"batch.fantasy={self.fantasy}; allowed: argmax, optimistic")

    def choose(self, query: Query) -> Rows:
        return self.select(query).rows

    def select(self, query: Query) -> Selection:
        scores, left = query.scores, query.scores.looked_at
        asked = query.candidates.subset(left)
        scores = replace(scores, utility=scores.utility[left], looked_at=np.arange(len(left)))
        chosen: list[int] = []
        gains: list[float] = []
        while True:
            worth = np.zeros(len(left)) if scores.vacuous else scores.utility
            best = int(top_b(worth, 1, query.rng)[0])
            chosen.append(int(left[best]))
            gains.append(float(scores.utility[best]))
            if len(chosen) == query.batch_size or len(left) == 1:
                return Selection(np.array(chosen), query.scores.utility, np.array(gains))
            label = self._label(scores, best)
            left, asked = np.delete(left, best), asked.inserted(best, label, query.scorer.regime)
            scores = query.scorer(asked)

    def _label(self, scores: Scores, best: int) -> int | None:
        if scores.log_Q is None:
            return None
        liked = scores.U if self.fantasy == "optimistic" else scores.log_Q
        return int(liked[np.searchsorted(scores.looked_at, best)].argmax())


@dataclass(frozen=True)
class Gumbel(goralx.BatchRule):
    """The highest of beta z + Gumbel noise, z the standardised utility (Kirsch et al. 2023).

    A draw without replacement with odds exp(beta z): near-duplicates rarely come together, at no
    cost (arXiv:2106.12059). ``beta`` = 0 is at random, infinity is ``top``; it has no scale-free
    best value.
    """

    utility_only: ClassVar[bool] = True

    beta: float = 2.0

    def __post_init__(self) -> None:
        if not (self.beta >= 0 and np.isfinite(self.beta)):
            raise BadInput(f"batch.beta={self.beta}; allowed: a finite number, at least 0")

    def choose(self, query: Query) -> Rows:
        utility = query.scores.utility
        noise = query.rng.gumbel(size=len(utility))
        deviation = np.nanstd(utility)
        if not deviation > 0:
            return top_b(np.where(np.isnan(utility), utility, noise), query.batch_size, query.rng)
        z = (utility - np.nanmean(utility)) / deviation
        return top_b(self.beta * z + noise, query.batch_size, query.rng)


@dataclass(frozen=True)
class KMeansPlusPlus(goralx.BatchRule):
    """The best, then at random by utility times squared distance to what is chosen.

    BADGE's k-means++ (Ash et al. 2020, arXiv:1906.03671) with influence as the distance: a
    candidate is where its likeliest label would move the model, e = B^(1/2) U r, r = p - e_y, in
    the metric of what is labelled. Drawn from the ``oversample`` times batch_size highest
    utilities, weighted by their height above the lowest of them. Two samples with opposite labels
    are far apart even where one of them would do.
    """

    needs_model: ClassVar[frozenset[str]] = frozenset({"derivatives"})

    oversample: int = 20

    def __post_init__(self) -> None:
        if self.oversample < 1:
            raise BadInput(f"batch.oversample={self.oversample}; allowed: at least 1")

    def choose(self, query: Query) -> Rows:
        utility, rng = query.scores.utility, query.rng
        best = top_b(utility, self.oversample * query.batch_size, rng)
        weight = utility[best] - utility[best].min()
        gradients, moves = self._moves(query, best)
        norms = (gradients * moves).sum(axis=1)
        distance = np.full(len(best), np.inf)
        chosen = [0]
        free = np.arange(len(best)) > 0
        while len(chosen) < min(query.batch_size, len(best)):
            last = chosen[-1]
            squared = norms + norms[last] - 2.0 * (moves @ gradients[last])
            distance = np.minimum(distance, np.maximum(squared, 0.0))
            odds = weight * distance, weight, distance, np.ones(len(best))
            chosen.append(_draw(odds, free, rng))
            free[chosen[-1]] = False
        return best[chosen]

    def _moves(self, query: Query, places: Rows) -> tuple[Array, Array]:
        """g = U r and B g (n, m) of each: |e_i - e_j|^2 is (g_i - g_j)' B (g_i - g_j)."""
        scores, asked = query.scores, query.candidates.subset(places)
        likeliest = asked.log_P.argmax(axis=1)
        if scores.log_Q is not None:
            likeliest = scores.log_Q[np.searchsorted(scores.looked_at, places)].argmax(axis=1)
        residual = np.exp(asked.log_P)
        residual[np.arange(len(asked)), likeliest] -= 1.0
        if not asked.can("expansion"):
            return self._solved(asked, residual)
        around, rows = asked.model.expansion(query.scorer.regime), with_constant(asked.X)
        gradients = ((residual @ around.Q)[:, :, None] * rows[:, None, :]).reshape(len(asked), -1)
        return gradients, around.times_B(gradients)

    def _solved(self, asked: Candidates, residual: Array) -> tuple[Array, Array]:
        """The same by a solve for each, of a model that can."""
        model, pairs = asked.model, []
        for i in range(len(asked)):
            g = model.pullback(with_constant(asked.X[i : i + 1])[:, :-1], residual[i : i + 1])
            pairs.append((g.ravel(), model.solve(g).x.ravel() / model.n_labelled))
        gradients, moves = zip(*pairs)
        return np.stack(gradients), np.stack(moves)


def _draw(weights: tuple[Array, ...], free: Array, rng: np.random.Generator) -> int:
    """A free place at random, by the first of these weights (n,) that tells any of them apart."""
    odds = next(w for w in (weight * free for weight in weights) if w.sum() > 0.0)
    return int(rng.choice(len(odds), p=odds / odds.sum()))


@goralx.hookimpl
def register_batch_rules(register):
    register("top", Top)
    register("sequential", Sequential)
    register("gumbel", Gumbel)
    register("kmeanspp", KMeansPlusPlus)

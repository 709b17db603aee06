"""Strategies that look for what the model does not know, beyond its own uncertainty.

===========  ======================  ========================================================
strategy     a round costs           chooses
===========  ======================  ========================================================
``density``  a pass over features    who is uncertain, and like many others
``qbc``      ``members`` fits        whom a committee of refits disagrees about
``bald``     curvature and sampling  whose label says most about the parameters
===========  ======================  ========================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.linalg import cholesky
from scipy.special import log_softmax, logsumexp, xlogy

import goralx
from goralx import (
    Array,
    BadInput,
    FittedModel,
    Incompatible,
    Labelled,
    Query,
    Reference,
    Rows,
    Selection,
)
from goralx.data import blocks


@dataclass(frozen=True)
class Density(goralx.Strategy):
    """Information density: entropy times mean similarity to the candidates, to the power ``beta``.

    Settles and Craven (2008, "An analysis of active learning strategies for sequence labeling
    tasks", EMNLP), with the similarity (1 + cosine) / 2, which is never negative whatever the
    features are centred on; its mean takes one pass and no pairs. ``beta`` = 0 is entropy alone.
    """

    beta: float = 1.0

    def __post_init__(self) -> None:
        if not (self.beta >= 0 and np.isfinite(self.beta)):
            raise BadInput(f"strategy.beta={self.beta}; allowed: a finite number, at least 0")

    def select(self, query: Query) -> Selection:
        log_P = query.log_P.astype(np.float64)
        entropy = -(np.exp(log_P) * log_P).sum(axis=1)
        return query.top(entropy * mean_similarity(query.X) ** self.beta)


@dataclass(frozen=True)
class Committee(goralx.Strategy):
    """Query by committee: the samples that refits of the model to bootstrap samples disagree about.

    ``members`` fits of the run's own model, each to as many labelled samples as there are, drawn
    with replacement, one of every class among them. ``measure``: "kl" is the mean divergence of a
    member from the committee's mean prediction (McCallum and Nigam 1998), "vote_entropy" the
    entropy of their votes (Dagan and Engelson 1995).
    """

    members: int = 5
    measure: str = "kl"

    def __post_init__(self) -> None:
        if self.members < 2:
            raise BadInput(f"strategy.members={self.members}; allowed: at least 2")
        if self.measure not in ("kl", "vote_entropy"):
            raise BadInput(f"strategy.measure={self.measure}; allowed: kl, vote_entropy")

    def select(self, query: Query) -> Selection:
        total = np.zeros(query.log_P.shape)
        entropies = np.zeros(len(total))
        for fitted in self.fits(query):
            log_P = Reference(fitted, query.X).log_P.astype(np.float64)
            if self.measure == "kl":
                total += np.exp(log_P)
                entropies -= (np.exp(log_P) * log_P).sum(axis=1)
            else:
                total[np.arange(len(total)), log_P.argmax(axis=1)] += 1.0
        mean = total / self.members
        return query.top(-xlogy(mean, mean).sum(axis=1) - entropies / self.members)

    def fits(self, query: Query) -> Iterator[FittedModel]:
        """The members, one after the other."""
        candidates = query.candidates
        if candidates.learner is None:
            raise Incompatible("a committee is of the run's own model, and there is no learner")
        known = candidates.known
        for _ in range(self.members):
            drawn = bootstrap(known.y, query.rng)
            sample = Labelled(known.X[drawn], known.y[drawn])
            yield candidates.learner.fit(sample, candidates.model.n_classes)


@dataclass(frozen=True)
class Bald(goralx.Strategy):
    """BALD: how much a label is expected to say about the parameters, H(E p) - E H(p).

    Houlsby et al. (2011, arXiv:1112.5745), under Laplace's approximation: logits are normal around
    the model's, with the covariance that its curvature gives; expectations are means over
    ``draws``, half of them the other half's mirror images, the same for every candidate.
    """

    draws: int = 64

    def __post_init__(self) -> None:
        if self.draws < 2 or self.draws % 2:
            raise BadInput(f"strategy.draws={self.draws}; allowed: even, at least 2")

    def select(self, query: Query) -> Selection:
        candidates = query.candidates
        if not candidates.can("expansion"):
            raise Incompatible(
                "strategy=bald needs the model's curvature, which "
                f"{type(candidates.learner).__name__} does not give; use model=softmax, or "
                "strategy=qbc"
            )
        model: Any = candidates.model
        around = model.expansion("fixed_C")
        half = query.rng.standard_normal((self.draws // 2, around.Q.shape[1]))
        noise = np.concatenate([half, -half])
        found = [
            information(query.log_P[b], around.leverage(query.X[b]), around.Q, noise)
            for b in blocks(len(candidates))
        ]
        return query.top(np.concatenate(found))


def mean_similarity(X: Any) -> Array:
    """(1 + cosine) / 2 of every row of X (N, d), dense or sparse, to all of them, mean: (N,)."""
    from sklearn.preprocessing import normalize

    cut = blocks(X.shape[0])
    total = sum(np.asarray(normalize(X[b].astype(np.float64)).sum(axis=0)).ravel() for b in cut)
    cosine = [normalize(X[b].astype(np.float64)) @ (total / X.shape[0]) for b in cut]
    return np.clip((1.0 + np.concatenate(cosine)) / 2.0, 0.0, 1.0)


def bootstrap(y: Rows, rng: np.random.Generator) -> Rows:
    """Places (n,) among labels (n,), drawn with replacement, one of every class among them."""
    firsts = [rng.choice(np.flatnonzero(y == label)) for label in np.unique(y)]
    return np.concatenate([firsts, rng.integers(len(y), size=len(y) - len(firsts))]).astype(np.intp)


def information(log_P: Array, S: Array, Q: Array, noise: Array) -> Array:
    """Mutual information (N,) of label and logits: log P plus Q L e, L L' = S (N, C, C), for each
    e of ``noise`` (draws, C).
    """
    with_jitter = S + 1e-12 * np.trace(S, axis1=1, axis2=2)[:, None, None] * np.eye(S.shape[1])
    scale = Q @ cholesky(with_jitter)
    total, entropies = np.full(log_P.shape, -np.inf), np.zeros(len(log_P))
    for e in noise:
        drawn = log_softmax(log_P.astype(np.float64) + scale @ e, axis=1)
        total = np.logaddexp(total, drawn)
        entropies -= (np.exp(drawn) * drawn).sum(axis=1)
    mean = total - logsumexp(total, axis=1, keepdims=True)
    summed: Array = -(np.exp(mean) * mean).sum(axis=1) - entropies / len(noise)
    return summed


@goralx.hookimpl
def register_strategies(register):
    register("density", Density)
    register("qbc", Committee)
    register("bald", Bald)

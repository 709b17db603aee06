"""Strategies that look for what the model does not know, beyond its own uncertainty.

===========  =======================  ======================================================
strategy     a round costs            chooses
===========  =======================  ======================================================
``density``  a pass over features     who is uncertain, and like many others
``qbc``      ``members`` fits         whom a committee of refits disagrees about
``bald``     curvature and sampling   whose label says most about the parameters
``epig``     those, N K ``draws``^2   whose label says most about the labels of others
===========  =======================  ======================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.linalg import cholesky
from scipy.special import log_softmax, logsumexp, softmax, xlogy

import goralx
from goralx import (
    Array,
    BadInput,
    Expansion,
    FittedModel,
    Incompatible,
    Labelled,
    Query,
    Reference,
    Rows,
    Selection,
)
from goralx.core import parts, with_constant
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
        candidates, around = query.candidates, curvature(query, "bald")
        half = query.rng.standard_normal((self.draws // 2, around.Q.shape[1]))
        noise = np.concatenate([half, -half])
        found = [
            information(query.log_P[b], around.leverage(query.X[b]), around.Q, noise)
            for b in blocks(len(candidates))
        ]
        return query.top(np.concatenate(found))


@dataclass(frozen=True)
class Epig(goralx.Strategy):
    """EPIG: how much a label is expected to say about the labels of samples of the pool.

    The expected predictive information gain of Bickford Smith et al. (2023, arXiv:2304.08151): the
    mutual information of a candidate's label and a target's, mean over ``targets`` samples drawn
    from the initial pool, in nats. Where BALD likes whatever the parameters do not know, EPIG asks
    whether anybody's prediction depends on it. Two labels say little about one another, so that
    their information is half their mean square contingency, the sum of cov^2 / (p p*). Of ``draws``
    of Laplace's posterior the squares have an unbiased estimate (Song et al. 2012, "Feature
    selection via dependence maximization", JMLR 13: 1393), whereas tables of means over draws
    overstate every pair by about (K - 1)^2 / (2 draws), and rank by that. On digits with 20 to 320
    labels ranks correlate with those of 40,000 draws by .93 to .98, of as many tables by .5 to .9.
    """

    targets: int = 1000
    draws: int = 512

    def __post_init__(self) -> None:
        for name, least in (("targets", 1), ("draws", 4)):
            if getattr(self, name) < least:
                raise BadInput(f"strategy.{name}={getattr(self, name)}; allowed: at least {least}")

    def select(self, query: Query) -> Selection:
        around, pool = curvature(query, "epig"), query.candidates.pool
        moves = around.draws(self.draws, query.rng)
        M, K = len(pool.X), query.log_P.shape[1]
        some = np.sort(query.rng.choice(M, min(self.targets, M), replace=False))
        alike, alone = np.zeros((self.draws, self.draws)), np.zeros(self.draws)
        for b in parts(len(some), 3 * K * self.draws):
            t = contingency(pool.X[some[b]], pool.log_P[some[b]], around.Q, moves)
            alike += t.reshape(-1, self.draws).T @ t.reshape(-1, self.draws) / len(some)
            alone += (t * t).sum(axis=(0, 1)) / len(some)
        np.fill_diagonal(alike, 0.0)
        gains = np.empty(len(query.candidates))
        for b in parts(len(gains), 3 * K * self.draws):
            x = contingency(query.X[b], query.log_P[b], around.Q, moves)
            gains[b] = 0.5 * dependence(x, alike, alone)
        return query.top(gains)


def curvature(query: Query, name: str) -> Expansion:
    """The labelled set around its optimum, of a model that can say."""
    candidates = query.candidates
    if not candidates.can("expansion"):
        raise Incompatible(
            f"strategy={name} needs the model's curvature, which "
            f"{type(candidates.learner).__name__} does not give; use model=softmax, or "
            "strategy=qbc"
        )
    model: Any = candidates.model
    around: Expansion = model.expansion("fixed_C")
    return around


def contingency(X: Any, log_P: Array, Q: Array, moves: Array) -> Array:
    """(p - mean) / sqrt(mean) of P(y | x) of X (n, d) under ``moves`` (draws, C, D): (n, K, draws).

    The sum of products of two of them, squared, is the mean square contingency of their labels.
    """
    moved = Q @ (with_constant(X) @ np.swapaxes(moves, 1, 2)).transpose(1, 2, 0)
    P = softmax(log_P.astype(np.float64)[:, :, None] + moved, axis=1)
    mean = P.mean(axis=2, keepdims=True)
    scaled: Array = (P - mean) / np.sqrt(np.maximum(mean, np.finfo(float).tiny))
    return scaled


def dependence(a: Array, alike: Array, alone: Array) -> Array:
    """Squared covariance (n,) of a (n, K, draws) and of what made ``alike``, estimated unbiasedly.

    ``alike`` (draws, draws) are products of the other's draws, 0 with themselves, and ``alone``
    (draws,) those with themselves. Song et al. (2012, Eq. 5), of what is centred already.
    """
    S, own = len(alone), (a * a).sum(axis=1)
    pairs = ((a @ alike) * a).sum(axis=(1, 2))
    spread = own.sum(axis=1) * alone.sum() / ((S - 1) * (S - 2)) - 2.0 / (S - 2) * (own @ alone)
    found: Array = (pairs + spread) / (S * (S - 3))
    return found


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
    register("epig", Epig)

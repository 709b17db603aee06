"""Small, fixed worlds that the checks put a component into, the same in every call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.special import log_softmax

from goralx.contracts import Candidates, FittedModel, Query, Reference, Scores, Strategy
from goralx.core import softmax_regression
from goralx.data import Array, Features, Labelled, Labels, Rows

CLASSES = (2, 5)
"""Numbers of classes that every check is repeated for: two are a special case in many formulae."""


@dataclass(frozen=True)
class Predictions:
    """What a goal sees: logits (M, K) and their log_P, features X (M, d), labels y (M,)."""

    logits: Array
    log_P: Array
    X: Features
    y: Labels

    def at(self, rows: Rows) -> Predictions:
        """The samples at these rows, in this order."""
        return Predictions(self.logits[rows], self.log_P[rows], self.X[rows], self.y[rows])


def predictions(K: int, M: int = 7, d: int = 3, dtype: DTypeLike = np.float64) -> Predictions:
    """Moderately certain predictions of M samples, in this precision."""
    rng = np.random.default_rng([K, M, d])
    logits = 2.0 * rng.normal(size=(M, K))
    X = rng.normal(size=(M, d)).astype(dtype)
    log_P = log_softmax(logits, axis=1).astype(dtype)
    return Predictions(logits, log_P, X, rng.integers(K, size=M))


def saturated(K: int, M: int = 7, d: int = 3, dtype: DTypeLike = np.float64) -> Predictions:
    """Predictions as certain as floating point can be: some probabilities are the least, some 0."""
    base = predictions(K, M, d, dtype)
    least = np.log(float(np.finfo(dtype).smallest_subnormal)) - 0.5
    depth = np.where(np.arange(M) % 2, -least, 1e4)[:, None]
    logits = -depth * np.ones((M, K))
    logits[np.arange(M), np.arange(M) % K] = 0.0
    log_P = log_softmax(logits, axis=1).astype(dtype)
    return Predictions(logits, log_P, base.X, base.y)


def labelled(K: int, n: int, d: int = 3, seed: int = 0) -> Labelled:
    """n samples of K overlapping Gaussian classes, nearly as many of each."""
    rng = np.random.default_rng([K, seed])
    y = rng.permutation(np.arange(n) % K)
    centres = np.random.default_rng(K).normal(size=(K, d))
    return Labelled(centres[y] + rng.normal(size=(n, d)), y)


def without_last(samples: Labelled, K: int) -> Labelled:
    """Those of all classes but the last of K."""
    seen = samples.y < K - 1
    return Labelled(samples.X[seen], samples.y[seen])


def class_names(K: int) -> tuple[str, ...]:
    """Of K classes: texts that are not their numbers."""
    return tuple(f"class {chr(ord('a') + k)}" for k in range(K))


def candidates(
    K: int = 3,
    n_candidates: int = 24,
    *,
    progress: float = 0.5,
    alike: bool = False,
    dtype: DTypeLike = np.float64,
    all_seen: bool = True,
) -> Candidates:
    """Candidates in a larger initial pool, seen through a fitted softmax regression.

    Every third pool sample is labelled already, so that positions among the candidates are not
    rows of the pool. ``alike`` makes all of them the same sample; ``dtype`` is the pool's. Unless
    ``all_seen`` the last class has no label yet.
    """
    size = n_candidates + (n_candidates + 1) // 2
    pool_X = labelled(K, size, seed=1).X
    if alike:
        pool_X = np.repeat(pool_X[:1], size, axis=0)
    known, learner = labelled(K, 8 * K), Learner()
    known = known if all_seen else without_last(known, K)
    rows = np.flatnonzero(np.arange(size) % 3 != 0)[:n_candidates]
    pool = Reference(learner.fit(known, K), pool_X.astype(dtype))
    return Candidates(pool, rows, known, progress, learner=learner)


def parts_of(asked: Candidates) -> dict[str, NDArray[Any] | None]:
    """The arrays of candidates that nobody is to write into, by the names an author knows."""
    theta = getattr(asked.model, "theta", None)
    return {
        "X": asked.pool.X,
        "log_P": asked.pool.log_P,
        "rows": asked.rows,
        "labelled.X": asked.labelled.X,
        "labelled.y": asked.labelled.y,
        "model.theta": theta,
    }


@dataclass(frozen=True)
class Learner:
    """Softmax regression, for components that fit again: with a penalty of ``l2`` that stays.

    Under ``fixed_C`` it is l2 / n. While a class has no label, intercepts are penalised, too.
    """

    l2: float = 0.05
    regime: str = "fixed_lambda"
    capabilities: frozenset[str] = frozenset(
        {"derivatives", "expansion", "logit_variance", "predictor"}
    )

    def fit(
        self, labelled: Labelled, n_classes: int, previous: FittedModel | None = None
    ) -> FittedModel:
        l2 = self.l2 / len(labelled) if self.regime == "fixed_C" else self.l2
        held = len(np.unique(labelled.y)) < n_classes
        fit = softmax_regression.fit(
            labelled.X, labelled.y, n_classes, l2=l2, penalize_intercept=held
        )
        return replace(fit, held=held)

    def restore(
        self, labelled: Labelled, n_classes: int, arrays: Mapping[str, NDArray[np.float64]]
    ) -> FittedModel:
        held = len(np.unique(labelled.y)) < n_classes
        fit = softmax_regression.restore(
            labelled.X, labelled.y, n_classes, arrays, penalize_intercept=held
        )
        return replace(fit, held=held)


def query(
    strategy: Strategy, batch_size: int, *, seed: int = 0, shift: int = 0, **options: Any
) -> Query:
    """A query over `candidates`, with utilities and true labels only if the strategy declares them.

    ``shift`` gives every candidate another true label.
    """
    asked = candidates(**options)
    K = asked.model.n_classes
    y_true = (np.arange(len(asked)) + shift) % K if strategy.needs_ground_truth else None
    scorer = _Scorer() if strategy.uses_goal else None
    rng, names = np.random.default_rng(seed), class_names(K)
    return Query(asked, batch_size, rng, y_true, scorer, classes=names)


def rule_query(batch_size: int, *, seed: int = 0, screened: bool = False, **options: Any) -> Query:
    """A query as a batch rule gets it; if ``screened``, every other candidate's utility is NaN."""
    generator = np.random.default_rng(seed)
    asked = candidates(**options)
    names = class_names(asked.model.n_classes)
    return Query(asked, batch_size, generator, score=_Scorer(screened), classes=names)


@dataclass(frozen=True)
class _Scorer:
    """Utilities that depend on a candidate's features and predictions alone."""

    screened: bool = False
    regime: str = "fixed_C"

    def __call__(self, candidates: Candidates, *, per_label: bool = False) -> Scores:
        U = np.exp(candidates.log_P) * np.tanh(candidates.X.sum(axis=1, keepdims=True))
        utility = U.max(axis=1)
        utility[self.screened & (candidates.rows % 3 == 1)] = np.nan
        seen = np.flatnonzero(~np.isnan(utility))
        return Scores(U[seen], utility, 1e-12, seen, log_Q=candidates.log_P[seen])

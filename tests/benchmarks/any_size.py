"""8. Any size: a cold query, whole runs, wide and sparse data, at the sizes of everyday problems.

A cold query (`goralx.query`, ent, max, influence, C = 1) is held against scikit-learn's
`LogisticRegression` fit and `predict_proba` on the same data, at the paper's two sizes against
scikit-activeml's uncertainty sampling, fit included. Classes are Gaussian clusters that overlap.
Memory is what the query adds at its peak to what the process held before, beside what log P and U
take.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

import goralx
from goralx import Instance

from .measure import Row, alternately, peak
from .problems import Sized, letter, rt_polarity
from .whole_run import B, goralx_run, skactiveml_run

COLD = 4.0
RUN = 0.5
PAPER = {"letter": (102, 0.7), "rt_polarity": (110, 0.5)}
SIZES = (  # pool, features, classes, labelled
    (10_000, 768, 10, 100),
    (10_000, 768, 10, 300),
    (10_000, 768, 10, 1_000),
    (50_000, 768, 100, 1_000),
    (20_000, 512, 1_000, 2_000),
)
SMOKE_SIZES = ((600, 48, 4, 20), (600, 48, 40, 120))


@dataclass(frozen=True)
class Problem:
    """Labelled samples and a pool, whose classes overlap."""

    X: Any
    y: np.ndarray
    pool: Any

    @classmethod
    def drawn(cls, N: int, d: int, K: int, n: int, dtype: Any = np.float64) -> Problem:
        rng = np.random.default_rng(0)
        centres = rng.standard_normal((K, d)) * (4.0 / np.sqrt(d))
        y = np.append(np.arange(K), rng.integers(0, K, size=n - K))
        hidden = rng.integers(0, K, size=N)
        X = (centres[y] + rng.standard_normal((n, d))).astype(dtype)
        pool = (centres[hidden] + rng.standard_normal((N, d))).astype(dtype)
        return cls(X, y, pool)

    def query(self) -> None:
        goralx.query(self.X, self.y, self.pool, batch_size=B, operator="max", C=1.0)

    def scikit_learn(self, C: float = 1.0) -> None:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=C, max_iter=1000).fit(self.X, self.y)
        model.predict_proba(self.pool)


def rows(smoke: bool) -> Iterator[Row]:
    for size in SMOKE_SIZES if smoke else SIZES:
        yield cold(*size)
    yield from papers(smoke)
    yield from runs(smoke)
    yield wide(smoke)
    yield from sparse_rows(smoke)


def cold(N: int, d: int, K: int, n: int) -> Row:
    problem = Problem.drawn(N, d, K, n)
    before = peak(lambda: None)
    memory = peak(problem.query) - before
    repeats = 3 if N * d * K < 1e9 else 1
    seconds = alternately({"ours": problem.query, "theirs": problem.scikit_learn}, repeats)
    return Row(
        8, f"cold query, {N:,} x {d}, {K:,} classes, {n:,} labels", seconds["ours"],
        "scikit-learn's fit and predict_proba", seconds["theirs"], COLD, peak_mb=memory,
        note=f"MB; log P and U take {2 * N * K * 8 / 2**20:.0f}",
    )  # fmt: skip


def papers(smoke: bool) -> Iterator[Row]:
    """A cold query at the paper's sizes against a cold round of uncertainty sampling."""
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import UncertaintySampling
    from sklearn.linear_model import LogisticRegression

    for sized, name in ((letter(smoke), "letter"), (rt_polarity(smoke), "rt_polarity")):
        n, target = PAPER[name]
        instance, K = sized.instance, sized.instance.n_classes
        order = np.concatenate([instance.init, np.random.default_rng(3).permutation(instance.pool)])
        known, X, truth = order[:n], instance.X[order], instance.y[order].astype(float)
        y = np.where(np.arange(len(order)) < n, truth, np.nan)
        given = instance.X[known], instance.y[known], instance.X[order[n:]]

        def ours(given: Any = given, C: float = sized.C) -> None:
            goralx.query(*given, batch_size=B, operator="max", C=C)

        def theirs(X: Any = X, y: Any = y, K: int = K, C: float = sized.C) -> None:
            solver = LogisticRegression(C=2 * C if K == 2 else C, max_iter=1000)
            model = SklearnClassifier(solver, classes=np.arange(K), random_state=0)
            strategy = UncertaintySampling(method="least_confident", random_state=0)
            strategy.query(X=X, y=y, clf=model, batch_size=B, fit_clf=True)

        seconds = alternately({"ours": ours, "theirs": theirs}, 3 if smoke else 15)
        yield Row(
            8, f"cold query, {name}, {n} labels", seconds["ours"],
            "scikit-activeml's, with its fit", seconds["theirs"], target,
        )  # fmt: skip


def clusters(N: int, d: int, K: int, n_init: int, rounds: int) -> Sized:
    rng = np.random.default_rng(1)
    y = np.append(np.repeat(np.arange(K), 8), rng.integers(0, K, size=N - 8 * K))
    centres = rng.standard_normal((K, d)) * (4.0 / np.sqrt(d))
    X = centres[y] + rng.standard_normal((N, d))
    drawn: Instance = goralx.make_instance(
        "clusters", X, y, rng=rng, n_init=n_init, n_test=N // 10, standardize=False
    )
    return Sized(drawn, 1.0, rounds, 1)


def runs(smoke: bool) -> Iterator[Row]:
    """Whole runs as in item 1, in the precision that a run has; the peer has numpy's."""
    sizes = ((800, 48, 4, 8), (800, 48, 40, 80)) if smoke else (
        (10_000, 768, 10, 20), (10_000, 384, 100, 200)
    )  # fmt: skip
    for N, d, K, n in sizes:
        sized = clusters(N, d, K, n, 3 if smoke else 100)
        single = sized.single
        memory = peak(lambda single=single: goralx_run(single))
        seconds = alternately(
            {
                "ours": lambda single=single: goralx_run(single),
                "theirs": lambda sized=sized: skactiveml_run(sized),
            },
            1,
        )
        yield Row(
            8, f"{N:,} x {d}, {K} classes: {sized.rounds} rounds of {B}, ent", seconds["ours"],
            "scikit-activeml", seconds["theirs"], RUN, peak_mb=memory,
        )  # fmt: skip


def wide(smoke: bool) -> Row:
    """Ten rounds of one sample on a table of genes: 72 samples of 7,129 features."""
    d = 300 if smoke else 7_129
    rng = np.random.default_rng(2)
    y = np.arange(72) % 2
    X = rng.standard_normal((72, d))
    X[:, :50] += 0.7 * y[:, None]
    instance = goralx.make_instance("genes", X, y, rng=rng, n_init=6, n_test=20)
    return timed(f"72 x {d:,}: 10 rounds of 1", instance, 1)


def sparse_rows(smoke: bool) -> Iterator[Row]:
    """Ten rounds of ten on bags of words, and a cold query beside scikit-learn's fit."""
    N, d = (500, 400) if smoke else (20_000, 20_000)
    rng = np.random.default_rng(3)
    y = np.arange(N) % 4
    X = sparse.random_array((N, d), density=0.005, rng=rng, format="csr")
    told = (y[:, None] * 50 + rng.integers(0, 50, (N, 3))).ravel()
    topics = sparse.coo_array((np.ones(3 * N), (np.repeat(np.arange(N), 3), told)), shape=(N, d))
    X = sparse.csr_array(X + topics.tocsr())
    instance = goralx.make_instance(
        "words", X, y, rng=rng, n_init=20, n_test=N // 10, standardize=False
    )
    yield timed(f"{N:,} x {d:,} sparse: 10 rounds of 10", instance, B)
    known, pool = np.arange(200), np.arange(200, N)
    problem = Problem(X[known], y[known], X[pool])
    before = peak(lambda: None)
    memory = peak(problem.query) - before
    seconds = alternately({"ours": problem.query, "theirs": problem.scikit_learn}, 3)
    yield Row(
        8, f"cold query, {N:,} x {d:,} sparse, 4 classes, 200 labels", seconds["ours"],
        "scikit-learn's fit and predict_proba", seconds["theirs"], peak_mb=memory,
        note=f"MB; the non-zeros take {X.nnz * 12 / 2**20:.0f}",
    )  # fmt: skip


def timed(what: str, instance: Instance, b: int) -> Row:
    """Ten rounds of the loop itself, as a run makes them."""
    build = goralx.build
    model, goal = build("model", "softmax"), build("goal", "ent")
    utility = goralx.GoalOrientedUtility(
        goal, build("operator", "max"), build("utility", "influence"), model
    )
    experiment = goralx.Experiment(
        instance, model, build("strategy", "goral"), utility, {"ent": goal}, "ent",
        batch_size=b, n_queries=10 * b, ceiling=False,
    )  # fmt: skip
    start = time.process_time()
    memory = peak(lambda: list(experiment.rounds()))
    return Row(8, what, time.process_time() - start, "seconds", 1.0, peak_mb=memory)

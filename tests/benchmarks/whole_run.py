"""1. A whole run: fit, goal gradient, solve, utilities of every sample and label, selection.

Held against the loops that people write: scikit-activeml's uncertainty sampling with scikit-learn's
logistic regression, and scikit-learn alone. Each follows its own queries. Features are in single
precision here, as in a run of goralx; the others are given double, as numpy has it, and single.
kappa, which a run logs besides, has a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from goralx import Candidates, FittedModel, Reference, top_b

from .measure import Row, alternately, peak
from .problems import Sized, letter, rt_polarity

B = 10
TARGETS = {"letter": (0.33, 1.1), "rt_polarity": (0.15, 1.1)}


def goralx_run(
    sized: Sized, goal: str = "ent", operator: str = "average", kappa: int = 0
) -> NDArray[np.int64]:
    """Rows in the order in which they were labelled."""
    instance, model = sized.instance, sized.model
    utility = sized.utility(goal, operator=operator, judged=kappa)
    rows, left = instance.init, np.ones(len(instance.pool), dtype=bool)
    rng, fitted = np.random.default_rng(0), None
    for t in range(sized.rounds):
        labelled = instance.labelled(rows)
        fitted = model.fit(labelled, instance.n_classes, previous=fitted)
        unlabelled = np.flatnonzero(left)
        pool = Reference(fitted, instance.pool_X)
        scores = utility(Candidates(pool, unlabelled, labelled, t / sized.rounds))
        best = unlabelled[top_b(scores.utility, B, rng)]
        left[best] = False
        rows = np.concatenate([rows, instance.pool[best]])
    return rows


def skactiveml_run(sized: Sized) -> None:
    """scikit-activeml 1.0: y holds NaN where nothing is labelled; its defaults but for C."""
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import UncertaintySampling
    from sklearn.linear_model import LogisticRegression

    instance, K = sized.instance, sized.instance.n_classes
    rows = np.concatenate([instance.init, instance.pool])
    X, truth = instance.X[rows], instance.y[rows].astype(float)
    y = np.where(np.arange(len(rows)) < len(instance.init), truth, np.nan)
    solver = LogisticRegression(C=_their_C(sized), max_iter=1000)
    model = SklearnClassifier(solver, classes=np.arange(K), random_state=0)
    strategy = UncertaintySampling(method="least_confident", random_state=0)
    for _ in range(sized.rounds):
        model.fit(X, y)
        chosen = strategy.query(X=X, y=y, clf=model, batch_size=B, fit_clf=False)
        y[chosen] = truth[chosen]


def bare_run(sized: Sized) -> None:
    """scikit-learn alone, warm-started: least confident first, nothing else."""
    from sklearn.linear_model import LogisticRegression

    instance = sized.instance
    rows, pool = instance.init, instance.pool
    model = LogisticRegression(C=_their_C(sized), max_iter=1000, warm_start=True)
    for _ in range(sized.rounds):
        model.fit(instance.X[rows], instance.y[rows])
        confidence = model.predict_proba(instance.X[pool]).max(axis=1)
        best = np.argpartition(confidence, B)[:B]
        rows, pool = np.concatenate([rows, pool[best]]), np.delete(pool, best)


def _their_C(sized: Sized) -> float:
    return 2.0 * sized.C if sized.instance.n_classes == 2 else sized.C


def rows(smoke: bool) -> Iterator[Row]:
    yield from compared("letter", letter(smoke))
    yield from compared("rt_polarity", rt_polarity(smoke))


def compared(name: str, sized: Sized) -> Iterator[Row]:
    single = sized.single
    memory = peak(lambda: goralx_run(single))
    seconds = alternately(
        {
            "ent": lambda: goralx_run(single),
            "ent, double": lambda: goralx_run(sized),
            "scikit-activeml": lambda: skactiveml_run(sized),
            "scikit-activeml, single": lambda: skactiveml_run(single),
            "bare scikit-learn": lambda: bare_run(sized),
            "bare scikit-learn, single": lambda: bare_run(single),
            "fir": lambda: goralx_run(single, "fir"),
            "dev": lambda: goralx_run(single, "dev"),
            "kappa": lambda: goralx_run(single, kappa=8),
        },
        sized.repeats,
    )
    run = f"{name}: {sized.rounds} rounds of {B}"
    for peer, target in zip(("scikit-activeml", "bare scikit-learn"), TARGETS[name], strict=True):
        for ours, theirs in (("ent", ""), ("ent", ", single"), ("ent, double", "")):
            other = f"{peer}{theirs}"
            yield Row(
                1, f"{run}, {ours}", seconds[ours], other, seconds[other], target, peak_mb=memory
            )  # fmt: skip
    for goal in ("fir", "dev"):
        yield Row(1, f"{run}, {goal}", seconds[goal], "ent", seconds["ent"], 1.1)
    yield Row(1, f"{run}, ent and kappa", seconds["kappa"], "ent", seconds["ent"])


def fitted_after(sized: Sized, n: int) -> tuple[FittedModel, NDArray[np.int64]]:
    """A fit to init and the pool's first samples, n in all, and the pool rows that are left."""
    instance = sized.instance
    known = n - len(instance.init)
    labelled = instance.labelled(np.concatenate([instance.init, instance.pool[:known]]))
    return sized.model.fit(labelled, instance.n_classes), np.arange(known, len(instance.pool))

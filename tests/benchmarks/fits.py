"""3. The fit, to a relative error of 1e-8 over the growing labelled set, and exact retraining."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from goralx import Labelled
from goralx.discovery import registry

from .measure import Row, alternately, peak
from .problems import Sized, letter, rt_polarity

TARGETS = {"letter": 1 / 3, "rt_polarity": 1 / 5}
RETRAINED = {20: 200.0, 384: 30.0, 768: 30.0}
LOOPED = 10  # candidates of the loop that are timed; it is the same work for each


def schedule(sized: Sized) -> list[NDArray[np.int64]]:
    """Labelled rows of every fit: init, then ten more each time, in a random order."""
    instance = sized.instance
    order = np.random.default_rng(3).permutation(instance.pool)
    return [np.concatenate([instance.init, order[: 10 * t]]) for t in range(sized.rounds + 1)]


def ours(sized: Sized) -> None:
    fitted = None
    for rows in schedule(sized):
        labelled = sized.instance.labelled(rows)
        fitted = sized.model.fit(labelled, sized.instance.n_classes, previous=fitted)


def lbfgs(sized: Sized) -> None:
    """scikit-learn's, warm-started, its tolerance being the mean gradient's."""
    from sklearn.linear_model import LogisticRegression

    instance, C = sized.instance, sized.C * (2.0 if sized.instance.n_classes == 2 else 1.0)
    model = LogisticRegression(C=C, tol=1e-8, max_iter=100_000, warm_start=True)
    for rows in schedule(sized):
        model.fit(instance.X[rows], instance.y[rows])


def retraining(d: int, candidates: int) -> tuple[float, float]:
    """Seconds of ours for all candidates under both labels, fit included, and of a loop, scaled."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    y = np.append([0, 1], rng.integers(0, 2, size=48))
    X = rng.normal(size=(50, d)) + 0.5 * y[:, None] * rng.normal(size=d) / np.sqrt(d) * 3
    X_new = rng.normal(size=(candidates, d))
    model = registry().build("model", "softmax", {"C": 0.1})

    def all_at_once() -> None:
        twice = np.repeat(X_new, 2, axis=0)[:, None, :]
        labels = np.tile([0, 1], candidates)[:, None]
        model.fit(Labelled(X, y), 2).retrained(twice, labels, "fixed_C")

    def loop() -> None:
        for x in X_new[:LOOPED]:
            for label in (0, 1):
                joined = np.concatenate([X, x[None]]), np.append(y, label)
                LogisticRegression(C=0.2, tol=1e-8, max_iter=100_000).fit(*joined)

    all_at_once()
    seconds = alternately({"ours": all_at_once, "loop": loop}, 5)
    return seconds["ours"], seconds["loop"] * candidates / LOOPED


def rows(smoke: bool) -> Iterator[Row]:
    yield compared("letter", letter(smoke))
    yield compared("rt_polarity", rt_polarity(smoke))
    candidates = 20 if smoke else 500
    for d, target in RETRAINED.items():
        mine, theirs = retraining(d, candidates)
        yield Row(
            3, f"retraining {candidates} x 2, d = {d}", mine, "a scikit-learn loop", theirs,
            target, ">=", note=f"{LOOPED} candidates of the loop timed, scaled",
        )  # fmt: skip


def compared(name: str, sized: Sized) -> Row:
    jobs = {"ours": lambda: ours(sized), "lbfgs": lambda: lbfgs(sized)}
    seconds = alternately(jobs, sized.repeats)
    return Row(
        3, f"{name}: {sized.rounds + 1} fits to 1e-8", seconds["ours"],
        "scikit-learn's warm lbfgs to 1e-8", seconds["lbfgs"], TARGETS[name],
        peak_mb=peak(lambda: ours(sized)),
    )  # fmt: skip

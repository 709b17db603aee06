"""2. The distance to the limit: both passes over the pool, against what the machine must do.

At rt-polarity's sizes that is reading the pool twice; the measured bandwidth is numpy's sum over
the same array. At letter's, where nothing waits for memory, the matrix products of both passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from goralx import Candidates, Reference
from goralx.core import influence
from goralx.discovery import registry

from .measure import Row, often, peak
from .problems import Sized, letter, rt_polarity
from .whole_run import fitted_after


def passes(sized: Sized) -> Callable[[], None]:
    """Predictions, entropy gradient and its pullback; then the utilities along some direction."""
    model, left = fitted_after(sized, 2 * len(sized.instance.init))
    X, goal = sized.instance.pool_X, registry().build("goal", "ent")
    labelled = sized.instance.labelled(sized.instance.init)
    v = influence.direction(model.theta, model.n_labelled)

    def both() -> None:
        pool = Reference(model, X)
        pool.pulled(goal)
        Candidates(pool, left, labelled, 0.0).first_order(v)

    return both


def read_twice(X: np.ndarray) -> float:
    """Seconds that reading the pool twice takes at the bandwidth of a plain sum."""
    flat = X.ravel()
    return 2.0 * often(lambda: flat @ flat, 9)  # one sweep, two multiplications a byte read


def products(sized: Sized) -> Callable[[], None]:
    """X theta' and X v', and nothing else; the third, X'G, is not counted."""
    X = sized.instance.pool_X
    theta = np.ones((sized.instance.n_classes, X.shape[1]), X.dtype)

    def both() -> None:
        theta @ X.T
        theta @ X.T

    return both


def rows(smoke: bool) -> Iterator[Row]:
    repeats = 3 if smoke else 15
    for sized, precision in ((rt_polarity(smoke).single, ""), (rt_polarity(smoke), ", double")):
        job = passes(sized)
        yield Row(
            2, f"rt_polarity: both passes{precision}", often(job, repeats),
            "reading the pool twice", read_twice(sized.instance.pool_X), 2.0, peak_mb=peak(job),
        )  # fmt: skip
    for sized, precision in ((letter(smoke).single, ""), (letter(smoke), ", double")):
        job = passes(sized)
        yield Row(
            2, f"letter: both passes{precision}", often(job, repeats),
            "the two matrix products", often(products(sized), repeats), 3.0, peak_mb=peak(job),
        )  # fmt: skip

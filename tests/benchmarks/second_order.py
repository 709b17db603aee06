"""6. Beyond first order over rt-polarity's full pool, in multiples of an influence round."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from goralx import Candidates, FittedModel, Reference

from .measure import Row, cpu, often, peak
from .problems import rt_polarity

TARGETS = {"lookahead": 300.0, "retrain": 1500.0}
SCREEN = 100


def rows(smoke: bool) -> Iterator[Row]:
    sized, n = rt_polarity(smoke).single, 20 if smoke else 110
    timed, screen = (20, 10) if smoke else (500, SCREEN)
    instance = sized.instance
    known = n - len(instance.init)
    labelled = instance.labelled(np.concatenate([instance.init, instance.pool[:known]]))
    left = np.arange(known, len(instance.pool))

    def fit() -> FittedModel:
        return sized.model.fit(labelled, instance.n_classes)

    def look(utility: str, rows: np.ndarray, **options: int) -> None:
        pool = Reference(fit(), instance.pool_X)
        sized.utility(utility=utility, **options)(Candidates(pool, rows, labelled, 0.0))

    fitting = often(fit, 5)
    first_order = often(lambda: look("influence", left), 5)
    rounds = {"influence": first_order}
    for utility, target in TARGETS.items():
        some = partial(look, utility, left[:timed])
        memory, rounds[utility] = peak(some), cpu(some) * len(left) / timed
        yield Row(
            6, f"rt_polarity: a {utility} round", rounds[utility], "an influence round",
            first_order, target, peak_mb=memory,
            note=f"{timed} candidates timed, scaled to {len(left)}",
        )  # fmt: skip
        screened = often(lambda: look(utility, left, screen=screen), 1)  # noqa: B023
        yield Row(
            6, f"rt_polarity: {utility}, screen={screen}", screened, "an influence round",
            first_order, 2.0 + target * screen / len(left),
        )  # fmt: skip
    near = cpu(lambda: look("implicit", left))
    yield Row(6, "rt_polarity: an implicit round", near, "an influence round", first_order)
    for utility, seconds in {**rounds, "implicit": near}.items():
        yield Row(
            6, f"rt_polarity: {utility}'s share of a round", seconds - fitting, "the round", seconds
        )

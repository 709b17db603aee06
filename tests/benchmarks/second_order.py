"""6. Beyond first order over rt-polarity's full pool, in multiples of an influence round."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from goralx import Candidates, Reference

from .measure import Row, cpu, often, peak
from .problems import rt_polarity

TARGETS = {"lookahead": 300.0, "retrain": 1500.0}


def rows(smoke: bool) -> Iterator[Row]:
    sized, n = rt_polarity(smoke), 20 if smoke else 110
    timed = 20 if smoke else 500
    instance = sized.instance
    known = n - len(instance.init)
    labelled = instance.labelled(np.concatenate([instance.init, instance.pool[:known]]))
    left = np.arange(known, len(instance.pool))

    def look(utility: str, rows: np.ndarray) -> None:
        model = sized.model.fit(labelled, instance.n_classes)
        pool = Reference(model, instance.pool_X)
        sized.utility(utility=utility)(Candidates(pool, rows, labelled, 0.0))

    first_order = often(lambda: look("influence", left), 5)
    for utility, target in TARGETS.items():
        some = partial(look, utility, left[:timed])
        memory, seconds = peak(some), cpu(some) * len(left) / timed
        yield Row(
            6, f"rt_polarity: a {utility} round", seconds, "an influence round", first_order,
            target, peak_mb=memory, note=f"{timed} candidates timed, scaled to {len(left)}",
        )  # fmt: skip

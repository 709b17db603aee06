"""synth2 by its clusters (Sec. 6.2, Fig. 5): who asked where, and when the trap was left."""

from __future__ import annotations

from typing import Any

import numpy as np

from .evidence import Evidence, mean
from .first_look import clusters
from .measures import Number
from .results import Results, Run

TARGET = 58 / 60
"""The paper's 0.966, of sixty test samples."""


def _asked(run: Run, name: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.asarray(clusters(run.queries[1]) == name)


def central_of_first(n: int) -> Number:
    """How many of the first ``n`` queries were central."""
    return lambda run: float(_asked(run, "central")[:n].sum())


def central_until(target: float) -> Number:
    """How many were central until the accuracy was there to stay."""

    def number(run: Run) -> float:
        n = run.needed(target)
        return float("nan") if np.isinf(n) else float(_asked(run, "central")[: int(n)].sum())

    return number


def share_of_first(name: str, n: int) -> Number:
    """Share of a pair among the first ``n`` queries."""
    return lambda run: float(_asked(run, name)[:n].mean())


def place(name: str) -> Number:
    """Where a pair's queries come on the average: 0 first, 1 last; NaN if it has none."""

    def number(run: Run) -> float:
        asked = _asked(run, name)
        places = np.flatnonzero(asked)
        return float(places.mean() / (len(asked) - 1)) if len(places) else float("nan")

    return number


def saved(results: Results, arm: str, baseline: str, target: float) -> Evidence:
    """Labels to the target, arm less baseline; dev labels counted where they are used."""
    pairs = results.paired(arm, baseline)
    return mean([x.needed(target) + x.n_dev - y.needed(target) for x, y in pairs])

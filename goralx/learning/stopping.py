"""What a stopping rule may read is measured here, and where it is heard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from goralx.contracts import FittedModel, History, Reference
from goralx.data import Features, Instance, Labels, streams

T = TypeVar("T")

STOP_SET = 2_000
"""Samples of the pool on which predictions are compared, at most."""


READABLE = ("n_labelled", "goal/", "change/", "dev/", "stop/", "utility/", "trust/", "audit/",
            "seconds/")  # fmt: skip
"""How names begin that rules may go by: nothing measured on test data, nothing by others."""
COST = "cost"
"""What answers took so far, which rules may go by, too."""


def readable(metrics: Mapping[str, T]) -> dict[str, T]:
    """Of a round's metrics, or of columns of them, what stopping rules may go by."""
    return {
        name: value for name, value in metrics.items() if name.startswith(READABLE) or name == COST
    }


LATER = ("utility/", "trust/", "audit/", "seconds/")
"""How names begin of what is measured after a round's stopping rule was asked."""


def as_asked(history: History, round: int) -> History:
    """The history that a rule was asked with in this round.

    Of the run's time then, only that it was no less than at the end of the round before.
    """
    columns = {}
    for name, column in history.up_to(round + 1).columns.items():
        columns[name] = column
        if name.startswith(LATER):
            columns[name] = np.append(column[:-1], np.nan)
    if "seconds/total" in columns:
        columns["seconds/total"][-1] = history["seconds/total"][round - 1] if round else 0.0
    return History(columns, history.goal)


def stop_set(instance: Instance, seed: int) -> Features:
    """Features of the samples of the initial pool on which predictions are compared."""
    n = len(instance.pool)
    if n <= STOP_SET:
        return instance.subset(instance.pool).X
    places = streams(seed, "stop").choice(n, size=STOP_SET, replace=False)
    return instance.subset(instance.pool[np.sort(places)]).X


def stability(model: FittedModel, before: FittedModel | None, X: Features) -> float:
    """Cohen's kappa of two models' predictions; NaN where there was none before."""
    if before is None:
        return float("nan")
    now, then = (Reference(m, X).log_P.argmax(axis=1) for m in (model, before))
    return kappa(now, then, model.n_classes)


def kappa(a: Labels, b: Labels, n_classes: int) -> float:
    """Cohen's kappa of two labellings (n,); 1 where they agree in a single class."""
    agree = float((a == b).mean())
    shares = [np.bincount(labels, minlength=n_classes) / len(labels) for labels in (a, b)]
    by_chance = float(shares[0] @ shares[1])
    return 1.0 if by_chance == 1.0 else (agree - by_chance) / (1.0 - by_chance)

"""The contract of a data set: where an instance comes from."""

from __future__ import annotations

import inspect
from typing import Any, Protocol, runtime_checkable

import numpy as np

from goralx.data import Instance


@runtime_checkable
class Dataset(Protocol):
    """Draws an `Instance`; the same generator state gives the same rows.

    One that is made of repeats, such as the published splits of a benchmark, may have a second
    parameter ``seed``: it is told the run's, and the same seed then gives the same repeat.
    """

    def instance(self, rng: np.random.Generator) -> Instance: ...


def drawn(dataset: Any, rng: np.random.Generator, seed: int) -> Instance:
    """The instance that a data set draws, told the seed if it asks."""
    told = {"seed": seed} if "seed" in inspect.signature(dataset.instance).parameters else {}
    instance: Instance = dataset.instance(rng, **told)
    return instance

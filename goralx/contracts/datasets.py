"""The contract of a data set: where an instance comes from."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from goralx.data import Instance


@runtime_checkable
class Dataset(Protocol):
    """Draws an `Instance`; the same generator state gives the same rows."""

    def instance(self, rng: np.random.Generator) -> Instance: ...

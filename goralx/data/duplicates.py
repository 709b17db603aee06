"""Samples that are there twice: told by their numbers, whichever rows they stand in.

A test sample that has a twin in the pool is one whose label may be asked for, though no row is in
both. Rows are compared by 64 bits each, a sum over features in which zeros add nothing, so that
sparse and dense rows are alike. Between a million rows and another million, that any two different
ones are taken for the same has a probability below 1e-7.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .instance import Instance
from .matrix import Rows, blocks
from .memory import as_matrix

MOST = 100_000_000
"""Features in all beyond which nobody looks: seconds, and a pass over what lies on disk."""

Bits = NDArray[np.uint64]


def count_twins(instance: Instance) -> dict[str, int] | None:
    """How many test samples have a twin in init, pool and dev; None where there is too much."""
    if instance.X.shape[0] * instance.X.shape[1] > MOST:
        return None
    hashed = row_hashes(instance.X)
    parts: dict[str, Rows] = {
        name: np.setdiff1d(getattr(instance, name), instance.test)
        for name in ("init", "pool", "dev")
    }
    return {
        f"{name} and test": int(np.isin(hashed[instance.test], hashed[rows]).sum())
        for name, rows in parts.items()
    }


def row_hashes(X: Any) -> Bits:
    """A number for each row (N,), equal where all features are."""
    odd = np.random.default_rng(0).integers(2**63, size=X.shape[1], dtype=np.uint64) * 2 + 1
    found = np.zeros(len(X), dtype=np.uint64)
    for block in blocks(len(X)):
        *lengths, values = as_matrix(X).numbers(block)
        if lengths:  # sparse: how many of each row, and in which columns
            counts, columns = lengths
            sums = np.zeros(len(values) + 1, dtype=np.uint64)
            np.cumsum(_mixed(values) * odd[columns], out=sums[1:])
            ends = np.cumsum(counts)
            found[block] = sums[ends] - sums[ends - counts]  # both wrap around
        else:
            found[block] = (_mixed(values) * odd).sum(axis=1, dtype=np.uint64)
    return found


def _mixed(values: NDArray[np.floating]) -> Bits:
    """Of each number 64 bits that all depend on all of its own; of zero none."""
    plain = np.ascontiguousarray(values, dtype=np.float64) + 0.0  # -0.0 is 0.0
    bits: Bits = plain.view(np.uint64)
    bits = (bits ^ (bits >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    bits = (bits ^ (bits >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return bits ^ (bits >> np.uint64(33))

"""One seed, many independent generators."""

from __future__ import annotations

import numpy as np


def streams(seed: int, name: str) -> np.random.Generator:
    """The generator called ``name`` in the tree of this seed.

    Streams are derived by name, so that a component more or less never moves another's numbers,
    and two runs with one seed share their instance whatever their strategy.
    """
    return np.random.default_rng(np.random.SeedSequence([seed, *name.encode()]))

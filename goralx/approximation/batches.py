"""The samples of a study, and its batches: which there are, and all their labellings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from goralx.data import Array, Instance, Rows
from goralx.errors import BadInput

MAX_DRAWS = 1000

Windows = NDArray[np.int64]


def draw(
    instance: Instance, n_labelled: int, n_pool: int, n_dev: int, rng: np.random.Generator
) -> Instance:
    """An instance of the study: random samples of pool and init take the parts, in random order.

    Draws in which a class has no labelled sample are thrown away. ``n_dev`` may be 0.
    """
    rows = np.sort(np.concatenate([instance.init, instance.pool]))
    asked = {"n_labelled": n_labelled, "n_pool": n_pool, "n_dev": n_dev}
    for name, least in (("n_labelled", instance.n_classes), ("n_pool", 3), ("n_dev", 0)):
        if asked[name] < least:
            raise BadInput(f"approximation.{name}={asked[name]}; allowed: at least {least}")
    if sum(asked.values()) > len(rows):
        listed = " + ".join(f"{name}={size}" for name, size in asked.items() if size)
        raise BadInput(
            f"approximation: {listed} are more than the {len(rows)} samples of dataset "
            f"'{instance.name}' outside the test set; lower them"
        )
    for _ in range(MAX_DRAWS):
        order = rng.permutation(rows)
        init, rest = order[:n_labelled], order[n_labelled:]
        if len(np.unique(instance.y[init])) == instance.n_classes:
            pool, dev = rest[:n_pool], np.sort(rest[n_pool : n_pool + n_dev])
            return replace(instance, init=init, pool=pool, dev=dev)
    raise BadInput(
        f"approximation.n_labelled={n_labelled}: {MAX_DRAWS} random draws all lack one of the "
        f"{instance.n_classes} classes; raise it"
    )


def sliding_windows(n: int, b: int, n_windows: int | None = None) -> Windows:
    """Batches of b neighbours among n (W, b): all, or ``n_windows`` evenly spread."""
    starts = np.arange(n - b + 1)
    if n_windows is not None and n_windows < len(starts):
        starts = np.linspace(0, n - b, n_windows).round().astype(np.int64)
    return starts[:, None] + np.arange(b)


def labellings(n_classes: int, b: int) -> Rows:
    """Every labelling of b samples, the last one's label changing fastest: (K^b, b)."""
    return np.stack(np.unravel_index(np.arange(n_classes**b), (n_classes,) * b), axis=1)


def labelling_index(y: Rows, n_classes: int) -> Rows:
    """Which of `labellings` the labels y (W, b) are: (W,)."""
    return np.asarray(np.ravel_multi_index(tuple(y.T), (n_classes,) * y.shape[1]))


def of_batches(U: Array, windows: Windows) -> Array:
    """Sums over the members of each batch (W, b), of what each label adds (N, K): (W, K^b)."""
    Y = labellings(U.shape[1], windows.shape[1])
    total = np.zeros((len(windows), len(Y)))
    for i, column in enumerate(Y.T):
        total += U[windows[:, i]][:, column]
    return total

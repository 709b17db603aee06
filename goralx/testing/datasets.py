"""What a data set promises: an instance that its generator decides, fit to learn from."""

from __future__ import annotations

import numpy as np

from goralx.contracts import Dataset, drawn
from goralx.data import Instance

from .common import Check, global_generators_unused

ROWS = ("init", "pool", "test", "dev")


def check_instance(dataset: Dataset) -> None:
    """``instance(rng)`` returns a goralx.Instance with a name and a line on where it came from."""
    instance = _instance(dataset, 0)
    assert isinstance(instance, Instance), (
        f"instance() returned a {type(instance).__name__}; return a goralx.Instance, e.g. from "
        "goralx.make_instance"
    )
    assert instance.name, "the instance has no name"
    assert instance.source, "the instance does not say where it comes from (source)"


def check_features(dataset: Dataset) -> None:
    """X is a finite floating array (T, d)."""
    X = _instance(dataset, 0).X
    assert X.ndim == 2 and X.dtype.kind == "f", f"X has shape {X.shape} and type {X.dtype}"
    assert np.isfinite(X).all(), "X has a NaN or an infinity; fill or drop missing values"


def check_labels(dataset: Dataset) -> None:
    """y is 0..K-1, one label a row; K classes with different names, K at least 2."""
    instance = _instance(dataset, 0)
    y, K = instance.y, instance.n_classes
    assert y.shape == (len(instance.X),), f"y has shape {y.shape}; expected ({len(instance.X)},)"
    assert y.dtype.kind == "i", f"y has type {y.dtype}; encode the classes as integers"
    assert K >= 2, f"{K} class; classification needs two"
    assert len(set(instance.classes)) == K, f"two classes have one name: {instance.classes}"
    assert set(np.unique(y)) <= set(range(K)), f"labels {np.unique(y)} are not all in 0..{K - 1}"


def check_parts(dataset: Dataset) -> None:
    """init, pool and test are disjoint, none empty; dev shares no row with init or test."""
    instance = _instance(dataset, 0)
    parts = {name: getattr(instance, name) for name in ROWS}
    for name, rows in parts.items():
        assert rows.ndim == 1 and rows.dtype.kind == "i", f"{name} is no list of row numbers"
        valid = not len(rows) or (rows.min() >= 0 and rows.max() < len(instance.X))
        assert valid, f"{name} has row numbers outside 0..{len(instance.X) - 1}"
        assert len(np.unique(rows)) == len(rows), f"{name} has a row twice"
        assert name == "dev" or len(rows), f"{name} is empty"
    for a, b in (
        ("init", "pool"),
        ("init", "test"),
        ("pool", "test"),
        ("dev", "init"),
        ("dev", "test"),
    ):
        shared = np.intersect1d(parts[a], parts[b])
        assert not len(shared), f"{a} and {b} share {len(shared)} rows"


def check_same_generator_same_instance(dataset: Dataset) -> None:
    """The same generator state gives the same instance; the global generators are left alone."""
    with global_generators_unused():
        once, twice = (_instance(dataset, 1) for _ in range(2))
    for name in ("X", "y", "classes", *ROWS):
        same = np.array_equal(getattr(once, name), getattr(twice, name))
        assert same, f"the same generator gave another {name}; draw from the generator given"


def check_other_generator_other_instance(dataset: Dataset) -> None:
    """Another generator gives another split. Skip it if yours is fixed for good."""
    one, other = (_instance(dataset, seed) for seed in (1, 2))
    differs = any(not np.array_equal(getattr(one, n), getattr(other, n)) for n in ("X", *ROWS))
    assert differs, "two generators gave the same split, so that repeats with other seeds are none"


def _instance(dataset: Dataset, seed: int) -> Instance:
    return drawn(dataset, np.random.default_rng(seed), seed)


CHECKS: tuple[Check, ...] = (
    check_instance,
    check_features,
    check_labels,
    check_parts,
    check_same_generator_same_instance,
    check_other_generator_other_instance,
)

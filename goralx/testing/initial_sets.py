"""What an initial set promises: so many different samples, decided by its generator alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from scipy import sparse

from goralx.contracts import Beginning, InitialSet
from goralx.data import as_features

from .common import (
    Check,
    answer_or_refusal,
    global_generators_unused,
    raises_nothing,
    require_places,
    untouched,
)
from .processes import in_another_process
from .scenario import class_names, labelled

N = 30


def beginning(
    initial: InitialSet,
    size: int = 6,
    *,
    K: int = 3,
    seed: int = 7,
    alike: bool = False,
    dtype: DTypeLike = np.float64,
    as_sparse: bool = False,
) -> Beginning:
    """N samples of K classes to choose from, with labels only if they are declared."""
    samples = labelled(K, N)
    X: Any = np.repeat(samples.X[:1], N, axis=0) if alike else samples.X
    X = as_features(sparse.csr_array(X.astype(dtype)), "X") if as_sparse else X.astype(dtype)
    y = samples.y if initial.needs_labels else None
    rng, given = np.random.default_rng(seed), np.arange(1, size + 1)
    return Beginning(X, size, rng, given, class_names(K), y)


def check_is_initial_set(initial: InitialSet) -> None:
    """An initial set extends goralx.InitialSet and declares whether it needs labels."""
    name = type(initial).__name__
    assert isinstance(initial, InitialSet), f"let {name} extend goralx.InitialSet"
    value = initial.needs_labels
    assert isinstance(value, bool), f"needs_labels = {value!r}; allowed: True, False"


def check_labels_declared(initial: InitialSet) -> None:
    """Without declaring ``needs_labels`` it does without labels."""
    if initial.needs_labels:
        return
    remedy = "if it needs asked.y, declare needs_labels = True and say so in its docstring"
    with raises_nothing("without labels", remedy):
        initial.choose(beginning(initial))


def check_places(initial: InitialSet) -> None:
    """``asked.size`` different places among N: one, fewer than classes, or all of a class."""
    for K in (2, 3, 5):
        for size in (1, K - 1, 6):
            for alike in (False, True):
                rows = initial.choose(beginning(initial, size, K=K, alike=alike))
                where = f"size={size} of {N} samples{', all of them alike' if alike else ''}"
                require_places(rows, size, N, where)


def check_same_generator_same_places(initial: InitialSet) -> None:
    """The same samples and generator state give the same places, and no other is drawn from."""
    with global_generators_unused():
        once, again = places_of(initial), places_of(initial)
    assert once == again, "the same generator gave other places; draw from asked.rng only"


def check_same_places_in_another_process(initial: InitialSet) -> None:
    """The same samples and generator state give the same places in a fresh interpreter."""
    assert in_another_process(initial, places_of) == places_of(initial), (
        "another process chose other places; do not depend on the order of a set, hash() or id()"
    )


def check_inputs_untouched(initial: InitialSet) -> None:
    """It writes into nothing that it is given."""
    asked = beginning(initial)
    with untouched(X=asked.X, y=asked.y, given=asked.given):
        initial.choose(asked)


def check_kinds_of_features(initial: InitialSet) -> None:
    """Features in single precision, and sparse ones, are chosen from, or refused by name."""
    kinds: tuple[dict[str, Any], ...] = ({"dtype": np.float32}, {"as_sparse": True})
    for how in kinds:
        kind = "sparse features" if "as_sparse" in how else "features in single precision"
        rows = answer_or_refusal(partial(initial.choose, beginning(initial, **how)), f"of {kind}")
        if rows is not None:
            require_places(rows, 6, N, f"of {kind}")


def places_of(initial: InitialSet) -> list[int]:
    """The places that it chooses for a set of 6."""
    return [int(place) for place in initial.choose(beginning(initial))]


CHECKS: tuple[Check, ...] = (
    check_is_initial_set,
    check_labels_declared,
    check_places,
    check_same_generator_same_places,
    check_same_places_in_another_process,
    check_inputs_untouched,
    check_kinds_of_features,
)

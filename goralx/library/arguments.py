"""What callers of the library hand in, checked: arrays, labels, numbers, components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goralx.contracts import BatchRule, Goal, LabelOperator, Model, Strategy, UtilityEstimator
from goralx.data import (
    MANY_FRACTIONS,
    MISSING_MARKS,
    Features,
    Labelled,
    aligned,
    as_features,
    as_numbers,
    check_finite,
    check_rows,
    column_names,
    plain_labels,
)
from goralx.discovery import registry
from goralx.errors import BadInput

KINDS: dict[str, Any] = {
    "goal": Goal,
    "operator": LabelOperator,
    "utility": UtilityEstimator,
    "strategy": Strategy,
    "batch": BatchRule,
    "model": Model,
}

FEW = 10
"""Labels of so few samples may be one of each class."""


def take_features(X: ArrayLike, name: str, like: Sequence[str] | None = None) -> Features:
    """Features (n, d), every one finite; a data frame's columns in the order of ``like``."""
    given = aligned(X, name, like, "X_labelled")
    features = as_features(given, name)
    check_finite(features, name, names=column_names(given))
    return features


def take_dev(
    X_dev: ArrayLike | None,
    y_dev: ArrayLike | None,
    classes: NDArray[Any],
    like: Sequence[str] | None = None,
) -> Labelled | None:
    """The dev set, if there is one, its labels among the ``classes``."""
    if (X_dev is None) != (y_dev is None):
        raise BadInput("X_dev and y_dev belong together; give both or neither")
    if X_dev is None or y_dev is None:
        return None
    check_rows(X_dev, y_dev, "X_dev", "y_dev")
    X = take_features(X_dev, "X_dev", like)
    return Labelled(X, numbered(take_labels(y_dev, len(X), "dev", classes), classes, "y_dev"))


def take_labels(
    y: ArrayLike, n: int, which: str, classes: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Labels (n,) of any kind, none of them missing; texts such as "NA" only if ``classes`` do."""
    labels = y if isinstance(y, np.ma.MaskedArray) else _array(y)
    if labels.shape != (n,):
        raise BadInput(f"y_{which} has shape {labels.shape}; expected ({n},) as X_{which}")
    named = set() if classes is None else {str(c) for c in classes.tolist()}
    plain_labels(labels, f"y_{which}", marks=MISSING_MARKS - named)
    return np.asarray(labels)


def _array(y: ArrayLike) -> NDArray[Any]:
    """A list of texts and numbers is one of objects; numpy would make texts of all."""
    labels = np.asarray(y)
    if labels.dtype.kind == "U" and isinstance(y, list | tuple):
        return labels if all(isinstance(v, str) for v in y) else np.asarray(y, dtype=object)
    return labels


def classes_of(labels: NDArray[Any], given: ArrayLike | None) -> NDArray[Any]:
    """The classes (K,): those of the labels, sorted, or those ``given``, seen or not."""
    name = "y_labelled" if given is None else "classes"
    known = labels if given is None else _array(given)
    if known.ndim != 1:
        raise BadInput(f"classes of shape {known.shape}; give a list of names")
    try:
        classes: NDArray[Any] = np.unique(known)
    except TypeError as error:
        raise BadInput(f"{name} mixes kinds of labels ({error}); give one kind") from None
    if len(classes) < 2:
        raise BadInput(f"{name} has {len(classes)} class; at least two are needed")
    if given is None:
        _check_few(labels, classes)
    elif len(classes) < len(known):
        raise BadInput(f"classes has {len(known)} names, {len(classes)} of them different")
    return classes if given is None else known


def _check_few(labels: NDArray[Any], classes: NDArray[Any]) -> None:
    """Refuse a regression target: many different fractions, or whole numbers far apart."""
    numbers, K, n = as_numbers(classes), len(classes), len(labels)
    if labels.dtype.kind in "US" or numbers is None or n < FEW:
        return
    fractions = bool((numbers != np.round(numbers)).any())
    sparse = bool(np.ptp(numbers) >= 4 * K)
    if (n < 2 * K and (fractions or sparse)) or (fractions and K > MANY_FRACTIONS):
        raise BadInput(
            f"y_labelled has {K} different numbers in {n} samples, which look like a regression "
            "target; classification needs few classes: bin the values, or say classes=..."
        )


def numbered(labels: NDArray[Any], classes: NDArray[Any], name: str) -> NDArray[np.int64]:
    """Labels as 0..K-1, each among the ``classes``."""
    known = {label: k for k, label in enumerate(classes.tolist())}
    unknown = [label for label in dict.fromkeys(labels.tolist()) if label not in known]
    if unknown:
        where = "classes has" if name == "y_labelled" else "y_labelled has"
        way = "name them there" if name == "y_labelled" else "label one of each, or say classes=..."
        raise BadInput(f"{name} has labels that {where} not: {unknown}; {way}")
    return np.array([known[label] for label in labels.tolist()], dtype=np.int64)


def check_progress(value: Any) -> None:
    if not (isinstance(value, Real) and 0.0 <= float(value) <= 1.0):
        raise BadInput(f"progress={value!r}; allowed: 0 to 1")


def check_integer(name: str, value: Any, least: int) -> None:
    if not (isinstance(value, Integral) and int(value) >= least):
        raise BadInput(f"{name}={value!r}; allowed: a whole number, at least {least}")


def take_component(group: str, given: Any, options: Mapping[str, Any] | None = None) -> Any:
    """A registered name built with its defaults, or the object itself."""
    if isinstance(given, str):
        return registry().build(group, given, options)
    if isinstance(given, type) or not isinstance(given, KINDS[group]):
        names = ", ".join(registry().names(group))
        raise BadInput(f"{group}={given!r}; give a name ({names}) or an object of your own class")
    return given

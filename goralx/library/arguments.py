"""What callers of the library hand in, checked: arrays, labels, numbers, components."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goralx.contracts import BatchRule, Goal, LabelOperator, Model, Strategy, UtilityEstimator
from goralx.data import Features, Labelled, as_features, check_finite, plain_labels
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


def take_features(X: ArrayLike, name: str) -> Features:
    """Features (n, d), every one finite."""
    features = as_features(X, name)
    check_finite(features, name)
    return features


def take_dev(
    X_dev: ArrayLike | None, y_dev: ArrayLike | None, classes: np.ndarray
) -> Labelled | None:
    """The dev set, if there is one, its labels among the ``classes``."""
    if (X_dev is None) != (y_dev is None):
        raise BadInput("X_dev and y_dev belong together; give both or neither")
    if X_dev is None or y_dev is None:
        return None
    X = take_features(X_dev, "X_dev")
    labels = take_labels(y_dev, len(X), "dev").tolist()
    known = {label: k for k, label in enumerate(classes.tolist())}
    unknown = [label for label in dict.fromkeys(labels) if label not in known]
    if unknown:
        raise BadInput(f"y_dev has labels that y_labelled has not: {unknown}; label one of each")
    return Labelled(X, np.array([known[label] for label in labels]))


def take_labels(y: ArrayLike, n: int, which: str) -> NDArray[Any]:
    """Labels (n,) of any kind, none of them missing."""
    labels = np.asarray(y)
    if labels.shape != (n,):
        raise BadInput(f"y_{which} has shape {labels.shape}; expected ({n},) as X_{which}")
    plain_labels(labels, f"y_{which}")
    return labels


def classes_of(labels: NDArray[Any]) -> NDArray[Any]:
    """The classes (K,), sorted."""
    try:
        classes = np.unique(labels)
    except TypeError as error:
        raise BadInput(f"y_labelled mixes kinds of labels ({error}); give one kind") from None
    if len(classes) < 2:
        raise BadInput(f"y_labelled has {len(classes)} class; at least two are needed")
    return classes


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

"""Labels of any kind as 0..K-1; what cannot be a label of a classification is refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goralx.errors import BadInput

Labels = NDArray[np.int64]
MANY_FRACTIONS = 20
"""Labels that are fractions are ratings up to here (0.5 to 5 in halves are 10), a target beyond."""


def encode_labels(labels: ArrayLike, where: str) -> tuple[Labels, tuple[str, ...]]:
    """Labels of any kind as 0..K-1, and the K names, sorted.

    Raises `BadInput` for a missing label, for one class, and for what looks like a regression
    target or an identifier: more different values than half the samples, or many fractions.
    """
    values = plain_labels(np.asarray(labels), where)
    classes, y = np.unique(values, return_inverse=True)
    K, total = len(classes), len(values)
    if K < 2:
        raise BadInput(
            f"{where}: only one class, {str(classes[0])!r}; classification needs at least two"
            if K
            else f"{where}: no labels"
        )
    if total < 2 * K or (values.dtype.kind == "f" and K > MANY_FRACTIONS):
        raise BadInput(
            f"{where}: {K} different labels in {total} samples look like a regression target or an "
            "identifier; classification needs few classes with several samples each; give another "
            "label column, or bin the values"
        )
    return y.astype(np.int64).ravel(), tuple(str(c) for c in classes)


def plain_labels(values: np.ndarray, where: str) -> np.ndarray:
    """Labels (n,) as integers, fractions or text, none of them missing."""
    if values.ndim != 1:
        raise BadInput(f"{where}: labels of shape {values.shape}; expected (samples,)")
    missing = np.zeros(len(values), dtype=bool)
    if values.dtype.kind == "f":
        missing = ~np.isfinite(values)
    elif values.dtype.kind == "O":
        missing = np.array([v is None or _not_itself(v) for v in values], dtype=bool)
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        raise BadInput(f"{where}: the label of row {row} is {values[row]}; every row needs a label")
    if values.dtype.kind == "O":
        return values.astype(str)
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8")
    if values.dtype.kind == "f" and (values == np.round(values)).all():
        return values.astype(np.int64)
    return values


def _not_itself(value: object) -> bool:
    """NaN, NaT, and pandas' NA, which says of no comparison whether it holds."""
    same = value == value
    return not (isinstance(same, bool | np.bool_) and same)


def check_labelled(y: Labels, classes: Sequence[str], where: str) -> None:
    """Every class needs a labelled sample, or an unpenalised intercept runs off to infinity."""
    present = np.bincount(y, minlength=len(classes)) > 0
    if not present.all():
        missing = ", ".join(repr(c) for c, p in zip(classes, present, strict=True) if not p)
        raise BadInput(f"{where} has no sample of class {missing}; label at least one of each")

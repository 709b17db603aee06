"""Labels of any kind as 0..K-1; what cannot be a label of a classification is refused."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goralx.errors import BadInput

from .missing import MISSING

Labels = NDArray[np.int64]
MANY_FRACTIONS = 20
"""Labels that are fractions are ratings up to here (0.5 to 5 in halves are 10), a target beyond."""


def encode_labels(
    labels: ArrayLike,
    where: str,
    *,
    marks: Collection[str] = MISSING,
    classes: Sequence[str] | None = None,
) -> tuple[Labels, tuple[str, ...]]:
    """Labels of any kind as 0..K-1, and the K names as they are written, sorted (by value if all
    are numbers), or ``classes`` in their order, not all of which need be among the labels.

    Raises `BadInput` for a missing label (``marks`` are the texts that stand for one), for one
    class, and for what looks like a regression target or an identifier: more different values than
    half the samples, or many fractions.
    """
    if classes is not None:
        return _among(plain_labels(labels, where, marks=set(marks) - set(classes)), classes, where)
    values = plain_labels(labels, where, marks=marks)
    names, y = np.unique(values, return_inverse=True)
    _check_text(names, y, where)
    K, total = len(names), len(values)
    if K < 2:
        raise BadInput(
            f"{where}: only one class, {str(names[0])!r}; classification needs at least two"
            if K
            else f"{where}: no labels"
        )
    numbers = as_numbers(names)
    if total < 2 * K or (K > MANY_FRACTIONS and _has_fractions(numbers)):
        raise BadInput(
            f"{where}: {K} different labels in {total} samples look like a regression target or an "
            "identifier; classification needs few classes with several samples each; give another "
            "label column, or bin the values"
        )
    if numbers is not None:
        order = np.argsort(numbers, kind="stable")
        names, y = names[order], np.argsort(order, kind="stable")[y.ravel()]
    return y.astype(np.int64).ravel(), tuple(str(c) for c in names)


def _among(
    values: NDArray[np.generic], classes: Sequence[str], where: str
) -> tuple[Labels, tuple[str, ...]]:
    """Labels as the numbers of the classes that are named; each has to be of one of them."""
    names = tuple(str(name) for name in classes)
    if len(names) < 2 or len(set(names)) < len(names):
        raise BadInput(f"dataset.classes={','.join(names)}; name at least two, each of them once")
    number = {name: k for k, name in enumerate(names)}
    written = [str(value) for value in values.tolist()]
    unknown = [name for name in dict.fromkeys(written) if name not in number]
    if unknown:
        shown = f"{', '.join(unknown[:5])}{', ...' if len(unknown) > 5 else ''}"
        raise BadInput(
            f"{where}: labels that dataset.classes does not name: {shown} (first in row "
            f"{written.index(unknown[0])}); the classes are {', '.join(names)}"
        )
    return np.array([number[name] for name in written], dtype=np.int64), names


def plain_labels(
    labels: ArrayLike, where: str, *, marks: Collection[str] = MISSING
) -> NDArray[np.generic]:
    """Labels (n,) as integers, fractions or text, none of them missing: no NaN, None, NaT or NA of
    pandas', no masked entry, none of the texts ``marks``.
    """
    values = np.asarray(labels)
    if values.ndim != 1:
        raise BadInput(f"{where}: labels of shape {values.shape}; expected (samples,)")
    missing = np.zeros(len(values), dtype=bool)
    if values.dtype.kind == "f":
        missing = ~np.isfinite(values)
    elif values.dtype.kind in "mM":
        missing = np.isnat(values)
    elif values.dtype.kind == "O":
        missing = np.array([v is None or _not_itself(v) for v in values], dtype=bool)
    missing |= np.ma.getmaskarray(labels) if isinstance(labels, np.ma.MaskedArray) else False
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        masked = isinstance(labels, np.ma.MaskedArray) and not _is_missing(values[row])
        shown = "masked" if masked else values[row]
        raise BadInput(f"{where}: the label of row {row} is {shown}; every row needs a label")
    if values.dtype.kind == "O":
        _check_one_kind(values, where)
        values = values.astype(str)
    if values.dtype.kind == "S":
        texts = [_decoded(value, row, where) for row, value in enumerate(values.tolist())]
        values = np.array(texts, dtype=str)
    if values.dtype.kind in "UT":
        found = np.isin(values, sorted(marks))
        if found.any():
            row = int(np.flatnonzero(found)[0])
            raise BadInput(
                f"{where}: the label of row {row} is {str(values[row])!r}, which stands for a "
                "missing one; every row needs a label (leave the row out, or call the class "
                "otherwise)"
            )
    if values.dtype.kind == "f" and (values == np.round(values)).all():
        return values.astype(np.int64)
    return values


def _decoded(value: bytes, row: int, where: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise BadInput(
            f"{where}: the label of row {row} is {value!r}, bytes that are not UTF-8; save labels "
            "as text"
        ) from None


def _check_text(classes: NDArray[Any], y: Labels, where: str) -> None:
    """A name with half of a surrogate pair in it is no text that could be written anywhere."""
    for k, name in enumerate(classes.tolist()):
        try:
            str(name).encode("utf-8")
        except UnicodeEncodeError:
            row = int(np.flatnonzero(y.ravel() == k)[0])
            raise BadInput(
                f"{where}: the label of row {row} is {name!a}, which is not text (half of a "
                "surrogate pair); save labels as text"
            ) from None


def _check_one_kind(values: np.ndarray, where: str) -> None:
    """As text 1 and "1" would be one class."""
    first: dict[str, object] = {}
    for row, value in enumerate(values):
        other = first.setdefault(str(value), value)
        if isinstance(value, str | bytes) != isinstance(other, str | bytes):
            raise BadInput(
                f"{where} mixes kinds of labels: row {row} has {value!r}, another {other!r}; give "
                "one kind"
            )


def as_numbers(classes: np.ndarray) -> NDArray[np.float64] | None:
    """What the classes (K,) are as numbers, or None where one is none."""
    try:
        numbers = classes.astype(np.float64)
    except (TypeError, ValueError):
        return None
    return numbers if np.isfinite(numbers).all() else None


def _has_fractions(numbers: NDArray[np.float64] | None) -> bool:
    return numbers is not None and bool((numbers != np.round(numbers)).any())


def _is_missing(value: object) -> bool:
    return value is None or _not_itself(value)


def _not_itself(value: object) -> bool:
    """NaN, NaT, and pandas' NA, which says of no comparison whether it holds."""
    same = value == value
    return not (isinstance(same, bool | np.bool_) and same)


def check_classes(y: Labels, classes: Sequence[str], where: str) -> None:
    """Every label is the number of one of the classes, which have names of their own."""
    K = len(classes)
    wrong = np.flatnonzero((y < 0) | (y >= K))
    if len(wrong):
        row = int(wrong[0])
        raise BadInput(
            f"{where}: the label of row {row} is {int(y[row])}; allowed: 0 to {K - 1}, the numbers "
            f"of its {K} classes"
        )
    if len(set(classes)) < K:
        twice = next(c for c in classes if list(classes).count(c) > 1)
        raise BadInput(f"{where}: two classes are called {twice!r}; give each its own name")

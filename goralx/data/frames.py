"""Features that come with names or as objects: data frames, and arrays of anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goralx.errors import BadInput


def is_frame(X: Any) -> bool:
    """Whether X is a data frame, of pandas' or like it."""
    return hasattr(X, "columns") and hasattr(X, "dtypes")


def column_names(X: Any) -> list[str] | None:
    """The names of a data frame's columns; None of an array, and where they only count."""
    names = list(X.columns) if is_frame(X) else []
    return None if names == list(range(len(names))) else [str(name) for name in names]


def aligned(X: Any, where: str, like: Sequence[str] | None, which: str) -> Any:
    """X with its columns in the order of ``like``, which are those of ``which``.

    Where either has no names they are taken as they stand; where one's only count, in another order
    than they do, the other's count, too. Raises `BadInput` where they differ.
    """
    names = column_names(X)
    if is_frame(X) and (names is None) != (like is None):
        count = [str(i) for i in range(X.shape[1])]
        if sorted(names or like or ()) == sorted(count):
            names, like = names or count, like or count
    if names is None or like is None or names == list(like):
        return X
    missing = [name for name in like if name not in names]
    more = [name for name in names if name not in like]
    if missing or more or len(names) != len(like):
        said = [f"has no column {', '.join(missing)}"] * bool(missing)
        said += [f"has column {', '.join(more)}, which {which} has not"] * bool(more)
        raise BadInput(f"{where} {' and '.join(said) or 'has a column twice'}; give both the same")
    return X[[list(X.columns)[names.index(name)] for name in like]]


def check_rows(X: Any, y: Any, where: str, which: str) -> None:
    """Refuse labels of the same rows as the features' in another order, by the indices of both.

    Rows are taken as they stand; indices that share not all their rows say nothing of each other.
    """
    if not (hasattr(X, "dtypes") and hasattr(y, "dtypes") and len(X) == len(y)):
        return
    of_X, of_y = X.index, y.index
    if of_X.equals(of_y) or not (of_X.is_unique and of_y.is_unique):
        return
    if len(of_X.difference(of_y)) == 0:
        raise BadInput(
            f"{which} has the rows of {where} in another order; give {which}.loc[{where}.index], "
            f"or {which}.to_numpy() where rows belong together as they stand"
        )


def numbers_of(X: Any, where: str) -> NDArray[np.floating]:
    """The features (n, d) of a data frame, NaN where a value is missing.

    Raises `BadInput` that names the first column, and row, of what is no number.
    """
    names = [str(name) for name in X.columns]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise BadInput(f"{where}: two columns are called {twice[0]!r}; give each its own name")
    columns = [
        _numbers(np.asarray(X[name]), f"{where}: column {str(name)!r}") for name in X.columns
    ]
    single = bool(columns) and all(column.dtype == np.float32 for column in columns)
    wide = np.empty((len(X), len(columns)), np.float32 if single else np.float64)
    for j, column in enumerate(columns):
        wide[:, j] = column
    return wide


def numbers_in(X: NDArray[Any], where: str) -> NDArray[np.floating]:
    """The features (n, d) of an array of objects or texts, NaN where a value is missing."""
    columns = [_numbers(X[:, j], f"{where}: feature {j}") for j in range(X.shape[1])]
    return np.stack(columns, axis=1)


def _numbers(values: NDArray[Any], where: str) -> NDArray[np.floating]:
    kind = values.dtype.kind
    if kind in "biuf":
        kept: NDArray[np.floating] = (
            values if values.dtype in (np.float32,) else values.astype(float)
        )
        return kept
    if kind in "mM":
        raise BadInput(
            f"{where} holds times ({values.dtype}); make numbers of them, or leave it out"
        )
    numbers = np.full(len(values), np.nan)
    for row, value in enumerate(values.tolist()):
        if value is None or _is_missing(value):
            continue
        try:
            if isinstance(value, complex):
                raise TypeError
            numbers[row] = float(value)
        except (TypeError, ValueError):
            way = "encode categories as columns of 0 and 1 (pandas.get_dummies, all parts at once)"
            raise BadInput(
                f"{where} holds {value!r} in row {row}; features must be numbers: {way}, or leave "
                "it out"
            ) from None
    return numbers


def _is_missing(value: object) -> bool:
    """NaN, NaT, and pandas' NA, which says of no comparison whether it holds."""
    same = value == value
    return not (isinstance(same, bool | np.bool_) and same)

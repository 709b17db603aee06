"""Features as numbers: taken as they come, checked, and brought to one scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from goralx.errors import BadInput

from .frames import is_frame, numbers_in, numbers_of
from .matrix import Matrix, Rows
from .memory import as_matrix
from .sparse import Sparse

Features = NDArray[np.floating]
"""Or a `Matrix` that reads like one: whatever goes over many samples takes it block by block."""

Array = NDArray[np.floating]
"""Numbers: of samples in the precision of their features, single or double; else double."""


def as_features(X: ArrayLike | Matrix, where: str) -> Features:
    """A two-dimensional floating array; float32 is kept, anything numeric else becomes float64.

    A `Matrix` is left as it is; a sparse matrix of scipy's becomes one. What is missing in a data
    frame, an array of objects or a masked one is NaN.
    """
    if isinstance(X, Matrix):
        return cast(Features, X)
    if sparse.issparse(X):
        return cast(Features, Sparse.of(X, where))
    try:
        if isinstance(X, np.ma.MaskedArray):
            X = np.ma.filled(X.astype(np.result_type(X, np.float32)), np.nan)
        values = np.asarray(X)
        if values.dtype.kind in "mMOUST" and is_frame(X):
            values = numbers_of(X, where)
        elif values.dtype.kind in "OUST" and values.ndim == 2:
            values = numbers_in(values, where)
        if values.dtype.kind in "cmMV":
            raise TypeError(f"their type is {values.dtype}")
        if values.dtype not in (np.float32, np.float64):
            values = values.astype(np.float64)
    except BadInput:
        raise
    except (TypeError, ValueError) as error:
        raise BadInput(f"{where}: features must be numbers ({error})") from None
    if values.ndim != 2 or 0 in values.shape:
        raise BadInput(
            f"{where}: features of shape {values.shape}; expected (samples, features), neither 0"
        )
    return values


def check_finite(
    X: Features, where: str, *, allow_nan: bool = False, names: Sequence[str] | None = None
) -> None:
    """Raise `BadInput` that names the first row with a NaN (unless allowed) or an infinity."""
    found = as_matrix(X).first_not_finite(allow_nan=allow_nan)
    if found is not None:
        row, column, value = found
        which = f"feature {column}" if names is None else f"column {names[column]!r}"
        raise BadInput(f"{where}: {value} in row {row}, {which}; fill or drop missing values first")


def imputed(X: Features, rows: Rows, where: str) -> Features:
    """X with each NaN replaced by the mean of its feature over ``rows``."""
    known = ~np.isnan(X[rows])
    if not known.any(axis=0).all():
        column = int(np.flatnonzero(~known.any(axis=0))[0])
        raise BadInput(f"{where}: feature {column} has no value to take a mean of; leave it out")
    mean = np.nanmean(X[rows], axis=0, dtype=np.float64)
    return np.where(np.isnan(X), mean, X).astype(X.dtype)


def standardized(X: Features, rows: Rows, where: str) -> Features:
    """X with each feature scaled to mean 0 and variance 1 over ``rows``."""
    mean, deviation, largest = as_matrix(X).moments(rows)
    if not np.isfinite(deviation).all():
        column = int(np.flatnonzero(~np.isfinite(deviation))[0])
        raise BadInput(f"{where}: the variance of feature {column} overflows; rescale it")
    # a constant column's standard deviation is round-off, not zero
    scale = np.where(deviation <= 1e-12 * largest, 1.0, deviation)
    return cast(Features, as_matrix(X).scaled(mean, scale))


def spread(X: Features | Sparse, places: Rows, total: int) -> Features:
    """Features (total, d): row i of X, an array or sparse, at ``places[i]``, zeros elsewhere."""
    if isinstance(X, Sparse):
        return cast(Features, X.spread(places, total))
    wide = np.zeros((total, X.shape[1]), X.dtype)
    wide[places] = X
    return wide

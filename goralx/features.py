"""Features as numbers: taken as they come, checked, and brought to one scale."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import BadInput
from .views import Rows, View, blocks, shown

Features = NDArray[np.floating]
"""Or a `View` that reads like one: whatever goes over many samples takes them block by block."""

_LOST = 1e-4  # of a feature's standard deviation: what rounding may take


def as_features(X: ArrayLike | View, where: str) -> Features:
    """A two-dimensional floating array; float32 is kept, anything numeric else becomes float64.

    A `View` is left as it is.
    """
    if isinstance(X, View):
        return cast(Features, X)
    try:
        values = np.asarray(X)
        if values.dtype.kind in "cmMV":
            raise TypeError(f"their type is {values.dtype}")
        if values.dtype not in (np.float32, np.float64):
            values = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{where}: features must be numbers ({error})") from None
    if values.ndim != 2 or 0 in values.shape:
        raise BadInput(
            f"{where}: features of shape {values.shape}; expected (samples, features), neither 0"
        )
    return values


def check_finite(X: Features | View, where: str, *, allow_nan: bool = False) -> None:
    """Raise `BadInput` that names the first row with a NaN (unless allowed) or an infinity."""
    if isinstance(X, View):
        found = X.first_not_finite
        if found is not None:
            raise _not_finite(where, *found)
        return
    step = max(1, (1 << 22) // max(1, X.shape[1]))
    for start in range(0, len(X), step):
        block = X[start : start + step]
        bad = np.isinf(block) if allow_nan else ~np.isfinite(block)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise _not_finite(where, start + row, column, block[row, column])


def _not_finite(where: str, row: int, column: int, value: float) -> BadInput:
    return BadInput(
        f"{where}: {value} in row {row}, feature {column}; fill or drop missing values first"
    )


def imputed(X: Features, rows: Rows, where: str) -> Features:
    """X with each NaN replaced by the mean of its feature over ``rows``."""
    known = ~np.isnan(X[rows])
    if not known.any(axis=0).all():
        column = int(np.flatnonzero(~known.any(axis=0))[0])
        raise BadInput(f"{where}: feature {column} has no value to take a mean of; leave it out")
    mean = np.nanmean(X[rows], axis=0, dtype=np.float64)
    return np.where(np.isnan(X), mean, X).astype(X.dtype)


def standardized(X: Features | View, rows: Rows, where: str) -> Features | View:
    if isinstance(X, View):
        check_finite(X, where)
        mean, scale, largest = _moments(X.part(rows))
    else:
        known = X[rows].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            mean, scale, largest = known.mean(axis=0), known.std(axis=0), np.abs(known).max(axis=0)
    if not np.isfinite(scale).all():
        column = int(np.flatnonzero(~np.isfinite(scale))[0])
        raise BadInput(f"{where}: the variance of feature {column} overflows; rescale it")
    # a constant column's standard deviation is round-off, not zero
    scale = np.where(scale <= 1e-12 * largest, 1.0, scale)
    if isinstance(X, View):
        return X.scaled(mean, scale)
    scaled: Features = ((X - mean) / scale).astype(X.dtype)
    return scaled


def in_single(X: Features, where: str) -> Features:
    """X as float32. Raises `BadInput` where that would lose what tells samples apart."""
    with np.errstate(over="ignore", invalid="ignore"):
        single = X.astype(np.float32)
        lost = np.zeros(X.shape[1])
        for block in blocks(len(X)):
            lost = np.maximum(lost, np.abs(single[block] - X[block]).max(axis=0))
        spread, largest = X.std(axis=0), np.abs(X).max(axis=0)
    bad = (lost > _LOST * spread) & (spread > 1e-12 * largest)
    if bad.any() or not np.isfinite(lost).all():
        column = int(np.flatnonzero(bad | ~np.isfinite(lost))[0])
        raise BadInput(
            f"{where}: single precision rounds feature {column} by {lost[column]:.1g}, and its "
            f"standard deviation is {spread[column]:.1g}; standardise the features, or use "
            "precision=double"
        )
    return single


def _moments(X: View) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean, standard deviation and largest absolute value of each feature, block by block.

    Blocks are put together by their own means and variances (Chan, Golub and LeVeque 1983).
    """
    n, mean, square = 0, np.zeros(X.shape[1]), np.zeros(X.shape[1])
    largest = np.zeros(X.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        for block in shown(blocks(len(X)), "means and variances"):
            values = X[block].astype(np.float64)
            m, total = len(values), n + len(values)
            apart = values.mean(axis=0) - mean
            square += values.var(axis=0) * m + apart**2 * (n * m / total)
            mean += apart * (m / total)
            largest, n = np.maximum(largest, np.abs(values).max(axis=0)), total
    return mean, np.sqrt(square / n), largest

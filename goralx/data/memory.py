"""Features in memory: an array, answering what is asked of any `Matrix`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse, vstack

from goralx.errors import BadInput

from .matrix import Matrix, Moments, Rows, blocks

_LOST = 1e-4  # of a feature's standard deviation: what rounding may take
_CHECKED = 1 << 22  # floats that are looked at at once


@dataclass(frozen=True)
class InMemory:
    """An array X (N, d); what is made of it are arrays again."""

    X: NDArray[np.floating]

    @property
    def centred(self) -> bool:
        return True

    @property
    def on_disk(self) -> bool:
        return False

    def check_unchanged(self) -> None:
        """Nothing that is in memory changes."""

    def part(self, index: slice | Rows) -> NDArray[np.floating]:
        return self.X[index]

    def moments(self, rows: Rows) -> Moments:
        known = self.X[rows].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            return Moments(known.mean(axis=0), known.std(axis=0), np.abs(known).max(axis=0))

    def scaled(
        self, shift: NDArray[np.float64], scale: NDArray[np.float64]
    ) -> NDArray[np.floating]:
        scaled: NDArray[np.floating] = ((self.X - shift) / scale).astype(self.X.dtype)
        return scaled

    def in_single(self, where: str) -> NDArray[np.floating]:
        """As float32. Raises `BadInput` where that would lose what tells samples apart."""
        X = self.X
        if X.dtype == np.float32:
            return X
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

    def numbers(self, rows: slice) -> tuple[NDArray[Any], ...]:
        return (self.X[rows],)

    def first_not_finite(self, *, allow_nan: bool = False) -> tuple[int, int, float] | None:
        step = max(1, _CHECKED // max(1, self.X.shape[1]))
        for start in range(0, len(self.X), step):
            block = self.X[start : start + step]
            bad = np.isinf(block) if allow_nan else ~np.isfinite(block)
            if bad.any():
                row, column = np.argwhere(bad)[0]
                return start + int(row), int(column), float(block[row, column])
        return None


def as_matrix(X: NDArray[Any] | Matrix) -> Matrix:
    """X as what is asked of features; the one place that tells arrays from what is none."""
    return cast(Matrix, InMemory(X) if isinstance(X, np.ndarray) else X)


def part(X: Any, index: slice | Rows) -> Any:
    """These rows of X: an array of an array, a matrix of a matrix."""
    return as_matrix(X).part(index)


def stacked(first: Any, second: Any) -> Any:
    """The rows (n, d) of one, then those of the other: an array, or a csr_array of sparse rows."""
    rows = [X if issparse(X) else X[:] for X in (first, second)]
    if any(issparse(X) for X in rows):
        return csr_array(vstack([csr_array(X) for X in rows], format="csr"))
    return np.concatenate(rows)

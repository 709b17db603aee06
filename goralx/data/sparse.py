"""Sparse features: a matrix most of whose entries are zero, and that is never made dense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse

from goralx.errors import BadInput, Incompatible

from .matrix import Moments, Rows


@dataclass(frozen=True, eq=False)
class Sparse:
    """Features (N, d) as a `scipy.sparse.csr_array` of floats, entries in order, none stored twice.

    Slices and row numbers of it are csr_arrays. Whoever asks for all of it as an array is refused:
    what is small as non-zeros may be larger than memory in full.
    """

    rows: sparse.csr_array

    @classmethod
    def of(cls, X: Any, where: str) -> Sparse:
        """Of any sparse matrix or array of numbers; float32 is kept, anything else is float64."""
        if X.dtype.kind not in "biuf":
            raise BadInput(f"{where}: sparse features must be numbers, these are {X.dtype}")
        if X.ndim != 2 or 0 in X.shape:
            raise BadInput(
                f"{where}: sparse features of shape {X.shape}; expected (samples, features), "
                "neither 0"
            )
        dtype = X.dtype if X.dtype in (np.float32, np.float64) else np.float64
        rows = sparse.csr_array(X, dtype=dtype, copy=True)
        rows.sum_duplicates()
        rows.eliminate_zeros()
        return cls(rows)

    @property
    def shape(self) -> tuple[int, int]:
        return cast(tuple[int, int], self.rows.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = self.rows.dtype
        return dtype

    @property
    def ndim(self) -> int:
        return 2

    @property
    def centred(self) -> bool:
        return False

    @property
    def on_disk(self) -> bool:
        return False

    def check_unchanged(self) -> None:
        """Nothing that is in memory changes."""

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        size = self.shape[0] * self.shape[1] * self.dtype.itemsize
        raise Incompatible(
            f"features are sparse ({self.rows.nnz:,} non-zeros of {self.shape[0]:,} x "
            f"{self.shape[1]:,}), and something asks for all of them as an array ({size:,} bytes); "
            "use a component that takes sparse features, or fewer features"
        )

    def part(self, index: slice | Rows | Sequence[int]) -> Sparse:
        return Sparse(self.rows[index])

    def spread(self, places: Rows, total: int) -> Sparse:
        lengths = np.zeros(total, dtype=self.rows.indptr.dtype)
        lengths[places] = np.diff(self.rows.indptr)
        indptr = np.concatenate([[0], np.cumsum(lengths, dtype=lengths.dtype)])
        order = self.rows[np.argsort(places, kind="stable")]
        return Sparse(sparse.csr_array((order.data, order.indices, indptr), (total, self.shape[1])))

    def moments(self, rows: Rows) -> Moments:
        """Deviations about the mean, but nothing to subtract: zeros are to stay zeros."""
        known = self.rows[rows].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.asarray(known.mean(axis=0)).ravel()
            square = np.asarray((known * known).mean(axis=0)).ravel()
            deviation = np.sqrt(np.maximum(square - mean * mean, 0.0))
            largest = np.asarray(abs(known).max(axis=0).toarray()).ravel()
        return Moments(np.zeros_like(mean), deviation, largest)

    def scaled(self, shift: NDArray[np.float64], scale: NDArray[np.float64]) -> Sparse:
        """Over ``scale``; a shift would leave no zeros, and is refused."""
        if shift.any():
            raise Incompatible("sparse features cannot be shifted; scale them only")
        scaled = self.rows.copy()
        scaled.data = (scaled.data / scale[scaled.indices]).astype(self.dtype)
        return Sparse(scaled)

    def in_single(self, where: str) -> Sparse:
        """As float32: an entry keeps seven digits of itself, and zero stays zero."""
        if self.dtype == np.float32:
            return self
        with np.errstate(over="ignore"):
            single = self.rows.astype(np.float32)
        if not np.isfinite(single.data).all():
            raise BadInput(f"{where}: a feature overflows in single precision; rescale it")
        return Sparse(single)

    def first_not_finite(self, *, allow_nan: bool = False) -> tuple[int, int, float] | None:
        data = self.rows.data
        bad = np.flatnonzero(np.isinf(data) if allow_nan else ~np.isfinite(data))
        if not len(bad):
            return None
        first = int(bad[0])
        row = int(np.searchsorted(self.rows.indptr, first, side="right")) - 1
        return row, int(self.rows.indices[first]), float(data[first])

    def numbers(self, rows: slice) -> tuple[NDArray[Any], ...]:
        some = self.rows[rows]
        lengths = np.diff(some.indptr).astype(np.int64)
        return lengths, some.indices.astype(np.int64), some.data

"""Many samples: a matrix that stays on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from goralx.errors import BadInput

from .matrix import Moments, Rows, blocks, shown


@dataclass(frozen=True, eq=False)
class View:
    """Some rows of the matrix in ``path``, in order; all of them where ``rows`` is None.

    It has a length, a shape and a dtype, and slices or row numbers of it are arrays, read then and
    there; only `part` gives another view. Nothing else is held in memory, and only the path and
    ranges of rows are pickled. What is read is ``(x - shift) / scale`` where these are given.
    Whoever needs the whole of it may ask for ``np.asarray(view)``, and pays for that.

    ``stamp`` is the file's time of change (ns) and size when the first view of it was made. It is
    looked at again before anything is read: a file that was changed since is refused, in words
    and not as the signal that reading beyond a shorter one's end would be.
    """

    path: Path
    rows: Rows | None = None
    shift: NDArray[np.float64] | None = None
    scale: NDArray[np.float64] | None = None
    stamp: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.stamp is None:
            object.__setattr__(self, "stamp", _stamp(self.path))

    def check_unchanged(self) -> None:
        """Raise `BadInput` where the file is not the one that the first view was made of."""
        if _stamp(self.path) != self.stamp:
            raise BadInput(
                f"{self.path} has changed since it was opened · put it back as it was, or begin "
                "again with what it is now"
            )

    @property
    def _matrix(self) -> NDArray[np.floating]:
        self.check_unchanged()
        assert self.stamp is not None
        return _mapped(self.path, *self.stamp)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), self._matrix.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._matrix.dtype

    @property
    def ndim(self) -> int:
        return 2

    @property
    def centred(self) -> bool:
        return True

    @property
    def on_disk(self) -> bool:
        return True

    def __len__(self) -> int:
        return len(self._matrix) if self.rows is None else len(self.rows)

    def __getitem__(self, index: Any) -> NDArray[np.floating]:
        where = index
        if self.rows is not None:
            where = self.rows[index]
            if np.ndim(where) and _consecutive(where):  # a slice of the file is not copied
                where = slice(int(where[0]), int(where[-1]) + 1)
        values: NDArray[np.floating] = self._matrix[where]
        if self.shift is None or self.scale is None:
            return values
        scaled: NDArray[np.floating] = ((values - self.shift) / self.scale).astype(values.dtype)
        return scaled

    def part(self, index: slice | Rows | Sequence[int]) -> View:
        """A view of these of its rows."""
        if self.rows is not None:
            return replace(self, rows=self.rows[index])
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self)))
        return replace(self, rows=np.asarray(index, dtype=np.int64))

    def scaled(self, shift: NDArray[np.float64], scale: NDArray[np.float64]) -> View:
        """The same rows, each feature less ``shift`` and over ``scale`` (d,)."""
        return replace(self, shift=shift, scale=scale)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self[:], dtype=dtype)

    def in_single(self, where: str) -> View:
        """As it lies on disk."""
        return self

    def moments(self, rows: Rows) -> Moments:
        """Block by block, each put together with those before by its own mean and variance.

        Reference: Chan, Golub and LeVeque, The American Statistician 37 (1983), 242-247.
        """
        X = self.part(rows)
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
            return Moments(mean, np.sqrt(square / n), largest)

    def numbers(self, rows: slice) -> tuple[NDArray[Any], ...]:
        return (self[rows],)

    def first_not_finite(self, *, allow_nan: bool = False) -> tuple[int, int, float] | None:
        """Row, column and value of the first NaN or infinity; one pass over the rows, once."""
        return self._not_finite

    @cached_property
    def _not_finite(self) -> tuple[int, int, float] | None:
        for block in shown(blocks(len(self)), "checking values"):
            values = self[block]
            bad = ~np.isfinite(values)
            if bad.any():
                row, column = np.argwhere(bad)[0]
                return block.start + int(row), int(column), float(values[row, column])
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        ranges = None
        if self.rows is not None:
            ends = np.flatnonzero(np.diff(self.rows) != 1)
            first = self.rows[np.concatenate([[0], ends + 1])] if len(self.rows) else self.rows
            last = self.rows[np.concatenate([ends, [-1]])] if len(self.rows) else self.rows
            ranges = np.stack([first, last + 1])
        return _from_ranges, (str(self.path), ranges, self.shift, self.scale, self.stamp)


def map_array(path: Path, option: str) -> NDArray[Any]:
    """The array in a ``.npy`` file, mapped; whatever is wrong with the file is told in a line."""
    try:
        with path.open("rb") as file:
            if file.read(6) != b"\x93NUMPY":
                raise BadInput(f"{option}={path} is not a .npy file; save one with numpy.save")
        mapped: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        return np.asarray(mapped)
    except BadInput:
        raise
    except Exception as error:  # of a header alone numpy raises half a dozen kinds
        said = str(error).split("\n")[0]
        if "mmap length" in said or "too small" in said:
            said = f"truncated: its {path.stat().st_size:,} bytes are fewer than its header says"
        elif "object" in said.lower():
            what, kind = ("texts", "str") if "labels" in option else ("numbers", "float")
            raise BadInput(
                f"{option}={path} holds Python objects, which are never unpickled; save it anew as "
                f"plain {what}: numpy.save({path.name!r}, array.astype({kind}))"
            ) from None
        raise BadInput(f"{option}={path} cannot be read ({said}); save it anew") from error


def _stamp(path: Path) -> tuple[int, int] | None:
    """Time of change and size; None where there is no such file (any more)."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=8)
def _mapped(path: Path, mtime_ns: int, size: int) -> NDArray[np.floating]:
    """One mapping a file and process, so that its pages are faulted in once."""
    return map_array(path, "pool")


def _consecutive(rows: Rows) -> bool:
    n = len(rows)
    return n > 0 and int(rows[-1]) - int(rows[0]) == n - 1 and bool((np.diff(rows) == 1).all())


def _from_ranges(
    path: str,
    ranges: Rows | None,
    shift: NDArray[np.float64] | None,
    scale: NDArray[np.float64] | None,
    stamp: tuple[int, int] | None,
) -> View:
    rows = None
    if ranges is not None:
        pieces = [np.arange(first, stop) for first, stop in ranges.T]
        rows = np.concatenate([np.empty(0, dtype=np.int64), *pieces])
    return View(Path(path), rows, shift, scale, stamp)

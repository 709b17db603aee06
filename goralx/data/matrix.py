"""Features that need not be an array: what is asked of them, and the blocks they are read in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import DTypeLike, NDArray

Rows = NDArray[np.int64]
A = TypeVar("A")

BLOCK = 1 << 13
"""Samples in a block: their features are read at once, and what is summed is summed over them."""
NUMBERS = 1 << 21
"""Samples times classes in a block at most: 16 MB of each array that a pass makes on its way."""


class Moments(NamedTuple):
    """Of each feature (d,): its mean, standard deviation and largest absolute value."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    largest: NDArray[np.float64]


@runtime_checkable
class Matrix(Protocol):
    """Features (samples, features) that read like an array and are none: what lies in a file.

    A slice or row numbers of it are an array, read then and there; only `part` gives another
    matrix. Whoever goes over many samples takes it in `blocks`.
    """

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def ndim(self) -> int: ...

    @property
    def on_disk(self) -> bool:
        """Whether it can be sent to another process as a path, and costs no memory here."""

    @property
    def centred(self) -> bool:
        """Whether standardising takes away the means of its features, or only scales them."""

    def check_unchanged(self) -> None:
        """Raise `BadInput` where a file that it lies in has changed meanwhile."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any) -> NDArray[np.floating]: ...

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """All of it, in memory."""

    def part(self, index: slice | Rows | Sequence[int]) -> Matrix:
        """A matrix of these of its rows."""

    def moments(self, rows: Rows) -> Moments:
        """Of the features over these rows."""

    def scaled(self, shift: NDArray[np.float64], scale: NDArray[np.float64]) -> Matrix:
        """Each feature less ``shift`` and over ``scale`` (d,)."""

    def in_single(self, where: str) -> Matrix:
        """In single precision, where that saves memory; `BadInput` where it would lose samples."""

    def numbers(self, rows: slice) -> tuple[NDArray[Any], ...]:
        """All there is in these rows, as plain arrays: what a fingerprint is taken of."""

    def first_not_finite(self, *, allow_nan: bool = False) -> tuple[int, int, float] | None:
        """Row, column and value of the first NaN (unless allowed) or infinity."""


def blocks(n: int, n_classes: int = 1) -> list[slice]:
    """The blocks of n samples, in order; one up to `BLOCK`, fewer where there are many classes."""
    step = min(BLOCK, max(1, NUMBERS // n_classes))
    return [slice(start, min(n, start + step)) for start in range(0, n, step)]


def shown(steps: Sequence[A], what: str, *, progress: bool = True) -> Iterable[A]:
    """The steps, with a progress bar on stderr once they have taken two seconds."""
    if not progress or len(steps) < 2:
        return steps
    from tqdm import tqdm

    return tqdm(steps, desc=what, delay=2.0, leave=False, unit=" blocks", dynamic_ncols=True)

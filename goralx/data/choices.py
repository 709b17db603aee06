"""What a person decides of a table's columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .text import TextEncoder


@dataclass(frozen=True)
class Columns:
    """What becomes of the columns of a table.

    ``exclude`` names columns to leave out. ``missing``: "error"; "drop" drops the row; "mean"
    leaves NaN in X for `make_instance` to fill. ``categorical``, for columns that are not numbers:
    "error"; "onehot" makes a column of each value; "drop" leaves the column out. Those in
    ``onehot`` are spread so in any case, numbers or not. ``encoder`` makes vectors of ``text``
    columns, by default of those that hold prose; ``only_text`` leaves all others out.
    """

    exclude: Sequence[str] = ()
    missing: str = "error"
    categorical: str = "error"
    onehot: Sequence[str] = ()
    text: Sequence[str] = ()
    encoder: TextEncoder | None = None
    only_text: bool = False

"""Tables of the user's own: one column the label, the others made numbers, or refused by name.

Whatever is wrong with a table is said at once, with the options that decide, as they are typed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from goralx.errors import BadInput, RunWarning, as_word

from .choices import Columns
from .columns import Column, as_written
from .features import Features
from .matrix import Rows
from .problems import Problems
from .sparse import Sparse
from .table_files import Table, listed

if TYPE_CHECKING:
    import pandas as pd


class TellsRowsApart(RunWarning):
    """A feature has a different whole number in every row."""


@dataclass(frozen=True)
class Samples:
    """Features (n, d) and labels (n,) of a table; ``rows`` (n,) of the ``total`` in it are used.

    ``warning`` is for whoever makes data of them, once nothing is refused any more.
    """

    X: Features = field(repr=False)
    labels: NDArray[np.str_]
    rows: Rows
    total: int
    warning: TellsRowsApart | None = None

    @property
    def dropped(self) -> int:
        return self.total - len(self.rows)


def features_and_labels(table: Table, how: Columns | None = None) -> Samples:
    """The samples of a table; `BadInput` with all that is wrong with it, and what to do."""
    how, problems = how or Columns(), Problems(how or Columns(), table)
    frame, label = table.frame, table.label
    for option in ("exclude", "onehot", "text"):
        _check_names(option, getattr(how, option), frame, label)
    kept = frame.drop(columns=list(how.exclude))
    answer = Column(label, as_written(kept[label]), table.label_marks)
    columns = [Column(name, kept[name], table.missing) for name in kept.columns if name != label]
    text = [c for c in columns if c.name in how.text] or (
        [c for c in columns if c.is_prose] if how.encoder is not None else []
    )
    if how.only_text:
        texts = [c for c in columns if c.is_category]
        columns = text = text or (texts if len(texts) == 1 else [])
    if how.categorical == "drop":
        wanted = {*how.onehot, *(c.name for c in text)}
        columns = [c for c in columns if not c.is_category or c.name in wanted]
    problems.look_at(answer, columns, text)
    absent = np.logical_or.reduce([c.absent for c in (answer, *columns)])
    used = ~absent if how.missing == "drop" else np.ones(len(frame), dtype=bool)
    if not problems.said and not (columns and used.any()):
        problems.add("no rows or no feature columns are left; drop or exclude less")
    problems.refuse()
    X = _features(columns, text, how, used)
    labels = answer.values.str.strip().to_numpy(dtype=str)[used]
    rows = (frame.index.to_numpy() - table.first)[used]
    return Samples(X, labels, rows, table.total, _warning(columns, set(text), table))


def _check_names(option: str, names: Sequence[str], frame: pd.DataFrame, label: str) -> None:
    unknown = [name for name in names if name not in frame.columns or name == label]
    if unknown:
        raise BadInput(
            f"dataset.{option}={unknown[0]} is no feature column; there are "
            f"{listed([c for c in frame.columns if c != label])}"
        )


def _warning(columns: Sequence[Column], text: set[Column], table: Table) -> TellsRowsApart | None:
    apart = [c.name for c in columns if c not in text and c.texts is None and c.tells_rows_apart]
    if not apart:
        return None
    return TellsRowsApart(
        f"a different whole number in every row: column {listed(apart)} of {table.source}; a model "
        f"may learn the order of the file from it; leave it out by "
        f"{as_word('dataset.exclude', apart)}"
    )


def _features(
    columns: Sequence[Column], text: Sequence[Column], how: Columns, used: NDArray[np.bool_]
) -> Features:
    """Numbers, spread categories in the order of their columns, and the vectors of text behind."""
    blocks = [_numbers(c, c.name in how.onehot)[used] for c in columns if c not in text]
    if not text or how.encoder is None:
        return np.concatenate(blocks, axis=1)
    joined = [c.values.astype(object).where(~c.absent, "").astype(str)[used] for c in text]
    texts = ["\n".join(parts) for parts in zip(*joined, strict=True)]
    vectors = how.encoder.vectors(texts)
    if isinstance(vectors, Sparse):
        parts = [sparse.csr_array(block) for block in blocks]
        return Sparse.of(sparse.hstack([*parts, vectors.rows]), "text")  # type: ignore[return-value]
    return np.concatenate([*blocks, vectors], axis=1)


def _numbers(column: Column, spread: bool) -> Features:
    """A feature column as (n, 1), or a column for each of its values as (n, k)."""
    import pandas as pd

    if column.texts is None and not spread:
        return column.numbers[:, None]
    values = column.numbers if column.texts is None else column.texts
    codes, different = pd.factorize(values, sort=True)
    onehot: Features = (codes[:, None] == np.arange(len(different))).astype(np.float64)
    onehot[codes < 0] = np.nan
    return onehot

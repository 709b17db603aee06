"""Tables of the user's own: read strictly, one column the label, the others made numbers.

Nothing is guessed in silence: a header that is missing, a column that is no number, a value that is
not there are each refused in a line that names them and the option that decides.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from goralx.errors import BadInput, UnknownName

from .features import Features
from .sources import first_line

if TYPE_CHECKING:
    import pandas as pd

DELIMITERS = {".csv": ",", ".data": ",", ".txt": ",", ".tsv": "\t"}
COMPRESSED = (".gz", ".bz2", ".xz", ".zip")
MISSING_VALUES = ["", "?", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
MAX_CATEGORIES = 100
"""More different texts than this in one column are identifiers or prose, not categories."""


def read_table(
    path: Path, label: str | None, *, delimiter: str | None = None, header: bool = True
) -> tuple[pd.DataFrame, str]:
    """The table, and the name of its label column (see `label_column`).

    ``.csv``, ``.tsv`` (and ``.data``, ``.txt``; compressed too) or ``.parquet``. The index counts
    lines of the file, or rows of a parquet file, from 1. A label is read as text: "NA" is a class.
    """
    suffixes = [s for s in path.suffixes if s not in COMPRESSED]
    suffix = suffixes[-1].lower() if suffixes else ""
    if path.is_dir() or suffix not in (*DELIMITERS, ".parquet"):
        raise BadInput(
            f"dataset.path={path}; allowed: files {', '.join(DELIMITERS)} (also compressed, "
            f"{', '.join(COMPRESSED)}) and .parquet"
        )
    if path.stat().st_size == 0:
        raise BadInput(f"{path} is empty")
    # pandas warns, and goes on, where a row has more fields than the header
    with warnings.catch_warnings():
        warnings.simplefilter("error", _parser_warning())
        try:
            if suffix == ".parquet":
                frame, target = _parquet(path, label)
            else:
                frame, target = _csv(path, label, delimiter or DELIMITERS[suffix], header)
        except BadInput:
            raise
        # EmptyDataError, ParserError, UnicodeDecodeError and pyarrow's are ValueErrors
        except (ValueError, OSError, EOFError, zlib.error, ImportError, Warning) as error:
            raise BadInput(f"cannot read {path} as a table ({first_line(error)})") from error
    if frame.empty:
        raise BadInput(f"{path} has no rows of data")
    return frame, target


def _parser_warning() -> type[Warning]:
    import pandas as pd

    return pd.errors.ParserWarning


def _parquet(path: Path, label: str | None) -> tuple[pd.DataFrame, str]:
    import pandas as pd

    frame = pd.read_parquet(path)
    frame.columns = frame.columns.astype(str)
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="row")
    return frame, label_column(list(frame.columns), label)


def _csv(path: Path, label: str | None, sep: str, header: bool) -> tuple[pd.DataFrame, str]:
    import pandas as pd

    options: dict[str, Any] = {
        "sep": sep,
        "header": 0 if header else None,
        "index_col": False,
        "encoding": "utf-8-sig",
        "skipinitialspace": True,
        "skip_blank_lines": False,  # so that the index counts lines
        "keep_default_na": False,
    }
    names = list(pd.read_csv(path, nrows=0 if header else 1, dtype=str, **options).columns)
    if len(names) < 2:
        raise BadInput(
            f"{path} has one column only when split at {sep!r}; "
            "set dataset.delimiter to what separates its columns, e.g. dataset.delimiter=';'"
        )
    if header:
        _check_header(path, [str(name) for name in names])
    target = label_column([str(name) for name in names], label)
    kept = dict(zip((str(name) for name in names), names, strict=True))[target]
    frame = pd.read_csv(
        path,
        dtype={kept: str},
        na_values={name: [""] if name == kept else MISSING_VALUES for name in names},
        low_memory=False,
        **options,
    )
    frame.columns = frame.columns.astype(str)
    first = 2 if header else 1
    frame.index = pd.RangeIndex(first, first + len(frame), name="line")
    return frame.dropna(how="all"), target


def _check_header(path: Path, names: Sequence[str]) -> None:
    """Refuse a first line of numbers, unless they merely count the columns."""
    numbers = [float(name) for name in names if _is_number(name)]
    if len(numbers) >= max(2, len(names) - 1) and numbers != sorted(set(numbers)):
        raise BadInput(
            f"{path}: the first line holds numbers, not names of columns; "
            "set dataset.header=false if the file has none"
        )


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def label_column(names: Sequence[str], label: str | None) -> str:
    """The column of the labels: by name, else by number from 0 (-1 the last, as None)."""
    if label is None:
        return names[-1]
    if label in names:
        return label
    if label.removeprefix("-").isdecimal() and -len(names) <= int(label) < len(names):
        return names[int(label)]
    near = get_close_matches(label, names, n=1)
    raise UnknownName(
        f"dataset.label={label} is no column{f'; did you mean {near[0]!r}?' if near else ''} · "
        f"there are {_listed(names)}, "
        f"or give a number from 0 to {len(names) - 1}"
    )


def features_and_labels(
    frame: pd.DataFrame,
    label: str,
    *,
    exclude: Sequence[str] = (),
    missing: str = "error",
    categorical: str = "error",
) -> tuple[Features, np.ndarray, int]:
    """X (N, d) and labels (N,) of a table, and how many rows were dropped.

    ``exclude`` names columns to leave out. ``missing``: "error"; "drop" drops the row; "mean"
    leaves NaN in X for `make_instance` to fill. ``categorical``, for columns that are not numbers:
    "error"; "onehot" makes a column of each value; "drop" leaves the column out.
    """
    unknown = [name for name in exclude if name not in frame.columns or name == label]
    if unknown:
        raise BadInput(
            f"dataset.exclude={unknown[0]} is no feature column; "
            f"there are {_listed(list(frame.columns))}"
        )
    frame = frame.drop(columns=list(exclude))
    text = [c for c in frame.columns if c != label and not _is_numeric(frame[c])]
    if text and categorical == "error":
        values = [(row, str(v)) for row, v in frame[text[0]].dropna().items()]
        row, value = next((rv for rv in values if not _is_number(rv[1])), values[0])
        raise BadInput(
            f"not numbers: columns {_listed(text)} (e.g. {value!r} in {frame.index.name} {row}); "
            "set dataset.categorical to onehot or drop, or name them in dataset.exclude"
        )
    if categorical == "drop":
        frame = frame.drop(columns=text)
    before = len(frame)
    if missing == "drop":
        frame = frame.dropna()
    else:
        _check_present(frame, [label] if missing == "mean" else list(frame.columns), label)
    if frame.empty or len(frame.columns) < 2:
        raise BadInput("no rows or no feature columns are left; drop or exclude less")
    columns = [_numbers(frame[c]) for c in frame.columns if c != label]
    return np.concatenate(columns, axis=1), _labels(frame[label]), before - len(frame)


def _is_numeric(column: pd.Series) -> bool:
    from pandas.api.types import is_complex_dtype, is_numeric_dtype

    numeric = is_numeric_dtype(column) and not is_complex_dtype(column)
    return numeric or bool(column.isna().all())


def _check_present(frame: pd.DataFrame, columns: Sequence[str], label: str) -> None:
    for name in columns:
        absent = frame[name].isna()
        if absent.any():
            row = frame.index[int(absent.to_numpy().argmax())]
            what, way = (
                ("label", "") if name == label else ("value", ", or to mean (of the column)")
            )
            raise BadInput(
                f"missing {what} in {frame.index.name} {row}, column {name!r} "
                f"({int(absent.sum())} in that column); set dataset.missing to drop (the row){way}"
            )


def _numbers(column: pd.Series) -> Features:
    """A feature column as (N, 1), or a column for each of its values as (N, k)."""
    import pandas as pd

    if _is_numeric(column):
        numbers: Features = column.to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isinf(numbers).any():
            row = column.index[int(np.isinf(numbers).argmax())]
            raise BadInput(f"infinite value in {column.index.name} {row}, column {column.name!r}")
        steps = np.diff(numbers)
        if str(column.name).startswith("Unnamed: ") and (steps == 1).all():
            raise BadInput(
                f"the column without a name (number {str(column.name).split()[-1]}) counts the "
                f"rows and tells nothing; set dataset.exclude='{column.name}'"
            )
        return numbers[:, None]
    codes, values = pd.factorize(column.astype(str).where(column.notna()), sort=True)
    if len(values) > MAX_CATEGORIES:
        raise BadInput(
            f"column {column.name!r} has {len(values)} different texts, more than "
            f"{MAX_CATEGORIES}; set dataset.exclude={column.name}"
        )
    onehot: Features = (codes[:, None] == np.arange(len(values))).astype(np.float64)
    onehot[codes < 0] = np.nan
    return onehot


def _labels(column: pd.Series) -> np.ndarray:
    """Labels as numbers where all are, so that classes sort by value; as text else."""
    import pandas as pd

    if _is_numeric(column):
        return column.to_numpy()
    text = column.astype(str)
    numbers = pd.to_numeric(text, errors="coerce")
    if numbers.notna().all() and numbers.nunique() == text.nunique():
        return numbers.to_numpy()
    return text.str.strip().to_numpy(dtype=str)


def _listed(names: Sequence[Any]) -> str:
    shown = ", ".join(str(name) for name in list(names)[:20])
    return shown if len(names) <= 20 else f"{shown}, ... ({len(names)} in all)"

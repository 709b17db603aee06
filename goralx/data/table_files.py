"""Files of tables: read strictly, the label column found, a header asked for where it is in doubt.

Nothing is guessed in silence: an encoding, a delimiter or a header that does not fit is refused in
a line that names the option that decides.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from goralx.errors import BadInput, UnknownName, as_word

from .encodings import encoding_of
from .missing import MISSING
from .sources import first_line

if TYPE_CHECKING:
    import pandas as pd

DELIMITERS = {".csv": ",", ".data": ",", ".txt": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
COMPRESSED = (".gz", ".bz2", ".xz", ".zip")
SEPARATORS = {";": ";", "\t": r"\t", "|": "|", ",": ",", " ": " ", ":": ":"}
"""What may separate columns, and how each is typed as an option."""

LABEL_MARKS = ("missing", "class")


@dataclass(frozen=True)
class Reading:
    """How a text file is read; None is found out, as `read_table` says."""

    delimiter: str | None = None
    header: bool | None = None
    encoding: str | None = None
    decimal: str = "."
    thousands: str | None = None
    na_values: Sequence[str] = ()
    na_labels: str = "missing"

    def __post_init__(self) -> None:
        if self.delimiter is not None and len(self.delimiter) != 1:
            words = [as_word("dataset.delimiter", typed) for typed in (";", r"\t")]
            raise BadInput(
                f"dataset.delimiter={self.delimiter!r}; a single character, e.g. {words[0]}, or "
                f"{words[1]} for a tab"
            )
        for option in ("decimal", "thousands"):
            given = getattr(self, option)
            if given is not None and (len(given) != 1 or given.isalnum()):
                raise BadInput(f"dataset.{option}={given}; a single character, e.g. . or ,")
        if self.decimal == self.thousands:
            raise BadInput(f"dataset.decimal and dataset.thousands are both {self.decimal!r}")
        if self.na_labels not in LABEL_MARKS:
            raise BadInput(f"dataset.na_labels={self.na_labels}; allowed: {', '.join(LABEL_MARKS)}")

    @property
    def missing(self) -> frozenset[str]:
        """Texts that stand for a missing value."""
        return MISSING | set(self.na_values)


@dataclass(frozen=True)
class Table:
    """A table, the name of its label column, and whether the names of its columns are the file's.

    The index counts lines of the file, or rows, from 1; ``first`` is where the samples begin.
    """

    source: str
    frame: pd.DataFrame = field(repr=False)
    label: str
    first: int = 1
    named: bool = True
    missing: frozenset[str] = MISSING
    na_labels: str = "missing"

    @property
    def label_marks(self) -> frozenset[str]:
        """Texts that stand for a missing label."""
        return self.missing if self.na_labels == "missing" else frozenset({""})

    @property
    def total(self) -> int:
        """Rows there are in the file, those that hold nothing counted."""
        return int(self.frame.index[-1]) - self.first + 1


def read_table(path: Path, label: str | None, how: Reading | None = None) -> Table:
    """The table, and its label column (see `label_column`).

    ``.csv``, ``.tsv`` (and ``.data``, ``.txt``), ``.jsonl`` (an object a line), all compressed too,
    or ``.parquet``, whose index, as pandas' metadata has it, is left out. ``how``
    None finds out what can be.
    """
    how = how or Reading()
    suffixes = [s for s in path.suffixes if s.lower() not in COMPRESSED]
    suffix = suffixes[-1].lower() if suffixes else ""
    if path.is_dir() or suffix not in (*DELIMITERS, *JSON_LINES, ".parquet"):
        raise BadInput(
            f"dataset.path={path}; allowed: files {', '.join((*DELIMITERS, *JSON_LINES))} (also "
            f"compressed, {', '.join(COMPRESSED)}) and .parquet"
        )
    if path.stat().st_size == 0:
        raise BadInput(f"{path} is empty")
    # pandas warns, and goes on, where a row has more fields than the header
    with warnings.catch_warnings():
        warnings.simplefilter("error", _parser_warning())
        try:
            if suffix == ".parquet":
                table = _parquet(path, label, how)
            elif suffix in JSON_LINES:
                table = _json_lines(path, label, how)
            else:
                table = _csv(path, label, how, how.delimiter or DELIMITERS[suffix])
        except (BadInput, UnknownName):
            raise
        except Exception as error:  # pandas, pyarrow and decompressors raise dozens of kinds
            raise BadInput(f"cannot read {path} as a table ({_said(error)})") from error
    if table.frame.empty:
        raise BadInput(f"{path} has no rows of data")
    return table


def _parser_warning() -> type[Warning]:
    import pandas as pd

    return pd.errors.ParserWarning


def _said(error: BaseException) -> str:
    """What pandas says of a header that is too short tells nobody what to do."""
    if "Length of header" in str(error):
        return (
            "its rows have more fields than its header; R's write.table leaves out the name of the "
            "row names: use write.csv(..., row.names=FALSE)"
        )
    ragged = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
    if ragged:
        expected, line, saw = ragged.groups()
        return (
            f"line {line} has {saw} fields where the others have {expected}: put texts that hold a "
            "delimiter in quotes, or mend the line"
        )
    return first_line(error)


def _parquet(path: Path, label: str | None, how: Reading) -> Table:
    import pandas as pd

    frame = pd.read_parquet(path)
    frame.columns = frame.columns.astype(str)
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="row")
    target = label_column(list(frame.columns), label)
    return Table(path.name, frame, target, missing=how.missing, na_labels=how.na_labels)


def _json_lines(path: Path, label: str | None, how: Reading) -> Table:
    """An object a line; a key that a line has not is a missing value there."""
    import pandas as pd

    # dtype=False leaves dates as they are since pandas 3, which warns of the option that did before
    old: dict[str, Any] = {"convert_dates": False} if int(pd.__version__.split(".")[0]) < 3 else {}
    encoding = encoding_of(path, how.encoding)
    frame = pd.read_json(path, lines=True, dtype=False, encoding=encoding, **old)
    frame.columns = frame.columns.astype(str)
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="line")
    target = label_column(list(frame.columns), label)
    return Table(path.name, frame, target, missing=how.missing, na_labels=how.na_labels)


def _csv(path: Path, label: str | None, how: Reading, sep: str) -> Table:
    import pandas as pd

    header = how.header is not False
    options: dict[str, Any] = {
        "sep": sep,
        "header": 0 if header else None,
        "index_col": False,
        "encoding": encoding_of(path, how.encoding),
        "skipinitialspace": sep != " ",
        "skip_blank_lines": False,  # so that the index counts lines
        "keep_default_na": False,
    }
    given = list(pd.read_csv(path, nrows=0 if header else 1, dtype=str, **options).columns)
    names = [str(name).strip() for name in given]
    if len(names) < 2:
        raise BadInput(f"{path} has one column only when split at {sep!r}; {_other(given, sep)}")
    target = label_column(names, label)
    kept = given[names.index(target)]
    frame = pd.read_csv(
        path,
        dtype={kept: str},
        na_values={n: [""] if n == kept else sorted(how.missing) for n in given},
        low_memory=False,
        decimal=how.decimal,
        thousands=how.thousands,
        **options,
    )
    frame.columns = pd.Index(names)
    first = 2 if header else 1
    broken = any(frame[c].astype(str).str.contains("\n").any() for c in _texts(frame))
    if broken:  # a sample that goes over some lines: samples are counted
        first = 1
    unit = "row" if broken else "line"
    frame.index = pd.RangeIndex(first, first + len(frame), name=unit)
    frame = frame.dropna(how="all")
    if how.header is None:
        _check_header(path, frame)
    return Table(path.name, frame, target, first, header, how.missing, how.na_labels)


def _texts(frame: pd.DataFrame) -> list[str]:
    unique = frame.columns[~frame.columns.duplicated()]
    return [c for c in unique if frame[c].dtype == object or frame[c].dtype == "str"]


def _other(names: Sequence[Any], sep: str) -> str:
    """What to do about a first line that was not split at ``sep``."""
    if str(names[0]).startswith("#"):
        return "its first line is a comment: take out what comes before the names of the columns"
    found = [option for s, option in SEPARATORS.items() if s != sep and s in str(names[0]).strip()]
    option = as_word("dataset.delimiter", found[0] if found else ";")
    eg = "" if found else "what separates its columns, e.g. "
    return f"set {eg}{option}"


def _check_header(path: Path, frame: pd.DataFrame) -> None:
    """Refuse a first line that looks like a sample of what is below it."""
    cells = [str(name) for name in frame.columns]
    numbers = [name for name in cells if _is_number(name)]
    alike = [
        name
        for i, name in enumerate(cells)
        if not _is_number(name) and (name in MISSING or _occurs(name, frame.iloc[:, i]))
    ]
    within = [name for i, name in enumerate(cells) if name in numbers and _fits(name, frame, i)]
    counted = len(numbers) > 2 and len(set(np.diff([float(n) for n in numbers]))) == 1
    if alike or (numbers and not counted and 2 * len(within) >= len(numbers)):
        shown = ", ".join(cells[:6]) + (", ..." if len(cells) > 6 else "")
        raise BadInput(
            f"{path}: the first line ({shown}) looks like a sample, not like names of columns; set "
            "dataset.header=false if it is one, dataset.header=true if these are names"
        )


def _occurs(name: str, column: pd.Series) -> bool:
    return not name.startswith("Unnamed: ") and bool((column.astype(str).str.strip() == name).any())


def _fits(name: str, frame: pd.DataFrame, i: int) -> bool:
    """Whether a number lies among those of its column."""
    import pandas as pd

    values = pd.to_numeric(frame.iloc[:, i], errors="coerce")
    return bool(values.min() <= float(name) <= values.max())


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
        f"there are {listed(names)}, "
        f"or give a number from 0 to {len(names) - 1}"
    )


def listed(names: Sequence[Any]) -> str:
    """Names, the first twenty of them."""
    shown = ", ".join(str(name) for name in list(names)[:20])
    return shown if len(names) <= 20 else f"{shown}, ... ({len(names)} in all)"

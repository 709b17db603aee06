"""Facts on rows of a data set, in a file of their own: CSV or JSON lines, by number or order."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from goralx.errors import BadInput, unknown_name

from .matrix import Rows

IDS = ("pool_id", "id", "row")
"""What a column of row numbers is called, unless somebody says otherwise."""


@dataclass(frozen=True)
class RowFile:
    """A file read whole: ``lines`` by column, and the ``digest`` (SHA-256) of its content."""

    path: Path
    columns: tuple[str, ...]
    lines: tuple[Mapping[str, Any], ...]
    digest: str

    def column(self, name: str, option: str) -> list[Any]:
        """Of each line, None where it has none; ``option`` is what named the column."""
        if name not in self.columns:
            raise unknown_name(f"{option}: column of {self.path.name}", name, self.columns)
        return [line.get(name) for line in self.lines]

    def rows(self, total: int, id: str | None, option: str) -> Rows:
        """Which of ``total`` rows each line is of: the number in a column ``id``, or its place.

        Without a column called `IDS` there has to be a line for each row, in order.
        """
        known = [name for name in IDS if name in self.columns]
        name = id if id is not None else next(iter(known), None)
        if name is None:
            if len(self.lines) != total:
                raise BadInput(
                    f"{self.path} has {len(self.lines)} lines for {total} rows, and no column "
                    f"{', '.join(IDS)} says which they are of · {option}= names such a column"
                )
            return np.arange(total)
        given = self.column(name, option)
        rows = np.array([_row_number(value, total) for value in given], dtype=np.int64)
        if (rows < 0).any():
            i = int(np.flatnonzero(rows < 0)[0])
            raise BadInput(
                f"{self.path}, line {i + 1}: {name} {given[i]!r} is no row of the data; allowed: 0 "
                f"to {total - 1}"
            )
        return rows


def _row_number(value: Any, total: int) -> int:
    """-1 for what is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return -1
    return int(number) if number.is_integer() and 0 <= number < total else -1


def read_rows(path: Path) -> RowFile:
    """Read CSV (with a header) or, if the name ends in .jsonl or .ndjson, JSON lines."""
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror} · give a file that can be read") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8; save it so") from None
    columns: Sequence[str]
    lines: list[Mapping[str, Any]]
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        lines = [_parsed(line, i, path) for i, line in enumerate(text.splitlines()) if line.strip()]
        columns = tuple(dict.fromkeys(key for line in lines for key in line))
    else:
        table = csv.DictReader(StringIO(text, newline=""))
        try:
            columns, lines = tuple(table.fieldnames or ()), list(table)
        except csv.Error as error:
            raise BadInput(f"{path} is no CSV ({error})") from None
    if not lines:
        raise BadInput(f"{path} has no lines · give a header, and a line for each fact")
    return RowFile(path, tuple(columns), tuple(lines), hashlib.sha256(content).hexdigest())


def _parsed(line: str, i: int, path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}, line {i + 1} is not JSON ({error})") from None
    if not isinstance(found, dict):
        raise BadInput(f"{path}, line {i + 1} is no JSON object · expected {{...}} on each line")
    return found

"""Tables, arrays and JSON on disk, written so that a kill at any moment does no harm."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from .errors import BadInput, PluginError


@contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """Write a file so that it is there whole or not at all."""
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        yield file
    os.replace(partial, path)


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    plain = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in plain.items():
        if array.dtype.hasobject:
            raise PluginError(f"{path.name}: '{name}' holds Python objects; give plain arrays")
    with atomic(path) as file:
        np.savez(file, **plain)  # type: ignore[arg-type]


def write_json(path: Path, value: Any) -> None:
    """JSON with null where a number is NaN or infinite."""
    with atomic(path) as file:
        file.write(json.dumps(_plain(value), indent=2, allow_nan=False).encode())


def append_csv(path: Path, lines: Iterable[Sequence[Any]]) -> None:
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)


def read_csv(path: Path, n_rows: int | None = None) -> list[list[str]]:
    """The header, and the first ``n_rows`` rows or all."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(islice(csv.reader(file), None if n_rows is None else n_rows + 1))


def write_csv(path: Path, lines: Iterable[Sequence[Any]]) -> None:
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    with atomic(path) as file:
        file.write(text.getvalue().encode())


def keep_rows(path: Path, n_rows: int) -> None:
    """Cut a table back to its first ``n_rows`` rows, which must be there."""
    lines = read_csv(path, n_rows) if path.exists() else []
    if len(lines) != n_rows + 1:
        raise BadInput(
            f"{path} has {max(0, len(lines) - 1)} whole rows, the checkpoint says {n_rows}; "
            "the record is damaged, start the run anew"
        )
    write_csv(path, lines)


def number(value: float) -> str:
    """A number so that it reads back exactly; nothing for NaN."""
    if math.isnan(value):
        return ""
    return str(value) if isinstance(value, int) else repr(float(value))


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: null."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""Tables, arrays and JSON on disk, written so that a kill at any moment does no harm."""

from __future__ import annotations

import csv
import json
import math
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from goralx.errors import BadInput, PluginError


@contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """Write a file so that it is there whole or not at all."""
    partial = path.with_name(path.name + ".part")
    with partial.open("w+b") as file:
        yield file
    os.replace(partial, path)


def write_npz(
    path: Path, arrays: Mapping[str, Any], stacked: Mapping[str, Sequence[Path]] | None = None
) -> None:
    """Arrays by name, and ``stacked`` ones whose rows are ``.npy`` files, read one at a time."""
    plain = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in plain.items():
        if array.dtype.hasobject:
            raise PluginError(f"{path.name}: '{name}' holds Python objects; give plain arrays")
    with atomic(path) as file:
        np.savez(file, **plain)  # type: ignore[arg-type]
        with zipfile.ZipFile(file, "a", allowZip64=True) as archive:
            for name, rows in (stacked or {}).items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    _write_stacked(member, rows)


def _write_stacked(file: IO[bytes], rows: Sequence[Path]) -> None:
    first = np.load(rows[0], allow_pickle=False)
    header = {
        "descr": np.lib.format.dtype_to_descr(first.dtype),
        "fortran_order": False,
        "shape": (len(rows), *first.shape),
    }
    np.lib.format.write_array_header_1_0(file, header)
    for row in rows:
        file.write(np.load(row, allow_pickle=False).tobytes())


def read_stacked(path: Path, name: str, rows: Iterable[int]) -> list[NDArray[Any]]:
    """These rows of an array in an ``.npz``, without reading the others."""
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
        np.lib.format.read_magic(member)
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        begin, size = member.tell(), int(np.prod(shape[1:])) * dtype.itemsize
        found = []
        for row in rows:
            member.seek(begin + row * size)
            found.append(np.frombuffer(member.read(size), dtype).reshape(shape[1:]))
        return found


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

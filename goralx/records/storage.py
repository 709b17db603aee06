"""Tables, arrays and JSON on disk, written so that a kill at any moment does no harm.

What is written ``durable`` has reached the disk, file and folder, when the call returns, and does
no harm if the power fails either.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO, StringIO
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from goralx.errors import BadInput, PluginError

from .formats import FORMAT, checked, current


@contextmanager
def atomic(path: Path, *, durable: bool = True) -> Iterator[IO[bytes]]:
    """Write a file so that it is there whole or not at all."""
    partial = path.with_name(path.name + ".part")
    with partial.open("w+b") as file:
        yield file
        if durable:
            file.flush()
            os.fsync(file.fileno())
    os.replace(partial, path)
    if durable:
        sync(path.parent)


def sync(path: Path) -> None:
    """See to it that a file, or the names in a folder, are on the disk and not only on their way.

    Where folders cannot be opened (Windows) there is nothing to be done for them.
    """
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)


def append_bytes(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical(value: Any) -> bytes:
    """JSON of one spelling: keys sorted, no spaces, ASCII."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def npy_bytes(array: NDArray[Any]) -> bytes:
    """What `numpy.save` would write."""
    buffer = BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def npz_bytes(arrays: Mapping[str, Any], name: str) -> bytes:
    """An ``.npz`` of these arrays and the format; the same arrays give the same bytes."""
    buffer = BytesIO()
    _write_archive(buffer, arrays, {}, name)
    return buffer.getvalue()


def write_npz(
    path: Path, arrays: Mapping[str, Any], stacked: Mapping[str, Sequence[Path]] | None = None
) -> None:
    """Arrays by name, and ``stacked`` ones whose rows are ``.npy`` files, read one at a time."""
    with atomic(path) as file:
        _write_archive(file, arrays, stacked or {}, path.name)


def _write_archive(
    file: IO[bytes], arrays: Mapping[str, Any], stacked: Mapping[str, Sequence[Path]], where: str
) -> None:
    with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        for name, array in {"format": FORMAT, **arrays}.items():
            values = np.asarray(array)
            if values.dtype.hasobject:
                raise PluginError(f"{where}: '{name}' holds Python objects; give plain arrays")
            with archive.open(_member(name), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)
        for name, rows in stacked.items():
            with archive.open(_member(name), "w", force_zip64=True) as member:
                _write_stacked(member, rows)


def _member(name: str) -> zipfile.ZipInfo:
    """Without the time of day, which `numpy.savez` puts in."""
    member = zipfile.ZipInfo(f"{name}.npy")
    member.external_attr = 0o600 << 16
    return member


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


def read_npz(path: Path, *names: str) -> dict[str, NDArray[Any]]:
    """These arrays of an ``.npz``, or all but its format; `BadInput` names a file that is bad."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            checked(path, stored["format"].item() if "format" in stored else None)
            wanted = names or [name for name in stored.files if name != "format"]
            return {name: stored[name] for name in wanted}
    except (BadInput, FileNotFoundError):
        raise
    except Exception as error:  # numpy and zipfile raise a dozen kinds for a damaged file
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise BadInput(f"{path} cannot be read ({said})") from error


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


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """JSON as pandas' "split" orientation, which allows no key beside these, so no format."""
    table = _plain({"columns": columns, "data": list(rows)})
    with atomic(path) as file:
        file.write(json.dumps(table, indent=2, allow_nan=False).encode())


def write_json(
    path: Path, value: Mapping[str, Any], *, sealed: bool = False, durable: bool = True
) -> dict[str, Any]:
    """JSON with its format and null where a number is NaN or infinite; returns what was written.

    The format is the record's unless the value has its own. ``sealed`` adds the hash of all the
    rest, as ``sha256``, which `read_json` holds it against.
    """
    content = {"format": FORMAT, **_plain(value)}
    content.pop("sha256", None)
    if sealed:
        content["sha256"] = digest(canonical(content))
    with atomic(path, durable=durable) as file:
        file.write(json.dumps(content, indent=2, allow_nan=False).encode())
    return content


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of ours, in this format; `BadInput` names one that is damaged or newer."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"holds {type(content).__name__}, not an object")
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} cannot be read ({' '.join(str(error).split())})") from error
    now = current(path, content)
    rest = {key: value for key, value in content.items() if key != "sha256"}
    if "sha256" in content and content["sha256"] != digest(canonical(rest)):
        raise BadInput(f"{path} is damaged: it is not what goralx wrote (its sha256 differs)")
    return now


def append_csv(path: Path, lines: Iterable[Sequence[Any]]) -> None:
    append_bytes(path, csv_text(lines).encode())


def csv_text(lines: Iterable[Sequence[Any]]) -> str:
    text = StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def read_csv(path: Path, n_rows: int | None = None) -> list[list[str]]:
    """The header, and the first ``n_rows`` rows or all."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(islice(csv.reader(file), None if n_rows is None else n_rows + 1))


def write_csv(path: Path, lines: Iterable[Sequence[Any]]) -> None:
    with atomic(path) as file:
        file.write(csv_text(lines).encode())


def rows_as_far(path: Path) -> Iterator[list[str]]:
    """The header and the rows as far as they can be read, whatever is damaged."""
    try:
        text = path.read_bytes().decode("utf-8", "replace")
        yield from csv.reader(StringIO(text, newline=""))
    except (OSError, csv.Error):
        return


def keep_rows(path: Path, n_rows: int, n_columns: int | None = None) -> None:
    """Cut a table back to its first ``n_rows`` rows, which must be there, and so many columns."""
    lines = list(islice(rows_as_far(path), n_rows + 1))
    if len(lines) != n_rows + 1:
        raise BadInput(
            f"{path} has {max(0, len(lines) - 1)} whole rows, the checkpoint says {n_rows}; "
            "the record is damaged, start the run anew"
        )
    width = len(lines[0]) if n_columns is None else n_columns
    write_csv(path, [(line + [""] * width)[:width] for line in lines])


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

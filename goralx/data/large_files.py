"""Files too large for memory: arrays that are mapped, and parquet made into such arrays, once."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from goralx.errors import BadInput

from .labels import plain_labels
from .sources import cache_folder, first_line
from .table_files import label_column
from .views import View, map_array


def open_matrix(path: Path, option: str = "dataset.path") -> View:
    """The matrix of floats in a ``.npy`` file, which is only mapped; `BadInput` if it is none."""
    matrix = map_array(path, option)
    if matrix.dtype not in (np.float32, np.float64) or matrix.ndim != 2 or 0 in matrix.shape:
        raise BadInput(
            f"{option}={path} holds {matrix.dtype} {matrix.shape}; needed: float32 or float64 of "
            "shape (samples, features); convert it and save it with numpy.save"
        )
    return View(path.resolve())


def open_labels(path: Path, option: str = "dataset.labels") -> NDArray[Any]:
    """The labels in a ``.npy`` file, in memory."""
    return np.array(map_array(path, option))


def converted(path: Path, label: str | None) -> tuple[Path, Path]:
    """``X.npy`` and ``y.npy`` of a parquet file, in a cache folder of its own, made if not there.

    The folder goes by path, size, time of change and label column. Columns are float32 if all are,
    else float64. A conversion that fails leaves nothing behind.
    """
    stat = path.stat()
    identity = json.dumps([str(path.resolve()), stat.st_size, stat.st_mtime_ns, label])
    name = hashlib.sha256(identity.encode()).hexdigest()[:24]
    home = cache_folder("npy")
    features, labels = home / name / "X.npy", home / name / "y.npy"
    if features.is_file() and labels.is_file():
        return features, labels
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise BadInput('.parquet files need pyarrow · pip install "goralx[parquet]"') from error
    try:
        with (
            tempfile.TemporaryDirectory(dir=home, prefix=f".{name}.") as scratch,
            parquet.ParquetFile(path) as file,
        ):
            _convert(file, path, label, Path(scratch))
            target = Path(scratch) / "whole"
            target.mkdir()
            for made in ("X.npy", "y.npy"):
                os.replace(Path(scratch) / made, target / made)
            if not features.is_file():  # another process may have been quicker
                os.replace(target, home / name)
    except pyarrow.ArrowException as error:
        raise BadInput(f"cannot read {path} as parquet ({first_line(error)})") from error
    except OSError as error:
        raise BadInput(
            f"cannot convert {path} in {home} ({error.strerror or error}); make room there, or set "
            "GORALX_CACHE to a folder with room"
        ) from error
    return features, labels


def _convert(file: Any, path: Path, label: str | None, folder: Path) -> None:
    """Write X.npy and y.npy, a row group at a time; plain writes, so that a full disk is told."""
    from pyarrow import types

    schema = file.schema_arrow
    indexes = (schema.pandas_metadata or {}).get("index_columns", [])
    names = [name for name in schema.names if name not in indexes]
    target = label_column(names, label)
    columns = [name for name in names if name != target]
    kinds = [schema.field(name).type for name in columns]
    for name, kind in zip(columns, kinds):
        if not (types.is_floating(kind) or types.is_integer(kind)):
            raise BadInput(
                f"{path}: column {name!r} is {kind}, not a number; leave it out of the file, or "
                "name the label column by dataset.label"
            )
    single = all(types.is_float32(kind) for kind in kinds)
    dtype = np.dtype(np.float32 if single else np.float64)
    n = file.metadata.num_rows
    if not (n and columns):
        raise BadInput(f"{path} has {n} rows and {len(columns)} feature columns; needed: some")
    labels = []
    with (folder / "X.npy").open("wb") as stream:
        _write_header(stream, dtype, (n, len(columns)))
        for group in range(file.num_row_groups):
            for batch in file.iter_batches(batch_size=1 << 14, row_groups=[group]):
                rows = [
                    batch.column(name).to_numpy(zero_copy_only=False).astype(dtype, copy=False)
                    for name in columns
                ]
                stream.write(np.ascontiguousarray(np.stack(rows, axis=1)).tobytes())
                labels.append(batch.column(target).to_numpy(zero_copy_only=False))
    np.save(folder / "y.npy", plain_labels(np.concatenate(labels), str(path)), allow_pickle=False)


def _write_header(stream: BinaryIO, dtype: np.dtype[Any], shape: tuple[int, int]) -> None:
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": shape,
    }
    np.lib.format.write_array_header_1_0(stream, header)

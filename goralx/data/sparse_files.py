"""Sparse features from files: what `scipy.sparse.save_npz` writes, and svmlight's text format."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from goralx.errors import BadInput

from .sources import first_line, read_arrays
from .sparse import Sparse
from .unpacking import check_archive

FORMATS = ("csr", "csc", "coo", "bsr", "dia")
MOST_FEATURES = 1 << 26
"""Beyond that a feature's number is a mistake in the file: one number a feature must fit memory."""


def holds_sparse(path: Path) -> bool:
    """Whether an ``.npz`` is one of `scipy.sparse.save_npz`; what cannot be read is said later."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {"format.npy", "shape.npy", "data.npy"} <= set(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def read_sparse_npz(path: Path) -> Sparse:
    """The matrix that `scipy.sparse.save_npz` wrote; nothing in it is unpickled."""
    from scipy import sparse

    kind, shape = read_arrays(path, "format", "shape")
    name = bytes(kind).decode("ascii", "replace") if kind.dtype.kind == "S" else str(kind)
    if name not in FORMATS:
        raise BadInput(f"{path}: sparse format {name!r}; allowed: {', '.join(FORMATS)}")
    _check_shape(path, shape)
    try:
        check_archive(path)
        X = sparse.load_npz(path)
        if name in ("csr", "csc", "bsr"):
            X.check_format()
        return Sparse.of(X, str(path))
    except BadInput:
        raise
    except Exception as error:  # numpy, scipy and zipfile raise a dozen kinds
        raise BadInput(f"{path} is not a readable sparse .npz ({first_line(error)})") from error


def read_svmlight(path: Path) -> tuple[Sparse, np.ndarray]:
    """Features and labels (N,) of a svmlight or libsvm file (also .gz, .bz2).

    Lines of ``label index:value ...``, indices ascending; they count from 1 unless one is 0.
    """
    from sklearn.datasets import load_svmlight_file

    try:
        X, y = load_svmlight_file(str(path))
    except Exception as error:  # its parser and decompressors raise a dozen kinds
        raise BadInput(
            f"cannot read {path} as svmlight ({first_line(error)}); its lines are "
            "label index:value index:value ..., indices ascending"
        ) from error
    if 0 in X.shape:
        raise BadInput(f"{path} has {X.shape[0]} samples of {X.shape[1]} features; needed: some")
    _check_shape(path, np.array(X.shape))
    return Sparse.of(X, str(path)), y


def _check_shape(path: Path, shape: np.ndarray) -> None:
    if shape.shape != (2,) or shape.dtype.kind not in "iu":
        raise BadInput(f"{path}: its shape is {shape}; expected (samples, features)")
    if int(shape[1]) > MOST_FEATURES:
        raise BadInput(
            f"{path}: {int(shape[1]):,} features; at most {MOST_FEATURES:,} (is an index of the "
            "file mistaken?)"
        )

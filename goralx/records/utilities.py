"""Utilities of the pool, a file a round while a run goes on, in the end one file for all rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from goralx.core import Floats
from goralx.data import Rows

from .inspection import GATHERED
from .reading import read_rounds
from .storage import (
    atomic,
    digest,
    file_digest,
    npy_bytes,
    read_npz,
    read_stacked,
    write_bytes,
    write_npz,
)


def folder(directory: Path) -> Path:
    return directory / "utilities"


def part(directory: Path, round: int) -> Path:
    return folder(directory) / f"{round:05d}.npy"


def write_part(path: Path, pool: Rows, ids: Rows, utility: Floats) -> str:
    """A round's utilities (N,) of the candidates ``ids``, as those of the initial pool (M,).

    NaN once queried. Returns the file's hash.
    """
    dense = np.full(len(pool), np.nan, dtype=np.float32)
    dense[np.isin(pool, ids)] = utility
    content = npy_bytes(dense)
    path.parent.mkdir(exist_ok=True)
    write_bytes(path, content)
    return digest(content)


def gather(directory: Path, pool: Rows) -> str:
    """``utilities.npz`` of all the parts; returns its hash."""
    parts = sorted(folder(directory).glob("*.npy"))
    rounds = np.array([int(path.stem) for path in parts], dtype=np.int64)
    arrays = {
        "ids": pool,
        "round": rounds,
        "n_labelled": read_rounds(directory)["n_labelled"][rounds].astype(np.int64),
    }
    write_npz(directory / GATHERED, arrays, stacked={"utility": parts})
    return file_digest(directory / GATHERED)


def unpack(directory: Path, rounds: Sequence[Mapping[str, Any]]) -> None:
    """Take ``utilities.npz`` apart again, for the rounds that these lines seal."""
    for line in rounds if (directory / GATHERED).exists() else ():
        path = part(directory, line["round"])
        if line["utility"] is None or (path.exists() and file_digest(path) == line["utility"]):
            continue
        path.parent.mkdir(exist_ok=True)
        with atomic(path) as file:
            file.write(npy_bytes(_gathered(directory, line["round"])[0]))


def sealed_as_found(directory: Path, round: int) -> str | None:
    """The hash of a round's part, also where all are gathered already; None without utilities."""
    path = part(directory, round)
    if path.exists():
        return file_digest(path)
    found = _gathered(directory, round) if (directory / GATHERED).exists() else []
    return digest(npy_bytes(found[0])) if found else None


def _gathered(directory: Path, round: int) -> list[np.ndarray]:
    """A round's row of ``utilities.npz``, if it has one."""
    at = np.flatnonzero(read_npz(directory / GATHERED, "round")["round"] == round)
    return read_stacked(directory / GATHERED, "utility", at.tolist())

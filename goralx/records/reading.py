"""What a record says, read back from its files."""

from __future__ import annotations

import csv
import math
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from goralx.contracts import RunInfo
from goralx.data import Rows
from goralx.errors import BadInput

from .storage import read_csv, read_json


def read_summary(directory: Path) -> dict[str, Any]:
    """``summary.json``; its status is "running" until the run has ended, and after a hard kill."""
    try:
        return read_json(directory / "summary.json")
    except FileNotFoundError:
        raise BadInput(f"{directory} holds no run · a run directory has a summary.json") from None


def read_info(directory: Path) -> RunInfo:
    """Which run a record is of."""
    summary = read_summary(directory)
    return RunInfo(directory, summary["name"], summary["config"], summary["tags"])


def read_rounds(directory: Path) -> dict[str, NDArray[np.float64]]:
    """Columns of ``rounds.csv`` by name, (R,) each, NaN where a field is empty; {} before round 0.

    A last line that a kill cut short is left out.
    """
    path = directory / "rounds.csv"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    header, *rows = list(csv.reader(StringIO(text[: text.rfind("\n") + 1]))) or [[]]
    return {
        name: np.array([float(row[i]) if row[i] else math.nan for row in rows])
        for i, name in enumerate(header)
    }


def read_queries(directory: Path) -> tuple[Rows, Rows]:
    """Rounds (Q,) and ids (Q,) of ``queries.csv``, in the order of the queries."""
    lines = read_csv(directory / "queries.csv")[1:]
    table = np.array([[int(line[0]), int(line[1])] for line in lines], dtype=np.int64)
    return table.reshape(-1, 2)[:, 0], table.reshape(-1, 2)[:, 1]


def in_use(directory: Path) -> bool:
    """Whether some process writes here now."""
    lock = FileLock(directory / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False

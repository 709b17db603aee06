"""What a record says, read back from its files."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from goralx.contracts import ABSTAINED, RunInfo
from goralx.data import Labels, Rows
from goralx.errors import BadInput
from goralx.escaping import for_csv, from_csv

from .storage import read_csv, read_json


@dataclass(frozen=True)
class Answer:
    """What was said of a sample: the label that is learned, None without, and who said what.

    ``said`` has those who were asked, by name, with the label that they gave or None.
    """

    pool_id: int
    truth: str
    label: str | None
    cost: float
    said: Mapping[str, str | None]


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


def read_labels(directory: Path, classes: Sequence[str]) -> Labels:
    """What the samples of ``queries.csv`` are learned as (Q,), `ABSTAINED` where nobody said."""
    lines = read_csv(directory / "queries.csv")[1:]
    return label_numbers((line[2] for line in lines), classes)


def read_answers(directory: Path) -> list[Answer] | None:
    """What a run's oracle said, in the order of the queries; None where nothing but the truth."""
    with (directory / "queries.csv").open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if "answers" not in (rows.fieldnames or ()):
            return None
        try:
            return [
                Answer(
                    int(row["pool_id"]),
                    from_csv(row["true_label"]),
                    from_csv(row["label"]) if row["label"] else None,
                    float(row["cost"]),
                    json.loads(row["answers"]),
                )
                for row in rows
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(f"{file.name} is damaged ({error})") from error


def label_numbers(names: Iterable[str], classes: Sequence[str]) -> Labels:
    """Numbers of the classes that cells name, `ABSTAINED` where they are empty.

    Raises `BadInput` for a name that no class has.
    """
    known = {"": ABSTAINED, **{for_csv(name): k for k, name in enumerate(classes)}}
    try:
        return np.array([known[name] for name in names], dtype=np.int64)
    except KeyError as error:
        raise BadInput(
            f"queries.csv names a class {error} that the data do not have · the record is damaged"
        ) from error


def in_use(directory: Path) -> bool:
    """Whether some process writes here now."""
    lock = FileLock(directory / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False

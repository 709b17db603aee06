"""What a record says of who was told of it, and how far: ``tracking.json`` in the run's directory.

``tracker``    which one, as configured
``state``      ``following`` while the run goes on, ``complete`` once all was told, ``lost`` before
``n_labelled`` the last round told, by its number of labels; null before the first
``error``      what the tracker raised, null otherwise
and what the tracker itself notes to find the run again (`goralx.tracking.mlflow`: ``uri``,
``experiment_id``, ``run_id``, and under ``superseded`` the ids of those whose place it takes).
Written whole or not at all; a record is whole without it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goralx.records import read_rounds, write_json

FILE = "tracking.json"


def noted(directory: Path) -> dict[str, Any]:
    """The ledger of a record; {} where there is none, or none that can be read."""
    try:
        value = json.loads((directory / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def last_recorded(directory: Path) -> int | None:
    """The number of labels of the last round on record; None before the first."""
    rounds = read_rounds(directory)
    return int(rounds["n_labelled"][-1]) if rounds and len(rounds["n_labelled"]) else None


def note(directory: Path, **changes: Any) -> None:
    """Put down what has changed."""
    before = noted(directory)
    after = {**before, **changes}
    if after != before:
        write_json(directory / FILE, after, durable=False)  # every round; the record is the truth


def supersede(directory: Path) -> None:
    """The record is about to tell another run than was tracked: a new one takes its place."""
    found = noted(directory)
    if found.get("run_id"):
        earlier = [*found.get("superseded", []), found["run_id"]]
        note(directory, run_id=None, superseded=list(dict.fromkeys(earlier)))


@dataclass(frozen=True)
class Tracked:
    """How far a run was tracked: ``told`` of ``n_labelled`` labels, both with those of init."""

    tracker: str
    state: str
    told: int | None
    n_labelled: int | None
    error: str | None

    @property
    def level(self) -> bool:
        """Whether the tracker knows all that is on record."""
        return self.state == "complete"

    def __str__(self) -> str:
        if self.level:
            return f"{self.tracker}, all of it"
        reach = f"to {self.told} of {self.n_labelled} labels" if self.told else "nothing"
        return f"{self.tracker}, {reach} ({self.error or 'cut short'})"


def how_far(directory: Path) -> Tracked | None:
    """How far a record was tracked; None if nobody was to be told."""
    found, told = noted(directory), noted(directory).get("n_labelled")
    if "state" not in found:
        return None
    names = str(found.get("tracker")), str(found["state"])
    return Tracked(*names, told, last_recorded(directory), found.get("error"))

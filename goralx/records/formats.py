"""The format of a record's files: a number in every JSON and ``.npz``, and the steps between them.

1  what was written before files had a number
2  files are sealed (``seals.jsonl``); a summary says what determined its result, part by part
3  a checkpoint has the labels that are learned, which an oracle gave; a summary what they cost

A newer file is refused, an older one is taken up step by step as it is read; `goralx resume` leaves
the files of the record that it goes on with in the newest format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from goralx.errors import BadInput

FORMAT = 3


def checked(path: Path, found: Any) -> int:
    """The format of the file ``path`` that has ``found`` for it; None is that of format 1."""
    number = 1 if found is None else found
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise BadInput(f"{path} is damaged: its format is {found!r}, not a number from 1")
    if number > FORMAT:
        raise BadInput(
            f"{path} is in format {number}, written by a newer goralx; this one reads formats up "
            f"to {FORMAT} · upgrade goralx"
        )
    return number


def current(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """What a JSON file of any format says, in this one."""
    now = dict(content)
    for step in range(checked(path, content.get("format")), FORMAT):
        now = {**STEPS[step](path.name, now), "format": step + 1}
    return now


def _from_1(name: str, content: dict[str, Any]) -> dict[str, Any]:
    """A fingerprint was that of options and data alone; of the code only versions were known.

    Accuracy and log loss were once all that was measured.
    """
    if name != "summary.json":
        return content
    now = {**content, "inputs": content.get("fingerprint"), "sources": None}
    if "full_pool_accuracy" in now:
        full = now.pop("full_pool_accuracy")
        now["metric"] = "accuracy"
        now["higher_is_better"] = {"accuracy": True, "log_loss": False}
        now["test"] = {m: now.pop(m) for m in ("accuracy", "log_loss") if m in now}
        now["full_pool"] = None if full is None else {"accuracy": full}
    return now


def _from_2(name: str, content: dict[str, Any]) -> dict[str, Any]:
    """Every label was true, and cost one."""
    if name != "summary.json" or "n_queries" not in content:
        return content
    return {**content, "cost": float(content["n_queries"]), "label_error": 0.0, "abstained": 0}


STEPS: dict[int, Callable[[str, dict[str, Any]], dict[str, Any]]] = {1: _from_1, 2: _from_2}
"""From each format to the next."""

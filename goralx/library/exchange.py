"""Samples as files for other tools to label, and their answers: Label Studio's, CSV, JSON lines.

A Label Studio task carries the text (or the id, where there is none) as data, the id in ``meta``,
and a prediction with the model's likeliest class, so that annotators confirm rather than choose;
``score`` is the model's probability of it. Its answers are what Label Studio exports as "JSON" or
"JSON-MIN". https://labelstud.io/guide/predictions
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from goralx import escaping
from goralx.errors import BadInput

VERSION = "goralx"
FROM, TO = "label", "text"
"""Names in the labelling interface: <Text name="text" value="$text"/> and, with a Choice a class,
<Choices name="label" toName="text">."""
COLUMNS = ("id", "text", "utility", "predicted", "probability", "reason", "label")


@dataclass(frozen=True)
class Asked:
    """One sample on its way to whoever labels it."""

    id: int
    text: str
    utility: float
    predicted: Any
    probability: float
    reason: str


@dataclass(frozen=True)
class Answer:
    """What came back: a label, or None where it was skipped."""

    id: int
    label: Any


def write(path: Path, asked: Sequence[Asked]) -> None:
    """By the ending: .json for Label Studio; .jsonl and .csv with an empty label to fill in."""
    kind = suffix(path)
    if kind == ".json":
        text = json.dumps([task(one) for one in asked], indent=1, ensure_ascii=False)
    elif kind == ".jsonl":
        text = "".join(json.dumps(row(one), ensure_ascii=False) + "\n" for one in asked)
    else:
        table = StringIO(newline="")
        writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for one in asked:
            writer.writerow({name: escaping.for_csv(v) for name, v in row(one).items()})
        text = table.getvalue()
    path.write_text(text, encoding="utf-8")


def task(one: Asked) -> dict[str, Any]:
    """As Label Studio imports it."""
    meta = {"goralx_id": one.id, "utility": finite(one.utility), "reason": one.reason}
    made: dict[str, Any] = {"data": {"text": one.text}, "meta": meta}
    if one.predicted is not None:
        choice = {"choices": [str(one.predicted)]}
        result = {"from_name": FROM, "to_name": TO, "type": "choices", "value": choice}
        made["predictions"] = [
            {"model_version": VERSION, "score": one.probability, "result": [result]}
        ]
    return made


def row(one: Asked) -> dict[str, Any]:
    worth, sure = finite(one.utility), finite(one.probability)
    return dict(zip(COLUMNS, (one.id, one.text, worth, one.predicted, sure, one.reason, "")))


def read(path: Path, classes: Sequence[Any]) -> list[Answer]:
    """The answers in a file, by its ending as in `write`; rows without a label are left out."""
    kind = suffix(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        if kind == ".json":
            found = list(_answers(json.loads(text), path))
        elif kind == ".jsonl":
            found = [_row(json.loads(line), path) for line in text.split("\n") if line.strip()]
        else:
            lines = csv.DictReader(StringIO(text, newline=""))
            found = [_row(line, path) for line in lines]
            found = [replace(a, label=escaping.from_csv(a.label)) for a in found]
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8; save it so") from None
    except json.JSONDecodeError as error:
        raise BadInput(f"{path} is not JSON: {error}") from None
    named = {str(label): label for label in classes}
    return [Answer(a.id, named.get(str(a.label), a.label)) for a in found if a.label != ""]


def _answers(tasks: Any, path: Path) -> Iterator[Answer]:
    """Of Label Studio's export, "JSON" or "JSON-MIN"; of several annotations the last."""
    if not isinstance(tasks, list) or not all(isinstance(one, Mapping) for one in tasks):
        raise BadInput(f"{path}: expected a list of Label Studio's tasks")
    for one in tasks:
        meta = one.get("meta")
        id = meta.get("goralx_id") if isinstance(meta, Mapping) else one.get("goralx_id")
        if not isinstance(id, int) or isinstance(id, bool):
            raise BadInput(f"{path}: a task has no meta.goralx_id; import what goralx exported")
        label = one.get(FROM, "") if "annotations" not in one else ""
        for annotation in one.get("annotations") or []:
            if annotation.get("was_cancelled"):
                label = None
                continue
            for result in annotation.get("result") or []:
                choices = (result.get("value") or {}).get("choices")
                if choices:
                    label = choices[0]
        yield Answer(id, label)


def _row(line: Any, path: Path) -> Answer:
    try:
        return Answer(int(line["id"]), "" if line["label"] is None else line["label"])
    except (KeyError, TypeError, ValueError):
        raise BadInput(f"{path}: every row needs a whole number id and a label") from None


def finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def suffix(path: Path) -> str:
    if path.suffix.lower() not in (".json", ".jsonl", ".csv"):
        raise BadInput(f"{path}; allowed: .json (Label Studio), .jsonl, .csv")
    return path.suffix.lower()

"""The same colour for the same arm in every figure of a project, told apart by colour-blind eyes.

Colours are Okabe and Ito's without the yellow, which is too light for lines on white; when they
are used up, they come again with another dash.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goralx.errors import BadInput

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A4A1E", "#000000")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
GREY = "#6b7885"
BASELINE = "strategy=random"
"""What every other arm has to beat is grey, in any project."""


@dataclass(frozen=True)
class Look:
    colour: str
    dash: Any


def look(slot: int) -> Look:
    """Of a slot; -1 is the baseline's."""
    if slot < 0:
        return Look(GREY, "-")
    return Look(COLOURS[slot % len(COLOURS)], DASHES[slot // len(COLOURS) % len(DASHES)])


def assign(keys: Iterable[str], known: Mapping[str, int]) -> dict[str, int]:
    """A slot for each arm: the one it had, or a free one whose colour nobody here has."""
    wanted = list(dict.fromkeys(keys))
    slots = {key: known[key] for key in wanted if key in known}
    taken = {*known.values()}
    for key in wanted:
        if key in slots:
            continue
        if key == BASELINE:
            slots[key] = -1
            continue
        here = {slot % len(COLOURS) for slot in slots.values() if slot >= 0}
        free = [slot for slot in range(len(taken) + len(COLOURS) + 1) if slot not in taken]
        slots[key] = next((s for s in free if s % len(COLOURS) not in here), free[0])
        taken.add(slots[key])
    return slots


def project_palette(keys: Iterable[str], file: Path | None) -> dict[str, Look]:
    """Looks by arm, remembered in a file of the project."""
    known = _read(file) if file is not None else {}
    slots = assign(keys, known)
    if file is not None and not slots.items() <= known.items():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({**known, **slots}, indent=1), encoding="utf-8")
        except OSError as error:
            raise BadInput(f"{file} cannot be written: {error.strerror}") from error
    return {key: look(slot) for key, slot in slots.items()}


def _read(file: Path) -> dict[str, int]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {str(key): int(slot) for key, slot in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise BadInput(
            f"{file} cannot be read ({error}) · delete it: colours are dealt anew"
        ) from error

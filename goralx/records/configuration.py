"""What a run is configured with: the files that it was begun with, and what was changed since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from goralx.errors import BadInput

from . import seals
from .storage import file_digest

FOLDER = ".hydra"


def check_configuration(directory: Path) -> dict[str, Any]:
    """Hold the files of the configuration against their seals, before anybody parses them.

    Returns the options that the run has gone on with since, by name. A record of format 1 has no
    seals and no such options. Raises `BadInput` that names the file.
    """
    path = seals.path(directory)
    if not path.exists():
        return {}
    lines, _ = seals.read(path)
    for name, sealed in lines[0]["files"].items():
        file = directory / name
        if name.startswith(FOLDER) and (not file.is_file() or file_digest(file) != sealed):
            state = "damaged" if file.exists() else "missing"
            raise BadInput(f"{file} is {state} · start the run anew, in another directory")
    return changed(lines)


def changed(lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Options that a run has gone on with, by the lines of its chain; the last of each counts."""
    found: dict[str, Any] = {}
    for line in extensions(lines):
        found |= line["options"]
    return found


def extensions(lines: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Each time that it has gone on with a larger budget: ``options``, and those of before."""
    said = (line.get("resumed", {}).get("extended") for line in lines)
    return [extended for extended in said if extended is not None]

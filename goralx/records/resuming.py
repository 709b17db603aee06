"""Going on with a record: from which round, and without what lies beyond it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from goralx.errors import BadInput

from . import seals, utilities
from .inspection import CHECKPOINTS, REPLACEABLE, Inspection
from .storage import keep_rows, sync


class NothingToGoOnFrom(BadInput):
    """No round of a record can be gone on from; only if asked does it begin at round 0 again."""


def checkpoint_to_go_on_from(found: Inspection, restart: bool) -> str | None:
    """The file of a checkpoint, or None to begin at round 0.

    Raises `BadInput` where the configuration is damaged, and `NothingToGoOnFrom` where all rounds
    would have to be dropped and ``restart`` does not say so.
    """
    check_left(found, found.checkpoint is not None, restart)
    return None if restart else found.checkpoint


def check_left(found: Inspection, left: bool, restart: bool) -> None:
    """Refuse a damaged configuration, and damage that left nothing, unless it may begin again."""
    configuration = [d for d in found.damage if d.path.parent.name == ".hydra"]
    if configuration:
        raise BadInput(f"{configuration[0]} · start the run anew, in another directory")
    lost = [d for d in found.damage if d.path.name not in REPLACEABLE]
    if lost and not left and not restart:
        raise NothingToGoOnFrom(
            f"{'; '.join(map(str, lost))} · nothing before it can be gone on from: "
            f"`goralx resume {found.directory} --restart` begins anew"
        )


def cut(found: Inspection, name: str | None, done: bool) -> list[Mapping[str, Any]]:
    """Drop what lies beyond the checkpoint ``name``; returns the chain's lines that remain.

    These are left to be written by the caller, before `drop_unsealed`: a kill at any moment in
    between leaves a record that is resumed to the same end.
    """
    latest, previous = (found.directory / file for file in CHECKPOINTS)
    said = [line for line in found.lines if "resumed" in line]
    lines: list[Mapping[str, Any]] = [*found.lines[:1], *said] if name is None else [*found.kept]
    if not done:
        utilities.unpack(found.directory, seals.rounds(lines))
        lines = [line for line in lines if "utilities" not in line]
    if name is None:
        latest.unlink(missing_ok=True)
        previous.unlink(missing_ok=True)
    elif name == previous.name:
        os.replace(previous, latest)
    elif any(damaged.path == previous for damaged in found.damage):
        previous.unlink(missing_ok=True)
    return lines


def drop_unsealed(directory: Path, rounds: Sequence[Mapping[str, Any]]) -> None:
    """Cut the files back to the rounds that these lines seal."""
    n_rounds = len(rounds)
    if n_rounds:
        keep_rows(directory / "rounds.csv", n_rounds, rounds[-1]["n_columns"])
        keep_rows(directory / "queries.csv", sum(line["n_queries"] for line in rounds))
    else:
        (directory / "rounds.csv").unlink(missing_ok=True)
        (directory / "queries.csv").unlink(missing_ok=True)
    for part in utilities.folder(directory).glob("*.npy"):
        if not part.stem.isdecimal() or int(part.stem) >= n_rounds:
            part.unlink()
    for left_over in [*directory.glob("*.part"), *utilities.folder(directory).glob("*.part")]:
        left_over.unlink()
    if n_rounds:
        sync(directory / CHECKPOINTS[0])
        sync(directory)

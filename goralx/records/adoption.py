"""A record of format 1, which nothing seals, is sealed as it is found when its run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from goralx.contracts import Checkpoint

from . import seals
from .checkpoints import checkpoint_bytes
from .storage import (
    digest,
    keep_rows,
    read_csv,
    write_bytes,
)
from .utilities import sealed_as_found


def adopted(
    directory: Path, header: Mapping[str, Any], checkpoint: Checkpoint | None, n_queried: int
) -> list[Mapping[str, Any]]:
    """Lines of the chain for the rounds up to the checkpoint, which is written in this format.

    Raises `BadInput` where the tables hold fewer rows than the checkpoint says.
    """
    if checkpoint is None:
        return [header]
    n_rounds = checkpoint.round + 1
    keep_rows(directory / "rounds.csv", n_rounds)
    keep_rows(directory / "queries.csv", n_queried)
    columns, *rows = read_csv(directory / "rounds.csv")
    asked_for, *queries = read_csv(directory / "queries.csv")
    by_round = {int(key): list(found) for key, found in groupby(queries, key=lambda q: q[0])}
    content = checkpoint_bytes(checkpoint)
    lines = [header]
    for i, row in enumerate(rows):
        asked = by_round.get(i, [])
        lines.append(
            {
                "round": i,
                **seals.row_seals(dict(zip(columns, row))),
                "n_queries": len(asked),
                "queries": seals.queries_seal(asked_for, asked),
                "utility": sealed_as_found(directory, i),
                "checkpoint": digest(content) if i + 1 == n_rounds else "",
            }
        )
    write_bytes(directory / "checkpoint.npz.part", content)
    (directory / "checkpoint.npz.part").replace(directory / "checkpoint.npz")
    return lines

"""What a study of approximation quality keeps in its run directory, beside what every run has.

``parts/``          a file for each block of retrainings that is done, until all are
``utilities.npz``   ``batches/<b>`` (W, b) source rows, ``actual/<goal>/<b>`` (W, K^b) under every
                    labelling (the last sample's label changes fastest), ``approximate/<goal>``
                    (N, K) of single samples, ``seconds`` of retraining
``numbers.csv``     a row for each goal, operator and batch size (`goralx.approximation.numbers`);
                    ``numbers.json`` has the same as columns and data
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from goralx.data import Array
from goralx.errors import BadInput
from goralx.records import number, read_npz, write_csv, write_npz, write_table

from .study import Block, Study


def kept(directory: Path, study: Study) -> set[Block]:
    """The blocks that are done."""
    gathered_already = (directory / "utilities.npz").exists()
    return {b for b in study.blocks() if gathered_already or _part_file(directory, b).exists()}


def keep(directory: Path, block: Block, utilities: Mapping[str, Array], seconds: float) -> None:
    """Put a block's actual utilities by goal on disk: whole, or not at all."""
    (directory / "parts").mkdir(exist_ok=True)
    arrays = {**{f"goal/{name}": U for name, U in utilities.items()}, "seconds": np.array(seconds)}
    write_npz(_part_file(directory, block), arrays)


def gathered(study: Study, directory: Path) -> tuple[dict[tuple[str, int], Array], float]:
    """Actual utilities by goal and batch size, gathered in ``utilities.npz``, and their seconds."""
    target = directory / "utilities.npz"
    keys = [(goal, b) for b in study.batch_sizes for goal in study.goals]
    if not target.exists():
        parts = [(b.batch_size, _load(_part_file(directory, b))) for b in study.blocks()]
        found = {
            (goal, b): [part[f"goal/{goal}"] for size, part in parts if size == b]
            for goal, b in keys
        }
        ids = study.instance.pool
        arrays = {
            **{f"batches/{b}": ids[study.windows(b)] for b in study.batch_sizes},
            **{f"actual/{goal}/{b}": np.concatenate(found[goal, b]) for goal, b in keys},
            **{f"approximate/{goal}": study.estimates[goal].U for goal in study.goals},
            "seconds": sum(float(part["seconds"]) for _, part in parts),
        }
        write_npz(target, arrays)
    if (directory / "parts").exists():
        shutil.rmtree(directory / "parts")
    stored = _load(target)
    return {(goal, b): stored[f"actual/{goal}/{b}"] for goal, b in keys}, float(stored["seconds"])


def _part_file(directory: Path, block: Block) -> Path:
    return directory / "parts" / f"{block.batch_size:03d}-{block.start:06d}.npz"


def _load(path: Path) -> dict[str, Array]:
    try:
        return read_npz(path)
    except BadInput as error:
        raise BadInput(f"{error} · remove it and resume") from error


def write_numbers(directory: Path, rows: list[dict[str, Any]]) -> None:
    columns = list(rows[0])
    lines = [[number(v) if isinstance(v, float) else v for v in row.values()] for row in rows]
    write_csv(directory / "numbers.csv", [columns, *lines])
    write_table(directory / "numbers.json", columns, [list(row.values()) for row in rows])

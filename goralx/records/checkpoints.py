"""``checkpoint.npz``: what going on after a round needs, as arrays; no pickle."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from goralx.contracts import Checkpoint
from goralx.data import Instance
from goralx.errors import BadInput

from .storage import npz_bytes, read_npz, rows_as_far


def checkpoint_bytes(c: Checkpoint) -> bytes:
    """The file's content."""
    arrays: dict[str, Any] = {
        "round": c.round,
        "rows": c.rows,
        "rng_state": json.dumps(c.rng_state),
        "n_fitted": c.n_fitted,
        "predicted": c.predicted,
        "tau": c.tau,
        "done": c.done,
        "warned": json.dumps(sorted(c.warned)),
        **{f"model/{name}": array for name, array in c.model.items()},
    }
    return npz_bytes(arrays, "checkpoint.npz")


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in a file; raises `BadInput` where it cannot be read."""
    arrays = read_npz(path)
    try:
        return Checkpoint(
            round=int(arrays["round"]),
            rows=arrays["rows"],
            n_fitted=int(arrays["n_fitted"]),
            model={k.removeprefix("model/"): a for k, a in arrays.items() if "model/" in k},
            rng_state=json.loads(str(arrays["rng_state"])),
            predicted=float(arrays["predicted"]),
            tau=float(arrays["tau"]),
            done=bool(arrays["done"]),
            warned=frozenset(json.loads(str(arrays["warned"]))),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{path} cannot be read ({error}) · start the run anew") from error


def check_rows(path: Path, checkpoint: Checkpoint, instance: Instance) -> None:
    """Refuse a checkpoint whose labelled rows are not init and then what ``queries.csv`` says."""
    rows, n_init = checkpoint.rows, len(instance.init)
    table = islice(rows_as_far(path.parent / "queries.csv"), 1, 1 + max(0, len(rows) - n_init))
    asked = np.array([int(row[1]) for row in table], dtype=np.int64)
    said = np.concatenate([instance.init, asked])
    in_pool = np.isin(asked, instance.pool).all() and len(set(asked.tolist())) == len(asked)
    if not (in_pool and np.array_equal(rows, said) and 0 < checkpoint.n_fitted <= len(rows)):
        raise BadInput(
            f"{path} is damaged: the samples that it says were labelled are not those of "
            "queries.csv · start the run anew"
        )

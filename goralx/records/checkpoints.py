"""``checkpoint.npz``: what going on after a round needs, as arrays; no pickle."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from goralx.contracts import ABSTAINED, Checkpoint
from goralx.data import Instance
from goralx.errors import BadInput

from .reading import label_numbers
from .storage import npz_bytes, read_npz, rows_as_far


def checkpoint_bytes(c: Checkpoint) -> bytes:
    """The file's content."""
    arrays: dict[str, Any] = {
        "round": c.round,
        "rows": c.rows,
        "labels": c.labels,
        "rng_state": json.dumps(c.rng_state),
        "n_fitted": c.n_fitted,
        "predicted": c.predicted,
        "tau": c.tau,
        "done": c.done,
        "warned": json.dumps(sorted(c.warned)),
        "cost": c.cost,
        **{f"model/{name}": array for name, array in c.model.items()},
    }
    return npz_bytes(arrays, "checkpoint.npz")


def read_checkpoint(path: Path, instance: Instance) -> Checkpoint:
    """The checkpoint in a file; raises `BadInput` where it cannot be read.

    In formats before 3 the labels are those of the data, at a cost of one each.
    """
    arrays = read_npz(path)
    try:
        rows = arrays["rows"]
        labels = arrays["labels"] if "labels" in arrays else instance.y[rows]
        return Checkpoint(
            round=int(arrays["round"]),
            rows=rows,
            labels=labels,
            n_fitted=int(arrays["n_fitted"]),
            model={k.removeprefix("model/"): a for k, a in arrays.items() if "model/" in k},
            rng_state=json.loads(str(arrays["rng_state"])),
            predicted=float(arrays["predicted"]),
            tau=float(arrays["tau"]),
            done=bool(arrays["done"]),
            warned=frozenset(json.loads(str(arrays["warned"]))),
            cost=float(arrays.get("cost", len(rows) - len(instance.init))),
        )
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise BadInput(f"{path} cannot be read ({error}) · start the run anew") from error


def check_rows(path: Path, checkpoint: Checkpoint, instance: Instance) -> None:
    """Refuse a checkpoint of other rows or labels than init and then what ``queries.csv`` says."""
    rows, init = checkpoint.rows, instance.init
    table = islice(rows_as_far(path.parent / "queries.csv"), 1, 1 + max(0, len(rows) - len(init)))
    queries = list(table)
    asked = np.array([int(row[1]) for row in queries], dtype=np.int64)
    named = label_numbers((row[2] for row in queries), instance.classes)
    in_pool = np.isin(asked, instance.pool).all() and len(set(asked.tolist())) == len(asked)
    same = np.array_equal(rows, np.concatenate([init, asked]))
    labelled = np.array_equal(checkpoint.labels, np.concatenate([instance.y[init], named]))
    n_learned = int((checkpoint.labels != ABSTAINED).sum())
    if not (in_pool and same and labelled and 0 < checkpoint.n_fitted <= n_learned):
        raise BadInput(
            f"{path} is damaged: the samples that it says were labelled are not those of "
            "queries.csv · start the run anew"
        )

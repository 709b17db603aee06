"""The run record on disk: what a run leaves behind, and enough to go on from wherever it stopped.

A run directory is the source of truth; everything that tracks a run can be rebuilt from it.

``rounds.csv``      a row a round: round, n_labelled, then the metrics; empty where there is none
``queries.csv``     a row a queried sample: round, pool_id, label (see `escaping.for_csv`), utility
``utilities.npz``   ids (M,), round (R,), n_labelled (R,), utility (R, M) float32: a row for each
                    round that has utilities, a column for each sample of the initial pool, NaN once
                    it is queried (while the run goes on, ``utilities/00000.npy``, ... one a round);
                    only where all utilities are kept (``record.utilities=all``)
``instance.npz``    init, pool, test, dev: row numbers in the source data set, as is every pool_id;
                    where rows have groups also group (T,) of every row and the names, groups (G,)
``checkpoint.npz``  the labelled rows in order, the last fit, the generator: what resuming needs
``summary.json``    what the run is (name, tags, configuration) and how it ended
``.hydra/``         the composed configuration, as given

The checkpoint is written last in each round, in one step. Whatever lies beyond it was cut short
and is dropped on resume. Nothing is pickled.
"""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from goralx.contracts import Checkpoint, Round, RunInfo
from goralx.data import Instance, Rows
from goralx.errors import BadInput
from goralx.escaping import for_csv

from .storage import append_csv, keep_rows, number, read_csv, write_csv, write_json, write_npz


@dataclass(frozen=True)
class Record:
    """The record in ``directory``, for one writer at a time; see the module for its files.

    ``utilities`` says whether those of every candidate are kept, or only what ``rounds.csv`` has.
    """

    directory: Path
    instance: Instance = field(repr=False)
    utilities: bool = True

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep every other process from writing here; ends with the process, however that ends."""
        lock = FileLock(self.directory / ".lock")
        with _writable(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                raise BadInput(f"{self.directory} is being written by another process") from None
        try:
            yield
        finally:
            lock.release()

    def create(self, hydra_files: Mapping[str, str], summary: Mapping[str, Any]) -> None:
        """Lay the record down, before the first round. A directory with a run in it is refused."""
        if (self.directory / "summary.json").exists():
            raise BadInput(
                f"{self.directory} already holds a run · a run needs a directory of its own · "
                f"go on with this one by `goralx resume {self.directory}`"
            )
        folder, partial = self.directory / ".hydra", self.directory / ".hydra.part"
        with _writable(self.directory):
            for left_over in (folder, partial):
                if left_over.exists():
                    shutil.rmtree(left_over)
            partial.mkdir()
            for name, text in hydra_files.items():
                (partial / name).write_text(text, encoding="utf-8")
            os.replace(partial, folder)
            self.begin(summary)

    def begin(self, summary: Mapping[str, Any]) -> None:
        """The files that are there before the first round, beside the configuration."""
        instance = self.instance
        parts = {part: getattr(instance, part) for part in ("init", "pool", "test", "dev")}
        if instance.group is not None:
            parts |= {"group": instance.group, "groups": np.array(instance.groups)}
        write_npz(self.directory / "instance.npz", parts)
        self.write_summary(summary)

    def append(self, round: Round, row: Mapping[str, float]) -> None:
        """One round, with ``row`` as its line of ``rounds.csv``; the checkpoint seals it."""
        self._append_round(row)
        names = [for_csv(self.instance.classes[y]) for y in round.labels]
        queried = zip(round.queried.tolist(), names, round.queried_utility.tolist(), strict=True)
        queries = self.directory / "queries.csv"
        if not queries.exists():
            append_csv(queries, [["round", "pool_id", "label", "utility"]])
        append_csv(queries, [[round.index, i, name, number(u)] for i, name, u in queried])
        if round.utility is not None and self.utilities:
            dense = np.full(len(self.instance.pool), np.nan, dtype=np.float32)
            dense[np.isin(self.instance.pool, round.pool_ids)] = round.utility
            parts = self.directory / "utilities"
            parts.mkdir(exist_ok=True)
            np.save(parts / f"{round.index:05d}.npy", dense, allow_pickle=False)
        c = round.checkpoint
        arrays: dict[str, Any] = {
            "round": c.round,
            "rows": c.rows,
            "rng_state": json.dumps(c.rng_state),
            "n_fitted": c.n_fitted,
            "predicted": c.predicted,
            "tau": c.tau,
            "idle": c.idle,
            "done": c.done,
            "warned": json.dumps(sorted(c.warned)),
            **{f"model/{name}": array for name, array in c.model.items()},
        }
        write_npz(self.directory / "checkpoint.npz", arrays)

    def _append_round(self, row: Mapping[str, float]) -> None:
        """A plugin may measure something for the first time late: its column is then added."""
        path = self.directory / "rounds.csv"
        lines = read_csv(path, 0) if path.exists() else []
        columns = lines[0] if lines else []
        added = [name for name in row if name not in columns]
        if added:
            earlier = [line + [""] * len(added) for line in read_csv(path)[1:]] if lines else []
            write_csv(path, [columns + added, *earlier])
        append_csv(path, [[number(row.get(name, math.nan)) for name in columns + added]])

    def checkpoint(self) -> Checkpoint | None:
        """As of the last round that is whole, or None before the first."""
        path = self.directory / "checkpoint.npz"
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = dict(stored)
            return Checkpoint(
                round=int(arrays["round"]),
                rows=arrays["rows"],
                n_fitted=int(arrays["n_fitted"]),
                model={
                    k.removeprefix("model/"): a for k, a in arrays.items() if k.startswith("model/")
                },
                rng_state=json.loads(str(arrays["rng_state"])),
                predicted=float(arrays["predicted"]),
                tau=float(arrays["tau"]),
                idle=int(arrays["idle"]),
                done=bool(arrays["done"]),
                warned=frozenset(json.loads(str(arrays["warned"]))),
            )
        except (ValueError, KeyError, OSError, BadZipFile) as error:
            raise BadInput(f"{path} cannot be read ({error}); start the run anew") from error

    def rewind(self) -> Checkpoint | None:
        """Drop whatever lies beyond the checkpoint, and return that."""
        checkpoint = self.checkpoint()
        parts = self.directory / "utilities"
        n_rounds = 0
        if checkpoint is None:
            (self.directory / "rounds.csv").unlink(missing_ok=True)
            (self.directory / "queries.csv").unlink(missing_ok=True)
        else:
            n_rounds = checkpoint.round + 1
            n_queried = len(checkpoint.rows) - len(self.instance.init)
            keep_rows(self.directory / "rounds.csv", n_rounds)
            keep_rows(self.directory / "queries.csv", n_queried)
        for part in parts.glob("*.npy"):
            if int(part.stem) >= n_rounds:
                part.unlink()
        return checkpoint

    def consolidate(self) -> None:
        """Gather the utilities of all rounds in ``utilities.npz``, after the last one."""
        folder, target = self.directory / "utilities", self.directory / "utilities.npz"
        if not folder.exists():
            return
        if not target.exists():
            parts = sorted(folder.glob("*.npy"))
            rounds = np.array([int(part.stem) for part in parts], dtype=np.int64)
            arrays = {
                "ids": self.instance.pool,
                "round": rounds,
                "n_labelled": read_rounds(self.directory)["n_labelled"][rounds].astype(np.int64),
            }
            write_npz(target, arrays, stacked={"utility": parts})
        shutil.rmtree(folder)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        write_json(self.directory / "summary.json", summary)


def read_summary(directory: Path) -> dict[str, Any]:
    """``summary.json``; its status is "running" until the run has ended, and after a hard kill."""
    path = directory / "summary.json"
    try:
        return _with_metrics(dict(json.loads(path.read_text(encoding="utf-8"))))
    except FileNotFoundError:
        raise BadInput(f"{directory} holds no run · a run directory has a summary.json") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read ({error})") from error


def _with_metrics(summary: dict[str, Any]) -> dict[str, Any]:
    """As it is written now: accuracy and log loss were once all that was measured."""
    if "full_pool_accuracy" in summary:
        full = summary.pop("full_pool_accuracy")
        summary["metric"] = "accuracy"
        summary["higher_is_better"] = {"accuracy": True, "log_loss": False}
        summary["test"] = {m: summary.pop(m) for m in ("accuracy", "log_loss") if m in summary}
        summary["full_pool"] = None if full is None else {"accuracy": full}
    return summary


def read_info(directory: Path) -> RunInfo:
    """Which run a record is of."""
    summary = read_summary(directory)
    return RunInfo(directory, summary["name"], summary["config"], summary["tags"])


def read_rounds(directory: Path) -> dict[str, NDArray[np.float64]]:
    """Columns of ``rounds.csv`` by name, (R,) each, NaN where a field is empty; {} before round 0.

    A last line that a kill cut short is left out.
    """
    path = directory / "rounds.csv"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    header, *rows = list(csv.reader(StringIO(text[: text.rfind("\n") + 1]))) or [[]]
    return {
        name: np.array([float(row[i]) if row[i] else math.nan for row in rows])
        for i, name in enumerate(header)
    }


def read_queries(directory: Path) -> tuple[Rows, Rows]:
    """Rounds (Q,) and ids (Q,) of ``queries.csv``, in the order of the queries."""
    lines = read_csv(directory / "queries.csv")[1:]
    table = np.array([[int(line[0]), int(line[1])] for line in lines], dtype=np.int64)
    return table.reshape(-1, 2)[:, 0], table.reshape(-1, 2)[:, 1]


def in_use(directory: Path) -> bool:
    """Whether some process writes here now."""
    lock = FileLock(directory / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


@contextmanager
def _writable(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadInput(
            f"the run cannot be written to {directory}: {error.strerror} · give a folder that you "
            "may write to"
        ) from error

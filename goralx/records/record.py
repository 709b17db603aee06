"""The run record on disk: what a run leaves behind, and enough to go on from wherever it stopped.

A run directory is the source of truth; everything that tracks a run can be rebuilt from it. Its
files are described in SCHEMA.md of the guide, so that they can be read without goralx.

Each round is sealed (`goralx.records.seals`) by the hashes of what it wrote, then its checkpoint
takes its place, in one step. Whatever lies beyond was cut short and is dropped on resume; whatever
is not what was sealed is named, and the run falls back to the last round that is whole. Nothing is
pickled.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from goralx.contracts import ABSTAINED, NOT_ASKED, Answers, Checkpoint, Round
from goralx.data import Instance, Rows
from goralx.errors import BadInput
from goralx.escaping import for_csv

from . import seals, utilities
from .adoption import adopted
from .checkpoints import check_rows, checkpoint_bytes, read_checkpoint
from .disk import Disk
from .formats import FORMAT
from .inspection import CHECKPOINTS, GATHERED, Inspection, inspect
from .reading import read_summary
from .resuming import NothingToGoOnFrom, checkpoint_to_go_on_from, cut, drop_unsealed
from .storage import (
    append_csv,
    atomic,
    digest,
    file_digest,
    npz_bytes,
    number,
    read_csv,
    read_json,
    read_npz,
    sync,
    write_bytes,
    write_csv,
    write_json,
)

QUERIES = ["round", "pool_id", "label", "utility"]
ANSWERS = ["true_label", "cost", "answers"]
"""Further columns of ``queries.csv``, where an oracle may say anything but the truth."""
PARTS = ("init", "pool", "test", "dev")
PARTIAL = "checkpoint.npz.part"
LEFT_OVER = {".lock", ".hydra.part", f"{seals.NAME}.part"}
BEGUN = {*LEFT_OVER, ".hydra", seals.NAME, "instance.npz", "instance.npz.part", "summary.json.part"}
"""What a kill may leave of a record that was being laid down, without and with its seals."""
RESULTS = ("test", "full_pool", "stopped", "aulc", "labels_needed", "goals", "n_queries", "results")
"""Of a finished run's summary, what a run that goes on has not come to yet."""


@dataclass
class Record:
    """The record in ``directory``, for one writer at a time; see the guide for its files.

    What a round writes is safe from a kill at once. To be safe from a power failure it has to be
    waited for, which may take longer than the round: that is done as often as takes ``share`` of
    the time, and for the first round and the last. ``all_utilities`` says whether those of every
    candidate are kept, or only what ``rounds.csv`` has.
    """

    directory: Path
    instance: Instance = field(repr=False)
    all_utilities: bool = True
    share: float = 0.05
    _chain: seals.Chain = field(init=False, repr=False)
    _disk: Disk = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._chain = seals.Chain(self.directory / seals.NAME)
        self._disk = Disk(self.share)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep every other process from writing here; ends with the process, however that ends."""
        lock = FileLock(self.directory / ".lock")
        with writable(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                raise BadInput(f"{self.directory} is being written by another process") from None
        try:
            yield
        finally:
            lock.release()

    def check_free(self) -> None:
        """Refuse a directory that holds a run, or anything that is not goralx's own."""
        if not self.directory.is_dir():
            return
        names = {path.name for path in self.directory.iterdir()}
        n_rounds = _rounds_held(self.directory)
        if "summary.json" in names or n_rounds:
            raise BadInput(
                f"{self.directory} already holds a run · a run needs a directory of its own · "
                f"go on with this one by `goralx resume {self.directory}`"
            )
        foreign = sorted(names - (LEFT_OVER if n_rounds is None else BEGUN))
        if foreign:
            raise BadInput(
                f"{self.directory} is in use for something else: it holds {', '.join(foreign[:3])}"
                f"{', ...' if len(foreign) > 3 else ''} · give a new or an empty directory "
                "(hydra.run.dir=, hydra.sweep.dir=)"
            )

    def create(self, hydra_files: Mapping[str, str], summary: Mapping[str, Any]) -> None:
        """Lay the record down, before the first round, in a directory that is free for it."""
        self.check_free()
        folder, partial = self.directory / ".hydra", self.directory / ".hydra.part"
        with writable(self.directory):
            for left_over in (folder, partial):
                if left_over.exists():
                    shutil.rmtree(left_over)
            partial.mkdir()
            for name, text in hydra_files.items():
                write_bytes(partial / name, text.encode())
                sync(partial / name)
            sync(partial)
            contents = {f".hydra/{name}": text.encode() for name, text in hydra_files.items()}
            contents["instance.npz"] = self._instance_bytes()
            sealed = {name: digest(content) for name, content in contents.items()}
            self._chain.write([seals.header(summary, sealed)])
            os.replace(partial, folder)
            self.begin(summary)

    def begin(self, summary: Mapping[str, Any]) -> None:
        """The files that are there before the first round, beside the configuration."""
        self._write_instance()
        self.write_summary(summary)

    def _write_instance(self) -> None:
        with atomic(self.directory / "instance.npz") as file:
            file.write(self._instance_bytes())

    def _instance_bytes(self) -> bytes:
        return npz_bytes(self._parts(), "instance.npz")

    def _parts(self) -> dict[str, np.ndarray]:
        parts = {part: getattr(self.instance, part) for part in PARTS}
        if self.instance.group is not None:
            parts |= {"group": self.instance.group, "groups": np.array(self.instance.groups)}
        return parts

    def append(self, round: Round, row: Mapping[str, float]) -> None:
        """One round, with ``row`` as its line of ``rounds.csv``: its files and their seal.

        The checkpoint takes the place of the last one, which is kept if it is known to be on the
        disk; if not, an earlier one is. Once the budget has a say, the one before it stays: from
        there a larger budget goes on.
        """
        latest, previous = (self.directory / name for name in CHECKPOINTS)
        partial, content = self.directory / PARTIAL, checkpoint_bytes(round.checkpoint)
        line = {
            "round": round.index,
            **self._append_row(row),
            **self._append_queries(round),
            "utility": self._write_utility(round),
            "checkpoint": digest(content),
        }
        write_bytes(partial, content)
        self._disk.owes(partial)
        keeps, durable = self._disk.settled, round.last or self._disk.due
        if durable:
            self._disk.settle()
        self._chain.add(line, durable=durable)
        if round.bound_from is not None:
            keeps = round.bound_from == round.index
            if keeps and latest.exists():
                sync(latest)
        if keeps and latest.exists():
            os.replace(latest, previous)
        os.replace(partial, latest)
        if durable:
            sync(self.directory)
        self._disk.settled = durable

    def _append_row(self, row: Mapping[str, float]) -> dict[str, str]:
        """A plugin may measure something for the first time late: its column is then added."""
        path = self.directory / "rounds.csv"
        lines = read_csv(path, 0) if path.exists() else []
        columns = lines[0] if lines else []
        added = [name for name in row if name not in columns]
        if added:
            earlier = [line + [""] * len(added) for line in read_csv(path)[1:]] if lines else []
            write_csv(path, [columns + added, *earlier])
        cells = {name: number(row.get(name, math.nan)) for name in columns + added}
        append_csv(path, [list(cells.values())])
        self._disk.owes(path)
        return seals.row_seals(cells)

    def _append_queries(self, round: Round) -> dict[str, Any]:
        """A row a query; of an oracle that is not perfect also all that it said."""
        names = [self._called(y) for y in round.labels.tolist()]
        queried = zip(round.queried.tolist(), names, round.queried_utility.tolist(), strict=True)
        rows = [[str(round.index), str(i), name, number(u)] for i, name, u in queried]
        columns = QUERIES
        if round.answers is not None:
            columns = [*QUERIES, *ANSWERS]
            said = self._said(round.queried, round.answers)
            rows = [[*row, *more] for row, more in zip(rows, said, strict=True)]
        path = self.directory / "queries.csv"
        append_csv(path, rows if path.exists() else [columns, *rows])
        self._disk.owes(path)
        return {"n_queries": len(rows), "queries": seals.queries_seal(columns, rows)}

    def _called(self, label: int) -> str:
        """A label as a cell, empty for none."""
        return "" if label == ABSTAINED else for_csv(self.instance.classes[label])

    def _said(self, queried: Rows, answers: Answers) -> Iterator[list[str]]:
        """The true label, what it cost, and who said what, as JSON: null of who abstained."""
        classes = self.instance.classes
        table = zip(queried.tolist(), answers.cost.tolist(), answers.said.tolist(), strict=True)
        for row, cost, said in table:
            asked = zip(answers.annotators, said, strict=True)
            by = {who: None if y == ABSTAINED else classes[y] for who, y in asked if y != NOT_ASKED}
            yield [for_csv(classes[self.instance.y[row]]), number(cost), json.dumps(by)]

    def _write_utility(self, round: Round) -> str | None:
        """The file of a round's utilities, if they are kept; returns its hash."""
        if round.utility is None or not self.all_utilities:
            return None
        part = utilities.part(self.directory, round.index)
        self._disk.owes(part, part.parent)
        return utilities.write_part(part, self.instance.pool, round.pool_ids, round.utility)

    def checkpoint(self) -> Checkpoint | None:
        """As of the last round whose checkpoint is in its place, or None before the first."""
        there = [path for name in CHECKPOINTS if (path := self.directory / name).exists()]
        return read_checkpoint(there[0], self.instance) if there else None

    def check_begun(self) -> None:
        """Refuse a directory that holds no record of goralx's."""
        own = seals.path(self.directory).exists() or (self.directory / "summary.json").exists()
        if not own or not (self.directory / ".hydra").is_dir():
            raise BadInput(f"{self.directory} holds no run · give a run's directory, or run anew")

    def inspect(self) -> Inspection:
        """The record held against its seals; one of format 1 is sealed first, as it is found."""
        if not seals.path(self.directory).exists() and _of_format_1(self.directory):
            self._adopt()
        return inspect(self.directory)

    def _adopt(self) -> None:
        """Seal a record of format 1 as it is found."""
        summary = read_summary(self.directory)
        instance = self.directory / "instance.npz"
        if _same(read_npz(instance), self._parts()):  # else it is another's, and refused later
            self._write_instance()
        paths = [*(self.directory / ".hydra").iterdir(), instance]
        sealed = {p.relative_to(self.directory).as_posix(): file_digest(p) for p in paths}
        path = self.directory / CHECKPOINTS[0]
        checkpoint, n_queried = None, 0
        if path.exists():
            checkpoint = read_checkpoint(path, self.instance)
            n_queried = len(checkpoint.rows) - len(self.instance.init)
        with writable(self.directory):
            header = seals.header(summary, sealed)
            lines = adopted(self.directory, header, checkpoint, n_queried)
            self._chain.write(lines)
            gathered = self.directory / GATHERED
            if gathered.exists() and not utilities.folder(self.directory).exists():
                self._chain.add({"utilities": file_digest(gathered)})

    def reopen(self, found: Inspection, batch_size: int, restart: bool = False) -> Inspection:
        """What a larger budget goes on from: the last rounds in which the budget had no say.

        Raises `NothingToGoOnFrom` where no checkpoint of them is kept.
        """
        for name, n_rounds in sorted(found.whole.items(), key=lambda item: -item[1]):
            checkpoint = read_checkpoint(self.directory / name, self.instance)
            n_queried = len(checkpoint.rows) - len(self.instance.init)
            if not checkpoint.done and n_queried % batch_size == 0:
                return replace(found, checkpoint=name, resumable=n_rounds)
        if found.n_sealed and not restart:
            lost = "".join(f"{damaged} · " for damaged in found.damage)
            raise NothingToGoOnFrom(
                f"{lost}{self.directory} keeps no checkpoint from before its budget had a say · "
                "--restart begins at round 0 again, and ends the same"
            )
        return replace(found, checkpoint=None, resumable=0)

    def rewind(
        self,
        found: Inspection,
        restart: bool = False,
        resumed: Mapping[str, Any] | None = None,
    ) -> Checkpoint | None:
        """Drop whatever lies beyond the last whole round, and return its checkpoint.

        ``restart`` drops every round; ``resumed`` says with what else than before the run goes on.
        Raises `BadInput` where there is nothing to go on from.
        """
        name, checkpoint = checkpoint_to_go_on_from(found, restart), None
        if name is not None:
            checkpoint = read_checkpoint(self.directory / name, self.instance)
            check_rows(self.directory / name, checkpoint, self.instance)
        with writable(self.directory):
            self._unfinish(found)
            lines = cut(found, name, done=checkpoint is not None and checkpoint.done)
            lines += [] if resumed is None else [{"resumed": dict(resumed)}]
            self._chain.write([self._of_now(lines[0]), *lines[1:]])
            if not any("utilities" in line for line in lines):  # they are in parts again
                (self.directory / GATHERED).unlink(missing_ok=True)
            drop_unsealed(self.directory, seals.rounds(lines))
        self._disk.settled = True
        return checkpoint

    def _of_now(self, header: Mapping[str, Any]) -> Mapping[str, Any]:
        """The first line of the chain, for the files that are written again in this format."""
        files = {**header["files"], "instance.npz": digest(self._instance_bytes())}
        return {**header, "format": FORMAT, "files": files}

    def _unfinish(self, found: Inspection) -> None:
        """A finished run that goes on says so before anything of it is taken away."""
        if found.summary is not None and found.summary.get("status") == "finished":
            self._chain.head = found.lines[-1]["chain"]
            said = {key: v for key, v in found.summary.items() if key not in RESULTS}
            self.write_summary({**said, "status": "running"})

    def consolidate(self) -> None:
        """Gather the utilities of all rounds in one file, after the last one, and seal it."""
        if not utilities.folder(self.directory).exists():
            return
        lines, _ = seals.read(seals.path(self.directory))
        if not any("utilities" in line for line in lines):
            self._chain.add({"utilities": utilities.gather(self.directory, self.instance.pool)})
        shutil.rmtree(utilities.folder(self.directory))

    def results(self) -> str:
        """One hash for what the rounds came to; see `goralx.records.seals.results`."""
        return seals.results(seals.read(seals.path(self.directory))[0])

    def write_summary(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """``summary.json``, sealed, with the head of the chain; returns what was written."""
        content = {**summary, "format": FORMAT, "chain": self._chain.head}
        return write_json(self.directory / "summary.json", content, sealed=True)


def _rounds_held(directory: Path) -> int | None:
    """How many rounds are sealed there; None where goralx has not sealed anything."""
    try:
        return len(seals.rounds(seals.read(seals.path(directory))[0]))
    except (OSError, BadInput):
        return None


def _same(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def _of_format_1(directory: Path) -> bool:
    """Whether there is a summary that never had seals beside it."""
    path = directory / "summary.json"
    return path.exists() and "chain" not in read_json(path)


@contextmanager
def writable(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadInput(
            f"the run cannot be written to {directory}: {error.strerror} · give a folder that you "
            "may write to"
        ) from error

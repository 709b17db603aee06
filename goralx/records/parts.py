"""The record of a result in parts that do not build on one another: of a study.

Each part is a file of its own, sealed by a line of the chain. One that is not what was sealed, or
that a kill left unsealed, is done again, and no other. In the end all are gathered in
``utilities.npz``; only when that is sealed are the parts taken away.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import seals
from .inspection import GATHERED, PARTS, Inspection, is_gathered
from .record import Record, writable
from .resuming import check_left
from .storage import (
    atomic,
    digest,
    file_digest,
    npz_bytes,
    number,
    read_npz,
    write_csv,
    write_table,
)


class PartedRecord(Record):
    """The record of a study in ``directory``, for one writer at a time."""

    def parts(self) -> set[str]:
        """Names of the parts that are sealed."""
        return set(seals.parts(self._lines()))

    @property
    def is_gathered(self) -> bool:
        """Whether all parts are in ``utilities.npz``."""
        return any("utilities" in line for line in self._lines())

    def keep(self, name: str, arrays: Mapping[str, Any]) -> None:
        """Put a part on disk and seal it: whole, or as if it had not been done."""
        content = npz_bytes(arrays, name)
        self._part(name).parent.mkdir(exist_ok=True)
        with atomic(self._part(name)) as file:
            file.write(content)
        self._chain.add({"part": name, "sha256": digest(content)})

    def part(self, name: str) -> dict[str, Any]:
        return read_npz(self._part(name))

    def gather(self, arrays: Mapping[str, Any]) -> None:
        """Put what all parts came to in ``utilities.npz``, and seal it."""
        content = npz_bytes(arrays, GATHERED)
        with atomic(self.directory / GATHERED) as file:
            file.write(content)
        self._chain.add({"utilities": digest(content)})

    def gathered(self) -> dict[str, Any]:
        """What is in ``utilities.npz``; the parts are then taken away."""
        if (self.directory / PARTS).exists():
            shutil.rmtree(self.directory / PARTS)
        return read_npz(self.directory / GATHERED)

    def write_numbers(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """``numbers.csv`` and ``numbers.json`` of rows with the same columns, and their seal."""
        columns = list(rows[0])
        lines = [[number(v) if isinstance(v, float) else v for v in row.values()] for row in rows]
        tables = [self.directory / "numbers.csv", self.directory / "numbers.json"]
        write_csv(tables[0], [columns, *lines])
        write_table(tables[1], columns, [list(row.values()) for row in rows])
        self._chain.add({"tables": {path.name: file_digest(path) for path in tables}})

    def go_on(
        self, found: Inspection, restart: bool = False, resumed: Mapping[str, Any] | None = None
    ) -> None:
        """Drop every part that is not what was sealed; ``restart`` drops all of them.

        ``resumed`` says with what other code than before the study goes on. Raises `BadInput`
        where the configuration is damaged, `NothingToGoOnFrom` where no part of it is left.
        """
        bad = {damaged.path.name for damaged in found.damage}
        sealed = seals.parts(found.lines)
        gathered = is_gathered(self.directory, found.lines) and not restart
        kept = {name for name in sealed if name not in bad and self._part(name).is_file()}
        check_left(found, gathered or bool(kept), restart)
        kept = set() if restart else set(sealed) if gathered else kept
        lines: list[Mapping[str, Any]] = [self._of_now(found.lines[0])]
        for line in found.lines[1:]:
            if "resumed" in line or line.get("part") in kept or (gathered and "utilities" in line):
                lines.append(line)
        with writable(self.directory):
            self._unfinish(found)
            self._chain.write([*lines, *([] if resumed is None else [{"resumed": dict(resumed)}])])
            if not gathered:
                (self.directory / GATHERED).unlink(missing_ok=True)
            for path in (self.directory / PARTS).glob("*"):
                if path.name not in kept:
                    path.unlink()

    def _part(self, name: str) -> Path:
        return self.directory / PARTS / name

    def _lines(self) -> list[dict[str, Any]]:
        return seals.read(seals.path(self.directory))[0]

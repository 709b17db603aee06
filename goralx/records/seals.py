"""``seals.jsonl``: what the record holds, as a chain of hashes that grows by a line a round.

The first line, laid down with the record, has the format, what determines the result
(``fingerprint``, ``versions``, ...) and under ``files`` the hashes of what is there before round 0.
A line with ``round`` seals that round: hashes of its row of ``rounds.csv`` (``row``, of the first
``n_columns``, and apart from it ``seconds``), of its ``n_queries`` rows of ``queries.csv``, of its
utilities and its checkpoint.
A line with ``part`` seals that file of a study by its ``sha256``; one with ``tables`` has hashes of
files. A line with ``utilities`` seals ``utilities.npz``; one with ``resumed`` says with what other
code a run was gone on with. ``chain`` is the hash of the line before, then this line without its
chain.

A chain is no signature: whoever can write here can write all of it anew. It tells damage and
carelessness.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goralx.errors import BadInput

from .formats import FORMAT, checked
from .storage import append_bytes, atomic, canonical, digest, sync

NAME = "seals.jsonl"
ORIGIN = ("fingerprint", "inputs", "sources", "versions")
"""What a summary says of what determined the result."""

ROUND = {
    "round",
    "n_columns",
    "row",
    "seconds",
    "n_queries",
    "queries",
    "utility",
    "checkpoint",
    "chain",
}


@dataclass
class Chain:
    """The seals of a record; ``head`` is the last link, where the next one is added."""

    path: Path
    head: str = ""

    def write(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """All lines anew, in one step."""
        self.head, text = "", b""
        for line in lines:
            text += self._linked(line)
        with atomic(self.path) as file:
            file.write(text)

    def add(self, line: Mapping[str, Any], *, durable: bool = True) -> None:
        append_bytes(self.path, self._linked(line))
        if durable:
            sync(self.path)

    def _linked(self, line: Mapping[str, Any]) -> bytes:
        content = {key: value for key, value in line.items() if key != "chain"}
        self.head = _link(self.head, content)
        return canonical({**content, "chain": self.head}) + b"\n"


def header(summary: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    """The first line of a record of which the summary says this; ``files`` are hashes by name."""
    origin = {key: summary[key] for key in ("started", *ORIGIN) if key in summary}
    return {"format": FORMAT, **origin, "files": dict(files)}


def path(directory: Path) -> Path:
    return directory / NAME


def _link(before: str, content: Mapping[str, Any]) -> str:
    return digest(before.encode() + canonical(content))


def read(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """The lines that are whole, and whether more than a last line cut short follows them.

    Raises `BadInput` where not even the first one is, or it is of a newer goralx.
    """
    lines: list[dict[str, Any]] = []
    head, texts = "", path.read_bytes().split(b"\n")
    for text in texts[:-1]:  # what follows the last line's end was cut short
        line = _parsed(text)
        if line is None or line.get("chain") != _link(head, _unlinked(line)):
            break
        if not _well_formed(line, lines):
            break
        lines.append(line)
        head = str(line["chain"])
    if not lines:
        raise BadInput(f"{path} is damaged: its first line is not whole")
    checked(path, lines[0].get("format"))
    return lines, len(lines) < len(texts) - 1


def rounds(lines: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The lines that seal a round."""
    return [line for line in lines if "round" in line]


def parts(lines: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Hashes of a study's parts by the name of the file; of one done again the last counts."""
    return {line["part"]: line["sha256"] for line in lines if "part" in line}


def _well_formed(line: Mapping[str, Any], before: list[dict[str, Any]]) -> bool:
    """Whether a line says what its kind has to."""
    if not before:
        return isinstance(line.get("files"), dict)
    if "round" in line:
        return set(line) >= ROUND
    if "part" in line:
        return isinstance(line["part"], str) and "sha256" in line
    known = isinstance(line.get("resumed"), dict) or isinstance(line.get("tables"), dict)
    return known or "utilities" in line


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text.decode("ascii"))
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


def _unlinked(line: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key != "chain"}


def row_seals(row: Mapping[str, str]) -> dict[str, Any]:
    """Of a row of ``rounds.csv``, its cells by column: how many there are, and their hashes.

    That of the columns and of what is not empty, and apart from it that of what a clock said.
    """
    known = {name: cell for name, cell in row.items() if cell}
    clock = {name: cell for name, cell in known.items() if name.startswith("seconds/")}
    rest = {name: cell for name, cell in known.items() if name not in clock}
    return {
        "n_columns": len(row),
        "row": digest(canonical([list(row), rest])),
        "seconds": digest(canonical(clock)),
    }


def queries_seal(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Of the columns of ``queries.csv`` and a round's rows of it."""
    return digest(canonical([list(columns), [list(row) for row in rows]]))


def results(lines: Iterable[Mapping[str, Any]]) -> str:
    """One hash for what all rounds came to, whatever the clock said: equal runs have equal ones."""
    sealed = [[line[k] for k in ("row", "queries", "utility")] for line in lines if "round" in line]
    return digest(canonical(sealed))

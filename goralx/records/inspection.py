"""Which files of a record are what was written, and up to which round all of them are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goralx.errors import BadInput

from . import seals
from .storage import file_digest, read_json, read_npz, rows_as_far

CHECKPOINTS = ("checkpoint.npz", "checkpoint.previous.npz")
PARTS = "parts"
"""Where a study keeps what is done, until all is."""
GATHERED = "utilities.npz"
REPLACEABLE = ("instance.npz", "summary.json", "numbers.csv", "numbers.json")
"""What resuming writes again from what it knows."""


Rounds = Sequence[Mapping[str, Any]]
"""Lines of the chain, one a round."""


@dataclass(frozen=True)
class Damage:
    """A file that is not what was written; ``round``: the first one whose part in it is bad."""

    path: Path
    round: int | None = None

    def __str__(self) -> str:
        where = "" if self.round is None else f" (round {self.round})"
        return f"{self.path} is {'damaged' if self.path.exists() else 'missing'}{where}"


@dataclass(frozen=True)
class Inspection:
    """A record held against its seals.

    ``lines`` are the whole ones of the chain. Of ``n_sealed`` rounds the first ``n_whole`` are
    whole in every file. ``checkpoint`` names the file of the last of these that a checkpoint is
    kept of, and ``resumable`` counts the rounds up to it; ``whole`` counts them for every file of
    a checkpoint that is whole. ``summary`` is None where it is missing or damaged.
    """

    directory: Path
    lines: list[dict[str, Any]] = field(repr=False)
    n_sealed: int
    n_whole: int
    checkpoint: str | None
    resumable: int
    whole: Mapping[str, int]
    summary: dict[str, Any] | None = field(repr=False)
    damage: tuple[Damage, ...]

    @property
    def begun_with(self) -> dict[str, Any]:
        """What determined the result, as last said: by the first line, or on resuming."""
        said = [line["resumed"] for line in self.lines if "resumed" in line]
        return {**self.lines[0], **(said[-1] if said else {})}

    @property
    def kept(self) -> list[dict[str, Any]]:
        """The chain's lines up to the last round that can be resumed after.

        And what it has gone on with since, if that was said later: so it goes on again.
        """
        if self.resumable == self.n_sealed:
            return self.lines
        beyond = [i for i, line in enumerate(self.lines) if line.get("round") == self.resumable]
        later = self.lines[beyond[0] :]
        return [*self.lines[: beyond[0]], *(line for line in later if "resumed" in line)]


def inspect(directory: Path) -> Inspection:
    """Hold a record against its seals; raises `BadInput` where there are none to hold it against.

    A kill leaves unsealed rounds and half-written ends behind: those are no damage.
    """
    path = directory / seals.NAME
    try:
        lines, broken = seals.read(path)  # first: a run that goes on only adds to what it has
    except FileNotFoundError:
        raise BadInput(f"{path} is missing: nothing says what the record held") from None
    rounds = seals.rounds(lines)
    damage = []
    damage += [
        Damage(directory / name)
        for name, sealed in lines[0]["files"].items()
        if _digest(directory / name) != sealed and (rounds or (directory / name).exists())
    ]
    summary = None
    try:
        summary = read_json(directory / "summary.json")
    except FileNotFoundError:
        damage += [Damage(directory / "summary.json")] if rounds else []
    except BadInput as error:
        if "newer goralx" in str(error):
            raise
        damage.append(Damage(directory / "summary.json"))
    finished = summary is not None and summary.get("status") == "finished"
    ends = lines[-1]["chain"]
    cut_short = finished and summary is not None and summary.get("chain", ends) != ends
    if broken or cut_short or _later(directory, len(rounds)):
        damage.append(Damage(path, None if seals.parts(lines) else len(rounds)))
    bad = [
        _first_bad_row(directory / "rounds.csv", rounds, finished),
        _first_bad_query(directory / "queries.csv", rounds, finished),
        *_bad_utilities(directory, lines, rounds),
    ]
    damage += [found for found in bad if found is not None]
    damage += _bad_parts(directory, lines)
    n_whole = min([len(rounds), *(f.round for f in bad if f is not None and f.round is not None)])
    sealed = {line["checkpoint"]: i for i, line in enumerate(rounds)}
    stored = {file: _digest(directory / file) for file in CHECKPOINTS}
    after = {file: sealed.get(found, -1) + 1 for file, found in stored.items()}
    whole = {file: n for file, n in after.items() if 0 < n <= n_whole}
    name = max(whole, key=whole.__getitem__, default=None)
    resumable = 0 if name is None else whole[name]
    damage += _bad_checkpoints(directory, stored, sealed, finished)
    return Inspection(
        directory, lines, len(rounds), n_whole, name, resumable, whole, summary, tuple(damage)
    )


def is_gathered(directory: Path, lines: Sequence[Mapping[str, Any]]) -> bool:
    """Whether ``utilities.npz`` is there as it was last sealed."""
    sealed = [line["utilities"] for line in lines if "utilities" in line]
    return bool(sealed) and _digest(directory / GATHERED) == sealed[-1]


def check_whole(directory: Path) -> None:
    """Raise `BadInput` that names the first damaged file of a record, if there is one.

    A record of format 1 has no seals, and nothing is known of it.
    """
    if not (directory / seals.NAME).exists() and not _sealed_once(directory):
        return
    found = inspect(directory)
    for _ in range(2):  # a run may just be writing between what was read first and last
        if not found.damage:
            return
        found = inspect(directory)
    if found.damage:
        raise BadInput(
            f"{'; '.join(map(str, found.damage))} · `goralx resume {directory}` falls back to "
            "what is whole"
        )


def _sealed_once(directory: Path) -> bool:
    """Whether a record without seals had some: its summary says so, or cannot say anything."""
    try:
        return "chain" in read_json(directory / "summary.json")
    except FileNotFoundError:
        return False


def _digest(path: Path) -> str | None:
    try:
        return file_digest(path)
    except OSError:
        return None


def _first_bad_row(path: Path, rounds: Rounds, finished: bool) -> Damage | None:
    """What is beyond the rows and columns sealed is damage only where no kill can have left it."""
    table = rows_as_far(path)
    header, n = next(table, []), 0
    row: list[str] = []
    for i, line in enumerate(rounds):
        row, n = next(table, []), line["n_columns"]
        padded = [*row, *([""] * (n - len(row)))]
        found = seals.row_seals(dict(zip(header[:n], padded)))
        if any(found[key] != line[key] for key in found):
            return Damage(path, i)
    beyond = next(table, None) is not None or max(len(header), len(row)) > n
    return Damage(path) if finished and beyond else None


def _first_bad_query(path: Path, rounds: Rounds, finished: bool) -> Damage | None:
    table = rows_as_far(path)
    header = next(table, [])
    for i, line in enumerate(rounds):
        found = [row for _, row in zip(range(line["n_queries"]), table)]
        if seals.queries_seal(header, found) != line["queries"]:
            return Damage(path, i)
    return Damage(path) if finished and next(table, None) is not None else None


def _bad_utilities(directory: Path, lines: list[dict[str, Any]], rounds: Rounds) -> list[Damage]:
    """Each file of utilities that is bad, unless all are in ``utilities.npz``, whole."""
    scored = [i for i, line in enumerate(rounds) if line["utility"] is not None]
    if is_gathered(directory, lines):
        return []
    sealed = any("utilities" in line for line in lines)
    parts = [(i, directory / "utilities" / f"{i:05d}.npy") for i in scored]
    bad = [Damage(part, i) for i, part in parts if _digest(part) != rounds[i]["utility"]]
    if bad and sealed and not (directory / "utilities").exists():
        return [Damage(directory / GATHERED, scored[0])]
    return bad


def _bad_parts(directory: Path, lines: list[dict[str, Any]]) -> list[Damage]:
    """Each part of a study that is bad, unless all are in ``utilities.npz``, whole; its tables."""
    tables = [line["tables"] for line in lines if "tables" in line][-1:]
    sealed = {directory / name: found for table in tables for name, found in table.items()}
    if not is_gathered(directory, lines):
        parts = {directory / PARTS / name: found for name, found in seals.parts(lines).items()}
        if (
            parts
            and any("utilities" in line for line in lines)
            and not (directory / PARTS).exists()
        ):
            return [Damage(directory / GATHERED)]
        sealed |= parts
    return [Damage(path) for path, found in sealed.items() if _digest(path) != found]


def _bad_checkpoints(
    directory: Path, stored: Mapping[str, str | None], sealed: Mapping[str, int], finished: bool
) -> list[Damage]:
    """A kill may have come before the last round's checkpoint took its place."""
    latest, previous = (stored[file] for file in CHECKPOINTS)
    damage = [
        Damage(directory / file)
        for file, found in stored.items()
        if found not in (None, *sealed) and (_round(directory / file) or 0) < len(sealed)
    ]
    killed = not finished and sealed.get(previous or "", -1) == len(sealed) - 2
    if latest is None and sealed and not killed:
        damage.append(Damage(directory / CHECKPOINTS[0]))
    return damage


def _later(directory: Path, n_sealed: int) -> bool:
    """Whether there is a checkpoint, itself whole, of a round that is not sealed any more."""
    return any((_round(directory / file) or -1) >= n_sealed for file in CHECKPOINTS)


def _round(path: Path) -> int | None:
    try:
        return int(read_npz(path, "round")["round"])
    except (FileNotFoundError, BadInput, TypeError, ValueError):
        return None

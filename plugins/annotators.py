"""Several annotators, simulated or from a file: asked together or some at a time, and counted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, cast

import numpy as np

import goralx
from goralx import ABSTAINED, Answers, Array, Asked, BadInput, Instance, Labels, Rows
from goralx.contracts import NOT_ASKED
from goralx.data import RowFile, given_path, read_rows
from goralx.discovery import spelt

ANNOTATORS = ("noisy rate=0.1", "noisy rate=0.2", "noisy rate=0.3")


@dataclass(frozen=True)
class Polled(goralx.Oracle):
    """What those share that ask several annotators: ``each`` of them a sample, null for all.

    Which ones is drawn for each sample. What most of them say is learned, one at random of what as
    many say; nothing where all abstain. Each answer is paid for.
    """

    each: int | None = None

    def __post_init__(self) -> None:
        if self.each is not None and self.each < 1:
            raise BadInput(f"oracle.each={self.each}; allowed: at least 1, or null for all")

    def poll(self, asked: Asked, said: Labels, cost: Array, names: tuple[str, ...]) -> Answers:
        """The answer by vote of what each would say (n, A), at what it would cost (n, A).

        Who has nothing to say of a sample at all, `NOT_ASKED`, is not asked about it.
        """
        n, A = said.shape
        there = said != NOT_ASKED
        if self.each is not None and self.each < A:
            order = np.where(there, asked.random("who is asked", A), 2.0).argsort(axis=1)
            chosen = np.zeros((n, A), dtype=bool)
            np.put_along_axis(chosen, order[:, : self.each], True, axis=1)
            there &= chosen
        said = np.where(there, said, NOT_ASKED)
        ties = asked.random("which of a tie")[:, 0]
        total = np.where(there, cost, 0.0).sum(axis=1)
        return Answers.by_vote(said, total, names, ties, asked.instance.n_classes)


@dataclass(frozen=True, eq=False)
class Panel(goralx.Oracle):
    """Oracles by name, each with random numbers of its own, and how they are polled."""

    members: tuple[goralx.Oracle, ...]
    names: tuple[str, ...]
    polled: Polled

    def answer(self, asked: Asked) -> Answers:
        found = [one.answer(asked.of(who)) for who, one in zip(self.names, self.members)]
        said = np.stack([one.labels for one in found], axis=1)
        cost = np.stack([one.cost for one in found], axis=1)
        return self.polled.poll(asked, said, cost, self.names)


@dataclass(frozen=True)
class Annotators(Polled):
    """Several annotators, each an oracle of its own: all vote, or ``each`` of them a sample.

    They are named as ``noisy rate=0.3``, and err independently of one another. ``each=1`` asks
    one at a time, drawn for each sample.
    """

    annotators: tuple[str, ...] = ANNOTATORS

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.annotators:
            raise BadInput(
                "oracle.annotators=[]; name at least one, e.g. oracle.annotators=['noisy rate=0.1']"
            )
        if self.each is not None and self.each > len(self.annotators):
            raise BadInput(
                f"oracle.each={self.each}; allowed: up to {len(self.annotators)}, for so many "
                "annotators there are"
            )
        _ = self.members

    @cached_property
    def members(self) -> tuple[goralx.Oracle, ...]:
        return tuple(
            cast(goralx.Oracle, spelt("oracle", text, "oracle.annotators"))
            for text in self.annotators
        )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{i} {text}" for i, text in enumerate(self.annotators, 1))

    def digest(self) -> str:
        return "".join(member.digest() for member in self.members)

    def prepared(self, instance: Instance) -> Panel:
        ready = tuple(member.prepared(instance) for member in self.members)
        return Panel(ready, self.names, self)

    def answer(self, asked: Asked) -> Answers:
        return self.prepared(asked.instance).answer(asked)


@dataclass(frozen=True, eq=False)
class Told(goralx.Oracle):
    """What a file says of the pool: (M, A) labels and costs, and how its annotators are polled."""

    pool: Rows
    said: Labels
    cost: Array
    names: tuple[str, ...]
    polled: Polled

    def answer(self, asked: Asked) -> Answers:
        places = np.searchsorted(self.pool, asked.rows)
        return self.polled.poll(asked, self.said[places], self.cost[places], self.names)


@dataclass(frozen=True)
class File(Polled):
    """Labels from a file, CSV or JSON lines: an LLM's, a crowd's, a colleague's.

    A line a label: the class's name in the column ``label``, empty or null for an abstention; of
    which row in ``id`` (null: ``pool_id``, ``id`` or ``row`` if there is one, else a line for each
    row of the data, in order); by whom in ``annotator`` and at what cost in ``cost`` (null: columns
    called so, if there are such). Several lines of one row without names are several annotators in
    that order. A sample of the pool that no line is of counts as an abstention; ``missing=refuse``
    refuses it.
    """

    named_after: ClassVar[tuple[str, ...]] = ("path",)

    path: str | None = None
    label: str = "label"
    id: str | None = None
    annotator: str | None = None
    cost: str | None = None
    missing: Literal["abstain", "refuse"] = "abstain"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.missing not in ("abstain", "refuse"):
            raise BadInput(f"oracle.missing={self.missing}; allowed: abstain, refuse")

    @cached_property
    def _file(self) -> RowFile:
        if self.path is None:
            raise BadInput("oracle=file needs its labels: oracle.path=labels.csv")
        return read_rows(given_path(self.path, "oracle.path"))

    def digest(self) -> str:
        return self._file.digest

    def prepared(self, instance: Instance) -> Told:
        found, total = self._file, len(instance.y)
        rows = found.rows(total, self.id, "oracle.id")
        labels = _labels(found.column(self.label, "oracle.label"), instance.classes, found)
        by = _whom(found, rows, self.annotator)
        names = tuple(dict.fromkeys(by))
        who = np.array([names.index(name) for name in by])
        _check_once(found, rows, who, names)
        pool = np.sort(instance.pool)
        here = np.isin(rows, pool)
        places = np.searchsorted(pool, rows[here])
        said = np.full((len(pool), len(names)), NOT_ASKED)
        said[places, who[here]] = labels[here]
        cost = np.ones(said.shape)
        cost[places, who[here]] = _costs(found, self.cost)[here]
        silent = (said < 0).all(axis=1)
        if self.missing == "refuse" and silent.any():
            raise BadInput(
                f"{found.path}: no label of {silent.sum()} of {len(pool)} pool samples, the first "
                f"of them row {pool[silent][0]} · give them, or take oracle.missing=abstain"
            )
        said[silent & (said == NOT_ASKED).all(axis=1), 0] = ABSTAINED  # asked in vain
        return Told(pool, said, cost, names, self)

    def answer(self, asked: Asked) -> Answers:
        return self.prepared(asked.instance).answer(asked)


def _labels(given: list[Any], classes: tuple[str, ...], found: RowFile) -> Labels:
    """Numbers of the classes (L,), `ABSTAINED` where a line has none."""
    known = {name: k for k, name in enumerate(classes)}
    labels = np.full(len(given), ABSTAINED)
    for i, value in enumerate(given):
        if value is None or (name := _name(value)) == "":
            continue
        if name not in known:
            raise goralx.UnknownName(
                f"{found.path}, line {i + 1}: no class is called {name!r}; allowed: "
                f"{', '.join(classes)}"
            )
        labels[i] = known[name]
    return labels


def _name(value: Any) -> str:
    """A class as it is called: 3.0, which tables make of 3, is 3."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _column(found: RowFile, given: str | None, usual: str) -> list[Any] | None:
    """A column that was named, or that is called as usual; None where there is none."""
    if given is None and usual not in found.columns:
        return None
    return found.column(given or usual, f"oracle.{usual}")


def _whom(found: RowFile, rows: Rows, column: str | None) -> list[str]:
    """Who gave each line: by name, or by its place among those of one row."""
    names = _column(found, column, "annotator")
    if names is not None:
        return [str(name) for name in names]
    seen: dict[int, int] = {}
    by = []
    for row in rows.tolist():
        seen[row] = seen.get(row, 0) + 1
        by.append(str(seen[row]))
    return by


def _check_once(found: RowFile, rows: Rows, who: Rows, names: tuple[str, ...]) -> None:
    """Nobody labels a sample twice."""
    pairs = rows * len(names) + who
    _, first, counts = np.unique(pairs, return_index=True, return_counts=True)
    if (counts > 1).any():
        i = int(first[counts > 1][0])
        raise BadInput(
            f"{found.path}: {names[who[i]]} labels row {rows[i]} more than once · keep one of the "
            "lines"
        )


def _costs(found: RowFile, column: str | None) -> Array:
    """Of each line, one where the file does not say."""
    costs, given = np.ones(len(found.lines)), _column(found, column, "cost") or ()
    for i, value in enumerate(given):
        try:
            costs[i] = 1.0 if value is None or value == "" else float(value)
        except (TypeError, ValueError):
            costs[i] = -1.0
        if not 0 <= costs[i] < np.inf:
            raise BadInput(
                f"{found.path}, line {i + 1}: a cost of {value!r}; allowed: numbers of at least 0"
            )
    return costs


@goralx.hookimpl
def register_oracles(register):
    register("annotators", Annotators)
    register("file", File)

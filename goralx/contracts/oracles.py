"""The contract of an oracle: who answers for the labels that a run asks for, and at what cost."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from goralx.core import Array
from goralx.data import Features, Instance, Labels, Rows, guard_fields, streams
from goralx.errors import PluginError

from .boundary import asking, instance_of, named, numbers

ABSTAINED = -1
"""The label of a sample to which nobody gave one."""
NOT_ASKED = -2
"""Where in `Answers.said` an annotator was not asked about a sample."""


@dataclass(frozen=True)
class Asked:
    """Samples whose labels are asked for, and all that an answer may depend on.

    ``rows`` (n,) are row numbers of ``instance``, which knows the truth. ``seed`` is the run's and
    ``voice`` whose random numbers these are, where one oracle asks others.
    """

    instance: Instance = field(repr=False)
    rows: Rows
    seed: int = 0
    voice: str = ""

    def __post_init__(self) -> None:
        guard_fields(self, "rows")

    @property
    def y(self) -> Labels:
        """The true labels (n,)."""
        return self.instance.y[self.rows]

    @cached_property
    def X(self) -> Features:
        """Features (n, d)."""
        return self.instance.X[self.rows]

    def random(self, name: str, size: int = 1) -> Array:
        """Numbers in [0, 1) (n, size) of seed, voice, ``name`` and row, and of nothing else.

        Whoever asks about a row, whenever and beside whichever others, meets the same: arms stay
        paired, and a resumed run is told what it would have been told.
        """
        rng = streams(self.seed, f"oracle {self.voice} {name}")
        bits = rng.bit_generator
        assert isinstance(bits, np.random.PCG64)  # which can jump
        rows, back = np.unique(self.rows, return_inverse=True)
        found, place = np.empty((len(rows), size)), 0
        for i, row in enumerate(rows.tolist()):
            bits.advance(row * size - place)
            found[i] = rng.random(size)
            place = (row + 1) * size
        drawn: Array = found[back]
        return drawn

    def of(self, voice: str) -> Asked:
        """The same asked of somebody else, whose random numbers are independent of ours."""
        return replace(self, voice=f"{self.voice}/{voice}")

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Answers:
    """What n samples were called.

    ``labels`` (n,) in 0..K-1 are learned from, `ABSTAINED` where there is none; ``cost`` (n,) is
    what each took, answered or not. ``said`` (n, A) is what each of the ``annotators`` said, who
    may have abstained or not been asked. No array of it is to be written to.
    """

    labels: Labels
    cost: Array
    said: Labels
    annotators: tuple[str, ...]

    def __post_init__(self) -> None:
        guard_fields(self, "labels", "cost", "said")

    @classmethod
    def of_one(cls, labels: Labels, cost: Array | None = None, name: str = "oracle") -> Answers:
        """Of a single annotator; a cost of one each unless another (n,) is given."""
        each = np.ones(len(labels)) if cost is None else cost
        return cls(labels, each, labels[:, None], (name,))

    @classmethod
    def by_vote(
        cls, said: Labels, cost: Array, annotators: Sequence[str], ties: Array, n_classes: int
    ) -> Answers:
        """The label that most of those asked gave; of several, one by ``ties`` (n,) in [0, 1)."""
        votes = (said[:, :, None] == np.arange(n_classes)).sum(axis=1)
        most = votes.max(axis=1, initial=0)
        tied = (votes == most[:, None]) & (most > 0)[:, None]
        place = np.floor(ties * tied.sum(axis=1)).astype(np.int64)
        chosen = (np.cumsum(tied, axis=1) > place[:, None]) & tied
        labels = np.where(most > 0, chosen.argmax(axis=1), ABSTAINED)
        return cls(labels, cost, said, tuple(annotators))

    def __len__(self) -> int:
        return len(self.labels)


class Oracle(ABC):
    """Answers for the labels that a run asks for; a component as the others: a frozen dataclass.

    The answer to a row depends on the oracle's options, the seed and the row, and not on when it
    is asked or with which others: `Asked.random` has random numbers that are so. What it says is
    learned from; the labels of init and dev are true in any case.
    """

    @abstractmethod
    def answer(self, asked: Asked) -> Answers:
        """An answer, or an abstention, to each of the samples."""

    def prepared(self, instance: Instance) -> Oracle:
        """The same, ready for an instance: with what is worked out once, a file read, a model fit.

        Raises `BadInput` or `Incompatible` for an instance that it cannot answer for.
        """
        return self

    def digest(self) -> str:
        """A hash of what answers depend on beside the options, as a file's content; "" without."""
        return ""


@dataclass(frozen=True)
class Perfect(Oracle):
    """Knows the hidden labels and tells them, at a cost of one each."""

    def answer(self, asked: Asked) -> Answers:
        return Answers.of_one(asked.y)


def answered(oracle: Oracle, asked: Asked) -> Answers:
    """What an oracle says, held against its contract."""
    n, K = len(asked), asked.instance.n_classes
    with asking(oracle, "oracle", "answer"):
        found = oracle.answer(asked)
    instance_of(found, Answers, oracle, "oracle", "the answer")
    cost = numbers(found.cost, (n,), oracle, "oracle", "cost")
    if (cost < 0).any():
        raise PluginError(f"{named(oracle, 'oracle')}: a cost is {cost.min():g}; at least 0")
    _check_labels(found.labels, (n,), ABSTAINED, K, oracle, "labels")
    _check_labels(found.said, (n, len(found.annotators)), NOT_ASKED, K, oracle, "said")
    return found


def _check_labels(
    given: Any, shape: tuple[int, ...], least: int, n_classes: int, oracle: Oracle, what: str
) -> None:
    """Refuse what is no class, no abstention and nothing else that is allowed."""
    labels = numbers(given, shape, oracle, "oracle", what)
    whole = labels.dtype.kind in "iu"
    odd = labels[(labels < least) | (labels >= n_classes)] if whole else labels.ravel()
    if len(odd) or not whole:
        shown = odd[0] if whole else f"of type {labels.dtype}"
        raise PluginError(
            f"{named(oracle, 'oracle')}: {what} holds a label {shown}; allowed: whole numbers, 0 "
            f"to {n_classes - 1} for the classes, {ABSTAINED} for an abstention"
        )

"""The contract of an initial set: who is labelled before the first query."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from goralx.data import Features, Instance, Labels, Rows, guard_fields, part, read_only
from goralx.errors import BadInput, PluginError

from .boundary import asking, named, places


@dataclass(frozen=True)
class Beginning:
    """What an initial set is chosen from: the data set's own and its pool, put together.

    ``X`` (N, d) are their features, an array, sparse, or a `Matrix` that lies on disk; ``size`` is
    how many to choose, fewer than N; ``given`` are the places of the data set's own; ``classes``
    (K,) are the classes' names. ``y`` (N,) is None unless ``needs_labels`` is declared. ``rng`` is
    the instance's own: the same seed chooses the same for every strategy.
    """

    X: Features
    size: int
    rng: np.random.Generator
    given: Rows
    classes: tuple[str, ...]
    y: Labels | None = None

    def __post_init__(self) -> None:
        guard_fields(self, "X", "y", "given")

    def __len__(self) -> int:
        return int(self.X.shape[0])


class InitialSet(ABC):
    """Chooses who is labelled at the start. An option called ``size`` says how many; without one,
    or where it is None, there are as many as in the data set's own initial set.
    """

    _kind: ClassVar[str] = "initial set"
    needs_labels: ClassVar[bool] = False
    """Whether it looks at labels that nobody has yet; to be said in its docstring, too."""

    @abstractmethod
    def choose(self, asked: Beginning) -> Rows:
        """``asked.size`` different places among the N, in any order."""


@dataclass(frozen=True)
class Given(InitialSet):
    """The initial set that the data set brings."""

    def choose(self, asked: Beginning) -> Rows:
        return asked.given


def begun(initial: InitialSet, instance: Instance, rng: np.random.Generator) -> Instance:
    """The instance with another initial set, of samples in init or pool; the test set stays.

    Samples of a dev set that the data set brings stay where they are.
    """
    if isinstance(initial, Given):  # to the letter: in the data set's own order
        return instance
    dev = instance.dev
    offered = np.setdiff1d(np.concatenate([instance.init, instance.pool]), dev)
    size = getattr(initial, "size", None)
    size = len(instance.init) if size is None else size
    if not 1 <= size < len(offered):
        raise BadInput(
            f"initial.size={size}; allowed: 1 to {len(offered) - 1}, for dataset "
            f"'{instance.name}' has {len(offered)} samples to choose from"
        )
    y = read_only(instance.y[offered]) if initial.needs_labels else None
    given = np.flatnonzero(np.isin(offered, instance.init))
    asked = Beginning(part(instance.X, offered), size, rng, given, instance.classes, y)
    with asking(initial, "initial set", "choose"):
        found = initial.choose(asked)
    rows = places(found, len(offered), size, initial, "initial set")
    if len(rows) < size:
        raise PluginError(
            f"{named(initial, 'initial set')} chose {len(rows)} samples; expected {size}"
        )
    return instance.starting_from(np.sort(offered[rows]))

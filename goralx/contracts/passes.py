"""Passes over many samples, a block at a time: what is summed up, in which order, and by whom.

A pass is a map over pieces of the samples and a reduction of what each gives. The reduction adds
blocks of a fixed size in their order, whoever worked them out: in memory, from disk and in other
processes the sums are the same, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal, Protocol, TypeVar, cast

import numpy as np

from goralx.core import Array, Floats
from goralx.data import Features, Labels, blocks, part, read_only, shown
from goralx.errors import PluginError

from .boundary import asking, named, number, numbers

POSITIVE = 1e-5
"""What round-off may make of the logarithm of a probability of one."""

A = TypeVar("A")
R = TypeVar("R")


class Engine(Protocol):
    """Who works out a pass. ``remote`` if what it is given leaves the process.

    Then samples travel as a path and ranges of rows, so the pool has to lie on disk where every
    worker finds it, and goal, operator, utility and batch rule have to be such that a sample's
    share depends on that sample alone (``separable``).
    """

    remote: ClassVar[bool]

    @property
    def pieces(self) -> int | None:
        """Into how many pieces the samples are cut; None: a block each."""

    def map(self, function: Callable[[A], R], pieces: Sequence[A], what: str) -> Iterator[R]:
        """The function of each piece, in the order of the pieces; ``what`` names the pass."""


@dataclass(frozen=True)
class Local:
    """One process, one block after the other, whether the samples are in memory or on disk.

    ``progress`` shows a bar once a pass takes over two seconds.
    """

    remote: ClassVar[bool] = False

    progress: bool = True

    @property
    def pieces(self) -> int | None:
        return None

    def map(self, function: Callable[[A], R], pieces: Sequence[A], what: str) -> Iterator[R]:
        return map(function, shown(pieces, what, progress=self.progress))


HERE = Local(progress=False)


def keep_freed_memory() -> None:
    """Have the C library keep the blocks that a round frees for the next one.

    Else each round gives megabytes back and has them mapped and zeroed anew, page by page. glibc
    keeps twice the largest block that was ever freed, counting up to 32 MB: so one is, untouched.
    """
    np.empty((32 << 20) - (64 << 10), dtype=np.uint8)


def pieces_of(n: int, n_classes: int, engine: Engine) -> list[slice]:
    """Whole blocks of n samples, cut as the engine asks."""
    cut = blocks(n, n_classes)
    count = len(cut) if engine.pieces is None else min(len(cut), engine.pieces)
    edges = np.linspace(0, len(cut), count + 1).round().astype(int)
    return [slice(cut[a].start, cut[b - 1].stop) for a, b in pairwise(edges.tolist())]


class Predictor(Protocol):
    """What a pass asks of a fitted model; see `goralx.FittedModel`."""

    @property
    def n_classes(self) -> int: ...

    def log_proba(self, X: Features) -> Floats: ...

    def pullback(self, X: Features, G: Floats) -> Array: ...

    def pushforward(self, X: Features, v: Array) -> Floats: ...


class Measured(Protocol):
    """What a pass asks of a goal; see `goralx.PredictionGoal`."""

    separable: ClassVar[bool]
    reduction: ClassVar[Literal["sum", "mean"]]

    def value(self, log_P: Floats, X: Features, y: Labels | None) -> float: ...


class Sloped(Measured, Protocol):
    """What it asks of a goal whose slope is wanted; see `goralx.LogitGoal`."""

    def value_and_logit_gradient(
        self, log_P: Floats, X: Features, y: Labels | None
    ) -> tuple[float, Floats]: ...


class Curved(Sloped, Protocol):
    """What is asked of a goal whose second derivatives are wanted; see `goralx.LogitGoal`."""

    def logit_hessian(self, log_P: Floats, X: Features, y: Labels | None) -> Floats: ...


@dataclass(frozen=True)
class Found:
    """What a pass found in one block of m samples.

    ``values`` of the goals asked for, ``pulled`` the pullback of the gradient of the one whose
    slope was, ``log_P`` (m, K) where it was to be kept.
    """

    size: int
    values: tuple[float, ...]
    pulled: Array | None
    log_P: Floats | None


@dataclass(frozen=True)
class Survey:
    """The first pass: predictions, the goals' values, and the slope of one of them.

    Everything of a block is done while its features are at hand; only log P may outlive it.
    """

    model: Predictor
    goals: tuple[Measured, ...] = ()
    slope_of: Sloped | None = None
    keep: bool = False

    def __call__(self, samples: Seen) -> list[Found]:
        return [self._block(samples, block) for block in blocks(len(samples), self.model.n_classes)]

    def _block(self, samples: Seen, block: slice) -> Found:
        X = read_only(samples.X[block])
        y = None if samples.y is None else read_only(samples.y[block])
        log_P = predicted(self.model, X) if samples.log_P is None else samples.log_P[block]
        values, pulled = [], None
        for goal in self.goals:
            if self.slope_of is not None and goal is self.slope_of:
                value, G = sloped(self.slope_of, log_P, X, y)
                pulled = self.model.pullback(X, G)
            else:
                value = measured(goal, log_P, X, y)
            values.append(value)
        return Found(X.shape[0], tuple(values), pulled, log_P if self.keep else None)


def predicted(model: Predictor, X: Features) -> Floats:
    """log P (m, K) of samples X (m, d), held against the contract; not to be written to."""
    with asking(model, "model", "log_proba"):
        log_P = model.log_proba(X)
    shape = (X.shape[0], model.n_classes)
    found: Floats = numbers(log_P, shape, model, "model", "log_proba", but=[-np.inf])
    if found.size and found.max() > POSITIVE:
        raise PluginError(
            f"{named(model, 'model')}: log_proba is {found.max():.3g} somewhere; logarithms of "
            "probabilities are never positive"
        )
    return cast(Floats, read_only(found))


def measured(goal: Measured, log_P: Floats, X: Features, y: Labels | None) -> float:
    """tau, held against the contract."""
    with asking(goal, "goal", "value"):
        value = goal.value(log_P, X, y)
    return number(value, goal, "goal", "the value")


def sloped(goal: Sloped, log_P: Floats, X: Features, y: Labels | None) -> tuple[float, Floats]:
    """tau and its logit gradient (m, K), held against the contract."""
    with asking(goal, "goal", "value_and_logit_gradient"):
        value, G = goal.value_and_logit_gradient(log_P, X, y)
    slope: Floats = numbers(G, log_P.shape, goal, "goal", "the logit gradient")
    return number(value, goal, "goal", "the value"), slope


@dataclass(frozen=True)
class Seen:
    """Samples on their way through a pass: X (n, d), labels and log P where they are known."""

    X: Any
    y: Labels | None = None
    log_P: Floats | None = None

    def part(self, piece: slice) -> Seen:
        y = None if self.y is None else self.y[piece]
        log_P = None if self.log_P is None else self.log_P[piece]
        return Seen(part(self.X, piece), y, log_P)

    def __len__(self) -> int:
        return len(self.X)


@dataclass(frozen=True)
class Portable:
    """A function of components whose classes come from plugin files, on its way to a process.

    Nobody can import those files by name: ``prepare`` is called first where it arrives, and finds
    the plugins there.
    """

    function: Callable[..., Any]
    prepare: Callable[[], Any]

    def __call__(self, piece: Any) -> Any:
        return self.function(piece)

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, (_Prepared(self.prepare), self.prepare, self.function)


@dataclass(frozen=True)
class _Prepared:
    """Arrives as what ``prepare`` gave there; it comes before whatever needs it."""

    prepare: Callable[[], Any]

    def __reduce__(self) -> tuple[Any, ...]:
        return self.prepare, ()


def _arrived(_: Any, prepare: Callable[[], Any], function: Callable[..., Any]) -> Portable:
    return Portable(function, prepare)

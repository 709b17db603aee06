"""The contracts: what a model, a goal, a label operator, a utility, a strategy, a dataset must say.

A component is a frozen dataclass: its fields are its options, ``__post_init__`` checks their
ranges, and its methods are pure. Components are told what they need and reach for nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .data import Features, Instance, Labels, Rows
from .errors import BadInput, Incompatible
from .samples import Candidates, Reference

if TYPE_CHECKING:
    from .goal_utility import Scores
    from .record import RunInfo

Array = NDArray[np.floating]
"""Numbers: of samples in the precision of their features, single or double; else double."""


class Goal(ABC):
    """A goal tau (Sec. 2.1), the higher the better.

    ``reference`` is what it is measured on: "pool" (the initial pool, features only, the same in
    every round so that tau is comparable) or "dev" (the dev set, with labels).
    """

    reference: ClassVar[Literal["pool", "dev"]] = "pool"
    needs_model: ClassVar[frozenset[str]] = frozenset()
    """Capabilities that it asks of the model."""
    separable: ClassVar[bool] = False
    """Whether each sample has its own share in tau, that depends on no other: then tau and gradient
    of a large reference are put together (by ``reduction``) from those of its blocks. Of any other
    goal everything is worked out at once, in memory."""

    @abstractmethod
    def measure(self, reference: Reference) -> float:
        """tau of the model that the reference is seen through."""


class PredictionGoal(Goal):
    """A goal that sees the model through its predictions only; it need not be differentiable.

    Without a gradient only ``utility=lookahead`` and ``utility=retrain`` can work with it.
    """

    reduction: ClassVar[Literal["sum", "mean"]] = "sum"
    """Over the reference: a sum grows with it, and is scaled when a part stands for the whole."""

    @abstractmethod
    def value(self, log_P: Array, X: Features, y: Labels | None) -> float:
        """tau from the reference's log predictions (M, K), features (M, d), labels (M,) or None.

        Features and predictions are float32 or float64, as the data are.
        """

    def shares(self, log_P: Array, X: Features, y: Labels | None) -> Array:
        """tau of each reference sample on its own (M,): a separable goal is their sum or mean.

        One `value` after another unless overridden.
        """
        rows = [slice(u, u + 1) for u in range(len(log_P))]
        return np.array([self.value(log_P[u], X[u], None if y is None else y[u]) for u in rows])

    def measure(self, reference: Reference) -> float:
        return reference.value(self)


class LogitGoal(PredictionGoal):
    """A goal with a gradient with respect to the logits: what nearly every goal extends."""

    @abstractmethod
    def value_and_logit_gradient(
        self, log_P: Array, X: Features, y: Labels | None
    ) -> tuple[float, Array]:
        """tau, and its gradient with respect to the logits (M, K).

        log_P (M, K) are the log predictions of the reference X (M, d), without the constant; y (M,)
        are its labels for a dev goal and None for a pool goal. Rows of the gradient sum to zero.
        """

    def logit_hessian(self, log_P: Array, X: Features, y: Labels | None) -> Array:
        """Second derivative with respect to each sample's logits (M, K, K); optional.

        ``utility=implicit`` needs it. Rows and columns sum to zero.
        """
        raise NotImplementedError(f"{type(self).__name__} gives no logit_hessian")

    def value(self, log_P: Array, X: Features, y: Labels | None) -> float:
        return self.value_and_logit_gradient(log_P, X, y)[0]

    def measure(self, reference: Reference) -> float:
        if self.separable or type(self).value is not LogitGoal.value:
            return super().measure(reference)
        return reference.gradient(self)[0]


class DesignGoal(Goal):
    """A criterion of experimental design: it depends on which samples are labelled, not on labels.

    No label is unknown to it, so that neither a label operator nor an estimator is asked.
    """

    needs_model: ClassVar[frozenset[str]] = frozenset({"expansion"})

    @abstractmethod
    def gains(self, candidates: Candidates, reference: Reference, *, regime: str) -> Array:
        """By how much labelling each candidate, whatever its label, raises tau: (N,).

        NaN for a candidate that was not looked at, where there are too many.
        """


class LabelOperator(ABC):
    """l_y (Sec. 2.1): what to make of a utility that depends on a label nobody knows yet."""

    needs_ground_truth: ClassVar[bool] = False
    """True labels reach an operator only if it says so, and such a run is tagged."""
    separable: ClassVar[bool] = False
    """Whether a candidate's utility depends on its own row of U, log P and y alone, and `beliefs`
    is not overridden: only then may blocks of the pool be resolved in other processes."""
    decomposable: ClassVar[bool] = True
    """Whether it commutes with sums over a batch, as Remark 2 asks."""
    needs_model: ClassVar[frozenset[str]] = frozenset()
    """Capabilities that it asks of the model."""

    @abstractmethod
    def __call__(self, U: Array, log_P: Array, y_true: Labels | None, progress: float) -> Array:
        """Utility (N,) from the utilities under every label U (N, K).

        ``log_P`` (N, K) is what `beliefs` returned, ``y_true`` (N,) the hidden labels or None.
        """

    def beliefs(self, candidates: Candidates) -> Array:
        """log P(y) (N, K) under which the label is resolved; the model's own unless overridden."""
        return candidates.log_P


@dataclass(frozen=True)
class Utilities:
    """U (N, K), the relative error that solvers left in it, and how far it may be believed.

    ``trust`` (N,) is kappa, the largest move of a candidate's own logits under any label, NaN where
    it was not worked out, or None: below 0.05 first order is fine, above 2 only retraining is.
    """

    U: Array
    relative_error: float
    trust: Array | None = None


class UtilityEstimator(ABC):
    """pi(x) under every label: how the effect of one more sample on the goal is worked out.

    An estimator that costs much per candidate has a field ``screen``: the influence utility ranks
    the pool, and only that many of the best are looked at again (None: all of them).
    """

    needs_model: ClassVar[frozenset[str]] = frozenset()
    needs: ClassVar[Literal["value", "gradient", "hessian"]] = "gradient"
    """What it asks of a goal: `PredictionGoal`, `LogitGoal`, or one with a ``logit_hessian``."""
    screen: int | None = None

    @abstractmethod
    def utilities(
        self, candidates: Candidates, goal: Any, reference: Reference, *, regime: str
    ) -> Utilities:
        """tau(theta_(x, y)) - tau(theta), estimated, for every candidate and label: (N, K)."""

    def looks_at(self, candidates: Candidates, reference: Reference) -> int | None:
        """How many of the best to look at again; None: all of them."""
        return self.screen

    def changes(self, candidates: Candidates, *, regime: str) -> NDArray[np.float64] | None:
        """Change of phi (N, K, m) after which the goal itself is measured; None for a series.

        What an explanation shares out among the reference samples: the goal before and after, or
        its series: of first order, or of `core.implicit`'s second where it `needs` a "hessian".
        """
        return None


@dataclass(frozen=True)
class Direction:
    """Where one more sample moves the parameters, per unit of its own gradient: v, as theta.

    ``penalty`` as in `influence.utilities`; ``relative_error`` is what the solver left in v.
    """

    v: NDArray[np.float64]
    penalty: float
    relative_error: float


class FirstOrderEstimator(UtilityEstimator):
    """An estimator whose pass over the reference leaves one direction for all candidates.

    Then a candidate costs a product with it, wherever the candidate lies.
    """

    @abstractmethod
    def direction(self, goal: LogitGoal, reference: Reference, *, regime: str) -> Direction:
        """From the slope of the goal, and the labelled set's curvature."""

    def trust(self, candidates: Candidates) -> Array | None:
        """kappa (N,), NaN where it was not looked at, as in `Utilities`; None if it cannot say."""
        return None

    def utilities(
        self, candidates: Candidates, goal: LogitGoal, reference: Reference, *, regime: str
    ) -> Utilities:
        found = self.direction(goal, reference, regime=regime)
        U = candidates.first_order(found.v, found.penalty)
        return Utilities(U, found.relative_error, self.trust(candidates))


@dataclass(frozen=True)
class Selection:
    """``rows`` (b,): places among the candidates, best first; ``utility`` (N,) of all, or None.

    A utility of NaN says that a candidate was not looked at.
    """

    rows: Rows
    utility: Array | None = None


@dataclass(frozen=True)
class Query:
    """What a strategy is asked: which ``batch_size`` of the candidates to label next.

    Everything that costs something is worked out when it is first read. ``y_true`` is None unless
    the strategy declares ``needs_ground_truth``. ``rule`` puts the batch together, see `batch`.
    """

    candidates: Candidates
    batch_size: int
    rng: np.random.Generator
    y_true: Labels | None = None
    score: Scorer | None = field(default=None, repr=False)
    rule: BatchRule | None = None

    @property
    def X(self) -> Features:
        """Features of the candidates (N, d)."""
        return self.candidates.X

    @property
    def log_P(self) -> Array:
        """log predictions of the candidates (N, K)."""
        return self.candidates.log_P

    @cached_property
    def scores(self) -> Scores:
        """Goal-oriented utilities: ``scores.U`` (N, K) and ``scores.utility`` (N,)."""
        scores = self.scorer(self.candidates)
        n = len(scores.looked_at)
        if n < min(self.batch_size, len(self.candidates)):
            raise Incompatible(
                f"batch_size={self.batch_size}, and only {n} candidates are looked at, as many as "
                "a minute pays for; give a screen of at least batch_size, or utility=influence"
            )
        return scores

    @property
    def scorer(self) -> Scorer:
        """What scores candidates, as they are or as made-up labels would leave them."""
        if self.score is None:
            raise Incompatible("this query has no goal; give a goal, an operator and a utility")
        return self.score

    def batch(self) -> Rows:
        """Places of the batch that the run's rule puts together; the best where it has none."""
        if self.rule is None:
            return top_b(self.scores.utility, self.batch_size, self.rng)
        return self.rule.choose(self)

    def top(self, utility: Array) -> Selection:
        """The ``batch_size`` best by ``utility`` (N,), ties broken at random, NaN never chosen."""
        return Selection(top_b(utility, self.batch_size, self.rng), utility)


class Scorer(Protocol):
    """Resolved goal-oriented utilities of the candidates."""

    def __call__(self, candidates: Candidates) -> Scores: ...

    @property
    def regime(self) -> str:
        """The model's."""


class BatchRule(ABC):
    """How the batch is put together, given what each candidate is worth on its own.

    Collective influence is the mean of its members' (Remark 2), so that to first order the best
    batch is the best candidates; beyond it, they may all say the same.
    """

    needs_model: ClassVar[frozenset[str]] = frozenset()
    """Capabilities that it asks of the model."""
    utility_only: ClassVar[bool] = False
    """Whether it reads no more than ``query.scores.utility``, which is all that other processes
    give."""

    @abstractmethod
    def choose(self, query: Query) -> Rows:
        """Places of ``query.batch_size`` different candidates, best first.

        Reads ``query.scores`` and draws from ``query.rng``; a candidate whose utility is NaN was
        not looked at and is never chosen.
        """


class Strategy(ABC):
    """Chooses the next batch. The same query and generator state give the same rows, anywhere."""

    needs_ground_truth: ClassVar[bool] = False
    uses_goal: ClassVar[bool] = False
    """Whether it reads ``query.scores``; goal and operator are otherwise only monitored."""

    @abstractmethod
    def select(self, query: Query) -> Selection: ...


@runtime_checkable
class Dataset(Protocol):
    """Draws an `Instance`; the same generator state gives the same rows."""

    def instance(self, rng: np.random.Generator) -> Instance: ...


class TrackedRun(ABC):
    """One run as a tracker follows it: told after each round is on disk, and how it ended."""

    @abstractmethod
    def log_round(self, row: Mapping[str, float]) -> None:
        """A row of ``rounds.csv``; its step is ``row["n_labelled"]``, NaN means nothing to say."""

    @abstractmethod
    def finish(
        self, status: Literal["finished", "failed", "killed"], summary: Mapping[str, Any]
    ) -> None:
        """The record is complete on disk; ``summary`` is ``summary.json``."""


@runtime_checkable
class Tracker(Protocol):
    """Somebody else who is told of a run; the record on disk does not depend on any."""

    def start(self, run: RunInfo) -> TrackedRun:
        """Begin to follow a run, or take up one that is resumed (``run.directory`` is known)."""


def has_logit_hessian(goal: Goal) -> bool:
    """Whether a goal overrides `LogitGoal.logit_hessian`."""
    return isinstance(goal, LogitGoal) and type(goal).logit_hessian is not LogitGoal.logit_hessian


def top_b(utility: Array, b: int, rng: np.random.Generator) -> Rows:
    """Positions of the b largest of (N,), best first, ties in random order; NaN is passed over."""
    known = np.flatnonzero(~np.isnan(utility))
    if not np.isfinite(utility[known]).all():
        raise BadInput("a utility is infinite; every candidate needs a finite one")
    order = rng.permutation(known)
    if 0 < b < len(order):  # whoever ties with the last has the same chance
        values = utility[order]
        order = order[values >= np.partition(values, len(values) - b)[len(values) - b]]
    return order[np.argsort(-utility[order], kind="stable")[:b]]

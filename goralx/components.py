"""The contracts: what a model, a goal, a label operator, a utility, a strategy, a dataset must say.

A component is a frozen dataclass: its fields are its options, ``__post_init__`` checks their
ranges, and its methods are pure. Components are told what they need and reach for nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .core import influence
from .core.curvature import Expansion
from .core.linear_solve import Solution
from .data import Features, Instance, Labelled, Labels, Rows
from .errors import BadInput, Incompatible
from .passes import HERE, Engine, Predictor, Seen, Survey, pieces_of
from .views import blocks, part

if TYPE_CHECKING:
    from .goal_utility import Scores
    from .record import RunInfo

Array = NDArray[np.float64]


class FittedModel(Protocol):
    """A model at its optimum. Linear in nothing: a network may answer with vjp, jvp and CG."""

    @property
    def theta(self) -> Array:
        """Parameters; (K, D) for softmax regression."""

    @property
    def n_labelled(self) -> int: ...

    @property
    def n_classes(self) -> int: ...

    @property
    def penalty_gradient(self) -> Array:
        """Gradient of the penalty that one more sample brings along, in the shape of theta."""

    def log_proba(self, X: Features) -> Array:
        """log P(y | x): (N, K)."""

    def pullback(self, X: Features, G: Array) -> Array:
        """Jacobian of the logits, transposed, times G (N, K), summed over samples: as theta."""

    def pushforward(self, X: Features, v: Array) -> Array:
        """Derivative of the logits along v, up to a constant per row: (N, K)."""

    def solve(self, g: Array) -> Solution:
        """H^-1 g, H the mean Hessian of the training objective."""

    def checkpoint(self) -> dict[str, Array]:
        """Arrays from which `Model.restore` makes this very fit again, bit for bit."""


class CurvedModel(FittedModel, Protocol):
    """What a fit adds where its model has the capabilities "logit_variance" and "expansion"."""

    def logit_variance(self, X: Features) -> Array:
        """Posterior variance of each class-centred logit: (N, K)."""

    def expansion(self, regime: str, n_new: int = 1) -> Expansion:
        """The labelled set around its optimum, as ``n_new`` samples join it."""

    def retrained(self, X_new: Features, y_new: Labels, regime: str) -> Array:
        """Exact change of phi (T, m) as X_new (T, b, d) with y_new (T, b) join, for each of T."""

    def inserted(self, x: Features, label: int | None, regime: str) -> CurvedModel:
        """The fit as x (d,) under this label would leave it, without a refit or a checkpoint.

        Without a label its curvature joins and theta stays, as if labels came as predicted.
        """


class TravellingModel(FittedModel, Protocol):
    """What a fit adds where its model has the capability "predictor"."""

    @property
    def predictor(self) -> Predictor:
        """Its predictions without its labelled samples: small enough to be sent elsewhere."""


@runtime_checkable
class Model(Protocol):
    """Fits. ``capabilities`` names what its fits can do beyond `FittedModel`, see `CurvedModel`
    and `TravellingModel`.

    ``regime`` says what one more sample does to the penalty: under ``fixed_C`` lambda = 1/(nC)
    shrinks as n grows, under ``fixed_lambda`` it stays and every sample brings its share (Eq. 6).
    """

    capabilities: ClassVar[frozenset[str]]

    @property
    def regime(self) -> str: ...

    def fit(
        self, labelled: Labelled, n_classes: int, previous: FittedModel | None = None
    ) -> FittedModel:
        """Fit to all labelled samples; ``previous`` was fit to the first of them."""

    def restore(
        self, labelled: Labelled, n_classes: int, arrays: Mapping[str, Array]
    ) -> FittedModel: ...


@dataclass(frozen=True)
class Reference:
    """Samples seen through one fitted model: X (M, d), labels or None, and the predictions.

    X may be a `View` of a file. ``asked`` are goals that will be measured here, ``slope_of`` the
    one whose gradient will be asked for: those that are separable are worked out in the one pass
    over X that gives the predictions, by ``engine``.
    """

    model: FittedModel
    X: Features
    y: Labels | None = None
    asked: tuple[Goal, ...] = ()
    slope_of: Goal | None = None
    engine: Engine = HERE

    @cached_property
    def log_P(self) -> Array:
        """log P(y | x), (M, K)."""
        log_P = self._survey((), None, keep=True)
        assert log_P is not None
        return log_P

    def value(self, goal: PredictionGoal) -> float:
        """tau here, worked out once however many ask."""
        if not goal.separable:
            return goal.value(self.log_P, self.X, self.y)
        if id(goal) not in self._found:
            self._look(goal, self.slope_of)
        return self._found[id(goal)][1]

    def pulled(self, goal: LogitGoal) -> Array:
        """Gradient of tau with respect to the model's parameters, in their shape."""
        if not goal.separable:
            return self.pull(self.gradient(goal)[1])
        if id(goal) not in self._found or self._found[id(goal)][2] is None:
            self._look(goal, goal)
        pulled = self._found[id(goal)][2]
        assert pulled is not None
        return pulled

    def gradient(self, goal: LogitGoal) -> tuple[float, Array]:
        """tau here and its logit gradient (M, K), worked out once however many ask."""
        if id(goal) not in self._gradients:
            found = goal.value_and_logit_gradient(self.log_P, self.X, self.y)
            self._gradients[id(goal)] = (goal, *found)
        return self._gradients[id(goal)][1:]

    def pull(self, G: Array) -> Array:
        """The model's pullback of a logit gradient (M, K), summed block by block."""
        cut = blocks(len(self.X))
        total = self.model.pullback(self.X[cut[0]], G[cut[0]])
        for block in cut[1:]:
            total = total + self.model.pullback(self.X[block], G[block])
        return total

    def _look(self, goal: PredictionGoal, slope_of: Goal | None) -> None:
        """Measure a goal, and in the same pass whatever else is known to be asked for."""
        asked = [g for g in self.asked if isinstance(g, PredictionGoal) and g.separable]
        goals = {id(g): g for g in asked if id(g) not in self._found}
        goals[id(goal)] = goal
        self._survey(tuple(goals.values()), slope_of, keep=not self.engine.remote)

    def _survey(
        self, goals: tuple[PredictionGoal, ...], slope_of: Goal | None, *, keep: bool
    ) -> Array | None:
        """One pass over the samples; what it finds is kept, log P is returned if it was asked."""
        M, engine, known = len(self.X), self.engine, self.__dict__.get("log_P")
        keep = keep and known is None
        model: Predictor = self.model
        if engine.remote:
            model = cast(TravellingModel, self.model).predictor
        own = next((goal for goal in goals if goal is slope_of), None)
        survey = Survey(model, goals, own, keep)
        samples = Seen(self.X, self.y, known)
        log_P = np.empty((self.model.n_classes, M)).T if keep else None
        values, slope, start = [0.0] * len(goals), None, 0
        pieces = [samples.part(piece) for piece in pieces_of(M, engine)]
        for found in chain.from_iterable(engine.map(survey, pieces, "measuring")):
            shares = [found.size / M if g.reduction == "mean" else 1.0 for g in goals]
            values = [t + w * v for t, w, v in zip(values, shares, found.values)]
            if found.pulled is not None:
                pulled = found.pulled * shares[[g is own for g in goals].index(True)]
                slope = pulled if slope is None else slope + pulled
            if log_P is not None:
                log_P[start : start + found.size] = found.log_P
            start += found.size
        for goal, value in zip(goals, values):
            self._found[id(goal)] = (goal, value, slope if goal is own else None)
        if log_P is not None:
            self.__dict__["log_P"] = log_P
        return log_P

    @cached_property
    def _found(self) -> dict[int, tuple[Goal, float, Array | None]]:
        return {}

    @cached_property
    def _gradients(self) -> dict[int, tuple[LogitGoal, float, Array]]:
        return {}


class Goal(ABC):
    """A goal tau (Sec. 2.1), the higher the better.

    ``reference`` is what it is measured on: "pool" (the initial pool, features only, the same in
    every round so that tau is comparable) or "dev" (the dev set, with labels).
    """

    reference: ClassVar[Literal["pool", "dev"]] = "pool"
    needs_model: ClassVar[frozenset[str]] = frozenset()
    """Capabilities that it asks of the model."""

    @abstractmethod
    def measure(self, reference: Reference) -> float:
        """tau of the model that the reference is seen through."""


class PredictionGoal(Goal):
    """A goal that sees the model through its predictions only; it need not be differentiable.

    Without a gradient only ``utility=lookahead`` and ``utility=retrain`` can work with it.
    """

    reduction: ClassVar[Literal["sum", "mean"]] = "sum"
    """Over the reference: a sum grows with it, and is scaled when a part stands for the whole."""
    separable: ClassVar[bool] = False
    """Whether each sample has its own share in tau, that depends on no other: then tau and gradient
    of a large reference are put together (by ``reduction``) from those of its blocks. Of any other
    goal everything is worked out at once, in memory."""

    @abstractmethod
    def value(self, log_P: Array, X: Features, y: Labels | None) -> float:
        """tau from the reference's log predictions (M, K), features (M, d), labels (M,) or None."""

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
        """By how much labelling each candidate, whatever its label, raises tau: (N,)."""


@dataclass(frozen=True)
class Candidates:
    """The pool samples that may be queried now, N of the M in the initial pool.

    ``pool`` is the initial pool, ``rows`` (N,) its rows that are still unlabelled, ``labelled``
    what the model was fit on, ``progress`` in [0, 1] how much of the budget is spent.
    """

    pool: Reference
    rows: Rows
    labelled: Labelled
    progress: float
    random_state: int = 0

    @property
    def model(self) -> FittedModel:
        return self.pool.model

    @cached_property
    def X(self) -> Features:
        """Features (N, d)."""
        features: Features = part(self.pool.X, self.rows)
        return features

    @cached_property
    def log_P(self) -> Array:
        """log P(y | x), (N, K)."""
        return taken(self.pool.log_P, self.rows)

    def first_order(self, v: Array, penalty: float = 0.0) -> Array:
        """U (N, K), to first order, where one more sample moves the parameters along v (Eqs 2-3).

        ``penalty`` as in `influence.utilities`. Block by block; the pool is never copied.
        """
        model, X, log_P, cut = self.model, self.pool.X, self.pool.log_P, blocks(len(self.pool.X))
        ascending = bool((self.rows[1:] > self.rows[:-1]).all())
        places = np.arange(len(self)) if ascending else np.argsort(self.rows, kind="stable")
        rows = self.rows[places]
        edges = np.searchsorted(rows, [*(block.start for block in cut), len(X)])
        U = np.empty((model.n_classes, len(rows))).T

        def score(i: int) -> None:
            inside = slice(edges[i], edges[i + 1])
            chosen, start = rows[inside], cut[i].start
            if 2 * len(chosen) < cut[i].stop - start:
                some, seen, chosen = X[chosen], taken(log_P, chosen), np.arange(len(chosen))
            else:
                some, seen, chosen = X[cut[i]], log_P[cut[i]], chosen - start
            at = inside if ascending else places[inside]
            U[at] = influence.of_samples(
                chosen, seen, lambda part: model.pushforward(some[part], v), penalty
            )

        occupied = [i for i in range(len(cut)) if edges[i] < edges[i + 1]]
        for _ in self.pool.engine.map(score, occupied, "scoring"):
            pass
        return U

    def subset(self, positions: Rows) -> Candidates:
        """Only the candidates at these positions."""
        return replace(self, rows=self.rows[positions])

    def inserted(self, position: int, label: int | None, regime: str) -> Candidates:
        """The others, seen through the model as it would be were this one labelled so.

        Asks "expansion" of the model. ``labelled`` stays: made-up labels are nobody's.
        """
        x = self.pool.X[self.rows[position]]
        model = cast(CurvedModel, self.model).inserted(x, label, regime)
        pool = replace(self.pool, model=model)
        return replace(self, pool=pool, rows=np.delete(self.rows, position))

    def __len__(self) -> int:
        return len(self.rows)


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

    ``trust`` (N,) is kappa, the largest move of a candidate's own logits under any label, or None
    where it was not worked out: below 0.05 first order is fine, above 2 only retraining is.
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


@dataclass(frozen=True)
class Direction:
    """Where one more sample moves the parameters, per unit of its own gradient: v, as theta.

    ``penalty`` as in `influence.utilities`; ``relative_error`` is what the solver left in v.
    """

    v: Array
    penalty: float
    relative_error: float


class FirstOrderEstimator(UtilityEstimator):
    """An estimator whose pass over the reference leaves one direction for all candidates.

    Then a candidate costs a product with it, wherever the candidate lies.
    """

    @abstractmethod
    def direction(self, goal: LogitGoal, reference: Reference, *, regime: str) -> Direction:
        """From the slope of the goal, and the labelled set's curvature."""

    def utilities(
        self, candidates: Candidates, goal: LogitGoal, reference: Reference, *, regime: str
    ) -> Utilities:
        found = self.direction(goal, reference, regime=regime)
        return Utilities(candidates.first_order(found.v, found.penalty), found.relative_error)


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
        return self.scorer(self.candidates)

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


def taken(values: Array, rows: Rows) -> Array:
    """Rows of values (M, K): (N, K), each class a contiguous column."""
    return values.T[:, rows].T


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

"""The contracts of a strategy and a batch rule: which samples to label next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from goralx.data import Array, Features, Labels, Rows, guard_fields
from goralx.errors import BadInput, Incompatible

from .boundary import asking, instance_of, places
from .models import Model
from .samples import Candidates
from .scores import Scorer, Scores


@dataclass(frozen=True)
class Selection:
    """``rows`` (b,): places among the candidates, best first; ``utility`` (N,) of all, or None.

    A utility of NaN says that a candidate was not looked at. ``gains`` (b,) are what each of the
    rows is predicted to add to the goal once those before it are labelled; None: its utility.
    """

    rows: Rows
    utility: Array | None = None
    gains: Array | None = None


@dataclass(frozen=True)
class Query:
    """What a strategy is asked: which ``batch_size`` of the candidates to label next.

    Everything that costs something is worked out when it is first read. ``y_true`` is None unless
    the strategy declares ``needs_ground_truth``. ``rule`` puts the batch together, see `batch`.
    ``classes`` (K,) are the names that labels 0..K-1 stand for, their numbers where none are given;
    not each of them need have a label yet.
    """

    candidates: Candidates
    batch_size: int
    rng: np.random.Generator
    y_true: Labels | None = None
    score: Scorer | None = field(default=None, repr=False)
    rule: BatchRule | None = None
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        guard_fields(self, "y_true")
        K = self.candidates.model.n_classes
        if len(self.classes) != K:
            if self.classes:
                raise BadInput(f"{len(self.classes)} class names, and the model has {K} classes")
            object.__setattr__(self, "classes", tuple(str(k) for k in range(K)))

    @property
    def learner(self) -> Model:
        """The model before any fit, to be fit again as one likes: ``learner.fit(labelled, K)``."""
        if self.candidates.learner is None:
            raise Incompatible("this query has no learner, and nothing can be refit")
        return self.candidates.learner

    @cached_property
    def seed(self) -> int:
        """A number for what takes a seed and no generator, drawn from ``rng`` when first read.

        Another one in every round, and the same again in a run that is resumed.
        """
        return int(self.rng.integers(2**31 - 1))

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
        whole = self.rule is not None and not self.rule.utility_only
        scores = self.scorer(self.candidates, per_label=whole)
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

    def selection(self) -> Selection:
        """The batch that the run's rule puts together; the best where it has none."""
        if self.rule is None:
            return self.top(self.scores.utility)
        with asking(self.rule, "batch rule", "select"):
            selection = self.rule.select(self)
        instance_of(selection, Selection, self.rule, "batch rule", "what select returned")
        rows = places(
            selection.rows, len(self.candidates), self.batch_size, self.rule, "batch rule"
        )
        return replace(selection, rows=rows)

    def batch(self) -> Rows:
        """Its places alone."""
        return self.selection().rows

    def top(self, utility: Array) -> Selection:
        """The ``batch_size`` best by ``utility`` (N,), ties broken at random, NaN never chosen."""
        return Selection(top_b(utility, self.batch_size, self.rng), utility)


class BatchRule(ABC):
    """How the batch is put together, given what each candidate is worth on its own.

    Collective influence is the mean of its members' (Remark 2), so that to first order the best
    batch is the best candidates; beyond it, they may all say the same.
    """

    _kind: ClassVar[str] = "batch rule"
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

    def select(self, query: Query) -> Selection:
        """The same, with what all are worth; a rule that scores again as it goes says ``gains``."""
        return Selection(self.choose(query), query.scores.utility)


class Strategy(ABC):
    """Chooses the next batch. The same query and generator state give the same rows, anywhere."""

    _kind: ClassVar[str] = "strategy"
    needs_ground_truth: ClassVar[bool] = False
    uses_goal: ClassVar[bool] = False
    """Whether it reads ``query.scores``; goal and operator are otherwise only monitored."""
    uses_progress: ClassVar[bool] = False
    """Whether it reads ``query.candidates.progress``, the share of the budget that is spent."""

    @abstractmethod
    def select(self, query: Query) -> Selection: ...


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

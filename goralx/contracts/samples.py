"""Samples as components see them: through one fitted model, worked out when first read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any, cast

import numpy as np
from scipy.sparse import issparse

from goralx.core import Array, Floats, in_double, influence
from goralx.data import Features, Labelled, Labels, Rows, blocks, guard_fields, part, read_only
from goralx.errors import Incompatible

from .models import CurvedModel, DifferentiableModel, FittedModel, Model, TravellingModel
from .passes import (
    HERE,
    Curved,
    Engine,
    Measured,
    Predictor,
    Seen,
    Sloped,
    Survey,
    measured,
    pieces_of,
    sloped,
)

HELD = 1 << 30
"""Bytes of log P, or of U, beyond which they are worked out block by block and never held."""


@dataclass(frozen=True)
class Reference:
    """Samples seen through one fitted model: X (M, d), labels or None, and the predictions.

    X may be a `View` of a file. ``asked`` are goals that will be measured here, ``slope_of`` the
    one whose gradient will be asked for: those that are separable are worked out in the one pass
    over X that gives the predictions, by ``engine``. No array of it is to be written to.
    """

    model: FittedModel
    X: Features
    y: Labels | None = None
    asked: tuple[Measured, ...] = ()
    slope_of: Sloped | None = None
    engine: Engine = HERE

    def __post_init__(self) -> None:
        guard_fields(self, "X", "y")

    @cached_property
    def log_P(self) -> Floats:
        """log P(y | x), (M, K), in the precision of X."""
        log_P = self._survey((), None, keep=True)
        assert log_P is not None
        return log_P

    def value(self, goal: Measured) -> float:
        """tau here, worked out once however many ask."""
        if not goal.separable:
            return measured(goal, self.log_P, self.X, self.y)
        if id(goal) not in self._found:
            self._look(goal, self.slope_of)
        return self._found[id(goal)][1]

    def pulled(self, goal: Sloped) -> Array:
        """Gradient of tau with respect to the model's parameters, in their shape."""
        if not goal.separable:
            return self.pull(self.gradient(goal)[1])
        if id(goal) not in self._found or self._found[id(goal)][2] is None:
            self._look(goal, goal)
        pulled = self._found[id(goal)][2]
        assert pulled is not None
        return pulled

    def gradient(self, goal: Sloped) -> tuple[float, Floats]:
        """tau here and its logit gradient (M, K), worked out once however many ask."""
        if id(goal) not in self._gradients:
            found = sloped(goal, self.log_P, self.X, self.y)
            self._gradients[id(goal)] = (goal, found[0], read_only(found[1]))
        return self._gradients[id(goal)][1:]

    def curvature(self, goal: Curved) -> Callable[[slice], Array]:
        """The goal's logit Hessians (n, K, K), in double, for a slice of the samples.

        Of a separable goal slice by slice: all of them (M, K, K) need not fit in memory.
        """
        M = len(self.X)

        def of_part(part: slice) -> Array:
            log_P = in_double(self.log_P[part])  # 1 - p is small where p is certain
            y = None if self.y is None else self.y[part]
            share = len(log_P) / M if goal.reduction == "mean" else 1.0
            found = goal.logit_hessian(log_P, self.X[part], y)
            return share * found.astype(np.float64, copy=False)

        return of_part if goal.separable else of_part(slice(0, M)).__getitem__

    def pull(self, G: Floats) -> Array:
        """The model's pullback of a logit gradient (M, K), summed block by block."""
        model, cut = cast(DifferentiableModel, self.model), self.cut
        total = model.pullback(self.X[cut[0]], G[cut[0]])
        for block in cut[1:]:
            total = total + model.pullback(self.X[block], G[block])
        return total

    def _look(self, goal: Measured, slope_of: Sloped | None) -> None:
        """Measure a goal, and in the same pass whatever else is known to be asked for."""
        goals = {id(g): g for g in self.asked if g.separable and id(g) not in self._found}
        goals[id(goal)] = goal
        self._survey(tuple(goals.values()), slope_of, keep=self.at_hand)

    @property
    def cut(self) -> list[slice]:
        """The blocks that its samples are gone through in."""
        return blocks(len(self.X), self.model.n_classes)

    @property
    def at_hand(self) -> bool:
        """Whether numbers of every sample and label (M, K) are to be held here at all."""
        size = len(self.X) * self.model.n_classes * self.X.dtype.itemsize
        return not self.engine.remote and size <= HELD

    def _survey(
        self, goals: tuple[Measured, ...], slope_of: Sloped | None, *, keep: bool
    ) -> Floats | None:
        """One pass over the samples; what it finds is kept, log P is returned if it was asked."""
        M, engine, known = len(self.X), self.engine, self.__dict__.get("log_P")
        keep = keep and known is None
        model = cast(Predictor, self.model)  # asked for a slope only where it has derivatives
        if engine.remote:
            model = cast(TravellingModel, self.model).predictor
        own = slope_of if any(goal is slope_of for goal in goals) else None
        survey = Survey(model, goals, own, keep)
        samples = Seen(self.X, self.y, known)
        log_P = None
        values, slope, start = [0.0] * len(goals), None, 0
        pieces = [samples.part(piece) for piece in pieces_of(M, self.model.n_classes, engine)]
        for found in chain.from_iterable(engine.map(survey, pieces, "measuring")):
            shares = [found.size / M if g.reduction == "mean" else 1.0 for g in goals]
            values = [t + w * v for t, w, v in zip(values, shares, found.values)]
            if found.pulled is not None:
                pulled = found.pulled * shares[[g is own for g in goals].index(True)]
                slope = pulled if slope is None else slope + pulled
            if found.log_P is not None:
                if log_P is None:
                    log_P = np.empty((self.model.n_classes, M), found.log_P.dtype).T
                log_P[start : start + found.size] = found.log_P
            start += found.size
        for goal, value in zip(goals, values):
            self._found[id(goal)] = (goal, value, slope if goal is own else None)
        if log_P is not None:
            log_P = read_only(log_P)
            self.__dict__["log_P"] = log_P
        return log_P

    @cached_property
    def _found(self) -> dict[int, tuple[Measured, float, Array | None]]:
        return {}

    @cached_property
    def _gradients(self) -> dict[int, tuple[Sloped, float, Floats]]:
        return {}


@dataclass(frozen=True)
class Candidates:
    """The pool samples that may be queried now, N of the M in the initial pool.

    ``pool`` is the initial pool, ``rows`` (N,) its rows that are still unlabelled, ``labelled``
    what the model was fit on, ``progress`` in [0, 1] how much of the budget is spent. ``learner``
    fits; ``imagined`` are samples with made-up labels that the model was fit on as well.
    """

    pool: Reference
    rows: Rows
    labelled: Labelled
    progress: float
    random_state: int = 0
    learner: Model | None = field(default=None, repr=False)
    imagined: Labelled | None = None

    def __post_init__(self) -> None:
        guard_fields(self, "rows")

    @property
    def model(self) -> FittedModel:
        return self.pool.model

    @cached_property
    def X(self) -> Features:
        """Features (N, d)."""
        features: Features = read_only(part(self.pool.X, self.rows))
        return features

    @cached_property
    def log_P(self) -> Floats:
        """log P(y | x), (N, K)."""
        M = len(self.pool.X)
        if len(self) == M and np.array_equal(self.rows, np.arange(M)):  # nothing to leave out
            return self.pool.log_P
        log_P: Floats = read_only(taken(self.pool.log_P, self.rows))
        return log_P

    def first_order(self, v: Array, penalty: float = 0.0) -> Floats:
        """U (N, K), to first order, where one more sample moves the parameters along v (Eqs 2-3).

        ``penalty`` as in `influence.utilities`. Block by block; the pool is never copied.
        """
        if not (self.rows[1:] >= self.rows[:-1]).all():
            order = np.argsort(self.rows, kind="stable")
            return taken(self.subset(order).first_order(v, penalty), np.argsort(order))
        cut = self.pool.cut
        edges = np.searchsorted(self.rows, [*(block.start for block in cut), len(self.pool.X)])
        U = np.empty((self.model.n_classes, len(self)), self.log_P.dtype).T

        def score(i: int) -> None:
            inside = slice(edges[i], edges[i + 1])
            S = self._pushed(self.rows[inside], cut[i], v)
            influence.utilities(np.exp(self.log_P[inside]), S, penalty, out=U[inside])

        occupied = [i for i in range(len(cut)) if edges[i] < edges[i + 1]]
        for _ in self.pool.engine.map(score, occupied, "scoring"):
            pass
        return U

    def _pushed(self, rows: Rows, block: slice, v: Array) -> Floats:
        """The model's pushforward of v at some rows (n,) of a block of the pool: (n, K)."""
        X, size = self.pool.X, block.stop - block.start
        model = cast(DifferentiableModel, self.model)
        if 2 * len(rows) < size or X.shape[1] < model.n_classes:  # the less is gathered
            return model.pushforward(X[rows], v)
        S = model.pushforward(X[block], v)
        return S if len(rows) == size else taken(S, rows - block.start)

    def subset(self, positions: Rows) -> Candidates:
        """Only the candidates at these positions."""
        return replace(self, rows=self.rows[positions])

    def inserted(self, position: int, label: int | None, regime: str) -> Candidates:
        """The others, seen through the model as it would be were this one labelled so.

        Without a refit where the model has an "expansion". ``labelled`` stays: made-up labels are
        nobody's, and are ``imagined``.
        """
        row, others = self.rows[[position]], np.delete(self.rows, position)
        if self.can("expansion"):
            x: Any = self.pool.X[row]
            dense = x.toarray() if issparse(x) else x  # curvature is, whatever the features are
            model: FittedModel = cast(CurvedModel, self.model).inserted(dense[0], label, regime)
            return replace(self, pool=replace(self.pool, model=model), rows=others)
        if label is None:
            raise Incompatible(
                f"{type(self.learner).__name__} cannot take a sample without a label; use "
                "batch=top, or model=softmax"
            )
        one = Labelled(part(self.pool.X, row), np.array([label]))
        imagined = one if self.imagined is None else self.imagined.and_(one)
        pool = replace(self.pool, model=self.refit(one))
        return replace(self, pool=pool, rows=others, imagined=imagined)

    def can(self, capability: str) -> bool:
        """Whether the model can; one that came without a learner is taken to be able to."""
        return self.learner is None or capability in self.learner.capabilities

    @property
    def known(self) -> Labelled:
        """What the model was fit on: the labelled samples, and those that are imagined."""
        return self.labelled if self.imagined is None else self.labelled.and_(self.imagined)

    def refit(self, more: Labelled) -> FittedModel:
        """The model fit again, with some more samples beside those that it was fit on."""
        if self.learner is None:
            raise Incompatible("these candidates have no learner, and nothing can be refit")
        return self.learner.fit(self.known.and_(more), self.model.n_classes, previous=self.model)

    def __len__(self) -> int:
        return len(self.rows)


def taken(values: Floats, rows: Rows) -> Floats:
    """Rows of values (M, K): (N, K), each class a contiguous column."""
    return values.T.take(rows, axis=1).T

"""Candidates scored in other processes: what is sent to them, and what may be sent at all.

Of a pool on disk only paths and ranges of rows travel, of a model its predictions, and back comes
one number a candidate. Blocks are those of one process, and so are the utilities, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .components import (
    Array,
    BatchRule,
    Direction,
    FirstOrderEstimator,
    Goal,
    LabelOperator,
    PredictionGoal,
)
from .data import Instance, Labelled, Labels, Rows
from .errors import Incompatible
from .models import FittedModel, Model, TravellingModel
from .passes import Predictor, pieces_of
from .samples import Candidates, Reference
from .views import View, part

if TYPE_CHECKING:
    from .goal_utility import GoalOrientedUtility


@dataclass(frozen=True)
class Unscored:
    """A piece of a pool: X (m, d), which of its rows are candidates (n,), their labels if asked."""

    X: Any
    rows: Rows
    y_true: Labels | None


@dataclass(frozen=True)
class Scoring:
    """The second pass: the resolved utility of every candidate of a piece."""

    model: Predictor
    found: Direction
    operator: LabelOperator
    progress: float

    def __call__(self, piece: Unscored) -> tuple[Array, Array]:
        """Utilities (n,), and the smallest and largest under each label (2, K)."""
        pool = Reference(cast(FittedModel, self.model), piece.X)
        if not len(piece.rows):
            return np.empty(0), np.empty((0, pool.model.n_classes))
        nothing = Labelled(np.empty((0, piece.X.shape[1])), np.empty(0, dtype=np.int64))
        candidates = Candidates(pool, piece.rows, nothing, self.progress)
        U = candidates.first_order(self.found.v, self.found.penalty)
        utility = self.operator(U, candidates.log_P, piece.y_true, self.progress)
        return utility, np.stack([U.min(axis=0), U.max(axis=0)])


def score(
    candidates: Candidates, found: Direction, operator: LabelOperator, y_true: Labels | None
) -> tuple[Array, Array]:
    """Resolved utilities (N,), and the smallest and largest under each label (2, K)."""
    pool, rows = candidates.pool, candidates.rows
    pieces = []
    for piece in pieces_of(len(pool.X), pool.engine):
        here = slice(*np.searchsorted(rows, [piece.start, piece.stop]))
        truth = None if y_true is None else y_true[here]
        pieces.append(Unscored(part(pool.X, piece), rows[here] - piece.start, truth))
    predictor = cast(TravellingModel, pool.model).predictor
    scoring = Scoring(predictor, found, operator, candidates.progress)
    utility, extremes = zip(*pool.engine.map(scoring, pieces, "scoring"))
    U = np.concatenate(extremes)
    return np.concatenate(utility), np.stack([U.min(axis=0), U.max(axis=0)])


def check(
    instance: Instance,
    model: Model,
    monitors: Mapping[str, Goal],
    utility: GoalOrientedUtility | None,
    rule: BatchRule | None,
) -> None:
    """What cannot go over blocks of a pool in other processes is refused, with the way out."""
    if not isinstance(cast(Any, instance.X), View):
        raise Incompatible(
            f"dataset '{instance.name}' is in memory, and an engine of other processes reads a "
            "file; use dataset=npy, or engine=local"
        )
    if "predictor" not in model.capabilities:
        raise Incompatible(
            f"model {type(model).__name__} cannot be sent to other processes; use model=softmax, "
            "or engine=local"
        )
    goals = [*monitors.values(), *([] if utility is None else [utility.goal])]
    for goal in goals:
        if not (isinstance(goal, PredictionGoal) and goal.separable):
            raise Incompatible(
                f"goal {type(goal).__name__} needs all of its reference at once; choose one that "
                "is separable (ent, fir, dev, ...), also in monitors, or engine=local"
            )
    if utility is None:
        return
    if not isinstance(utility.estimator, FirstOrderEstimator):
        raise Incompatible(
            f"utility {type(utility.estimator).__name__} needs the pool at hand; use "
            "utility=influence, or engine=local"
        )
    if not utility.operator.separable:
        raise Incompatible(
            f"operator {type(utility.operator).__name__} needs all candidates at once; use max, "
            "min, average or annealed, or engine=local"
        )
    if rule is not None and not rule.utility_only:
        raise Incompatible(
            f"batch rule {type(rule).__name__} looks at more than utilities; use batch=top or "
            "gumbel, or engine=local"
        )

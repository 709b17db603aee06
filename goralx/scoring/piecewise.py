"""Candidates scored a piece of the pool at a time, in other processes or because there are many.

What is under each label is resolved piece by piece and never held, and back comes one number a
candidate. Of a pool on disk only paths and ranges of rows travel, of a model its predictions.
Blocks are the same whoever works them out, and so are the utilities, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from goralx.contracts import (
    Candidates,
    Direction,
    FittedModel,
    LabelOperator,
    Predictor,
    Reference,
    TravellingModel,
    asking,
    numbers,
    pieces_of,
)
from goralx.data import Array, Labelled, Labels, Rows, part, read_only


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
        utility = resolved(self.operator, U, candidates.log_P, piece.y_true, self.progress)
        return utility, np.stack([U.min(axis=0), U.max(axis=0)])


def resolved(
    operator: LabelOperator, U: Array, log_Q: Array, y_true: Labels | None, progress: float
) -> Array:
    """The operator's utility (n,), finite or not, of what is under each label U (n, K)."""
    with asking(operator, "operator", "it"):
        utility = operator(read_only(U), read_only(log_Q), read_only(y_true), progress)
    anything = [np.nan, np.inf, -np.inf]
    return numbers(utility, (len(U),), operator, "operator", "the utility", but=anything)


def score(
    candidates: Candidates, found: Direction, operator: LabelOperator, y_true: Labels | None
) -> tuple[Array, Array]:
    """Resolved utilities (N,), and the smallest and largest under each label (2, K)."""
    pool, rows = candidates.pool, candidates.rows
    pieces = []
    for piece in pieces_of(len(pool.X), pool.model.n_classes, pool.engine):
        here = slice(*np.searchsorted(rows, [piece.start, piece.stop]))
        truth = None if y_true is None else y_true[here]
        pieces.append(Unscored(part(pool.X, piece), rows[here] - piece.start, truth))
    model = cast(Predictor, pool.model)
    if pool.engine.remote:
        model = cast(TravellingModel, pool.model).predictor
    scoring = Scoring(model, found, operator, candidates.progress)
    utility, extremes = zip(*pool.engine.map(scoring, pieces, "scoring"))
    U = np.concatenate(extremes)
    return np.concatenate(utility), np.stack([U.min(axis=0), U.max(axis=0)])

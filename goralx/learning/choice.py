"""What a round queries, by which scores, and what it is predicted to bring."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from goralx.contracts import Query, Scores, Selection, Strategy
from goralx.data import Array
from goralx.errors import Incompatible
from goralx.scoring import GoalOrientedUtility, VacuousUtility, selected


@dataclass(frozen=True)
class Choice:
    """A selection among a round's candidates, and the scores (None without a goal) it went by.

    ``vacuous``: the scores said nothing, and it is openly at random.
    """

    selection: Selection
    scores: Scores | None = None
    vacuous: bool = False

    @classmethod
    def nothing(cls) -> Choice:
        """Of a run's last round."""
        return cls(Selection(np.empty(0, dtype=np.int64)))

    @property
    def queried_utility(self) -> Array:
        """(b,), NaN where the strategy has none."""
        rows, utility = self.selection.rows, self.selection.utility
        return np.full(len(rows), np.nan) if utility is None else utility[rows]

    @property
    def predicted(self) -> float:
        """What it is to add to the goal: a sum over its samples, in their order."""
        if self.scores is None:
            return float("nan")
        gains = self.selection.gains
        return float((self.scores.utility[self.selection.rows] if gains is None else gains).sum())


def choose(
    strategy: Strategy,
    query: Query,
    utility: GoalOrientedUtility | None,
    guard: str,
    warned: frozenset[str],
) -> Choice:
    """What the strategy chooses; of vacuous utilities the run is ``warned`` once.

    Raises `Incompatible` of them under the ``guard`` "error".
    """
    selection, vacuous = selected(strategy, query, utility)
    if vacuous and guard == "error":
        raise Incompatible(vacuous)
    if vacuous and "vacuous" not in warned:
        warnings.warn(f"{vacuous}; selecting at random", VacuousUtility, stacklevel=5)
    return Choice(selection, None if utility is None else query.scores, vacuous is not None)

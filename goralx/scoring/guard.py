"""What utilities and strategies give, looked at before anybody acts on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from goralx.contracts import (
    Query,
    Scores,
    Selection,
    Strategy,
    asking,
    instance_of,
    numbers,
    places,
)
from goralx.errors import RunWarning

from .goal_utility import GoalOrientedUtility


class VacuousUtility(RunWarning):
    """All candidates are worth the same, up to noise; the selection is openly random."""


def selected(
    strategy: Strategy, query: Query, utility: GoalOrientedUtility | None
) -> tuple[Selection, str | None]:
    """What the strategy selects; openly at random, and why, where its utility is vacuous."""
    with asking(strategy, "strategy", "select"):
        selection = strategy.select(query)
    selection = _checked(selection, query, strategy)
    n = len(query.candidates)
    if utility is None or n == 1 or not query.scores.vacuous:  # one is no choice
        return selection, None
    at_random = query.rng.permutation(n)[: query.batch_size]
    return Selection(at_random, selection.utility), _vacuity(utility, query.scores)


def _vacuity(utility: GoalOrientedUtility, scores: Scores) -> str:
    """Why there is nothing to choose by, where ``scores`` are vacuous, and what to use instead."""
    found = f"spread {scores.spread:.1e}, noise {scores.noise:.1e}"
    if float(np.ptp(scores.U, axis=0).max()) > scores.noise:  # labels matter, until resolved
        return (
            f"operator {type(utility.operator).__name__} makes every utility the same: "
            f"{found}. Under the model's own prediction the first-order utility is a constant "
            "(Remark 1). Use annealed, laplace or average"
        )
    return (
        f"goal {type(utility.goal).__name__} is raised alike by every candidate, "
        f"whatever its label: {found}. Use another goal, or utility=lookahead"
    )


def _checked(selection: Any, query: Query, strategy: Strategy) -> Selection:
    """What the strategy selected, or an error that says what is wrong with it."""
    n, kind = len(query.candidates), "strategy"
    instance_of(selection, Selection, strategy, kind, "what select returned")
    rows = places(selection.rows, n, query.batch_size, strategy, kind)
    utility, gains = selection.utility, selection.gains
    if utility is not None:
        utility = numbers(utility, (n,), strategy, kind, "the utility", but=[np.nan])
    if gains is not None:
        gains = numbers(gains, (len(rows),), strategy, kind, "the gains", but=[np.nan])
    return Selection(rows, utility, gains)

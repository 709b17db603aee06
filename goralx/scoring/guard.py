"""What utilities and strategies give, looked at before anybody acts on it."""

from __future__ import annotations

import numpy as np

from goralx.contracts import Query, Scores, Selection, Strategy
from goralx.errors import BadInput, RunWarning

from .goal_utility import GoalOrientedUtility


class VacuousUtility(RunWarning):
    """All candidates are worth the same, up to noise; the selection is openly random."""


def selected(
    strategy: Strategy, query: Query, utility: GoalOrientedUtility | None
) -> tuple[Selection, str | None]:
    """What the strategy selects; openly at random, and why, where its utility is vacuous."""
    selection = _checked(strategy.select(query), query, type(strategy).__name__)
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


def _checked(selection: Selection, query: Query, name: str) -> Selection:
    """What strategy ``name`` selected, or an error that says what is wrong with it."""
    n, rows = len(query.candidates), np.asarray(selection.rows)
    integers = rows.ndim == 1 and rows.dtype.kind in "iu"
    if (
        not (integers and 0 < len(rows) <= query.batch_size)
        or not (rows.min() >= 0 and rows.max() < n)
        or len(np.unique(rows)) != len(rows)
    ):
        raise BadInput(
            f"strategy {name} chose {np.array2string(rows, threshold=20)}; expected 1 to "
            f"{query.batch_size} row numbers, all different, of the candidates 0..{n - 1}"
        )
    if selection.utility is not None and np.shape(selection.utility) != (n,):
        raise BadInput(
            f"strategy {name} gave utilities of shape {np.shape(selection.utility)}; "
            f"expected ({n},), one a candidate, or None"
        )
    if selection.gains is not None and np.shape(selection.gains) != (len(rows),):
        raise BadInput(
            f"strategy {name} gave gains of shape {np.shape(selection.gains)}; "
            f"expected ({len(rows)},), one a chosen candidate, or None"
        )
    return Selection(rows.astype(np.int64, copy=False), selection.utility, selection.gains)

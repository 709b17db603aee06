"""goralx in your own labelling loop: arrays in, scores or indices out; no files, no tracking."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike

from goralx import explanation
from goralx.contracts import (
    BatchRule,
    Goal,
    LabelOperator,
    Model,
    Strategy,
    UtilityEstimator,
)
from goralx.data import Array, Rows
from goralx.errors import BadInput, in_words
from goralx.explanation import Explanation
from goralx.scoring import VacuousUtility

from .arguments import check_integer, take_component
from .options import Options


@in_words("goralx.utilities")
def utilities(
    X_labelled: ArrayLike,
    y_labelled: ArrayLike,
    X_pool: ArrayLike,
    *,
    goal: str | Goal = "ent",
    operator: str | LabelOperator = "max",
    utility: str | UtilityEstimator = "influence",
    model: str | Model = "softmax",
    C: float | None = None,
    regime: str | None = None,
    penalize_intercept: bool | None = None,
    X_dev: ArrayLike | None = None,
    y_dev: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    per_label: bool = False,
    progress: float = 0.0,
    random_state: int = 0,
) -> Array:
    """Goal-oriented utility of every pool sample: how much labelling it would raise the goal.

    Parameters
    ----------
    X_labelled, y_labelled : (n, d) and (n,); labels of any type
    X_pool : (N, d), the candidates; pool goals (ent, fir) are measured on them as well. Columns of
        data frames are matched by name
    goal, operator, utility, model : registered names, or objects of your own
    C, regime, penalize_intercept : options of the model, its defaults where None
    X_dev, y_dev : (m, d) and (m,), for goals that are measured on a dev set
    classes : (K,), every class that a label may be of, where not all have a label yet
    progress : in [0, 1], how much of your budget is spent (operator="annealed" cools with it)

    Returns
    -------
    (N,), or with ``per_label`` (N, K), a column a class in the order of ``classes``, or else of
    ``np.unique(y_labelled)``: tau(theta_(x, y)) - tau(theta), in the goal's unit. NaN where an
    estimator that screens did not look.

    Raises `goralx.GoralxError` for anything that cannot be used as given.
    """
    options = Options(
        goal, operator, utility, model, C, regime, penalize_intercept, X_dev, y_dev, classes,
        progress, random_state,
    )  # fmt: skip
    asked = options.asked(X_labelled, y_labelled, X_pool)
    scores = asked.scored(asked.candidates, per_label=per_label)
    if not per_label:
        return scores.utility
    U = np.full((len(asked.candidates), len(asked.classes)), np.nan)
    U[scores.looked_at] = scores.U
    return U


@in_words("goralx.query")
def query(
    X_labelled: ArrayLike,
    y_labelled: ArrayLike,
    X_pool: ArrayLike,
    *,
    batch_size: int = 1,
    strategy: str | Strategy = "goral",
    batch: str | BatchRule = "top",
    goal: str | Goal = "ent",
    operator: str | LabelOperator = "max",
    utility: str | UtilityEstimator = "influence",
    model: str | Model = "softmax",
    C: float | None = None,
    regime: str | None = None,
    penalize_intercept: bool | None = None,
    X_dev: ArrayLike | None = None,
    y_dev: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    progress: float = 0.0,
    random_state: int = 0,
) -> Rows:
    """Indices (batch_size,) into X_pool of what to label next, best first; see `utilities`.

    ``batch`` says how a goal-oriented batch is put together. ``random_state`` decides ties and
    all that is drawn: the same inputs give the same indices.
    """
    chooser: Strategy = take_component("strategy", strategy)
    rule: BatchRule = take_component("batch", batch)
    options = Options(
        goal, operator, utility, model, C, regime, penalize_intercept, X_dev, y_dev, classes,
        progress, random_state,
    )  # fmt: skip
    asked = options.asked(X_labelled, y_labelled, X_pool, needs_goal=chooser.uses_goal)
    N = len(asked.candidates)
    check_integer("batch_size", batch_size, 1)
    if batch_size > N:
        raise BadInput(f"batch_size={batch_size}; allowed: 1 to {N}, the pool's size")
    if chooser.needs_ground_truth:
        raise BadInput(f"strategy {strategy!r} needs the pool's true labels, which are not known")
    question = asked.query(rule, batch_size, np.random.default_rng(random_state))
    selection, vacuous = asked.select(chooser, question)
    if vacuous:
        warnings.warn(f"{vacuous}; the indices are drawn at random", VacuousUtility, stacklevel=3)
    return selection.rows


@in_words("goralx.explain")
def explain(
    X_labelled: ArrayLike,
    y_labelled: ArrayLike,
    X_pool: ArrayLike,
    chosen: ArrayLike,
    *,
    goal: str | Goal = "ent",
    operator: str | LabelOperator = "max",
    utility: str | UtilityEstimator = "influence",
    model: str | Model = "softmax",
    C: float | None = None,
    regime: str | None = None,
    penalize_intercept: bool | None = None,
    X_dev: ArrayLike | None = None,
    y_dev: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    progress: float = 0.0,
    random_state: int = 0,
) -> Explanation:
    """Why these samples: what each label would bring, by which operator, and to whom.

    ``chosen`` (n,) are indices into X_pool, such as `query` gives; the rest is as for `utilities`.
    The arrays of the result are described at `Explanation`; its ``contributions`` (n, K, M) say
    what each sample of the goal's reference (the pool, or the dev set) gains or loses.
    """
    options = Options(
        goal, operator, utility, model, C, regime, penalize_intercept, X_dev, y_dev, classes,
        progress, random_state,
    )  # fmt: skip
    asked = options.asked(X_labelled, y_labelled, X_pool)
    scorer, candidates = asked.scored, asked.candidates
    rows = np.atleast_1d(np.asarray(chosen))
    integers = rows.ndim == 1 and rows.dtype.kind in "iu" and len(rows) > 0
    if not integers or rows.min() < 0 or rows.max() >= len(candidates):
        raise BadInput(
            f"chosen={np.array2string(rows, threshold=20)}; give row numbers of X_pool, 0 to "
            f"{len(candidates) - 1}"
        )
    name = operator if isinstance(operator, str) else type(operator).__name__
    return explanation.explain(
        scorer,
        candidates,
        scorer(candidates, per_label=True),
        rows.astype(np.int64),
        classes=asked.classes,
        operator=name,
        operators=explanation.operators_beside(name, scorer.model, ground_truth=False),
    )

"""goralx in your own labelling loop: arrays in, scores or indices out; no files, no tracking."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import explanation
from .arguments import (
    check_integer,
    check_progress,
    classes_of,
    take_component,
    take_dev,
    take_features,
    take_labels,
)
from .components import Array, BatchRule, Goal, LabelOperator, Query, Strategy, UtilityEstimator
from .data import Labelled, Rows
from .errors import BadInput
from .explanation import Explanation
from .goal_utility import GoalOrientedUtility
from .guard import VacuousUtility, selected
from .models import Model
from .registry import registry
from .samples import Candidates, Reference


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
    per_label: bool = False,
    progress: float = 0.0,
    random_state: int = 0,
) -> Array:
    """Goal-oriented utility of every pool sample: how much labelling it would raise the goal.

    Parameters
    ----------
    X_labelled, y_labelled : (n, d) and (n,); labels of any type, at least one of each class
    X_pool : (N, d), the candidates; pool goals (ent, fir) are measured on them as well
    goal, operator, utility, model : registered names, or objects of your own
    C, regime, penalize_intercept : options of the model, its defaults where None
    X_dev, y_dev : (m, d) and (m,), for goals that are measured on a dev set
    progress : in [0, 1], how much of your budget is spent (operator="annealed" cools with it)

    Returns
    -------
    (N,), or with ``per_label`` (N, K), a column a class in the order of ``np.unique(y_labelled)``:
    tau(theta_(x, y)) - tau(theta), in the goal's unit.

    Raises `goralx.GoralxError` for anything that cannot be used as given.
    """
    scorer, candidates = _prepare(
        X_labelled,
        y_labelled,
        X_pool,
        goal=goal,
        operator=operator,
        utility=utility,
        model=model,
        C=C,
        regime=regime,
        penalize_intercept=penalize_intercept,
        X_dev=X_dev,
        y_dev=y_dev,
        progress=progress,
        random_state=random_state,
    )
    assert scorer is not None
    scores = scorer(candidates)
    return scores.U if per_label else scores.utility


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
    progress: float = 0.0,
    random_state: int = 0,
) -> Rows:
    """Indices (batch_size,) into X_pool of what to label next, best first; see `utilities`.

    ``batch`` says how a goal-oriented batch is put together. ``random_state`` decides ties and
    all that is drawn: the same inputs give the same indices.
    """
    chooser: Strategy = take_component("strategy", strategy)
    rule: BatchRule = take_component("batch", batch)
    scorer, candidates = _prepare(
        X_labelled,
        y_labelled,
        X_pool,
        needs_goal=chooser.uses_goal,
        goal=goal,
        operator=operator,
        utility=utility,
        model=model,
        C=C,
        regime=regime,
        penalize_intercept=penalize_intercept,
        X_dev=X_dev,
        y_dev=y_dev,
        progress=progress,
        random_state=random_state,
    )
    check_integer("batch_size", batch_size, 1)
    if batch_size > len(candidates):
        raise BadInput(f"batch_size={batch_size}; allowed: 1 to {len(candidates)}, the pool's size")
    if chooser.needs_ground_truth:
        raise BadInput(f"strategy {strategy!r} needs the pool's true labels, which are not known")
    if scorer is not None:
        scorer.check_batch(rule, batch_size)
    rng = np.random.default_rng(random_state)
    asked = Query(candidates, batch_size, rng, score=scorer, rule=rule)
    selection, vacuous = selected(chooser, asked, scorer)
    if vacuous:
        warnings.warn(f"{vacuous}; the indices are drawn at random", VacuousUtility, stacklevel=2)
    return selection.rows


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
    progress: float = 0.0,
    random_state: int = 0,
) -> Explanation:
    """Why these samples: what each label would bring, by which operator, and to whom.

    ``chosen`` (n,) are indices into X_pool, such as `query` gives; the rest is as for `utilities`.
    The arrays of the result are described at `Explanation`; its ``contributions`` (n, K, M) say
    what each sample of the goal's reference (the pool, or the dev set) gains or loses.
    """
    scorer, candidates = _prepare(
        X_labelled,
        y_labelled,
        X_pool,
        goal=goal,
        operator=operator,
        utility=utility,
        model=model,
        C=C,
        regime=regime,
        penalize_intercept=penalize_intercept,
        X_dev=X_dev,
        y_dev=y_dev,
        progress=progress,
        random_state=random_state,
    )
    assert scorer is not None
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
        scorer(candidates),
        rows.astype(np.int64),
        classes=classes_of(take_labels(y_labelled, len(candidates.labelled), "labelled")),
        operator=name,
        operators=explanation.operators_beside(name, scorer.model, ground_truth=False),
    )


def _prepare(
    X_labelled: ArrayLike,
    y_labelled: ArrayLike,
    X_pool: ArrayLike,
    *,
    goal: str | Goal,
    operator: str | LabelOperator,
    utility: str | UtilityEstimator,
    model: str | Model,
    X_dev: ArrayLike | None,
    y_dev: ArrayLike | None,
    progress: float,
    random_state: int,
    needs_goal: bool = True,
    **model_options: Any,
) -> tuple[GoalOrientedUtility | None, Candidates]:
    """Check everything, fit, and see the pool through the fit; the utility only if asked for."""
    X, pool_X = take_features(X_labelled, "X_labelled"), take_features(X_pool, "X_pool")
    check_progress(progress)
    check_integer("random_state", random_state, 0)
    labels = take_labels(y_labelled, len(X), "labelled")
    classes = classes_of(labels)
    labelled = Labelled(X, np.searchsorted(classes, labels))
    dev = take_dev(X_dev, y_dev, classes)
    for name, other in (("X_pool", pool_X), *([("X_dev", dev.X)] if dev else [])):
        if other.shape[1] != X.shape[1]:
            raise BadInput(f"{name} has {other.shape[1]} features, X_labelled {X.shape[1]}")
    given = {k: v for k, v in model_options.items() if v is not None}
    if given and not isinstance(model, str):
        raise BadInput(f"{', '.join(given)} given beside a model object; set them on the object")
    learner: Model = take_component("model", model, given)
    scorer = None
    if needs_goal:
        scorer = GoalOrientedUtility(
            take_component("goal", goal),
            take_component("operator", operator),
            take_component("utility", utility),
            learner,
            dev,
            first_order=registry().build("utility", "influence"),
        )
    fitted = learner.fit(labelled, len(classes))
    rows = np.arange(len(pool_X))
    candidates = Candidates(Reference(fitted, pool_X), rows, labelled, progress, random_state)
    return scorer, candidates

"""goralx in your own labelling loop: arrays in, scores or indices out; no files, no tracking."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import explanation
from .components import Array, BatchRule, Goal, LabelOperator, Query, Strategy, UtilityEstimator
from .data import Features, Labelled, Rows
from .errors import BadInput
from .explanation import Explanation
from .features import as_features, check_finite
from .goal_utility import GoalOrientedUtility
from .guard import VacuousUtility
from .labels import plain_labels
from .models import Model
from .registry import registry
from .samples import Candidates, Reference

KINDS: dict[str, Any] = {
    "goal": Goal,
    "operator": LabelOperator,
    "utility": UtilityEstimator,
    "strategy": Strategy,
    "batch": BatchRule,
    "model": Model,
}


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
    chooser: Strategy = _component("strategy", strategy)
    rule: BatchRule = _component("batch", batch)
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
    _check_integer("batch_size", batch_size, 1)
    if batch_size > len(candidates):
        raise BadInput(f"batch_size={batch_size}; allowed: 1 to {len(candidates)}, the pool's size")
    if chooser.needs_ground_truth:
        raise BadInput(f"strategy {strategy!r} needs the pool's true labels, which are not known")
    if scorer is not None:
        scorer.check_batch(rule, batch_size)
    rng = np.random.default_rng(random_state)
    asked = Query(candidates, batch_size, rng, score=scorer, rule=rule)
    rows = chooser.select(asked).rows
    if chooser.uses_goal and asked.scores.vacuous and len(candidates) > 1:
        warnings.warn(
            f"every candidate is worth the same (spread {asked.scores.spread:.1e}, noise "
            f"{asked.scores.noise:.1e}; Remark 1), the indices are drawn at random; "
            "use operator annealed, laplace or average",
            VacuousUtility,
            stacklevel=2,
        )
        return asked.rng.permutation(len(candidates))[:batch_size]
    return rows


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
        classes=_classes(_labels(y_labelled, len(candidates.labelled), "labelled")),
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
    X, pool_X = _features(X_labelled, "X_labelled"), _features(X_pool, "X_pool")
    _check_progress(progress)
    _check_integer("random_state", random_state, 0)
    labels = _labels(y_labelled, len(X), "labelled")
    classes = _classes(labels)
    labelled = Labelled(X, np.searchsorted(classes, labels))
    dev = _dev(X_dev, y_dev, classes)
    for name, other in (("X_pool", pool_X), *([("X_dev", dev.X)] if dev else [])):
        if other.shape[1] != X.shape[1]:
            raise BadInput(f"{name} has {other.shape[1]} features, X_labelled {X.shape[1]}")
    given = {k: v for k, v in model_options.items() if v is not None}
    if given and not isinstance(model, str):
        raise BadInput(f"{', '.join(given)} given beside a model object; set them on the object")
    learner: Model = _component("model", model, given)
    scorer = None
    if needs_goal:
        scorer = GoalOrientedUtility(
            _component("goal", goal),
            _component("operator", operator),
            _component("utility", utility),
            learner,
            dev,
            first_order=registry().build("utility", "influence"),
        )
    fitted = learner.fit(labelled, len(classes))
    rows = np.arange(len(pool_X))
    candidates = Candidates(Reference(fitted, pool_X), rows, labelled, progress, random_state)
    return scorer, candidates


def _features(X: ArrayLike, name: str) -> Features:
    features = as_features(X, name)
    check_finite(features, name)
    return features


def _dev(X_dev: ArrayLike | None, y_dev: ArrayLike | None, classes: np.ndarray) -> Labelled | None:
    if (X_dev is None) != (y_dev is None):
        raise BadInput("X_dev and y_dev belong together; give both or neither")
    if X_dev is None or y_dev is None:
        return None
    X = _features(X_dev, "X_dev")
    labels = _labels(y_dev, len(X), "dev").tolist()
    known = {label: k for k, label in enumerate(classes.tolist())}
    unknown = [label for label in dict.fromkeys(labels) if label not in known]
    if unknown:
        raise BadInput(f"y_dev has labels that y_labelled has not: {unknown}; label one of each")
    return Labelled(X, np.array([known[label] for label in labels]))


def _labels(y: ArrayLike, n: int, which: str) -> NDArray[Any]:
    """Labels (n,) of any kind, none of them missing."""
    labels = np.asarray(y)
    if labels.shape != (n,):
        raise BadInput(f"y_{which} has shape {labels.shape}; expected ({n},) as X_{which}")
    plain_labels(labels, f"y_{which}")
    return labels


def _classes(labels: NDArray[Any]) -> NDArray[Any]:
    try:
        classes = np.unique(labels)
    except TypeError as error:
        raise BadInput(f"y_labelled mixes kinds of labels ({error}); give one kind") from None
    if len(classes) < 2:
        raise BadInput(f"y_labelled has {len(classes)} class; at least two are needed")
    return classes


def _check_progress(value: Any) -> None:
    if not (isinstance(value, Real) and 0.0 <= float(value) <= 1.0):
        raise BadInput(f"progress={value!r}; allowed: 0 to 1")


def _check_integer(name: str, value: Any, least: int) -> None:
    if not (isinstance(value, Integral) and int(value) >= least):
        raise BadInput(f"{name}={value!r}; allowed: a whole number, at least {least}")


def _component(group: str, given: Any, options: Mapping[str, Any] | None = None) -> Any:
    """A registered name built with its defaults, or the object itself."""
    if isinstance(given, str):
        return registry().build(group, given, options)
    if isinstance(given, type) or not isinstance(given, KINDS[group]):
        names = ", ".join(registry().names(group))
        raise BadInput(f"{group}={given!r}; give a name ({names}) or an object of your own class")
    return given

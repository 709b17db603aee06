"""goralx for scikit-activeml's users: goal-oriented active learning as one of their strategies.

    from goralx.skactiveml import GoralQuery

    strategy = GoralQuery(goal="ent", operator="max", random_state=0)
    indices = strategy.query(X, y, batch_size=10)

In come X and y as there, missing labels and all; out go indices, and utilities if asked for. The
other way round, their strategies in runs of goralx are ``strategy=skactiveml_<class>``.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, issparse, vstack

from .contracts import BatchRule, Goal, LabelOperator, Model, UtilityEstimator
from .core import Array
from .data import Features, Labelled, Rows
from .discovery import build
from .errors import BadInput, MissingExtra, in_words
from .library import Options, take_component
from .scoring import VacuousUtility

try:
    from skactiveml.base import SingleAnnotatorPoolQueryStrategy
    from skactiveml.utils import MISSING_LABEL, is_labeled, unlabeled_indices
except ModuleNotFoundError as error:
    raise MissingExtra(
        "goralx.skactiveml needs scikit-activeml · pip install 'goralx[skactiveml]'"
    ) from error

FLOOR = 1e-6
"""Probabilities of a classifier of the user's are at least this: it can be certain and wrong."""


class GoralQuery(SingleAnnotatorPoolQueryStrategy):  # type: ignore[misc]
    """The samples whose labels would raise a goal of the model most.

    Chooses what `goralx.query` chooses. Goals of the pool (ent, fir) are measured on the unlabelled
    samples of X, whatever part of them the candidates are.

    Parameters
    ----------
    goal, operator, utility, batch, model : registered names (``goralx plugins``), or objects
    C, regime, penalize_intercept : options of the model, its defaults where None
    classes : (K,), every class, where not all have a label yet
    missing_label, random_state : as in scikit-activeml

    X may be sparse (a scipy matrix or array), though strategies of theirs take it dense.
    """

    def __init__(
        self,
        goal: str | Goal = "ent",
        operator: str | LabelOperator = "max",
        utility: str | UtilityEstimator = "influence",
        batch: str | BatchRule = "top",
        model: str | Model = "softmax",
        C: float | None = None,
        regime: str | None = None,
        penalize_intercept: bool | None = None,
        classes: ArrayLike | None = None,
        missing_label: Any = MISSING_LABEL,
        random_state: Any = None,
    ) -> None:
        super().__init__(missing_label=missing_label, random_state=random_state)
        self.goal = goal
        self.operator = operator
        self.utility = utility
        self.batch = batch
        self.model = model
        self.C = C
        self.regime = regime
        self.penalize_intercept = penalize_intercept
        self.classes = classes

    @in_words("GoralQuery.query")
    def query(
        self,
        X: ArrayLike,
        y: ArrayLike,
        clf: Any = None,
        X_dev: ArrayLike | None = None,
        y_dev: ArrayLike | None = None,
        progress: float = 0.0,
        candidates: ArrayLike | None = None,
        batch_size: int = 1,
        return_utilities: bool = False,
    ) -> Rows | tuple[Rows, Array]:
        """Which candidates to label next, best first.

        Parameters
        ----------
        X, y : (n_samples, n_features) and (n_samples,), labels missing where they are
        clf : a classifier whose learning is meant in place of ``model``: it is fit again for
            candidates and labels, which takes ``utility="retrain"``. For logistic regression leave
            it out, and say C
        X_dev, y_dev : for goals that are measured on a dev set
        progress : in [0, 1], how much of your budget is spent (operator="annealed" cools with it)
        candidates : None (all without a label), indices into X, or samples (n, n_features)

        Returns
        -------
        Indices (batch_size,) into X or, where candidates are samples, into those; and with
        ``return_utilities`` also utilities (batch_size, n_samples or n_candidates): what each
        candidate is worth on its own, NaN where it is none, is chosen already, or an estimator that
        screens did not look.
        """
        if issparse(candidates):
            raise BadInput("candidates are sparse; give them as indices into X, or as an array")
        seen = shape_of(X) if issparse(X) else X
        samples, labels, among, size, return_utilities = self._validate_data(
            seen, y, candidates, batch_size, return_utilities, reset=True
        )
        if issparse(X):
            samples = csr_array(X)
        known = is_labeled(labels, self.missing_label_)
        if not known.any():
            raise BadInput("no sample of y has a label; draw the first by RandomSampling")
        asked_for, mapping = self._transform_candidates(among, samples, labels)
        unlabelled = unlabeled_indices(labels, self.missing_label_)
        pool, places = pool_of(samples, unlabelled, asked_for, mapping)
        y_known = np.array(labels[known].tolist())
        options = Options(
            self.goal, self.operator, self.utility, self._learner(clf, y_known), self.C,
            self.regime, self.penalize_intercept, X_dev, y_dev, self.classes, progress,
            int(self.random_state_.randint(2**31 - 1)),
        )  # fmt: skip
        asked = options.asked(samples[known], y_known, pool).among(places)
        rng, rule = np.random.default_rng(options.random_state), take_component("batch", self.batch)
        question = asked.query(rule, size, rng)
        selection, vacuous = asked.select(build("strategy", "goral"), question)
        if vacuous:
            warnings.warn(
                f"{vacuous}; the indices are drawn at random", VacuousUtility, stacklevel=3
            )
        indices = selection.rows if mapping is None else mapping[selection.rows]
        if not return_utilities:
            return indices
        worth = np.full((asked_for if mapping is None else samples).shape[0], np.nan)
        worth[slice(None) if mapping is None else mapping] = selection.utility
        utilities = np.tile(worth, (size, 1))
        for i in range(1, size):
            utilities[i:, indices[i - 1]] = np.nan
        return indices, utilities

    def _learner(self, clf: Any, y: NDArray[Any]) -> str | Model:
        if clf is None:
            return self.model
        if not (hasattr(clf, "fit") and hasattr(clf, "predict_proba")):
            raise BadInput(f"clf={clf!r}; give a classifier with predict_proba, or None")
        classes = np.unique(y) if self.classes is None else np.asarray(self.classes)
        return GivenClassifier(clf, tuple(classes.tolist()))


def shape_of(X: Any) -> NDArray[Any]:
    """A stand-in of no size for sparse X, whose rows the checks of theirs cannot count."""
    return np.broadcast_to(0.0, X.shape)


def pool_of(
    X: NDArray[Any], unlabelled: Rows, asked_for: NDArray[Any], mapping: Rows | None
) -> tuple[NDArray[Any], Rows]:
    """The unlabelled samples and whatever candidates are none of them, and the candidates' places
    there.
    """
    if mapping is None:
        rest = X[unlabelled]
        pool = vstack([rest, asked_for]) if issparse(X) else np.concatenate([rest, asked_for])
        return pool, len(unlabelled) + np.arange(len(asked_for))
    rows = np.concatenate([unlabelled, np.setdiff1d(mapping, unlabelled)])
    order = np.argsort(rows)
    return X[rows], order[np.searchsorted(rows, mapping, sorter=order)]


@dataclass(frozen=True)
class GivenClassifier:
    """A classifier of the user's as a model of goralx: asked to fit, and for its predictions."""

    classifier: Any
    classes: tuple[Any, ...]

    @property
    def capabilities(self) -> frozenset[str]:
        return frozenset()

    @property
    def regime(self) -> str:
        return "fixed_C"

    def fit(self, labelled: Labelled, n_classes: int, previous: Any = None) -> GivenFit:
        from sklearn.base import clone

        names = np.array(self.classes)
        fitted = clone(self.classifier).fit(labelled.X[:], names[labelled.y])
        place = {name: k for k, name in enumerate(self.classes)}
        columns = np.array([place[name] for name in np.asarray(fitted.classes_).tolist()])
        return GivenFit(fitted, columns, len(labelled), n_classes)

    def restore(self, labelled: Labelled, n_classes: int, arrays: Mapping[str, Array]) -> GivenFit:
        return self.fit(labelled, n_classes)


@dataclass(frozen=True)
class GivenFit:
    """One of its fits; ``columns`` are the classes, by number, that its predictions are of."""

    classifier: Any
    columns: Rows
    n_labelled: int
    n_classes: int

    @property
    def noise(self) -> float:
        return 0.0

    def log_proba(self, X: Features) -> Array:
        given = self.classifier.predict_proba(X[:])
        P = np.full((len(given), self.n_classes), FLOOR)
        P[:, self.columns] = np.maximum(given, FLOOR)
        log_P: Array = np.log(P / P.sum(axis=1, keepdims=True))
        return log_P

    def checkpoint(self) -> dict[str, Array]:
        return {}

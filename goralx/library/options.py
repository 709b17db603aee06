"""What the three questions of the library have in common: their options, checked and put to use."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from goralx.contracts import (
    BatchRule,
    Candidates,
    Goal,
    LabelOperator,
    Model,
    Query,
    Reference,
    Selection,
    Strategy,
    UtilityEstimator,
)
from goralx.data import Labelled, Rows, check_rows, column_names
from goralx.discovery import build
from goralx.errors import BadInput
from goralx.scoring import GoalOrientedUtility, selected

from .arguments import (
    check_integer,
    check_progress,
    classes_of,
    numbered,
    take_component,
    take_dev,
    take_features,
    take_labels,
)


@dataclass(frozen=True)
class Options:
    """The keyword arguments of `query`, `utilities` and `explain`, in their order."""

    goal: str | Goal
    operator: str | LabelOperator
    utility: str | UtilityEstimator
    model: str | Model
    C: float | None
    regime: str | None
    penalize_intercept: bool | None
    X_dev: ArrayLike | None
    y_dev: ArrayLike | None
    classes: ArrayLike | None
    progress: float
    random_state: int

    def learner(self) -> Model:
        """The model; its own options may be given beside its name only."""
        named = ("C", "regime", "penalize_intercept")
        given = {k: v for k in named if (v := getattr(self, k)) is not None}
        if given and not isinstance(self.model, str):
            raise BadInput(
                f"{', '.join(given)} given beside a model object; set them on the object"
            )
        learner: Model = take_component("model", self.model, given)
        return learner

    def scorer(self, learner: Model, dev: Labelled | None) -> GoalOrientedUtility:
        """Goal, operator and estimator, fit for one another."""
        return GoalOrientedUtility(
            take_component("goal", self.goal),
            take_component("operator", self.operator),
            take_component("utility", self.utility),
            learner,
            dev,
            first_order=build("utility", "influence"),
            proxy=build("model", "softmax"),
        )

    def asked(
        self,
        X_labelled: ArrayLike,
        y_labelled: ArrayLike,
        X_pool: ArrayLike,
        *,
        needs_goal: bool = True,
    ) -> Asked:
        """Check everything, fit, and see the pool through the fit."""
        names = column_names(X_labelled)
        X = take_features(X_labelled, "X_labelled", names)
        pool_X = take_features(X_pool, "X_pool", names)
        check_progress(self.progress)
        check_integer("random_state", self.random_state, 0)
        given = None if self.classes is None else np.asarray(self.classes)
        check_rows(X_labelled, y_labelled, "X_labelled", "y_labelled")
        labels = take_labels(y_labelled, len(X), "labelled", given)
        classes = classes_of(labels, self.classes)
        labelled = Labelled(X[:], numbered(labels, classes, "y_labelled"))
        dev = take_dev(self.X_dev, self.y_dev, classes, names)
        for name, other in (("X_pool", pool_X), *([("X_dev", dev.X)] if dev else [])):
            if other.shape[1] != X.shape[1]:
                raise BadInput(f"{name} has {other.shape[1]} features, X_labelled {X.shape[1]}")
        learner = self.learner()
        scorer = self.scorer(learner, dev) if needs_goal else None
        fitted = learner.fit(labelled, len(classes))
        candidates = Candidates(
            Reference(fitted, pool_X),
            np.arange(len(pool_X)),
            labelled,
            self.progress,
            self.random_state,
            learner,
        )
        return Asked(scorer, candidates, classes)


@dataclass(frozen=True)
class Asked:
    """A question made ready: who scores (None where no goal is asked), whom, and the classes."""

    scorer: GoalOrientedUtility | None
    candidates: Candidates
    classes: np.ndarray

    @property
    def named(self) -> tuple[str, ...]:
        """The classes' names (K,)."""
        return tuple(str(c) for c in self.classes.tolist())

    @property
    def scored(self) -> GoalOrientedUtility:
        """Who scores, where a goal was asked."""
        assert self.scorer is not None
        return self.scorer

    def among(self, rows: Rows) -> Asked:
        """The same, of these rows of the pool alone; goals are measured on all of it."""
        return replace(self, candidates=replace(self.candidates, rows=rows))

    def query(self, rule: BatchRule, batch_size: int, rng: np.random.Generator) -> Query:
        """What a strategy is asked. Raises `Incompatible` for a rule that asks too much."""
        if self.scorer is not None:
            self.scorer.check_batch(rule, batch_size)
        return Query(
            self.candidates, batch_size, rng, score=self.scorer, rule=rule, classes=self.named
        )

    def select(self, strategy: Strategy, query: Query) -> tuple[Selection, str | None]:
        """What it selects; at random, and why, where all candidates are worth the same."""
        return selected(strategy, query, self.scorer)

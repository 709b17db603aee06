"""What a model is fit to and measured by, whoever chooses the samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from goralx.contracts import (
    Engine,
    FittedModel,
    Goal,
    LogitGoal,
    Metric,
    Model,
    PredictionGoal,
    Reference,
    asking,
    named,
    numbers,
    parameters,
)
from goralx.data import Instance, Labelled, Labels, Rows
from goralx.errors import PluginError, in_words
from goralx.scoring import goal_value

from .measures import measured
from .oracle import learned


@dataclass(frozen=True)
class Bench:
    """An instance and a model, ``monitors`` measured on its pool or dev set, ``metrics`` on its
    test set. ``engine`` goes over the pool; ``slope_of`` is the goal whose gradient will be asked.
    """

    instance: Instance
    model: Model
    monitors: Mapping[str, Goal]
    metrics: Mapping[str, Metric]
    engine: Engine
    slope_of: LogitGoal | None = None

    @cached_property
    def dev(self) -> Labelled | None:
        return self.instance.subset(self.instance.dev) if len(self.instance.dev) else None

    def fit(self, labelled: Labelled, previous: FittedModel | None) -> FittedModel:
        """The model fit to these samples, and what it gave looked at."""
        with asking(self.model, "model", "fit"):
            model = self.model.fit(labelled, self.instance.n_classes, previous=previous)
            theta, K = parameters(model, self.model), model.n_classes
        if theta is not None:
            numbers(theta, np.shape(theta), self.model, "model", "theta")
        if self.instance.n_classes != K:
            raise PluginError(
                f"{named(self.model, 'model')}: fit gave a model of {K} classes; expected "
                f"{self.instance.n_classes}"
            )
        return model

    def pool(self, model: FittedModel) -> Reference:
        """The initial pool through this model, and what will be asked of it."""
        goals = [goal for goal in self.monitors.values() if goal.reference == "pool"]
        asked = tuple(goal for goal in goals if isinstance(goal, PredictionGoal))
        return Reference(model, self.instance.pool_X, None, asked, self.slope_of, self.engine)

    def goals(self, pool: Reference) -> dict[str, float]:
        """Each monitored goal of the model that the pool is seen through."""
        return {name: goal_value(g, pool, self.dev) for name, g in self.monitors.items()}

    def tested(self, model: FittedModel) -> dict[str, float]:
        """Each metric on the test set."""
        instance = self.instance
        return measured(self.metrics, model, instance.subset(instance.test), instance.classes)

    @in_words("the fit on the whole pool")
    def full_pool(self) -> dict[str, float]:
        """Each metric of the model fit on init and the whole pool, which is taken into memory."""
        instance = self.instance
        start = self.fit(instance.labelled(instance.init), None)
        rows = np.concatenate([instance.init, instance.pool])
        model = self.fit(instance.labelled(rows), start)
        return self.tested(model)

    @in_words("the fit to the samples of a round")
    def measured_on(self, rows: Rows, labels: Labels) -> dict[str, float]:
        """Metrics and goals of the model fit anew to these rows, init first, by a round's names.

        ``labels`` (n,) are what they are learned as.
        """
        n_init = len(self.instance.init)
        model = self.fit(learned(self.instance, rows[:n_init], labels[:n_init]), None)
        if len(rows) > n_init:
            model = self.fit(learned(self.instance, rows, labels), model)
        goals = self.goals(self.pool(model))
        return {
            **{f"test/{name}": value for name, value in self.tested(model).items()},
            **{f"goal/{name}": value for name, value in goals.items()},
        }

"""The loop: fit, score, query, reveal; a generator of facts that tells nobody of them.

    for round in experiment.rounds():
        ...                       # record it, track it, draw it, or stop

is the whole coupling between learning and everything that watches it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .components import (
    Array,
    Candidates,
    FittedModel,
    LogitGoal,
    Model,
    Query,
    Reference,
    Selection,
    Strategy,
)
from .data import Instance, Labelled, Labels, Oracle, Rows, streams
from .errors import BadInput, Incompatible
from .goal_utility import GoalOrientedUtility, Scores, check_goal_reference, goal_value

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True)
class Stop:
    """When to stop before the budget is spent.

    Stops once the batch's predicted gain has been below ``min_gain`` times |tau| for ``patience``
    rounds in a row; None never does.
    """

    min_gain: float | None = None
    patience: int = 3

    def __post_init__(self) -> None:
        if self.min_gain is not None and self.min_gain < 0:
            raise BadInput(f"stop.min_gain={self.min_gain}; allowed: null or a number >= 0")
        if self.patience < 1:
            raise BadInput(f"stop.patience={self.patience}; allowed: at least 1")


@dataclass(frozen=True)
class Checkpoint:
    """What going on needs: the labelled rows in order, the last fit, the generator's state."""

    round: int
    rows: Rows
    model: Mapping[str, Array]
    rng_state: Mapping[str, Any]
    predicted: float
    goal_before: float
    idle: int
    done: bool


@dataclass(frozen=True)
class Round:
    """One round's facts. Ids are row numbers in the source data set.

    ``metrics`` has the same names in every round of a run, NaN where there is nothing to say.
    ``pool_ids`` (N,) are the candidates and ``utility`` (N,) what they were worth, if the strategy
    asked. ``queried`` (b,) were sent to the oracle, whose answers are ``labels``; empty in the last
    round, which only measures.
    """

    index: int
    n_labelled: int
    metrics: Mapping[str, float]
    pool_ids: Rows
    utility: Array | None
    queried: Rows
    labels: Labels
    queried_utility: Array
    theta: Array
    last: bool
    checkpoint: Checkpoint = field(repr=False)


@dataclass(frozen=True)
class Experiment:
    """An instance, a model, a strategy, and the goal-oriented utility that the strategy may ask.

    ``monitors`` are goals whose values are measured every round, whatever the strategy. The budget
    is ``n_queries`` labels, ``batch_size`` a round. ``guard`` says what a vacuous utility does:
    "warn" selects openly at random, "error" ends the run.
    """

    instance: Instance
    model: Model
    strategy: Strategy
    utility: GoalOrientedUtility | None
    monitors: Mapping[str, LogitGoal]
    goal: str
    batch_size: int = 10
    n_queries: int = 1000
    seed: int = 0
    guard: str = "warn"
    stop: Stop = Stop()

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise BadInput(f"batch_size={self.batch_size}; allowed: at least 1")
        if self.n_queries < 1:
            raise BadInput(f"n_queries={self.n_queries}; allowed: at least 1")
        if self.guard not in ("warn", "error"):
            raise BadInput(f"guard={self.guard}; allowed: warn, error")
        if self.strategy.uses_goal and self.utility is None:
            raise Incompatible(f"strategy {type(self.strategy).__name__} needs a goal")
        for goal in self.monitors.values():
            check_goal_reference(goal, self.dev)

    @cached_property
    def dev(self) -> Labelled | None:
        return self.instance.labelled(self.instance.dev) if len(self.instance.dev) else None

    @property
    def budget(self) -> int:
        """Queries that will be made: n_queries, or the whole pool if that is smaller."""
        return min(self.n_queries, len(self.instance.pool))

    @property
    def n_rounds(self) -> int:
        return -(-self.budget // self.batch_size) + 1

    @property
    def uses_ground_truth(self) -> bool:
        """Whether hidden labels reach the selection: an upper bound, not a practical strategy."""
        operator = self.utility is not None and self.utility.operator.needs_ground_truth
        return self.strategy.needs_ground_truth or (self.strategy.uses_goal and operator)

    def rounds(self, resume: Checkpoint | None = None) -> Iterator[Round]:
        """Run to the budget's end, or go on from a checkpoint, bit for bit as if never stopped."""
        instance, oracle = self.instance, Oracle(self.instance)
        test = instance.labelled(instance.test)
        rng = streams(self.seed, "strategy")
        rows, index, idle = instance.init, 0, 0
        predicted = goal_before = float("nan")
        model: FittedModel | None = None
        warned = False
        if resume is not None:
            if resume.done:
                return
            rng.bit_generator.state = dict(resume.rng_state)
            index, idle = resume.round + 1, resume.idle
            predicted, goal_before = resume.predicted, resume.goal_before
            rows = resume.rows
            n_fit = int(resume.model["n_labelled"])
            model = self.model.restore(
                instance.labelled(rows[:n_fit]), instance.n_classes, resume.model
            )
        while True:
            labelled = instance.labelled(rows)
            started = time.perf_counter()
            model = self.model.fit(labelled, instance.n_classes, previous=model)
            fitted = time.perf_counter()
            pool = Reference(model, instance.pool_X)
            goals = {
                f"goal/{name}": goal_value(g, pool, self.dev) for name, g in self.monitors.items()
            }
            tau = goals[f"goal/{self.goal}"]
            left = self.budget - (len(rows) - len(instance.init))
            last = left <= 0 or (self.stop.min_gain is not None and idle >= self.stop.patience)

            present = np.flatnonzero(~np.isin(instance.pool, rows))
            progress = 1.0 - left / self.budget
            candidates = Candidates(pool, present, labelled, progress, self.seed)
            scores, selection = None, Selection(np.empty(0, dtype=np.int64))
            if not last:
                query = self._query(
                    candidates, min(self.batch_size, left, len(present)), rng, oracle
                )
                selection = self.strategy.select(query)
                scores = query.__dict__.get("scores") if self.strategy.uses_goal else None
                if scores is not None and scores.vacuous:
                    warned = warned or self._say_vacuous(scores)
                    at_random = rng.permutation(len(present))[: query.batch_size]
                    selection = Selection(at_random, selection.utility)
            scored = time.perf_counter()

            chosen = self._checked(selection.rows, len(present), last)
            queried = instance.pool[present[chosen]]
            utility = selection.utility
            metrics = {
                **test_metrics(model, test),
                **goals,
                "change/predicted": predicted,
                "change/realised": tau - goal_before,
                **utility_metrics(utility, scores),
                "seconds/fit": fitted - started,
                "seconds/score": scored - fitted,
            }
            predicted = float(scores.utility[chosen].sum()) if scores is not None else float("nan")
            goal_before = tau
            if self.stop.min_gain is not None:
                idle = idle + 1 if predicted < self.stop.min_gain * abs(tau) else 0
            n_fit = len(rows)
            rows = np.concatenate([rows, queried])
            yield Round(
                index=index,
                n_labelled=n_fit,
                metrics=metrics,
                pool_ids=instance.pool[present],
                utility=utility,
                queried=queried,
                labels=oracle.reveal(queried),
                queried_utility=(
                    np.full(len(chosen), np.nan) if utility is None else utility[chosen]
                ),
                theta=model.theta,
                last=last,
                checkpoint=Checkpoint(
                    round=index,
                    rows=rows,
                    model={"n_labelled": np.array(float(n_fit)), **model.checkpoint()},
                    rng_state=rng.bit_generator.state,
                    predicted=predicted,
                    goal_before=goal_before,
                    idle=idle,
                    done=last,
                ),
            )
            if last:
                return
            index += 1

    def full_pool_accuracy(self) -> float:
        """Test accuracy of the model fit on init and the whole pool: what there is to reach."""
        instance = self.instance
        rows = np.concatenate([instance.init, instance.pool])
        model = self.model.fit(instance.labelled(rows), instance.n_classes)
        return test_metrics(model, instance.labelled(instance.test))["test/accuracy"]

    def _query(
        self, candidates: Candidates, b: int, rng: np.random.Generator, oracle: Oracle
    ) -> Query:
        ids = self.instance.pool[candidates.rows]
        y_true = oracle.reveal(ids) if self.strategy.needs_ground_truth else None
        return Query(candidates, b, rng, y_true, self.utility)

    def _say_vacuous(self, scores: Scores) -> bool:
        assert self.utility is not None
        message = (
            f"operator {type(self.utility.operator).__name__} makes every utility the same: spread "
            f"{scores.spread:.1e}, noise {scores.noise:.1e}. Under the model's own prediction the "
            "first-order utility is a constant (Remark 1). Use annealed, laplace or average"
        )
        if self.guard == "error":
            raise Incompatible(message)
        warnings.warn(f"{message}; selecting at random", VacuousUtility, stacklevel=3)
        return True

    def _checked(self, chosen: Rows, n_candidates: int, last: bool) -> Rows:
        """A strategy's rows, or an error that says what is wrong with them."""
        chosen = np.asarray(chosen, dtype=np.int64)
        valid = (chosen >= 0).all() and (chosen < n_candidates).all()
        if not valid or len(np.unique(chosen)) != len(chosen) or (not last and len(chosen) == 0):
            raise BadInput(
                f"strategy {type(self.strategy).__name__} chose {chosen.tolist()}; expected at "
                f"least one, all different, of the candidates 0..{n_candidates - 1}"
            )
        return chosen


class VacuousUtility(UserWarning):
    """All candidates are worth the same, up to noise; the selection is openly random."""


def test_metrics(model: FittedModel, test: Labelled) -> dict[str, float]:
    """Accuracy and mean log loss (nats) on the test set."""
    log_P = model.log_proba(test.X)
    return {
        "test/accuracy": float((log_P.argmax(axis=1) == test.y).mean()),
        "test/log_loss": float(-log_P[np.arange(len(test)), test.y].mean()),
    }


def utility_metrics(utility: Array | None, scores: Scores | None) -> dict[str, float]:
    """Quantiles of the utility over the candidates, its spread and the noise in it."""
    values = np.full(len(QUANTILES), np.nan) if utility is None else np.quantile(utility, QUANTILES)
    named = {
        f"utility/q{round(100 * q):03d}": float(v) for q, v in zip(QUANTILES, values, strict=True)
    }
    nothing = float("nan")
    return {
        **named,
        "utility/spread": scores.spread if scores is not None else nothing,
        "utility/noise": scores.noise if scores is not None else nothing,
    }

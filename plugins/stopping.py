"""When a run ends before its budget is spent.

None of them looks at test data. No rule is best everywhere (Pullar-Strecker et al. 2022, 13 of them
on 9 data sets): what each asks for is in its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

import goralx
from goralx import BadInput, Halt, History
from goralx.discovery import spelt


def _at_least(least: float, **given: float) -> None:
    for name, value in given.items():
        if not value >= least or not np.isfinite(value):
            raise BadInput(f"stop.{name}={value:g}; allowed: at least {least:g}")


@dataclass(frozen=True)
class WallTime(goralx.StoppingRule):
    """So many seconds of the run's own time, interruptions left out; the result is censored.

    Looked at once a round, so that the last one may take it over.
    """

    seconds: float = 3600.0

    def __post_init__(self) -> None:
        _at_least(0.0, seconds=self.seconds)

    def halt(self, history: History) -> Halt | None:
        taken = history["seconds/total"][-1]
        if not taken >= self.seconds:
            return None
        return Halt(f"{self.seconds:g} seconds are over", censored=True)


@dataclass(frozen=True)
class AccuracyPlateau(goralx.StoppingRule):
    """Accuracy on a dev set has not risen by ``min_rise`` over its best for ``patience`` rounds.

    The dev set is drawn from the pool (``dev.fraction``), and its labels count.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"dev"})

    min_rise: float = 0.002
    patience: int = 5

    def __post_init__(self) -> None:
        _at_least(0.0, min_rise=self.min_rise)
        _at_least(1, patience=self.patience)

    def halt(self, history: History) -> Halt | None:
        accuracy = history["dev/accuracy"]
        if len(accuracy) <= self.patience:
            return None
        before, lately = accuracy[: -self.patience].max(), accuracy[-self.patience :].max()
        if lately >= before + self.min_rise and lately > before:
            return None
        return Halt(f"dev accuracy has not risen by {self.min_rise:g} for {self.patience} rounds")


@dataclass(frozen=True)
class GoalPlateau(goralx.StoppingRule):
    """The goal has moved by less than ``min_change`` of its size in each of ``patience`` rounds."""

    needs: ClassVar[frozenset[str]] = frozenset({"goal"})

    min_change: float = 0.01
    patience: int = 5

    def __post_init__(self) -> None:
        _at_least(0.0, min_change=self.min_change)
        _at_least(1, patience=self.patience)

    def halt(self, history: History) -> Halt | None:
        tau = history.tau[-self.patience - 1 :]
        if len(tau) <= self.patience:
            return None
        if not (np.abs(np.diff(tau)) < self.min_change * np.abs(tau[:-1])).all():
            return None
        return Halt(
            f"the goal has moved by less than {self.min_change:g} for {self.patience} rounds"
        )


@dataclass(frozen=True)
class StablePredictions(goralx.StoppingRule):
    """Predictions on the pool hardly change: mean kappa of ``window`` refits is ``agreement``.

    Cohen's kappa between each model and the one before it, on up to 2,000 samples of the pool, no
    label asked: M. Bloodgood and K. Vijay-Shanker, CoNLL 2009 (aclanthology.org/W09-1107).
    """

    needs: ClassVar[frozenset[str]] = frozenset({"predictions"})

    agreement: float = 0.99
    window: int = 3

    def __post_init__(self) -> None:
        if not 0 < self.agreement <= 1:
            raise BadInput(f"stop.agreement={self.agreement:g}; allowed: above 0, at most 1")
        _at_least(1, window=self.window)

    def halt(self, history: History) -> Halt | None:
        kappa = history["stop/agreement"][-self.window :]
        if len(history) <= self.window or not kappa.mean() >= self.agreement:
            return None
        return Halt(f"predictions agree with the last {self.window} models' at {kappa.mean():.4f}")


@dataclass(frozen=True)
class UtilityThreshold(goralx.StoppingRule):
    """Batches promise less than ``min_gain`` of the goal's size, ``patience`` rounds in a row.

    Only a strategy that asks the goal promises anything. Influence overstates with few labels
    (``change/predicted`` against ``change/realised``); what a promise is, the operator decides.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"goal", "utility"})

    min_gain: float = 0.01
    patience: int = 3

    def __post_init__(self) -> None:
        _at_least(0.0, min_gain=self.min_gain)
        _at_least(1, patience=self.patience)

    def halt(self, history: History) -> Halt | None:
        tau = np.abs(history.tau[-self.patience - 1 : -1])
        promised = history["change/predicted"][-self.patience :]
        if len(tau) < self.patience or not (promised < self.min_gain * tau).all():
            return None
        return Halt(f"{self.patience} batches promised less than {self.min_gain:g} of the goal")


@dataclass(frozen=True)
class Cost(goralx.StoppingRule):
    """Labels have begun to cost more than the errors they save.

    Total cost is ``label`` for each label (times what the oracle asks for it, where that is not
    one), dev labels included as they are asked for once, and ``error`` for each of the ``n_future``
    predictions to come that will be wrong, at the rate of the dev set. Stops once that has not
    fallen below its least for ``patience`` rounds:
    Z. Pullar-Strecker et al., Machine Learning 2022 (doi:10.1007/s10994-022-06253-1).
    """

    needs: ClassVar[frozenset[str]] = frozenset({"dev"})

    label: float = 1.0
    error: float = 1.0
    n_future: int = 10_000
    patience: int = 5

    def __post_init__(self) -> None:
        _at_least(0.0, label=self.label, error=self.error, n_future=self.n_future)
        _at_least(1, patience=self.patience)

    def halt(self, history: History) -> Halt | None:
        wrong = (1.0 - history["dev/accuracy"]) * self.n_future
        cost = self.label * history.spent + self.error * wrong
        if len(cost) <= self.patience:
            return None
        if cost[-self.patience :].min() < cost[: -self.patience].min():
            return None
        return Halt(f"labels and errors cost {cost[-1]:g}, no less than {self.patience} rounds ago")


@dataclass(frozen=True)
class AnyOf(goralx.StoppingRule):
    """The first of several rules that says so.

    ``rules`` are names, with options behind them where these are not as by default:
    ``stop=any "stop.rules=[goal_plateau,'wall_time seconds=60']"``.
    """

    rules: tuple[str, ...] = ("stable_predictions", "wall_time")

    def __post_init__(self) -> None:
        if not self.rules:
            raise BadInput("stop.rules=[]; name at least one rule, e.g. stop.rules=[goal_plateau]")
        _ = self._parts

    @property
    def needs(self) -> frozenset[str]:  # type: ignore[override]
        return frozenset().union(*(rule.needs for rule in self._parts))

    @cached_property
    def _parts(self) -> list[goralx.StoppingRule]:
        return [spelt("stop", text, "stop.rules") for text in self.rules]

    def halt(self, history: History) -> Halt | None:
        halts = (rule.halt(history) for rule in self._parts)
        return next((halt for halt in halts if halt is not None), None)


@goralx.hookimpl
def register_stopping_rules(register):
    register("budget", goralx.Budget)
    register("wall_time", WallTime)
    register("accuracy_plateau", AccuracyPlateau)
    register("goal_plateau", GoalPlateau)
    register("stable_predictions", StablePredictions)
    register("utility_threshold", UtilityThreshold)
    register("cost", Cost)
    register("any", AnyOf)

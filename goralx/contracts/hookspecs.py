"""The hooks a plugin may implement; each is optional.

``register(name, cls)`` takes a frozen dataclass: its fields become the options of
``<group>=<name>`` on the command line, of a metric those of ``metrics=[<name>, ...]``. A plugin
with a name that is taken is not loaded: an error names both owners.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

import pluggy

from .datasets import Dataset
from .estimators import UtilityEstimator
from .goals import Goal
from .initial_sets import InitialSet
from .metrics import Metric
from .models import Model
from .operators import LabelOperator
from .oracles import Oracle
from .passes import Engine
from .rounds import Round
from .runs import Tracker
from .stopping import StoppingRule
from .strategies import BatchRule, Strategy

hookspec = pluggy.HookspecMarker("goralx")
hookimpl = pluggy.HookimplMarker("goralx")


@hookspec
def register_goals(register: Callable[[str, type[Goal]], None]) -> None:
    """Goals: what a model is to be good at (most extend `goralx.LogitGoal`)."""


@hookspec
def register_label_operators(register: Callable[[str, type[LabelOperator]], None]) -> None:
    """Label operators: how an unknown label is resolved (`goralx.LabelOperator`)."""


@hookspec
def register_utilities(register: Callable[[str, type[UtilityEstimator]], None]) -> None:
    """Estimators of a sample's effect on the goal (`goralx.UtilityEstimator`)."""


@hookspec
def register_strategies(register: Callable[[str, type[Strategy]], None]) -> None:
    """Strategies: which samples to label next (`goralx.Strategy`)."""


@hookspec
def register_batch_rules(register: Callable[[str, type[BatchRule]], None]) -> None:
    """Batch rules: how a batch is put together from utilities (`goralx.BatchRule`)."""


@hookspec
def register_models(register: Callable[[str, type[Model]], None]) -> None:
    """Models: what is fit in each round (`goralx.Model`)."""


@hookspec
def register_datasets(register: Callable[[str, type[Dataset]], None]) -> None:
    """Data sets: where an instance comes from (`goralx.Dataset`)."""


@hookspec
def register_initial_sets(register: Callable[[str, type[InitialSet]], None]) -> None:
    """Initial sets: who is labelled before the first query (`goralx.InitialSet`)."""


@hookspec
def register_metrics(register: Callable[[str, type[Metric]], None]) -> None:
    """Metrics: how good predictions on the test set are (`goralx.Metric`)."""


@hookspec
def register_trackers(register: Callable[[str, type[Tracker]], None]) -> None:
    """Trackers: who else is told of a run (`goralx.Tracker`)."""


@hookspec
def register_engines(register: Callable[[str, type[Engine]], None]) -> None:
    """Engines: who goes over the blocks of a large pool (`goralx.Engine`)."""


@hookspec
def register_stopping_rules(register: Callable[[str, type[StoppingRule]], None]) -> None:
    """Stopping rules: when a run ends before its budget is spent (`goralx.StoppingRule`)."""


@hookspec
def register_oracles(register: Callable[[str, type[Oracle]], None]) -> None:
    """Oracles: who answers for the labels that are asked for (`goralx.Oracle`)."""


@hookspec
def observe_round(round: Round) -> Mapping[str, float] | None:
    """Further metrics of a round, by name; called after each round, before it is recorded."""


def plugin_manager() -> pluggy.PluginManager:
    """A manager that knows these hooks and no plugin yet."""
    manager = pluggy.PluginManager("goralx")
    manager.add_hookspecs(sys.modules[__name__])
    return manager

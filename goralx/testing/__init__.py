"""The contracts of goralx as named checks, for your own plugin's tests.

In comes a component, a class or an object; out comes nothing, or an error that names each check
that fails. Plugin authors ask, and our own tests.

    def test_gini():
        goralx.testing.check_goal(NegativeGini)

runs every check and names each that fails, with the reason. One test a check:

    @pytest.mark.parametrize("check", goralx.testing.checks("goal"))
    def test_gini(check):
        check(NegativeGini(weight=2.0))

or, the same by inheritance:

    class TestGini(goralx.testing.GoalContract):
        component = NegativeGini(weight=2.0)

The same checks run over everything that comes with goralx.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from goralx.contracts import (
    BatchRule,
    Dataset,
    Engine,
    Goal,
    InitialSet,
    LabelOperator,
    Metric,
    Model,
    Oracle,
    StoppingRule,
    Strategy,
    Tracker,
    UtilityEstimator,
)
from goralx.errors import unknown_name

from .common import Check
from .groups import CHECKS, checks
from .inherited import (
    BatchRuleContract,
    Contract,
    DatasetContract,
    EngineContract,
    GoalContract,
    InitialSetContract,
    LabelOperatorContract,
    MetricContract,
    ModelContract,
    OracleContract,
    StoppingRuleContract,
    StrategyContract,
    TrackerContract,
    UtilityContract,
)


def check_goal(goal: Goal | type[Goal], *, skip: Collection[str] = ()) -> None:
    """Run every check of a goal, given as an object or as a class that needs no arguments.

    ``skip`` names checks that do not apply. Raises `AssertionError` that names each failed check.
    The functions below are its siblings.
    """
    _run("goal", goal, skip)


def check_label_operator(
    operator: LabelOperator | type[LabelOperator], *, skip: Collection[str] = ()
) -> None:
    """Run every check of a label operator."""
    _run("operator", operator, skip)


def check_strategy(strategy: Strategy | type[Strategy], *, skip: Collection[str] = ()) -> None:
    """Run every check of a strategy; one of them starts another process."""
    _run("strategy", strategy, skip)


def check_batch_rule(rule: BatchRule | type[BatchRule], *, skip: Collection[str] = ()) -> None:
    """Run every check of a batch rule; one of them starts another process."""
    _run("batch", rule, skip)


def check_utility(
    utility: UtilityEstimator | type[UtilityEstimator], *, skip: Collection[str] = ()
) -> None:
    """Run every check of an estimator of utilities."""
    _run("utility", utility, skip)


def check_model(model: Model | type[Model], *, skip: Collection[str] = ()) -> None:
    """Run every check of a model."""
    _run("model", model, skip)


def check_dataset(dataset: Dataset | type[Dataset], *, skip: Collection[str] = ()) -> None:
    """Run every check of a data set; it is loaded several times."""
    _run("dataset", dataset, skip)


def check_initial_set(
    initial: InitialSet | type[InitialSet], *, skip: Collection[str] = ()
) -> None:
    """Run every check of an initial set; one of them starts another process."""
    _run("initial", initial, skip)


def check_metric(metric: Metric | type[Metric], *, skip: Collection[str] = ()) -> None:
    """Run every check of a metric."""
    _run("metric", metric, skip)


def check_stopping_rule(
    rule: StoppingRule | type[StoppingRule], *, skip: Collection[str] = ()
) -> None:
    """Run every check of a stopping rule."""
    _run("stop", rule, skip)


def check_tracker(tracker: Tracker | type[Tracker], *, skip: Collection[str] = ()) -> None:
    """Run every check of a tracker; it is told of records in a temporary folder."""
    _run("tracker", tracker, skip)


def check_engine(engine: Engine | type[Engine], *, skip: Collection[str] = ()) -> None:
    """Run every check of an engine."""
    _run("engine", engine, skip)


def check_oracle(oracle: Oracle | type[Oracle], *, skip: Collection[str] = ()) -> None:
    """Run every check of an oracle; one of them starts another process."""
    _run("oracle", oracle, skip)


def _run(group: str, component: Any, skip: Collection[str]) -> None:
    names = [check.__name__ for check in CHECKS[group]]
    for name in skip:
        if name not in names:
            raise unknown_name(f"check of a {group}", name, names)
    if isinstance(component, type):
        component = component()
    failed: list[str] = []
    errors: list[Exception] = []
    for check in CHECKS[group]:
        if check.__name__ in skip:
            continue
        try:
            check(component)
        except Exception as error:  # whatever a component raises is a finding
            kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            failed.append(f"  {check.__name__}: {kind}{error}")
            errors.append(error)
    if errors:
        raise AssertionError(
            f"{group} {type(component).__name__} fails {len(errors)} of {len(names)} checks\n"
            + "\n".join(failed)
        ) from ExceptionGroup("failed checks", errors)


__all__ = [
    "CHECKS",
    "BatchRuleContract",
    "Check",
    "Contract",
    "DatasetContract",
    "EngineContract",
    "GoalContract",
    "InitialSetContract",
    "LabelOperatorContract",
    "MetricContract",
    "ModelContract",
    "OracleContract",
    "StoppingRuleContract",
    "StrategyContract",
    "TrackerContract",
    "UtilityContract",
    "check_batch_rule",
    "check_dataset",
    "check_engine",
    "check_goal",
    "check_initial_set",
    "check_label_operator",
    "check_metric",
    "check_model",
    "check_oracle",
    "check_stopping_rule",
    "check_strategy",
    "check_tracker",
    "check_utility",
    "checks",
]

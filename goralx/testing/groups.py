"""Which checks a kind of component has to pass, by configuration group."""

from __future__ import annotations

from goralx.errors import unknown_name

from . import (
    batch_rules,
    common,
    datasets,
    engines,
    goals,
    initial_sets,
    label_operators,
    metrics,
    models,
    oracles,
    stopping,
    strategies,
    trackers,
    utilities,
)
from .common import Check

CHECKS: dict[str, tuple[Check, ...]] = {
    "goal": (*common.CHECKS, *goals.CHECKS),
    "operator": (*common.CHECKS, *label_operators.CHECKS),
    "strategy": (*common.CHECKS, *strategies.CHECKS),
    "batch": (*common.CHECKS, *batch_rules.CHECKS),
    "utility": (*common.CHECKS, *utilities.CHECKS),
    "model": (*common.CHECKS, *models.CHECKS),
    "dataset": (*common.CHECKS, *datasets.CHECKS),
    "initial": (*common.CHECKS, *initial_sets.CHECKS),
    "metric": (*common.CHECKS, *metrics.CHECKS),
    "tracker": (*common.CHECKS, *trackers.CHECKS),
    "engine": (*common.CHECKS, *engines.CHECKS),
    "stop": (*common.CHECKS, *stopping.CHECKS),
    "oracle": (*common.CHECKS, *oracles.CHECKS),
}
"""Checks by configuration group; each takes a component and raises `AssertionError`."""


def checks(group: str) -> tuple[Check, ...]:
    """The checks of a group (goal, operator, strategy, ...), causes before symptoms."""
    if group not in CHECKS:
        raise unknown_name("group of components", group, CHECKS)
    return CHECKS[group]

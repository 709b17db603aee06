"""goralx: goal-oriented active learning, with goals, strategies and data as plugins.

As a library: `query` says what to label next, `utilities` what each sample is worth, `explain` why.
For plugins: the base classes below and `hookimpl`. As a program: ``python -m goralx --help``.
"""

# ruff: noqa: F403, F405
from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .public import *

__version__ = "0.1.0"

__all__ = [
    "ABSTAINED",
    "Answers",
    "Array",
    "Asked",
    "BadInput",
    "BatchRule",
    "Beginning",
    "Budget",
    "Candidates",
    "CurvedModel",
    "Dataset",
    "DesignGoal",
    "DifferentiableModel",
    "Direction",
    "Engine",
    "Expansion",
    "Experiment",
    "Explanation",
    "Features",
    "FirstOrderEstimator",
    "FittedModel",
    "Given",
    "Goal",
    "GoalOrientedUtility",
    "GoralxError",
    "Halt",
    "History",
    "Incompatible",
    "InitialSet",
    "Instance",
    "LabelOperator",
    "Labelled",
    "Labels",
    "Local",
    "LogitGoal",
    "Matrix",
    "Metric",
    "Model",
    "Oracle",
    "Perfect",
    "PluginError",
    "Portable",
    "PredictionGoal",
    "Query",
    "Reference",
    "Round",
    "Rows",
    "RunFailed",
    "RunInfo",
    "Scores",
    "Selection",
    "Session",
    "Solution",
    "Split",
    "StoppingRule",
    "Strategy",
    "Suggestion",
    "TrackedRun",
    "Tracker",
    "UnknownName",
    "Utilities",
    "UtilityEstimator",
    "View",
    "build",
    "check_split",
    "explain",
    "hookimpl",
    "make_instance",
    "query",
    "top_b",
    "utilities",
]


def __getattr__(name: str) -> Any:
    """Public names and packages, fetched when first asked for: a Tab asks for none."""
    if name.startswith("_"):
        raise AttributeError(name)
    try:
        if name in __all__:
            value = getattr(importlib.import_module(".public", __name__), name)
        else:
            value = importlib.import_module(f".{name}", __name__)
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

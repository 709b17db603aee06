"""goralx: goal-oriented active learning, with goals, strategies and data as plugins.

As a library: `query` says what to label next, `utilities` what each sample is worth, `explain` why.
For plugins: the base classes below and `hookimpl`. As a program: ``python -m goralx --help``.
"""

from .components import (
    Array,
    BatchRule,
    Dataset,
    DesignGoal,
    Direction,
    FirstOrderEstimator,
    Goal,
    LabelOperator,
    LogitGoal,
    PredictionGoal,
    Query,
    Selection,
    Strategy,
    TrackedRun,
    Tracker,
    Utilities,
    UtilityEstimator,
    top_b,
)
from .data import Features, Instance, Labelled, Labels, Rows
from .errors import BadInput, GoralxError, Incompatible, PluginError, RunFailed, UnknownName
from .experiment import Experiment, Stop
from .explanation import Explanation
from .goal_utility import GoalOrientedUtility, Scores
from .hookspecs import hookimpl
from .library import explain, query, utilities
from .models import CurvedModel, FittedModel, Model
from .passes import Engine, Local, Portable
from .registry import build
from .rounds import Round
from .samples import Candidates, Reference
from .splits import check_split, make_instance
from .views import View

__version__ = "0.1.0"

__all__ = [
    "Array",
    "BadInput",
    "BatchRule",
    "Candidates",
    "CurvedModel",
    "Dataset",
    "DesignGoal",
    "Direction",
    "Engine",
    "Experiment",
    "Explanation",
    "Features",
    "FirstOrderEstimator",
    "FittedModel",
    "Goal",
    "GoalOrientedUtility",
    "GoralxError",
    "Incompatible",
    "Instance",
    "LabelOperator",
    "Labelled",
    "Labels",
    "Local",
    "LogitGoal",
    "Model",
    "PluginError",
    "Portable",
    "PredictionGoal",
    "Query",
    "Reference",
    "Round",
    "Rows",
    "RunFailed",
    "Scores",
    "Selection",
    "Stop",
    "Strategy",
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

"""goralx: goal-oriented active learning, with goals, strategies and data as plugins.

As a library: `query` says what to label next, `utilities` what each sample is worth, `explain` why.
For plugins: the base classes below and `hookimpl`. As a program: ``python -m goralx --help``.
"""

from .contracts import (
    BatchRule,
    Candidates,
    CurvedModel,
    Dataset,
    DesignGoal,
    Direction,
    Engine,
    FirstOrderEstimator,
    FittedModel,
    Goal,
    LabelOperator,
    Local,
    LogitGoal,
    Metric,
    Model,
    Portable,
    PredictionGoal,
    Query,
    Reference,
    Round,
    RunInfo,
    Scores,
    Selection,
    Strategy,
    TrackedRun,
    Tracker,
    Utilities,
    UtilityEstimator,
    hookimpl,
    top_b,
)
from .core import (
    Expansion,
    Solution,
)
from .data import (
    Array,
    Features,
    Instance,
    Labelled,
    Labels,
    Matrix,
    Rows,
    Split,
    View,
    check_split,
    make_instance,
)
from .discovery import (
    build,
)
from .errors import (
    BadInput,
    GoralxError,
    Incompatible,
    PluginError,
    RunFailed,
    UnknownName,
)
from .explanation import (
    Explanation,
)
from .learning import (
    Experiment,
    Stop,
)
from .library import (
    Session,
    Suggestion,
    explain,
    query,
    utilities,
)
from .scoring import (
    GoalOrientedUtility,
)

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
    "Expansion",
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
    "Matrix",
    "Metric",
    "Model",
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
    "Stop",
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

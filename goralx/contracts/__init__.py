"""What a component must say, and what it is told.

Goals, label operators, estimators, strategies, batch rules, models, data sets, metrics, trackers,
engines, stopping rules and oracles, each a class to extend or a protocol to answer; and the values
that travel between them: samples seen through a model, scores, selections, answers, rounds. Asks
the data and the mathematics. Plugins are written against it, all that follows is written in terms
of it.
"""

from .boundary import asking, instance_of, named, number, numbers, origin, places
from .datasets import Dataset, drawn
from .estimators import Direction, FirstOrderEstimator, Utilities, UtilityEstimator
from .goals import DesignGoal, Goal, LogitGoal, PredictionGoal, has_logit_hessian
from .hookspecs import hookimpl, plugin_manager
from .initial_sets import Beginning, Given, InitialSet, begun
from .metrics import Metric
from .models import (
    CurvedModel,
    DifferentiableModel,
    FittedModel,
    Model,
    TravellingModel,
    parameters,
)
from .operators import LabelOperator
from .oracles import ABSTAINED, NOT_ASKED, Answers, Asked, Oracle, Perfect, answered
from .passes import HERE, Engine, Local, Portable, Predictor, keep_freed_memory, pieces_of
from .rounds import Checkpoint, Round
from .runs import CheckedTracker, RunInfo, TrackedRun, Tracker
from .samples import Candidates, Reference
from .scores import Scorer, Scores
from .stopping import Budget, Halt, History, StoppingRule
from .strategies import BatchRule, Query, Selection, Strategy, top_b

__all__ = [
    "ABSTAINED",
    "HERE",
    "NOT_ASKED",
    "Answers",
    "Asked",
    "BatchRule",
    "Beginning",
    "Budget",
    "Candidates",
    "CheckedTracker",
    "Checkpoint",
    "CurvedModel",
    "Dataset",
    "DesignGoal",
    "DifferentiableModel",
    "Direction",
    "Engine",
    "FirstOrderEstimator",
    "FittedModel",
    "Given",
    "Goal",
    "Halt",
    "History",
    "InitialSet",
    "LabelOperator",
    "Local",
    "LogitGoal",
    "Metric",
    "Model",
    "Oracle",
    "Perfect",
    "Portable",
    "PredictionGoal",
    "Predictor",
    "Query",
    "Reference",
    "Round",
    "RunInfo",
    "Scorer",
    "Scores",
    "Selection",
    "StoppingRule",
    "Strategy",
    "TrackedRun",
    "Tracker",
    "TravellingModel",
    "Utilities",
    "UtilityEstimator",
    "answered",
    "asking",
    "begun",
    "drawn",
    "has_logit_hessian",
    "hookimpl",
    "instance_of",
    "keep_freed_memory",
    "named",
    "number",
    "numbers",
    "origin",
    "parameters",
    "pieces_of",
    "places",
    "plugin_manager",
    "top_b",
]

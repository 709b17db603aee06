"""Who else is told of a run: MLflow, the terminal, the process that may be asked to stop.

In come rounds that are on disk already; nothing comes back. Whatever happens to a tracker, the run
goes on.
"""

from .guarded import Guarded
from .mlflow import MlflowTracker, serve, sync
from .progress import Progress, plain_warnings, progress_bar
from .signals import terminable

__all__ = [
    "Guarded",
    "MlflowTracker",
    "Progress",
    "plain_warnings",
    "progress_bar",
    "serve",
    "sync",
    "terminable",
]

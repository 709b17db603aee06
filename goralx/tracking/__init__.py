"""Who else is told of a run: MLflow, the terminal, the process that may be asked to stop.

In come rounds that are on disk already; nothing comes back. Whatever happens to a tracker, the run
goes on.
"""

from .closing import close_sweep, tracked_lines
from .guarded import Guarded
from .ledger import how_far, supersede
from .mlflow import (
    MlflowTracker,
    StoreUnusable,
    Synced,
    absolute_store,
    conclude_sweep,
    fetch_records,
    look,
    records_below,
    serve,
    sync,
)
from .progress import Progress, plain_warnings, progress_bar, steps_bar
from .signals import AFTER_THE_ROUND, Interruptions, terminable

__all__ = [
    "AFTER_THE_ROUND",
    "Guarded",
    "Interruptions",
    "MlflowTracker",
    "Progress",
    "StoreUnusable",
    "Synced",
    "absolute_store",
    "close_sweep",
    "conclude_sweep",
    "fetch_records",
    "how_far",
    "look",
    "plain_warnings",
    "progress_bar",
    "records_below",
    "serve",
    "steps_bar",
    "supersede",
    "sync",
    "terminable",
    "tracked_lines",
]

"""MLflow as a view of the record: flat runs, step = number of labelled samples.

The only package that imports mlflow, and only once something is tracked: it costs seconds. Runs are
addressed by id through a client, because the fluent interface keeps a current experiment and run
that parallel jobs fight over.
"""

from .fetching import fetch_records
from .pages import curves, serve
from .stores import StoreUnusable, absolute_store, default_uri, look
from .sweeps import conclude_sweep
from .syncing import Synced, records_below, sync
from .tracker import MlflowTracker

__all__ = [
    "MlflowTracker",
    "StoreUnusable",
    "Synced",
    "absolute_store",
    "conclude_sweep",
    "curves",
    "default_uri",
    "fetch_records",
    "look",
    "records_below",
    "serve",
    "sync",
]

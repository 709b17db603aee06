"""Trackers: who is told of a run besides its own record on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import goralx
from goralx.tracking import MlflowTracker


@dataclass(frozen=True)
class RecordOnly:
    """Nobody: the run's directory with its tables and figures is all that is kept."""

    def start(self, run: Any) -> None:
        return None


@goralx.hookimpl
def register_trackers(register):
    register("mlflow", MlflowTracker)
    register("csv", RecordOnly)

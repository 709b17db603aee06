"""Trackers: who is told of a run besides its own record on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import goralx
from goralx.tracking import MlflowTracker


class Untracked(goralx.TrackedRun):
    def log_round(self, row: Mapping[str, float]) -> None:
        pass

    def finish(
        self, status: Literal["finished", "failed", "killed"], summary: Mapping[str, Any]
    ) -> None:
        pass


@dataclass(frozen=True)
class RecordOnly:
    """Nobody: the run's directory with its tables and figures is all that is kept."""

    def start(self, run: Any) -> Untracked:
        return Untracked()


@goralx.hookimpl
def register_trackers(register):
    register("mlflow", MlflowTracker)
    register("csv", RecordOnly)

"""Trackers are told of a run after it is on disk; whatever happens to them, the run goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

from goralx.contracts import RunInfo, TrackedRun, Tracker

from .progress import say

T = TypeVar("T")


class Guarded(TrackedRun):
    """A tracked run that is let go at its first error, with one line that says how to catch up."""

    def __init__(self, tracker: Tracker, run: RunInfo) -> None:
        self._tracker, self._info = tracker, run
        self._run: TrackedRun | None = None

    def start(self) -> None:
        self._run = self._guard(lambda: self._tracker.start(self._info))

    def log_round(self, row: Mapping[str, float]) -> None:
        run = self._run
        if run is not None:
            self._guard(lambda: run.log_round(row))

    def finish(
        self, status: Literal["finished", "failed", "killed"], summary: Mapping[str, Any]
    ) -> None:
        run = self._run
        if run is not None:
            self._guard(lambda: run.finish(status, summary))

    def _guard(self, call: Callable[[], T]) -> T | None:
        """A tracker may raise anything: a network's, a database's or a plugin's error."""
        try:
            return call()
        except Exception as error:
            self._run = None
            cause = " ".join(str(error).split())[:200]
            say(
                f"goralx: warning: tracking stopped ({type(error).__name__}: {cause}) · the run "
                f"goes on and is recorded · `goralx sync {self._info.directory}` catches up"
            )
            return None

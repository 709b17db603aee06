"""Trackers are told of a run after it is on disk; whatever happens to them, the run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from goralx.contracts import RunInfo, TrackedRun, Tracker

from .ledger import last_recorded, note
from .progress import say

PAUSE, RATIO = 30.0, 10.0
"""A tracker that was lost is tried again after these seconds, or these times what its loss took."""


class Guarded(TrackedRun):
    """A tracked run that is let go when it breaks and taken up again when it comes back.

    What was told is in the record's ledger at any time (`goralx.tracking.ledger`).
    """

    def __init__(self, tracker: Tracker, run: RunInfo) -> None:
        self._tracker, self._info = tracker, run
        self._run: TrackedRun | None = None
        self._lost, self._again = False, 0.0

    def start(self) -> None:
        with self._guarded():
            self._begin()

    def log_round(self, row: Mapping[str, float]) -> None:
        run = self._run
        if self._lost and time.monotonic() >= self._again:
            self._come_back(lambda: None)
        elif run is not None:
            with self._guarded():
                run.log_round(row)
                note(self._info.directory, n_labelled=int(row["n_labelled"]))

    def finish(
        self, status: Literal["finished", "failed", "killed"], summary: Mapping[str, Any]
    ) -> None:
        def end() -> None:
            if self._run is not None:
                self._run.finish(status, summary)
                note(self._info.directory, state="complete")

        if self._lost:
            self._come_back(end)
        else:
            with self._guarded():
                end()

    def _begin(self) -> None:
        """The tracker reads in the record what it has missed."""
        self._run = self._tracker.start(self._info)
        if self._run is not None:
            told = last_recorded(self._info.directory)
            note(
                self._info.directory, **self._named, state="following", n_labelled=told, error=None
            )

    def _come_back(self, then: Callable[[], None]) -> None:
        with self._guarded():
            self._begin()
            then()
            self._lost = False
            say("goralx: tracking is back, and nothing is missing")

    @property
    def _named(self) -> dict[str, str]:
        configured = self._info.config.get("tracker") or {}
        return {"tracker": str(configured.get("name") or type(self._tracker).__name__)}

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """A tracker may raise anything: a network's, a database's or a plugin's error."""
        began = time.monotonic()
        try:
            yield
        except Exception as error:
            cause = f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
            self._let_go(cause)
            if not self._lost:
                say(
                    f"goralx: warning: tracking stopped ({cause}) · the run goes on and is "
                    f"recorded · `goralx sync {self._info.directory}` catches up"
                )
            self._lost = True
            now = time.monotonic()
            self._again = now + max(PAUSE, RATIO * (now - began))
        except BaseException:  # Ctrl-C, SIGTERM
            self._let_go("interrupted")
            raise

    def _let_go(self, cause: str) -> None:
        self._run = None
        note(self._info.directory, **self._named, state="lost", error=cause)

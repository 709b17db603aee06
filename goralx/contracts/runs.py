"""What is told of a run to whoever follows it, and the contract of who does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable


@dataclass(frozen=True)
class RunInfo:
    """Which run this is: where it is kept, its resolved configuration, and the tags it goes by.

    ``inputs`` is the hash of options and data, ``sources`` those of the code in use, by name.
    """

    directory: Path
    name: str
    config: Mapping[str, Any]
    tags: Mapping[str, str]
    inputs: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)


class TrackedRun(ABC):
    """One run as a tracker follows it: told after each round is on disk, and how it ended."""

    @abstractmethod
    def log_round(self, row: Mapping[str, float]) -> None:
        """A row of ``rounds.csv``; its step is ``row["n_labelled"]``, NaN means nothing to say."""

    @abstractmethod
    def finish(
        self, status: Literal["finished", "failed", "killed"], summary: Mapping[str, Any]
    ) -> None:
        """The record is complete on disk; ``summary`` is ``summary.json``."""


@runtime_checkable
class Tracker(Protocol):
    """Somebody else who is told of a run; the record on disk does not depend on any.

    What can be known to be missing before a run is begun, `CheckedTracker` says.
    """

    def start(self, run: RunInfo) -> TrackedRun | None:
        """Begin to follow a run, or take up one that is known by ``run.directory``.

        A run is taken up when it is resumed, and when the tracker was lost and is tried again: what
        it missed meanwhile is in ``rounds.csv``. None: nobody is to be told.
        """


@runtime_checkable
class CheckedTracker(Tracker, Protocol):
    """A tracker that knows beforehand where it cannot be told of any run."""

    def check(self) -> None:
        """Raise `BadInput` that names the remedy, before anything is written of a new run."""

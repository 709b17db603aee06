"""A broken tracker and a broken engine for each of their checks, and sound ones to set out from."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from goralx import TrackedRun

# --- trackers --------------------------------------------------------------------------------


@dataclass(frozen=True)
class SoundTracker:
    """Keeps a line for each round of each run, and takes runs up."""

    def start(self, run):
        return Lines(Path(f"{run.name}.lines"))


@dataclass(frozen=True)
class Lines(TrackedRun):
    path: Path

    def log_round(self, row):
        known = self.path.read_text().splitlines() if self.path.exists() else []
        self.path.write_text("\n".join([*known, str(row["n_labelled"])]))

    def finish(self, status, summary):
        self.path.with_suffix(".end").write_text(status)


@dataclass(frozen=True)
class NoStart:
    """Would be told, but nobody knows how."""


@dataclass(frozen=True)
class GivesAName(SoundTracker):
    """Returns what is no run."""

    def start(self, run):
        return run.name


@dataclass(frozen=True)
class NothingUnmeasured(SoundTracker):
    """Cannot say NaN as a whole number."""

    def start(self, run):
        return Whole(Path(f"{run.name}.lines"))


class Whole(Lines):
    def log_round(self, row):
        [int(value) for value in row.values()]


@dataclass(frozen=True)
class LastRound(SoundTracker):
    """Goes by a round that there may not be."""

    def start(self, run):
        return Last(run.directory)


class Last(Lines):
    def log_round(self, row):
        pass

    def finish(self, status, summary):
        self.path.joinpath("rounds.csv").read_text().splitlines()[1]


@dataclass(frozen=True)
class OnlyOnce(SoundTracker):
    """Takes up no run that it knows."""

    def start(self, run):
        path = Path(f"{run.name}.begun")
        with path.open("x"):
            return Lines(path)


@dataclass(frozen=True)
class EndsForGood(SoundTracker):
    """Takes up no run that it saw finished."""

    def start(self, run):
        path = Path(f"{run.name}.lines")
        if path.with_suffix(".end").exists():
            raise RuntimeError("has ended")
        return Lines(path)


FOLLOWED: list[str] = []


@dataclass(frozen=True)
class OneAtATime(SoundTracker):
    """A global says which run it is."""

    def start(self, run):
        FOLLOWED[:] = [run.name]
        return Only(Path(run.name))


class Only(Lines):
    def log_round(self, row):
        if [self.path.name] != FOLLOWED:
            raise RuntimeError("of another run")

    def finish(self, status, summary):
        pass


@dataclass(frozen=True)
class TidiesUp(SoundTracker):
    """Removes from the record what it has taken over."""

    def start(self, run):
        run.directory.joinpath("rounds.csv").unlink()
        return super().start(run)


@dataclass(frozen=True)
class WritesTags(SoundTracker):
    """Puts its own tags among the run's."""

    def start(self, run):
        run.tags["mine"] = "yes"
        return super().start(run)


@dataclass(frozen=True)
class DropsKeys(SoundTracker):
    """Takes keys out of the row it is told."""

    def start(self, run):
        return Popping(Path(f"{run.name}.lines"))


class Popping(Lines):
    def log_round(self, row):
        row.pop("round")


@dataclass(frozen=True)
class Seeds(SoundTracker):
    """Seeds the global generator, for names of its own."""

    def start(self, run):
        np.random.seed(0)  # noqa: NPY002 - what is to be found
        return super().start(run)


@dataclass(frozen=True)
class Moves(SoundTracker):
    """Works from the run's directory."""

    def start(self, run):
        os.chdir(run.directory)
        return super().start(run)


TRACKERS = {
    "check_is_tracker": NoStart(),
    "check_is_told": NothingUnmeasured(),
    "check_run_without_a_round": LastRound(),
    "check_takes_up_a_run": OnlyOnce(),
    "check_takes_up_a_finished_run": EndsForGood(),
    "check_runs_side_by_side": OneAtATime(),
    "check_record_untouched": TidiesUp(),
    "check_arguments_untouched": WritesTags(),
    "check_process_untouched": Seeds(),
}

# --- engines ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class SoundEngine:
    """Three pieces, one after the other."""

    remote: ClassVar[bool] = False

    @property
    def pieces(self):
        return 3

    def map(self, function, pieces, what):
        for piece in pieces:
            yield function(piece)


@dataclass(frozen=True)
class Nowhere(SoundEngine):
    """Does not say whether things leave the process."""

    remote: ClassVar[str] = "no"


@dataclass(frozen=True)
class Backwards(SoundEngine):
    """The last piece first."""

    def map(self, function, pieces, what):
        return map(function, pieces[::-1])


@dataclass(frozen=True)
class GoesOn(SoundEngine):
    """Leaves out whatever fails."""

    def map(self, function, pieces, what):
        for piece in pieces:
            try:
                yield function(piece)
            except Exception:
                continue


@dataclass(frozen=True)
class Wraps(SoundEngine):
    """Says in other words what was raised."""

    def map(self, function, pieces, what):
        try:
            yield from map(function, pieces)
        except Exception as error:
            raise RuntimeError("a worker is lost") from error


@dataclass(frozen=True)
class Queue(SoundEngine):
    """Keeps what was not read for the next pass."""

    left: list[int] = field(default_factory=list)

    def map(self, function, pieces, what):
        self.left.extend(function(piece) for piece in pieces)
        while self.left:
            yield self.left.pop(0)


@dataclass(frozen=True)
class Averages(SoundEngine):
    """Rounds what comes back."""

    def map(self, function, pieces, what):
        for piece in pieces:
            yield [rounded(found) for found in function(piece)]


def rounded(found):
    if not hasattr(found, "values"):
        return found
    values = tuple(float(np.float16(value)) for value in found.values)
    return type(found)(found.size, values, found.pulled, found.log_P)


ENGINES = {
    "check_is_engine": Nowhere(),
    "check_order": Backwards(),
    "check_failures_are_told": GoesOn(),
    "check_asked_again": Queue(),
    "check_passes": Averages(),
}

ALSO = [
    ("tracker", "check_is_told", GivesAName()),
    ("tracker", "check_arguments_untouched", DropsKeys()),
    ("tracker", "check_process_untouched", Moves()),
    ("engine", "check_failures_are_told", Wraps()),
]

__all__ = ["ALSO", "ENGINES", "TRACKERS", "SoundEngine", "SoundTracker"]

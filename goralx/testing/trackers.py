"""What a tracker promises: to follow a run, to take it up again, and to change nothing of it.

It is told of records made for the purpose, in a folder that is gone with the process; a store or
file whose place it finds by the working directory is there as well.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np

from goralx.contracts import RunInfo, TrackedRun, Tracker
from goralx.records import write_csv, write_json, write_npz

from .common import Check, global_generators_unused

NUMBER = count()
CONFIG = {
    "dataset": {"name": "made", "label": "Größe", "exclude": ["a", "b"], "path": None},
    "goal": {"name": "ent"},
    "n_queries": 30,
    "tracker": {"name": "made"},
}
Status = Literal["finished", "failed", "killed"]


@dataclass(frozen=True)
class Told:
    """A record of three rounds that a tracker is told of, one round after another."""

    tracker: Tracker
    info: RunInfo

    @classmethod
    def of(cls, tracker: Tracker) -> Told:
        """A new run."""
        number = next(NUMBER)
        directory = scratch() / f"run {number}"
        tags = {"fingerprint": f"{number:032x}", "goal": "ent", "operator": "max"}
        tags |= {"strategy": "goral", "utility": "influence", "dataset": "made", "seed": "0"}
        tags |= {"uses_ground_truth": "false"}
        named = {f"goralx.{name}": value for name, value in tags.items()}
        (directory / ".hydra").mkdir(parents=True)
        (directory / ".hydra" / "config.yaml").write_text("goal:\n  name: ent\n", encoding="utf-8")
        rows = np.arange(60)
        parts = {"init": rows[:10], "pool": rows[10:40], "test": rows[40:], "dev": rows[:0]}
        write_npz(directory / "instance.npz", parts)
        told = cls(tracker, RunInfo(directory, f"made-{number}", deepcopy(CONFIG), named))
        told.record(0, "running")
        return told

    def record(self, n_rounds: int, status: str) -> dict[str, Any]:
        """What is on disk after so many rounds, before the first no table; returns the summary."""
        values = (self.row(r).values() for r in range(n_rounds))
        lines = [["" if v != v else v for v in of_round] for of_round in values]
        if lines:
            write_csv(self.info.directory / "rounds.csv", [[*self.row(0)], *lines])
        summary = {
            "status": status, "name": self.info.name, "started": "2026-01-01T00:00:00+00:00",
            "tags": dict(self.info.tags), "config": dict(self.info.config), "metric": "accuracy",
            "test": {"accuracy": 0.8}, "full_pool": None, "aulc": 0.75, "n_init": 10,
            "n_queries": 20, "dev_labels_used": 0, "seconds": {"total": 3.0},
            "labels_needed": {"80%": 20, "90%": None},
        }  # fmt: skip
        return write_json(self.info.directory / "summary.json", summary)

    def row(self, r: int) -> dict[str, float]:
        """A row of ``rounds.csv``; what was not measured is NaN."""
        return {
            "round": float(r), "n_labelled": 10.0 + 10 * r, "test/accuracy": 0.7 + 0.05 * r,
            "goal/ent": -100.0 / (r + 1), "change/realised": 5.0 if r else float("nan"),
            "audit/pearson": float("nan"), "seconds/total": 1.0 + r,
        }  # fmt: skip

    def start(self) -> TrackedRun | None:
        """Begin to follow, or take up; None for a tracker that tells nobody."""
        run: Any = self.tracker.start(self.info)
        assert run is None or isinstance(run, TrackedRun), (
            f"start returns {run!r}; return an object that extends goralx.TrackedRun, or None"
        )
        return run

    def round(self, run: TrackedRun | None, r: int) -> None:
        """A round is put on disk, then told."""
        self.record(r + 1, "running")
        if run is not None:
            run.log_round(self.row(r))

    def finish(self, run: TrackedRun | None, status: Status, n_rounds: int = 3) -> None:
        summary = self.record(n_rounds, status)
        if run is not None:
            run.finish(status, summary)


def check_is_tracker(tracker: Tracker) -> None:
    """A tracker has ``start``, which takes the run."""
    name = type(tracker).__name__
    assert isinstance(tracker, Tracker) and callable(tracker.start), (
        f"{name} has no method start(run); it begins to follow a run, and returns a "
        "goralx.TrackedRun or None"
    )


def check_is_told(tracker: Tracker) -> None:
    """A run is told from its start to its end, however it ends; NaN means nothing to say."""
    for status in ("finished", "failed", "killed"):
        told = Told.of(tracker)
        with elsewhere(), in_one_piece(f"of a run that is {status}"):
            run = told.start()
            for r in range(3):
                told.round(run, r)
            told.finish(run, status)


def check_run_without_a_round(tracker: Tracker) -> None:
    """A run that fails before its first round is told, too."""
    told = Told.of(tracker)
    with elsewhere(), in_one_piece("of a run without a round"):
        told.finish(told.start(), "failed", 0)


def check_takes_up_a_run(tracker: Tracker) -> None:
    """A run that was left in the middle, with rounds it was not told of, is taken up by ``start``.

    So it is after a kill, and when the tracker was lost for a while.
    """
    told = Told.of(tracker)
    with elsewhere(), in_one_piece("of a run that was left without a word"):
        told.round(told.start(), 0)
        told.record(2, "running")  # the second round comes while nobody listens
        run = told.start()
        told.round(run, 2)
        told.finish(run, "killed")
    with elsewhere(), in_one_piece("of a run that was killed, and is resumed"):
        run = told.start()
        told.round(run, 2)
        told.finish(run, "finished")


def check_takes_up_a_finished_run(tracker: Tracker) -> None:
    """A run that is finished and told already may be told again: ``goralx resume`` does."""
    told = Told.of(tracker)
    for _ in range(3):
        with elsewhere(), in_one_piece("of a finished run, once more"):
            run = told.start()
            told.finish(run, "finished")


def check_runs_side_by_side(tracker: Tracker) -> None:
    """Two runs are followed at the same time, by the same tracker and by another one like it."""
    two = Told.of(tracker), Told.of(deepcopy(tracker))
    with elsewhere(), in_one_piece("of two runs at the same time"):
        runs = [told.start() for told in two]
        for r in range(3):
            for told, run in zip(two, runs):
                told.round(run, r)
        for told, run in zip(two, runs):
            told.finish(run, "finished")


def check_record_untouched(tracker: Tracker) -> None:
    """What a run has written is left as it is: the record is the truth, a tracker a view of it."""
    told = Told.of(tracker)
    summary = told.record(3, "finished")
    before = contents(told.info.directory)
    with elsewhere():
        run = told.start()
        if run is not None:
            run.log_round(told.row(2))
            run.finish("finished", summary)
    after = contents(told.info.directory)
    changed = [name for name, content in before.items() if after.get(name) != content]
    assert not changed, (
        f"it changes or removes {changed[0]} of the run's directory; keep what is yours elsewhere"
    )


def check_arguments_untouched(tracker: Tracker) -> None:
    """Configuration, tags, rows and the summary are others' as well, and stay as they are."""
    told = Told.of(tracker)
    kept = deepcopy(told.info)
    with elsewhere():
        run = told.start()
        row, summary = told.row(1), told.record(2, "finished")
        given = deepcopy((row, summary))
        if run is not None:
            run.log_round(row)
            run.finish("finished", summary)
    for name in ("config", "tags"):
        same = getattr(told.info, name) == getattr(kept, name)
        assert same, f"it writes into run.{name}; work on a copy"
    assert repr(row) == repr(given[0]), "it writes into the row it is told; work on a copy"
    assert summary == given[1], "it writes into the summary; work on a copy"


def check_process_untouched(tracker: Tracker) -> None:
    """Generators, working directory and handlers of signals are the run's, and stay as they are."""
    told = Told.of(tracker)
    watched = (signal.SIGINT, signal.SIGTERM)
    with elsewhere(), global_generators_unused():
        place, handlers = os.getcwd(), [signal.getsignal(s) for s in watched]
        run = told.start()
        told.round(run, 0)
        told.finish(run, "finished")
        there, now = os.getcwd(), [signal.getsignal(s) for s in watched]
    assert there == place, f"it changes the working directory, to {there}"
    assert now == handlers, "it takes SIGINT or SIGTERM; those end the run in order"


@cache
def scratch() -> Path:
    """A folder for this process, gone when it ends."""
    folder = Path(tempfile.mkdtemp(prefix="goralx-tracker-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextmanager
def elsewhere() -> Iterator[None]:
    """In the scratch folder, and with no store named that is somebody's: nothing else is told."""
    named = {k: os.environ.pop(k) for k in [*os.environ] if k.startswith("MLFLOW_TRACKING_")}
    try:
        with chdir(scratch()):
            yield
    finally:
        os.environ.update(named)


@contextmanager
def in_one_piece(which: str) -> Iterator[None]:
    """Whatever a tracker raises is a finding."""
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(
            f"told {which} it raises {type(error).__name__}: {error}; a run goes on without it"
        ) from error


def contents(directory: Path) -> dict[str, bytes]:
    """The files of a record but the trackers' ledger, by name."""
    files = (p for p in sorted(directory.rglob("*")) if p.is_file())
    return {
        str(p.relative_to(directory)): p.read_bytes() for p in files if p.name != "tracking.json"
    }


CHECKS: tuple[Check, ...] = (
    check_is_tracker,
    check_is_told,
    check_run_without_a_round,
    check_takes_up_a_run,
    check_takes_up_a_finished_run,
    check_runs_side_by_side,
    check_record_untouched,
    check_arguments_untouched,
    check_process_untouched,
)

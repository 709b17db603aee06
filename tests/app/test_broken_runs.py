"""What ends a run that has begun: one line, exit status 2, and how to go on."""

from __future__ import annotations

import errno
import json
import resource
from contextlib import contextmanager

import pytest

from goralx.app.reporting import in_a_line
from goralx.core import NotConverged
from goralx.learning import Experiment
from goralx.records import Record
from tests.program import SHORT, call

WORDS = (*SHORT, "strategy=goral", "ceiling=false", "figures=false", "audit.every=0")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def curve(directory):
    lines = (directory / "rounds.csv").read_text().splitlines()
    names = lines[0].split(",")
    kept = [i for i, name in enumerate(names) if not name.startswith("seconds/")]
    return [[line.split(",")[i] for i in kept] for line in lines]


def refused(outcome, *says):
    assert outcome.status == 2 and len(outcome.errors) == 1, outcome
    assert outcome.err.startswith("goralx: ") and "TRACEBACK" not in outcome.err
    for text in says:
        assert text in outcome.err, outcome.err


@contextmanager
def no_room_beyond(size):
    """Files cannot grow beyond so many bytes: what a full disk does, without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_in_mid_run_can_be_gone_on_from(here, capsys):
    words = (*WORDS, "batch_size=1", "n_queries=20")  # what grows by the round is the largest
    assert call(capsys, *words, "hydra.run.dir=whole").status == 0
    sizes = {p.name: p.stat().st_size for p in (here / "whole").rglob("*") if p.is_file()}
    limit = 1000 + max(n for name, n in sizes.items() if name not in ("seals.jsonl", "rounds.csv"))
    assert limit < sizes["seals.jsonl"]
    with no_room_beyond(limit):
        outcome = call(capsys, *words, "hydra.run.dir=cut")
    refused(outcome, "cut", "File too large", "make room", "goralx resume cut")
    assert call(capsys, "resume", "cut").status == 0
    assert curve(here / "cut") == curve(here / "whole")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES])
def test_whatever_the_disk_says_it_is_a_line(code, here, capsys, monkeypatch):
    original, told = Record.append, []

    def append(self, round, row):
        if told:
            raise OSError(code, "said the disk")
        told.append(round)
        original(self, round, row)

    monkeypatch.setattr(Record, "append", append)
    refused(call(capsys, *WORDS, "hydra.run.dir=run"), "said the disk", "goralx resume run")


def test_a_disk_that_cannot_even_take_the_ending_leaves_it_running(here, capsys, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    original = Record.append

    def append(self, round, row):
        original(self, round, row)
        monkeypatch.setattr(Record, "write_summary", full)
        monkeypatch.setattr(Record, "append", full)

    monkeypatch.setattr(Record, "append", append)
    refused(call(capsys, *WORDS, "hydra.run.dir=run"), "No space left", "goralx resume run")
    assert json.loads((here / "run" / "summary.json").read_text())["status"] == "running"
    monkeypatch.undo()
    monkeypatch.chdir(here)
    assert call(capsys, "resume", "run").status == 0


def test_a_fit_that_does_not_converge_later_names_the_record(here, capsys, monkeypatch):
    original = Experiment._round

    def late(self, state, *more):
        if state.index == 1:
            raise NotConverged("no optimum after 100 steps; lower C")
        return original(self, state, *more)

    monkeypatch.setattr(Experiment, "_round", late)
    outcome = call(capsys, *WORDS, "hydra.run.dir=run")
    refused(outcome, "no optimum after 100 steps; lower C", "goralx resume run")


@pytest.mark.parametrize(
    "error, says",
    [
        (ModuleNotFoundError("No module named 'psycopg2'", name="psycopg2"), "psycopg2"),
        (MemoryError("Unable to allocate 8 PiB"), "memory is short (Unable to allocate 8 PiB)"),
        (OSError(errno.ENOSPC, "No space left on device"), "make room"),
        (OSError(errno.EISDIR, "Is a directory", "x"), "x: Is a directory"),
    ],
)
def test_what_a_user_can_mend_is_a_line(error, says):
    status, line = in_a_line(error)
    assert status == 2 and says in line and "TRACEBACK" not in line


def test_what_a_user_cannot_mend_says_how_to_see_where():
    status, line = in_a_line(KeyError("x"))
    assert status == 1 and line == "KeyError: 'x' · GORALX_TRACEBACK=1 shows where"


@pytest.mark.parametrize("key", ["n_queries", "threads", "dev.fraction", "audit.size", "guard"])
def test_an_option_without_a_value_is_named(key, here, capsys):
    refused(call(capsys, *WORDS, f"{key}=???"), key, "needs a value")

"""Whatever is asked of a run while it ends, its record and its tracker are told the truth."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from goralx.contracts import TrackedRun
from goralx.records import read_rounds, read_summary
from goralx.tracking import terminable
from tests import runs

ALL = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT]


class Told(TrackedRun):
    """A tracker that is asked to stop while it is told how a run ended."""

    def __init__(self, *signals):
        self.signals, self.ends = signals, []

    def start(self, run):
        return self

    def log_round(self, row):
        pass

    def finish(self, status, summary):
        for number in self.signals:
            os.kill(os.getpid(), number)
        self.ends.append(status)


def sending(number, at):
    def observe(round):
        if round.index == at:
            os.kill(os.getpid(), number)
        return {}

    return observe


@pytest.mark.parametrize("number", ALL)
def test_a_second_signal_while_things_are_put_in_order_changes_nothing(number, tmp_path, capfd):
    before = [signal.getsignal(n) for n in ALL]
    told, directory = Told(*ALL), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit) as raised:
        runs.run(directory, runs.experiment(), told, sending(number, 3))
    if number != signal.SIGINT:
        assert raised.value.code == 128 + number
    assert told.ends == ["killed"] and read_summary(directory)["status"] == "killed"
    assert len(read_rounds(directory)["round"]) == 3
    assert capfd.readouterr().err.count("ending already") == len(ALL)
    assert [signal.getsignal(n) for n in ALL] == before
    assert runs.resume(directory, runs.experiment())["status"] == "finished"


@pytest.mark.parametrize("number", ALL)
def test_a_signal_while_a_finished_run_is_tracked_waits_for_that(number, tmp_path, capfd):
    told, directory = Told(number, number), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit):
        runs.run(directory, runs.experiment(n_queries=5), told)
    assert told.ends == ["finished"] and read_summary(directory)["status"] == "finished"
    assert "finished run is put down and tracked" in capfd.readouterr().err


def test_usr1_ends_the_run_once_the_round_is_finished(tmp_path):
    told, directory = Told(), tmp_path / "run"
    with pytest.raises(SystemExit) as raised:
        runs.run(directory, runs.experiment(), told, sending(signal.SIGUSR1, 3))
    assert raised.value.code == 128 + signal.SIGUSR1
    assert told.ends == ["killed"] and len(read_rounds(directory)["round"]) == 4
    whole = runs.run(tmp_path / "whole", runs.experiment())
    assert runs.resume(directory, runs.experiment())["aulc"] == whole["aulc"]


def test_usr1_in_the_last_round_lets_the_run_finish(tmp_path):
    told = Told()
    experiment = runs.experiment(n_queries=10)
    last = experiment.n_rounds - 1
    runs.run(tmp_path / "run", experiment, told, sending(signal.SIGUSR1, last))
    assert told.ends == ["finished"]


def test_what_is_ignored_stays_ignored():
    """As under nohup."""
    earlier = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with terminable():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, earlier)


def test_outside_the_main_thread_things_stay_as_they_are():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def work():
        with terminable() as asked:
            seen.append(signal.getsignal(signal.SIGTERM))
            asked.between_rounds()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_whoever_waits_for_others_is_told_which_signal_it_was():
    told = []
    with pytest.raises(SystemExit), terminable(told.append, at_once=True):
        os.kill(os.getpid(), signal.SIGUSR1)
    assert told == [signal.SIGUSR1]


def test_what_is_held_is_let_go_where_an_error_ends_it_anyway():
    with pytest.raises(ZeroDivisionError), terminable() as asked, asked.held():
        os.kill(os.getpid(), signal.SIGTERM)
        raise ZeroDivisionError

"""A sweep loses nothing: given again, it does what is missing and nothing else, whoever helps."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goralx.app import existing, naming, objective, runner, session, shared, sweep_folder
from goralx.discovery import registry
from goralx.errors import BadInput, UnknownName
from tests.program import call, runs

FEW = (
    "dataset=iris",
    "n_queries=10",
    "tracker=csv",
    "progress=false",
    "figures=false",
    "report=false",
)
SWEEP = ("-m", *FEW, "strategy=random,uncertainty", "seed=0,1")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GORALX_TRACEBACK", raising=False)
    return tmp_path


def counts(done) -> str:
    """The last line, without the folder."""
    return done.out.splitlines()[-1].partition(" · ")[0]


def contents(here: Path) -> dict[Path, bytes]:
    files = (p for d in runs(here) for p in d.rglob("*") if p.is_file() and p.name != ".lock")
    return {p: p.read_bytes() for p in files}


def failing(monkeypatch, how, at):
    """Rounds of runs for which ``at`` says so end by ``how``, from the third on."""
    whole = runner._rows

    def rows(rounds, observe, clock):
        for i, row in enumerate(whole(rounds, observe, clock)):
            if i == 1 and at(rounds):
                how()
            yield row

    monkeypatch.setattr(runner, "_rows", rows)


def raising(error):
    def how():
        raise error

    return how


def test_the_same_command_again_finds_its_sweep_and_does_nothing(here, capsys):
    first = call(capsys, *SWEEP)
    assert counts(first) == "sweep: 4 done, 0 skipped, 0 resumed, 0 failed"
    assert "job 3 of 4 (" in first.out
    before = contents(here)
    again = call(capsys, *SWEEP, "threads=2", "on_existing=resume")  # not what a sweep is
    assert again.status == 0
    assert counts(again) == "sweep: 0 done, 4 skipped, 0 resumed, 0 failed"
    assert contents(here) == before
    folder = sweep_folder.SweepFolder(runs(here)[0].parent)
    (command,) = folder.commands()
    assert set(SWEEP) <= set(command["words"]) and command["directory"] == str(here)
    assert folder.runs() == runs(here)


def test_what_is_missing_is_done_and_nothing_else(here, capsys, monkeypatch):
    with monkeypatch.context() as patched:
        count = iter(range(9))
        failing(patched, raising(KeyboardInterrupt()), lambda _: next(count) == 2)
        cut = call(capsys, *SWEEP)
    assert cut.status == 130
    assert counts(cut) == "sweep: 2 done, 0 skipped, 0 resumed, 0 failed, 1 interrupted"
    assert "goralx resume outputs/sweeps/" in cut.errors[-1]
    asked = call(capsys, *SWEEP, "--dry-run")
    said = [line.partition("): ")[2].partition(" · ")[0] for line in asked.out.splitlines()]
    assert said == ["would skip: finished before"] * 2 + [
        "would resume: interrupted before", "would run: not run yet"
    ]  # fmt: skip
    assert len(runs(here)) == 3 and asked.status == 0
    there = call(capsys, "resume", str(runs(here)[0].parent))
    assert there.status == 0
    assert counts(there) == "sweep: 1 done, 2 skipped, 1 resumed, 0 failed"
    whole = call(capsys, *SWEEP, "hydra.sweep.dir=whole")
    assert whole.status == 0
    for one, other in zip(runs(here / "outputs"), runs(here / "whole"), strict=True):
        assert one.name == other.name
        assert (one / "queries.csv").read_bytes() == (other / "queries.csv").read_bytes()


def test_a_failed_run_costs_no_other_and_is_retried_on_request(here, capsys, monkeypatch):
    with monkeypatch.context() as patched:
        count = iter(range(9))
        failing(patched, raising(ZeroDivisionError("a / 0")), lambda _: next(count) == 1)
        cut = call(capsys, *SWEEP)
    assert cut.status == 1 and len(cut.errors) == 1
    assert cut.err.startswith("goralx: job 2 of 4 (") and "a / 0" in cut.err
    assert counts(cut) == "sweep: 3 done, 0 skipped, 0 resumed, 1 failed"
    again = call(capsys, *SWEEP)
    assert again.status == 1 and "a / 0" in again.err and "on_existing=retry" in again.err
    assert counts(again) == "sweep: 0 done, 3 skipped, 0 resumed, 1 failed"
    retried = call(capsys, *SWEEP, "on_existing=retry")
    assert retried.status == 0
    assert counts(retried) == "sweep: 0 done, 3 skipped, 1 resumed, 0 failed"


def test_existing_runs_are_refused_or_run_anew_on_request(here, capsys):
    two = ("-m", *FEW, "strategy=random", "seed=0,1")
    assert call(capsys, *two).status == 0
    refused = call(capsys, *two, "on_existing=error")
    assert refused.status == 2 and len(refused.errors) == 2
    assert "finished before" in refused.err and "on_existing=error" in refused.err
    started = [json.loads((d / "summary.json").read_text())["started"] for d in runs(here)]
    anew = call(capsys, *two, "on_existing=rerun")
    assert counts(anew) == "sweep: 2 done, 0 skipped, 0 resumed, 0 failed"
    after = [json.loads((d / "summary.json").read_text())["started"] for d in runs(here)]
    assert all(a < b for a, b in zip(started, after, strict=True))
    odd = call(capsys, *two, "on_existing=maybe")
    assert odd.status == 2 and "did you mean" not in odd.errors[0]
    assert "error, rerun, resume, retry, skip" in odd.errors[0]


def test_what_is_run_anew_is_kept_until_that_is_done(here, capsys, monkeypatch):
    one = ("-m", *FEW, "strategy=random", "seed=0")
    assert call(capsys, *one).status == 0
    (run,) = runs(here)
    whole = contents(here)
    with monkeypatch.context() as patched:  # refused before there is a new one
        patched.setattr("goralx.app.runner.run", lambda *a, **k: raising(BadInput("no"))())
        assert call(capsys, *one, "on_existing=rerun").status == 2
    assert contents(here) == whole
    with monkeypatch.context() as patched:
        failing(patched, raising(RuntimeError("gone")), lambda rounds: True)
        failed = call(capsys, *one, "on_existing=rerun")
    aside = run.parent / ".jobs" / "replaced" / run.name
    assert failed.status == 1 and f"is kept in {aside.relative_to(here)}" in failed.err
    assert json.loads((run / "summary.json").read_text())["status"] == "failed"
    kept = {aside / path.relative_to(run): content for path, content in whole.items()}
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert call(capsys, "verify", str(run.parent)).out.count("verify") == 0
    assert counts(call(capsys, *one, "on_existing=retry")) == (
        "sweep: 0 done, 0 skipped, 1 resumed, 0 failed"
    )
    assert not aside.exists()
    run.rename(aside)  # as a kill right after that would leave it
    assert counts(call(capsys, *one)) == "sweep: 0 done, 1 skipped, 0 resumed, 0 failed"
    assert run.is_dir() and not aside.exists()


def test_a_damaged_record_is_named_and_costs_no_other(here, capsys):
    two = ("-m", *FEW, "strategy=random", "seed=0,1")
    assert call(capsys, *two).status == 0
    (runs(here)[0] / "summary.json").write_text("{")
    again = call(capsys, *two)
    assert again.status == 2 and "summary.json" in again.err and len(again.errors) == 1
    assert counts(again) == "sweep: 0 done, 1 skipped, 0 resumed, 1 refused, 0 failed"


def test_arms_that_are_the_same_run_are_run_once_even_anew(here, capsys):
    words = ("-m", *FEW, "strategy=random", "goal=ent,fir", "operator=max,min")
    done = call(capsys, *words)
    assert counts(done) == "sweep: 1 done, 0 skipped, 0 resumed, 3 shared, 0 failed"
    assert [d.name.rpartition("_")[0] for d in runs(here)] == ["iris-random-s0"]
    anew = call(capsys, *words, "on_existing=rerun")
    assert counts(anew) == "sweep: 1 done, 0 skipped, 0 resumed, 3 shared, 0 failed"


def test_a_dry_run_writes_nothing(here, capsys):
    done = call(capsys, *SWEEP, "--dry-run")
    assert done.status == 0 and done.out.count("would run: not run yet") == 4
    alone = call(capsys, *FEW, "--dry-run")
    assert alone.status == 0 and "iris-goral-ent-max-s0: would run" in alone.out
    assert list(here.iterdir()) == []


def test_a_folder_may_be_given_to_several_commands(here, capsys):
    words = ("-m", *FEW, "strategy=random", "hydra.sweep.dir=mine")
    assert call(capsys, *words, "seed=0,1").status == 0
    more = call(capsys, *words, "seed=0,1,2")
    assert counts(more) == "sweep: 1 done, 2 skipped, 0 resumed, 0 failed"
    (runs(here)[0] / "summary.json").unlink()  # as a kill leaves it that comes early
    both = call(capsys, "resume", "mine")
    assert both.status == 0 and both.out.count("sweep: ") == 2
    assert counts(both) == "sweep: 0 done, 3 skipped, 0 resumed, 0 failed"


def test_what_cannot_be_resumed_is_refused_in_a_line(here, capsys):
    words = ("-m", *FEW, "strategy=random", "seed=0,1", "hydra.sweep.dir=mine")
    assert call(capsys, *words, "hydra.sweep.subdir=${seed}").status == 2
    assert list(here.iterdir()) == []
    assert call(capsys, *words).status == 0
    other = call(capsys, "resume", "mine", "seed=3")
    assert other.status == 2 and "on_existing=" in other.err
    manifest = here / "mine" / "sweep.json"
    for text, says in [("{", "cannot be read"), ('{"format": 99, "commands": []}', "newer")]:
        manifest.write_text(text)
        refused = call(capsys, "resume", "mine")
        assert refused.status == 2 and says in refused.err and len(refused.errors) == 1
        assert call(capsys, *words).status == 2


def test_two_processes_share_the_jobs_and_do_none_twice(here, capsys):
    words = ("-m", *FEW, "strategy=random,uncertainty", "seed=0,1,2")
    command = [sys.executable, "-m", "goralx", *words]
    both = [
        subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    ended = [p.communicate() for p in both]
    assert [p.returncode for p in both] == [0, 0], [err.decode()[-2000:] for _, err in ended]
    outs = [out.decode() for out, _ in ended]
    assert sum(int(out.rpartition("sweep: ")[2].split()[0]) for out in outs) == 6
    assert len(runs(here)) == 6
    assert counts(call(capsys, *words)) == "sweep: 0 done, 6 skipped, 0 resumed, 0 failed"


def test_a_folder_that_another_process_takes_away_is_none_of_a_jobs(here, capsys, monkeypatch):
    """Between the look whether it is there and its use, whoever else is at the sweep may come."""
    make = os.mkdir

    def made(path, *how, **more):
        try:
            make(path, *how, **more)
        except FileExistsError:
            if Path(path).name.isdecimal():  # what Hydra made for a job was taken away again
                shared.remove_empty(Path(path))
            raise

    monkeypatch.setattr(os, "mkdir", made)
    for number in range(4):
        os.makedirs(here / "mine" / str(number))
    done = call(capsys, *SWEEP, "hydra.sweep.dir=mine")
    assert (done.status, done.err) == (0, "")
    assert counts(done) == "sweep: 4 done, 0 skipped, 0 resumed, 0 failed"


@pytest.mark.slow
def test_many_processes_at_once_share_cheap_jobs_time_and_again(here, capsys):
    """Some find nothing to do, some are refused: nobody takes away what others are at."""
    words = ("-m", *FEW, "strategy=random", "seed=0,1,2", "hydra.sweep.dir=mine")
    refused = ("-m", *FEW, "strategy=random", "model.C=-1", "hydra.sweep.dir=mine")
    for _ in range(3):
        crowd = [
            subprocess.Popen(
                [sys.executable, "-m", "goralx", *asked], cwd=here, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True,
            )
            for asked in (refused, words, refused, words, refused)
        ]  # fmt: skip
        ended = [p.communicate() for p in crowd]
        assert [p.returncode for p in crowd] == [2, 0, 2, 0, 2], [err for _, err in ended]
        done = [int(out.rpartition("sweep: ")[2].split()[0]) for out, _ in ended]
        assert sum(done) == 3 and len(runs(here / "mine")) == 3
        shutil.rmtree(here / "mine")


def test_sigterm_ends_a_sweep_and_the_same_command_goes_on(here, capsys):
    words = ("-m", *FEW[:1], "n_queries=140", "batch_size=1", *FEW[2:], "strategy=random",
             "seed=0,1")  # fmt: skip
    program = subprocess.Popen(
        [sys.executable, "-m", "goralx", *words], cwd=here, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not list(here.rglob("checkpoint.npz")) and program.poll() is None:
        time.sleep(0.01)
    program.send_signal(signal.SIGTERM)
    out, err = program.communicate()
    assert program.returncode == 143 and "1 interrupted" in out
    assert err.count("goralx resume") == 1
    (one,) = runs(here)
    assert json.loads((one / "summary.json").read_text())["status"] == "killed"
    assert counts(call(capsys, *words)) == "sweep: 1 done, 0 skipped, 1 resumed, 0 failed"


# By parts ----------------------------------------------------------------------------------------

FOUND = ["missing", "finished", "interrupted", "failed"]


@given(st.sampled_from(FOUND), st.sampled_from(sorted(existing.CHOICES)))
def test_no_choice_loses_a_run_unasked(found, choice):
    action = existing.plan(found, choice, "why").action
    assert (action == "run") == (found == "missing")
    assert (action == "rerun") == (found != "missing" and choice == "rerun")
    assert (action == "refuse") == (found != "missing" and choice == "error")
    if found == "failed" and choice in ("resume", "retry"):
        assert action == ("leave" if choice == "resume" else "resume")
    if found == "finished" and choice in ("resume", "retry", "skip"):
        assert action == "skip"


OPTIONS = st.lists(
    st.sampled_from(["seed=0,1", "goal=ent", "model.C=1,2", "dataset=wine", "+x=1"]),
    unique=True, min_size=1,
)  # fmt: skip


@given(OPTIONS, st.randoms(use_true_random=False))
def test_a_sweep_is_the_same_in_any_order_and_however_it_is_run(options, chance):
    other = [*options, "on_existing=retry", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2",
             "hydra.sweep.dir=mine", "progress=false"]  # fmt: skip
    chance.shuffle(other)
    assert sweep_folder.identity(other) == sweep_folder.identity(options)
    for one in options:
        fewer = [o for o in options if o != one]
        assert sweep_folder.identity(fewer) != sweep_folder.identity(options)
    assert sweep_folder.identity([*options, "hydra.sweeper.params.seed=3"]) != (
        sweep_folder.identity(options)
    )


@given(st.lists(st.text(min_size=1), max_size=5))
def test_a_sweeps_folder_has_a_name_that_any_file_system_takes(words):
    name = sweep_folder.name(words)
    assert name == name.encode("ascii").decode() and len(name) < 80
    assert not set(name) & set("/\\=,;*?'\" ") and not name.startswith((".", "-"))


def test_the_last_of_two_values_counts():
    assert sweep_folder.identity(["seed=0", "seed=1"]) != sweep_folder.identity(
        ["seed=1", "seed=0"]
    )


def test_how_a_goal_is_measured_counts_also_where_nobody_asks_it():
    found = registry()
    config = {
        "strategy": {"name": "random"}, "model": {}, "dataset": {"name": "iris"},
        "goal": {"name": "fir", "include_intercept": True}, "monitors": ["ent", "fir"],
        "operator": {"name": "max"}, "utility": {}, "batch": {"name": "top"}, "audit": {},
        "batch_size": 1, "n_queries": 1, "seed": 0, "guard": "warn", "stop": {"name": "budget"},
    }  # fmt: skip
    plain = naming.identity(config, found)
    assert naming.identity({**config, "goal": {"name": "ent"}}, found) == plain
    assert naming.identity({**config, "operator": {"name": "min"}}, found) == plain
    odd = {"name": "fir", "include_intercept": False}
    assert naming.identity({**config, "goal": odd}, found) != plain
    asking = {**config, "strategy": {"name": "goral"}}
    assert naming.identity({**asking, "operator": {"name": "min"}}, found) != (
        naming.identity(asking, found)
    )


def test_any_number_of_the_summary_is_an_objective():
    summary = {"aulc": 0.5, "goals": {"ent": -1.0}, "labels_needed": {"90%": None}, "name": "x",
               "config": {"seed": 3}}  # fmt: skip
    assert objective.objective(summary, "goals.ent") == -1.0
    assert objective.objective(summary, ["aulc", "goals.ent"]) == [0.5, -1.0]
    assert str(objective.objective(summary, "labels_needed.90%")) == "nan"
    assert objective.objective(summary, None) is None
    for name in ("name", "config.seed", "aucl"):
        with pytest.raises(UnknownName, match=r"aulc, goals\.ent"):
            objective.objective(summary, name)


def test_a_job_whose_process_is_gone_is_known(here):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    defunct = sweep_folder.Outcome(0, 2, "seed=0", pid=gone.pid)
    while defunct.alive:
        time.sleep(0.01)
    gone.wait()
    assert not defunct.alive and sweep_folder.Outcome(0, 2, "seed=0").alive
    assert sweep_folder.Outcome(0, 2, "", pid=gone.pid, host="another").alive
    log = sweep_folder.SweepFolder(here / "s").session("now")
    log.put(defunct)
    one = session.Session((), (), here / "s", "now")
    assert one.lost() == [defunct]
    one.give_up([defunct])
    assert one.lost() == [] and log.get(0).ending == "failed"


def test_a_claim_is_held_by_one(here):
    folder = sweep_folder.SweepFolder(here)
    with folder.claim("ab" * 32) as mine, folder.claim("ab" * 32) as other:
        assert mine and not other
    with folder.claim("ab" * 32) as later:
        assert later
    assert os.getpid() and folder.session("x").get(0) is None


def test_who_comes_while_another_takes_the_folder_away_has_one(here):
    """However long one of them pauses between its look and what it does."""
    first, second = (sweep_folder.SweepFolder(here / "s") for _ in range(2))
    paused, came = threading.Event(), threading.Event()

    def pausing(*_):
        paused.set()
        came.wait(0.5)

    def leave():
        with pytest.MonkeyPatch.context() as patched:
            rmtree = shutil.rmtree
            patched.setattr(shutil, "rmtree", lambda path: (rmtree(path), pausing()))
            first.leave("a")

    first.begin("a")
    leaving = threading.Thread(target=leave)
    leaving.start()
    assert paused.wait(10)
    second.begin("b")
    came.set()
    leaving.join()
    assert second.session("b").path.is_dir()
    with second.claim("ab" * 32) as mine:
        assert mine
    second.enter(("seed=0",), ("-m", "seed=0"))
    second.session("b").put(sweep_folder.Outcome(0, 1, "seed=0"))
    first.begin("c")
    first.leave("c")  # somebody else is there
    assert second.session("b").path.is_dir() and not first.session("c").path.exists()
    second.leave("b")
    assert list(here.iterdir()) == []


def test_a_folder_without_a_manifest_is_no_sweep(here):
    with pytest.raises(BadInput, match="holds no sweep"):
        sweep_folder.SweepFolder(here).commands()

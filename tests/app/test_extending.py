"""A run with a larger budget than it was begun with ends where it would have with that at once."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from goralx.app import runner
from goralx.app.configuration import recorded
from goralx.app.runner import Extension
from goralx.records import check_configuration, check_whole, read_info, read_rounds, read_summary
from tests import runs
from tests.program import call

from .test_resume import Killed, Saw, assert_equal_records, interrupt, stopping

FAST = (
    "dataset=iris", "batch_size=4", "tracker=csv", "progress=false", "figures=false",
    "ceiling=false", "report=false",
)  # fmt: skip


PLATEAU = ("stop=goal_plateau", "stop.patience=1", "stop.min_change=0.9")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def begun(capsys, folder: str, *words: str) -> None:
    done = call(capsys, *FAST, *words, f"hydra.run.dir={folder}")
    assert done.status == 0, done.err


def gone_on(capsys, folder: str, *words: str) -> None:
    done = call(capsys, "resume", folder, *words)
    assert done.status == 0, done.err


def refused(capsys, folder: str, *words: str) -> str:
    """The one line; nothing has changed."""
    before = {p: p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}
    done = call(capsys, "resume", folder, *words)
    assert done.status == 2 and len(done.errors) == 1, done.err
    assert before == {p: p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}
    return done.err


@pytest.mark.parametrize(
    ("words", "shorter", "longer"),
    [
        (["operator=max"], 20, 30),
        (["operator=max"], 18, 30),  # its last batch is cut short
        (["operator=oracle", "batch=sequential"], 8, 17),
        (["operator=laplace", "utility=implicit"], 9, 16),
        (["operator=estimated"], 8, 12),
        (["strategy=random"], 14, 60),
        (["strategy=uncertainty"], 98, 400),  # the whole pool, which has 99
        (["strategy=uncertainty"], 99, 400),
        (["strategy=badge"], 13, 16),
        (["operator=std"], 10, 14),
        (["audit.every=2", "audit.size=8"], 15, 24),
        (["goal=dev", "record.utilities=quantiles"], 10, 22),
        (["model=sklearn", "strategy=qbc"], 6, 11),
        (["stop=stable_predictions", "stop.agreement=1"], 18, 30),
    ],
)
def test_a_raised_budget_ends_where_it_would_have_ended(words, shorter, longer, here, capsys):
    begun(capsys, "short", *words, f"n_queries={shorter}")
    begun(capsys, "long", *words, f"n_queries={longer}")
    gone_on(capsys, "short", f"n_queries={longer}")
    assert_equal_records(here / "long", here / "short")
    check_whole(here / "short")
    said = read_summary(here / "short")
    assert [each["n_queries"] for each in said["extended_from"]] == [shorter]
    assert said["config"] == read_summary(here / "long")["config"]
    assert call(capsys, "verify", "short").status == 0
    assert recorded(here / "short")[0] == {**recorded(here / "long")[0]}


def test_again_and_again(here, capsys):
    for folder, n in (("run", 5), ("whole", 26)):
        begun(capsys, folder, f"n_queries={n}")
    for n in (9, 9, 10, 26):
        gone_on(capsys, "run", f"n_queries={n}")
    assert_equal_records(here / "whole", here / "run")
    assert [e["n_queries"] for e in read_summary(here / "run")["extended_from"]] == [5, 9, 10]
    files = {p: p.read_bytes() for p in (here / "run").rglob("*") if p.is_file()}
    gone_on(capsys, "run")  # and it is a finished run as any other
    assert files == {p: p.read_bytes() for p in (here / "run").rglob("*") if p.is_file()}
    assert call(capsys, "explain", "run", "--round", "1").status == 0


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ([*PLATEAU], ["stop.patience=4"]),
        ([*PLATEAU], ["stop=budget"]),
        ([*PLATEAU], ["stop=wall_time", "stop.seconds=3600"]),
        (
            ["stop=stable_predictions", "stop.agreement=0.5"],
            ["stop.agreement=0.9999", "n_queries=60"],
        ),
        (
            ["stop=any", "stop.rules=['goal_plateau patience=1 min_change=0.9']"],
            ["stop.rules=['goal_plateau patience=2 min_change=0.01']"],
        ),
    ],
)
def test_a_rule_that_asks_for_more_goes_on(first, then, here, capsys):
    begun(capsys, "short", "n_queries=50", *first)
    assert read_summary(here / "short")["n_queries"] < 50
    both = {word.partition("=")[0]: word for word in ["n_queries=50", *first, *then]}
    if any(word.startswith("stop=") for word in then):
        both = {key: word for key, word in both.items() if word in (*then, "n_queries=50")}
    begun(capsys, "long", *both.values())
    gone_on(capsys, "short", *then)
    assert_equal_records(here / "long", here / "short")
    check_whole(here / "short")


def test_what_would_have_been_another_run_is_refused(here, capsys):
    begun(capsys, "run", "n_queries=12", "stop=goal_plateau", "stop.patience=2")
    for words, says in (
        (["n_queries=11"], "can be raised, not lowered"),
        (["n_queries=ten"], "whole number"),
        (["n_queries=1.5"], "whole number"),
        (["batch_size=2"], "only n_queries=, stop= and"),
        (["seed=1"], "only n_queries=, stop= and"),
        (["n_queries"], "only n_queries=, stop= and"),
        (["stop=accuracy_plateau"], "do not measure the same in each round (dev)"),
        (["stop=stable_predictions"], "do not measure the same in each round (predictions)"),
        (["stop=nonsense"], "available: accuracy_plateau, any"),
        (["stop.nonsense=1"], "unknown option of stop=goal_plateau"),
        (["stop.patience=0"], "at least 1"),
        (["stop=wall_time", "stop.seconds=0"], "would have ended in round 0"),
        (["stop.patience=1", "stop.min_change=9"], "would have ended in round 1, at 10 labels"),
    ):
        assert says in refused(capsys, "run", *words), words
    begun(capsys, "annealed", "n_queries=12", "operator=annealed")
    line = refused(capsys, "annealed", "n_queries=20")
    assert "operator=annealed goes by the share of the budget that is spent" in line
    gone_on(capsys, "annealed", "stop=wall_time")  # has no part in that
    begun(capsys, "pool", "n_queries=120", "operator=annealed")
    gone_on(capsys, "pool", "n_queries=200")  # more than there are: the budget is the same


def test_a_study_has_no_budget(here, capsys):
    begun(
        capsys, "study", "job=approximation", "dataset=synth2", "approximation.n_labelled=10",
        "approximation.n_pool=6", "approximation.n_dev=6", "approximation.figures=[]",
    )  # fmt: skip
    assert "a study, which has no budget" in refused(capsys, "study", "n_queries=2000")


def test_where_no_round_is_free_of_the_budget_it_begins_again_if_asked_to(here, capsys):
    begun(capsys, "run", "n_queries=3")
    begun(capsys, "whole", "n_queries=10")
    assert "--restart begins at round 0 again" in refused(capsys, "run", "n_queries=10")
    gone_on(capsys, "run", "n_queries=10", "--restart")
    assert_equal_records(here / "whole", here / "run")


def test_a_damaged_checkpoint_that_would_have_been_gone_on_from_is_named(here, capsys):
    begun(capsys, "run", "n_queries=22")
    (here / "run" / "checkpoint.previous.npz").write_bytes(b"damaged")
    line = refused(capsys, "run", "n_queries=30")
    assert "checkpoint.previous.npz is damaged" in line and "--restart" in line


@pytest.mark.parametrize("at", [0, 1, 3, 4])
def test_an_interrupted_run_gets_a_larger_budget_too(at, here, capsys, monkeypatch):
    begun(capsys, "whole", "n_queries=22")
    rows = runner._rows

    def until(rounds, observe, clock):
        return rows(rounds, stopping(at, interrupt), clock)

    with monkeypatch.context() as patched:
        patched.setattr(runner, "_rows", until)
        call(capsys, *FAST, "n_queries=14", "hydra.run.dir=run")
    if at == 0:  # nothing is there
        return
    gone_on(capsys, "run", "n_queries=22")
    assert_equal_records(here / "whole", here / "run")


def test_other_code_is_refused_and_forced_as_ever(here, capsys, monkeypatch):
    plugin = here / "plugins" / "mine.py"
    plugin.parent.mkdir()
    plugin.write_text(
        "from dataclasses import dataclass\nimport goralx\n\n"
        "@dataclass(frozen=True)\nclass First(goralx.Strategy):\n"
        "    def select(self, query):\n        return query.top(query.X[:, 0])\n\n"
        "@goralx.hookimpl\ndef register_strategies(register):\n    register('first', First)\n"
    )
    code = "import sys; from goralx.app.cli import main; sys.exit(main(sys.argv[1:]))"
    environment = {"GORALX_PLUGINS": str(plugin.parent)}

    def program(*words):
        import os
        import subprocess

        return subprocess.run(
            [sys.executable, "-c", code, *words], env={**os.environ, **environment},
            capture_output=True, text=True,
        )  # fmt: skip

    assert program(*FAST, "strategy=first", "n_queries=8", "hydra.run.dir=run").returncode == 0
    before = read_summary(here / "run")["fingerprint"]
    plugin.write_text(plugin.read_text().replace("query.X[:, 0]", "query.X[:, 1]"))
    assert "was begun with other code" in program("resume", "run", "n_queries=12").stderr
    assert program("resume", "run", "n_queries=12", "--force").returncode == 0
    plain = program(*FAST, "strategy=first", "n_queries=12", "hydra.run.dir=whole")
    assert plain.returncode == 0
    mixed, pure = (read_summary(here / name)["fingerprint"] for name in ("run", "whole"))
    assert len({before, mixed, pure}) == 3
    assert program("resume", "run", "n_queries=16").returncode == 0  # and is never pure again
    assert program(*FAST, "strategy=first", "n_queries=16", "hydra.run.dir=more").returncode == 0
    further, pure = (read_summary(here / name)["fingerprint"] for name in ("run", "more"))
    assert len({before, mixed, further, pure}) == 4


def proceed(directory, small, large, *, repeat):
    """Go on with what the record says, or give the command with the larger budget again."""
    if "n_queries" in check_configuration(directory):
        return runs.resume(directory, large)
    return runs.resume(directory, large, extension=MORE(small)) if repeat else runs.resume(
        directory, small
    )  # fmt: skip


def MORE(small):
    return Extension({"n_queries": 15}, {"n_queries": 8}, runs.info("x", small).inputs)


@pytest.mark.slow
def test_killed_between_any_two_writes(tmp_path, monkeypatch):
    small, large = runs.experiment(n_queries=8), runs.experiment(n_queries=15)
    monkeypatch.setattr(runner.report, "draw", lambda *a: None)
    runs.run(tmp_path / "small", small)
    runs.run(tmp_path / "large", large)
    wholes, k = {False: tmp_path / "small", True: tmp_path / "large"}, 0
    ended = {False: 0, True: 0}
    for k in range(1, 200):
        for repeat in (False, True):
            directory = tmp_path / f"{k}-{repeat}"
            runs.run(directory, small)
            came_through = False
            for again in (k, 3, 6):  # killed again while it goes on
                with monkeypatch.context() as patched:
                    saw = Saw(patched, again)
                    try:
                        proceed(directory, small, large, repeat=repeat or again == k)
                        came_through |= again == k and saw.calls < k
                    except Killed:
                        pass
            proceed(directory, small, large, repeat=repeat)
            for left_over in directory.glob("*.part"):  # of before anything was changed
                assert left_over.name == "summary.json.part" and not repeat
                left_over.unlink()
            is_large = "n_queries" in check_configuration(directory)
            assert is_large or not repeat
            assert_equal_records(wholes[is_large], directory)
            check_whole(directory)
            ended[is_large] += 1
        if came_through:
            break
    assert 20 < k < 199, "every write was the last one once"
    assert min(ended.values()) > 3, "before the budget was raised, and after it"


def test_a_record_whose_extended_part_is_damaged_goes_on_with_the_larger_budget(here, capsys):
    begun(capsys, "run", "n_queries=12")
    begun(capsys, "whole", "n_queries=30")
    gone_on(capsys, "run", "n_queries=30")
    for name in ("checkpoint.npz", "checkpoint.previous.npz"):
        (here / "run" / name).write_bytes(b"")
    (here / "run" / "summary.json").unlink()
    gone_on(capsys, "run", "--restart")
    assert_equal_records(here / "whole", here / "run")


def test_the_run_in_mlflow_has_the_whole_curve_and_the_earlier_one_is_put_away(here, capsys):
    mlflow = pytest.importorskip("mlflow")
    words = [word for word in FAST if word != "tracker=csv"]
    store = f"sqlite:///{here}/m.db"
    options = [f"tracker.uri={store}", "hydra.run.dir=run"]
    assert call(capsys, *words, "n_queries=6", *options).status == 0
    ledger = json.loads((here / "run" / "tracking.json").read_text())
    gone_on(capsys, "run", "n_queries=14")
    now = json.loads((here / "run" / "tracking.json").read_text())
    assert now["superseded"] == [ledger["run_id"]] and now["state"] == "complete"
    client = mlflow.MlflowClient(store)
    old, new = client.get_run(ledger["run_id"]), client.get_run(now["run_id"])
    assert old.info.lifecycle_stage == "deleted"
    assert old.data.tags["goralx.superseded_by"] == new.info.run_id
    assert new.data.params["n_queries"] == "14" and new.info.status == "FINISHED"
    steps = [m.step for m in client.get_metric_history(new.info.run_id, "test/accuracy")]
    assert steps == read_rounds(here / "run")["n_labelled"].astype(int).tolist()
    assert new.data.tags["goralx.fingerprint"] == read_info(here / "run").tags["goralx.fingerprint"]
    done = call(capsys, "sync", "run")
    assert done.status == 0
    assert len(client.search_runs([new.info.experiment_id])) == 1


def test_utilities_of_all_rounds_are_there(here, capsys):
    begun(capsys, "run", "n_queries=10")
    gone_on(capsys, "run", "n_queries=21")
    with np.load(here / "run" / "utilities.npz") as kept:
        assert kept["round"].tolist() == [0, 1, 2, 3, 4, 5]


SWEEP = ("-m", *FAST, "operator=max", "strategy=random,uncertainty", "seed=0,1")


def by_name(folder: Path) -> dict[str, Path]:
    """Runs by what they are called in their summaries."""
    found = [path.parent for path in folder.glob("*/summary.json")]
    return {read_summary(run)["name"]: run for run in found}


def test_all_runs_of_a_sweep_get_a_larger_budget(here, capsys, monkeypatch):
    first = call(capsys, *SWEEP, "n_queries=6")
    assert first.status == 0 and "4 done" in first.out
    (sweep,) = (here / "outputs" / "sweeps").iterdir()
    again = call(capsys, *SWEEP, "n_queries=13", "hydra.sweep.dir=other")
    assert again.status == 0
    wholes = by_name(here / "other")
    folders = sorted(run.name for run in by_name(sweep).values())
    for words, says in (
        (["n_queries=5"], "can be raised, not lowered"),
        (["n_queries=9,13"], "whole number"),
        (["seed=7"], "a sweep goes on with what it was begun with"),
    ):
        assert says in refused(capsys, str(sweep), *words)

    rows, seen = runner._rows, []

    def until(rounds, observe, clock):
        seen.append(1)
        return rows(rounds, stopping(3, interrupt) if len(seen) == 2 else observe, clock)

    with monkeypatch.context() as patched:  # Ctrl-C in the second of its jobs
        patched.setattr(runner, "_rows", until)
        assert call(capsys, "resume", str(sweep), "n_queries=13").status != 0
    done = call(capsys, "resume", str(sweep))
    assert done.status == 0, done.err
    assert "1 skipped, 3 resumed" in done.out, done.out
    assert folders == sorted(run.name for run in by_name(sweep).values())
    for name, run in by_name(sweep).items():
        whole, now = read_summary(wholes[name]), read_summary(run)
        assert [now[k] for k in ("results", "fingerprint", "aulc", "config")] == [
            whole[k] for k in ("results", "fingerprint", "aulc", "config")
        ]
        check_whole(run)
    for command in (
        ["resume", str(sweep)],
        [*SWEEP, "n_queries=6"],
        ["resume", str(sweep), "n_queries=13"],
    ):
        done = call(capsys, *command)
        assert done.status == 0 and "0 done, 4 skipped, 0 resumed" in done.out, done
    assert "it has gone on since, to n_queries=13" in call(capsys, *SWEEP, "n_queries=6").out


def test_two_runs_that_would_become_one_are_not(here, capsys):
    done = call(capsys, "-m", *FAST, "strategy=random", "n_queries=6,9", "hydra.sweep.dir=sweep")
    assert done.status == 0
    assert "differ in their budget alone" in refused(capsys, "sweep", "n_queries=12")


def test_a_sweep_takes_the_same_flags_as_a_run(here, capsys):
    words = ("-m", *FAST, "strategy=random", "seed=0,1", "n_queries=3", "hydra.sweep.dir=sweep")
    assert call(capsys, *words).status == 0
    line = call(capsys, "resume", "sweep", "n_queries=12")
    assert line.status == 2 and "--restart begins at round 0 again" in line.err
    done = call(capsys, "resume", "sweep", "n_queries=12", "--restart", "--force")
    assert done.status == 0 and "2 resumed" in done.out

"""``goralx sync``: which records are meant, which store is theirs, and what it comes to."""

from __future__ import annotations

import json
import shutil

import pytest

from goralx.records import read_summary
from goralx.tracking import how_far, records_below
from tests.program import SHORT, call
from tests.tracking.reading import client, sweeps, tracked_runs

QUICK = (*SHORT, "n_queries=10", "figures=false", "audit.every=0", "ceiling=false", "report=false")


@pytest.fixture
def sweep(tmp_path, monkeypatch, empty_store, capsys):
    """A folder with a sweep of two runs and a run besides, none of them tracked; it is the cwd."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "outputs").mkdir()
    shutil.copy(empty_store, tmp_path / "outputs" / "mlflow.db")
    assert call(capsys, "-m", *QUICK, "strategy=random", "seed=0,1").status == 0
    assert call(capsys, *QUICK, "strategy=random").status == 0
    return tmp_path


def said(done):
    """What is said on stderr, apart from the progress bar of a slow machine."""
    return [line for line in done.err.replace("\r", "\n").split("\n") if "goralx: " in line]


def store_of(folder):
    return f"sqlite:///{folder / 'outputs' / 'mlflow.db'}"


def test_sync_brings_runs_sweeps_and_everything_level(sweep, capsys):
    (folder,) = (sweep / "outputs" / "sweeps").iterdir()
    (single,) = (sweep / "outputs" / "runs").iterdir()
    first = call(capsys, "sync", str(folder))
    assert (first.status, first.out) == (0, "sync: 2 told, 0 level already\n")
    by_name = call(capsys, "sync", folder.name, single.name)
    assert by_name.out == "sync: 1 told, 2 level already\n"
    assert call(capsys, "sync").out == "sync: 0 told, 3 level already\n"
    found = tracked_runs(store_of(sweep))
    assert [run.info.status for run in found] == ["FINISHED"] * 3
    assert all(how_far(directory).level for directory in records_below(sweep))

    (summed_up,) = sweeps(store_of(sweep))
    assert summed_up.data.tags["goralx.sweep"] == folder.name
    assert summed_up.info.status == "FINISHED" and summed_up.data.metrics == {"sweep/finished": 2}

    missing = found[0]  # whatever is lost over there comes back
    client(store_of(sweep)).delete_run(missing.info.run_id)
    assert call(capsys, "sync", "all").out == "sync: 1 told, 2 level already\n"
    one = call(capsys, "sync", str(single))
    assert one.status == 0 and one.out.startswith("MLflow run ")
    assert one.out.rstrip().endswith("is level already")


def test_a_record_that_cannot_be_told_costs_no_other(sweep, capsys):
    first, second, third = records_below(sweep)
    (first / "summary.json").write_text("{")
    shutil.rmtree(second / ".hydra")
    done = call(capsys, "sync", "all")
    assert done.status == 2
    assert done.out == "sync: 1 told, 0 level already, 1 left out\n"
    (line,) = said(done)
    assert str(first / "summary.json") in line
    assert read_summary(third)["status"] == "finished"


def test_a_run_is_told_to_the_store_that_it_was_started_for(sweep, capsys, monkeypatch, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert call(capsys, "sync", str(sweep / "outputs")).status == 0
    assert len(tracked_runs(store_of(sweep))) == 3
    assert list(elsewhere.iterdir()) == []

    other = tmp_path / "other.db"  # a store that is named wins over all
    shutil.copy(sweep / "outputs" / "mlflow.db", other)
    (first, *_) = records_below(sweep)
    assert call(capsys, "sync", str(first), "--store", "sqlite:///../other.db").status == 0
    assert json.loads((first / "tracking.json").read_text())["uri"] == f"sqlite:///{other}"


@pytest.mark.parametrize("word", ["nowhere", "all", "."])
def test_nothing_to_sync_is_a_line(tmp_path, monkeypatch, capsys, word):
    monkeypatch.chdir(tmp_path)
    done = call(capsys, "sync", word)
    (line,) = done.errors
    assert done.status == 2 and "no run in" in line and "all" in line
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_away_ends_it_in_one_line(sweep, capsys):
    done = call(capsys, "sync", "all", "--store", "http://127.0.0.1:1")
    (line,) = said(done)
    assert done.status == 1 and "127.0.0.1" in line


def test_a_tracked_sweep_is_summed_up_with_its_report(sweep, capsys):
    from goralx.tracking import conclude_sweep

    words = ("-m", *QUICK, "strategy=random", "seed=2,3", "tracker=mlflow")
    assert call(capsys, *words).status == 0
    (summed_up,) = sweeps(store_of(sweep))
    assert summed_up.info.run_name == f"sweep {summed_up.data.tags['goralx.sweep']}"
    assert "runs: 2 finished" in summed_up.data.tags["mlflow.note.content"]
    folder = sweep / "outputs" / "sweeps" / summed_up.data.tags["goralx.sweep"]
    (folder / "report").mkdir(exist_ok=True)
    (folder / "report" / "page.html").write_text("<p>who won</p>")
    assert conclude_sweep(folder) == summed_up.info.run_id  # the same run again
    kept = {f.path for f in client(store_of(sweep)).list_artifacts(summed_up.info.run_id, "report")}
    assert "report/page.html" in kept

    (sweep / "outputs" / "mlflow.db").write_bytes(b"no database, but long enough to look at" * 99)
    lost = call(capsys, *words[:-2], "seed=4,5", "tracker=mlflow")
    assert lost.status == 0 and "sweep: 2 done" in lost.out
    assert "2 of its runs not tracked in full · goralx sync" in lost.err
    assert lost.out.count("tracked  ") == 2

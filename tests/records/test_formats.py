"""Golden records of every format, and what determined a result: both read by this version."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from goralx.app import runner
from goralx.explanation import figures
from goralx.records import FORMAT, check_whole, read_npz, read_rounds, read_summary
from tests.program import call

GOLDEN = Path(__file__).parent / "golden"
FORMATS = [f"format-{number}" for number in range(1, FORMAT + 1)]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner.report, "draw", lambda *a: None)
    monkeypatch.setattr(figures, "draw", lambda *a: None)
    return tmp_path


def rows(directory):
    """Of ``rounds.csv``, as they were when they were written."""
    with (directory / "rounds.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("golden", FORMATS)
def test_an_interrupted_record_of_every_format_is_gone_on_with(here, capsys, golden):
    shutil.copytree(GOLDEN / golden / "interrupted", here / "run")
    before, queries = rows(here / "run"), (here / "run" / "queries.csv").read_text()
    done = call(capsys, "resume", "run", "--force")  # other versions of numpy, perhaps
    assert done.status == 0, done.err
    assert rows(here / "run")[: len(before)] == before
    assert (here / "run" / "queries.csv").read_text().startswith(queries)
    assert read_summary(here / "run")["status"] == "finished"
    assert read_rounds(here / "run")["n_labelled"].tolist() == [6, 11, 16, 21, 26]
    for name in ("instance.npz", "checkpoint.npz", "utilities.npz"):
        assert read_npz(here / "run" / name, "format")["format"] == FORMAT
    assert json.loads((here / "run" / "summary.json").read_text())["format"] == FORMAT
    check_whole(here / "run")


@pytest.mark.parametrize("which", ["interrupted", "finished"])
@pytest.mark.parametrize("golden", FORMATS)
def test_a_record_of_every_format_is_explained(here, capsys, golden, which):
    shutil.copytree(GOLDEN / golden / which, here / "run")
    done = call(capsys, "explain", "run", "--round", "1", "--json")
    assert done.status == 0, done.err
    explained = json.loads(done.out)
    assert explained["reproduced"] is True and explained["format"] == FORMAT


@pytest.mark.parametrize("golden", FORMATS)
def test_a_finished_record_of_every_format_is_left_as_it_is(here, capsys, golden):
    shutil.copytree(GOLDEN / golden / "finished", here / "run")
    before = {p.name: p.read_bytes() for p in (here / "run").glob("[a-z]*.*")}
    assert call(capsys, "resume", "run", "--force").status == 0
    for name, content in before.items():
        if golden == FORMATS[-1] or not name.endswith(".npz"):
            assert (here / "run" / name).read_bytes() == content
    check_whole(here / "run")

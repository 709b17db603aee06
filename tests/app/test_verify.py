"""``goralx verify`` tells a record that is right from one that is damaged, edited or another's."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from goralx.records import seals
from goralx.records.storage import file_digest, write_json
from tests.program import call

GOLDEN = Path(__file__).parents[1] / "records" / "golden"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(GOLDEN / "format-2" / "finished", tmp_path / "run")
    return tmp_path


def rewritten(path, change):
    """A table with some cell changed, by somebody who is careful to keep it a table."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    change(rows)
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def sealed_again(run):
    """All seals anew, as somebody would who wants to deceive."""
    lines, _ = seals.read(run / "seals.jsonl")
    with (run / "rounds.csv").open(newline="") as file:
        rounds = list(csv.DictReader(file))
    header, *queries = csv.reader((run / "queries.csv").read_text().splitlines())
    for line in seals.rounds(lines):
        line |= seals.row_seals(rounds[line["round"]])
        asked = [row for row in queries if int(row[0]) == line["round"]]
        line["queries"] = seals.queries_seal(header, asked)
    chain = seals.Chain(run / "seals.jsonl")
    chain.write(lines)
    summary = json.loads((run / "summary.json").read_text())
    write_json(run / "summary.json", {**summary, "chain": chain.head}, sealed=True)


@pytest.mark.parametrize(
    "record", ["format-1/finished", "format-2/interrupted", "format-2/finished"]
)
def test_a_right_record_differs_in_nothing(here, capsys, record):
    shutil.copytree(GOLDEN / record, here / "other")
    before = {p: file_digest(p) for p in (here / "other").rglob("*") if p.is_file()}
    done = call(capsys, "verify", "other", "--rounds", "9")
    assert done.status == 0 and "nothing differs" in done.out and "fit anew: 0, 1, 2" in done.out
    assert {p: file_digest(p) for p in (here / "other").rglob("*") if p.is_file()} == before


def test_a_damaged_file_is_named_and_the_status_says_so(here, capsys):
    content = bytearray((here / "run" / "utilities.npz").read_bytes())
    content[1500] ^= 1
    (here / "run" / "utilities.npz").write_bytes(content)
    done = call(capsys, "verify", "run")
    assert done.status == 1 and "utilities.npz is damaged" in done.out


def accuracy(rows):
    rows[2]["test/accuracy"] = "0.99"


def goal(rows):
    rows[-1]["goal/ent"] = str(0.9 * float(rows[-1]["goal/ent"]))


def label(rows):
    rows[3]["label"] = "setosa"


def another(rows):
    rows[0]["pool_id"] = rows[7]["pool_id"]


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("rounds.csv", accuracy, "rounds.csv, round 2: test/accuracy is 0.99"),
        ("rounds.csv", goal, "goal/ent"),
        (
            "queries.csv",
            lambda rows: rows[3].update(label="setosa"),
            "is called setosa, in the data",
        ),
        (
            "queries.csv",
            lambda rows: rows[0].update(pool_id=rows[7]["pool_id"]),
            "rounds.csv, round",
        ),
    ],
)
def test_numbers_that_were_made_up_are_found_though_sealed(here, capsys, file, change, said):
    rewritten(here / "run" / file, change)
    sealed_again(here / "run")
    done = call(capsys, "verify", "run", "--rounds", "9")
    assert done.status == 1 and said in done.out


def test_a_summary_that_was_made_up_is_found(here, capsys):
    path = here / "run" / "summary.json"
    summary = json.loads(path.read_text())
    write_json(path, {**summary, "aulc": 0.99}, sealed=True)
    done = call(capsys, "verify", "run", "--rounds", "0")
    assert done.status == 1 and "aulc is 0.99, from the tables 0.91" in done.out
    path.write_text(json.dumps({**summary, "aulc": 0.99}))
    done = call(capsys, "verify", "run", "--rounds", "0")
    assert done.status == 1 and "summary.json is damaged" in done.out


def test_all_runs_below_a_folder_are_verified(here, capsys):
    shutil.copytree(here / "run", here / "sweep" / "b")
    shutil.copytree(here / "run", here / "sweep" / "a")
    (here / "sweep" / "b" / "seals.jsonl").unlink()
    done = call(capsys, "verify", "sweep", "--rounds", "0")
    assert done.status == 1
    assert [line.split(":")[0] for line in done.out.splitlines()[:2]] == ["sweep/a", "sweep/b"]
    assert "seals.jsonl is missing" in done.out
    (here / "empty").mkdir()
    assert call(capsys, "verify", "empty").status == 2

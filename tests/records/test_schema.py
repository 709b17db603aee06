"""SCHEMA.md names every file, column, key and array of a record."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import goralx
from goralx.records import FORMAT
from tests import runs
from tests.program import call

SCHEMA = (Path(goralx.__file__).parent / "guide" / "SCHEMA.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`([^`]+)`", SCHEMA))
OPEN = {"versions", "tags", "config", "sources", "higher_is_better", "test", "full_pool", "goals",
        "labels_needed", "files", "metrics", "numbers", "resumed", "tables", "units"}  # fmt: skip
"""Keys whose own keys are names of other things."""


def said(name: str) -> bool:
    """Whether it is named, as it is or with something in angle brackets."""
    patterns = (re.sub(r"<[^>]*>", ".+", re.escape(n).replace(r"\ ", " ")) for n in NAMED)
    return name in NAMED or any(re.fullmatch(pattern, name) for pattern in patterns)


def keys(value, name=""):
    if isinstance(value, dict) and name not in OPEN:
        for key, inside in value.items():
            yield key
            yield from keys(inside, key)


def unsaid(directory: Path) -> set[str]:
    """Whatever is in a record and not in the schema."""
    missing = set()
    for path in (p for p in directory.rglob("*") if p.is_file()):
        name = path.relative_to(directory).as_posix()
        found = {name}
        if name.startswith("explanations/"):
            found = {path.name}
        elif path.suffix == ".csv":
            found |= set(next(csv.reader(path.read_text().splitlines())))
        elif path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as stored:
                assert stored["format"] == FORMAT
                found |= set(stored.files)
        elif path.suffix in (".json", ".jsonl"):
            lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
            found |= {key for line in lines for key in keys(json.loads(line))}
        missing |= {one for one in found if not said(one)}
    return missing


def test_every_file_and_key_of_a_run_is_named(finished, tmp_path):
    def cut(round):
        if round.index == 3:
            shutil.copytree(tmp_path / "run", tmp_path / "cut")
        return {}

    runs.run(tmp_path / "run", runs.experiment(goal="dev", operator="oracle"), observe=cut)
    for directory in (finished[0], tmp_path / "run", tmp_path / "cut"):
        assert unsaid(directory) - {"late/metric"} == set()
    assert f"This is format {FORMAT}" in SCHEMA


def test_what_is_not_named_is_noticed(tmp_path):
    (tmp_path / "summary.json").write_text(json.dumps({"status": "x", "novel": 1}))
    (tmp_path / "other.csv").write_text("round,strange\n")
    assert unsaid(tmp_path) == {"novel", "other.csv", "strange"}


@pytest.mark.slow
def test_every_file_and_key_of_a_study_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ("job=approximation", "approximation.n_labelled=12", "approximation.n_pool=10")
    done = call(capsys, *words, "dataset=iris", "tracker=csv", "progress=false", "figures=false",
                "hydra.run.dir=run")  # fmt: skip
    assert done.status == 0, done.err
    assert unsaid(tmp_path / "run") == set()

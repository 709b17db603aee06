"""The benchmarks run, small; what they measure there says nothing of speed."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("skactiveml")
pytest.importorskip("sklearn")

from . import __main__ as benchmarks
from . import precision


@pytest.mark.parametrize("item", [1, 2, 3, 4, 6, 7, 8])
def test_an_item_is_measured_and_saved(item, tmp_path, capsys):
    rows = benchmarks.main(["--smoke", "--only", str(item), "--out", str(tmp_path / "b.json")])
    saved = json.loads((tmp_path / "b.json").read_text())
    assert {row["item"] for row in saved["rows"]} == {item}
    assert len(saved["rows"]) == len(rows) > 0
    shown = capsys.readouterr().out
    for row in rows:
        assert row.ours > 0 and row.against > 0
        assert row.what in shown


def test_single_precision_chooses_the_same_samples(capsys):
    precision.main(["--smoke"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 30 and all(line.endswith("5 of 5") for line in lines)


@pytest.mark.slow
def test_the_command_line_is_measured(tmp_path):
    rows = benchmarks.main(["--smoke", "--only", "5", "--out", str(tmp_path / "b.json")])
    assert {row.what.split(":")[1] for row in rows} == {
        " start-up", " recording a round", " all but learning"
    }  # fmt: skip

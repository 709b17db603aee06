"""The benchmarks run, small; what they measure there says nothing of speed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("skactiveml")
pytest.importorskip("sklearn")

from tests.program import call

from . import __main__ as benchmarks
from . import largest, precision, strategies

ROOT = Path(__file__).parents[2]


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


def test_the_largest_pools_are_found(capsys):
    largest.main(["--seconds", "0.05"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(largest.SIZES)
    assert all(" in " in line for line in lines[1:])  # influence takes less of the smallest


@pytest.mark.slow
def test_the_command_line_is_measured(tmp_path):
    rows = benchmarks.main(["--smoke", "--only", "5", "--out", str(tmp_path / "b.json")])
    assert {row.what.split(":")[1] for row in rows} == {
        " start-up", " recording a round", " all but learning"
    }  # fmt: skip


def test_strategies_are_measured_paired_and_what_takes_too_long_is_given_up(tmp_path, capsys):
    out, few = tmp_path / "s.json", ["--smoke", "--n-queries", "12", "--batch-size", "4"]
    arms = ["uncertainty", "goral, ent, max", "skactiveml_badge", "boss"]
    first = strategies.main([*few, "--seeds", "2", "--out", str(out), "--only", *arms])
    assert all(set(found["seeds"]) == {"0", "1"} for found in first["arms"].values())
    for found in first["arms"].values():
        assert all(0 < run["aulc"] <= 1 and run["seconds"] > 0 for run in found["seeds"].values())
    slow = ["--limit", "0.01", "--seeds", "3", "--out", str(out), "--only", "maxherding"]
    again = strategies.main([*few, *slow])
    assert again["arms"]["uncertainty"] == first["arms"]["uncertainty"]
    assert again["arms"]["maxherding"]["given_up"] == "more than 0.01 s"
    capsys.readouterr()
    strategies.main(["--show", str(out)])
    lines = capsys.readouterr().out.splitlines()
    assert "given" not in lines[2] and "more than 0.01 s" in lines[5]
    assert "ceiling" in lines[6] and "boss" in lines[7]


def test_the_guide_shows_what_was_measured():
    saved = json.loads((ROOT / "outputs" / "readme" / "strategies.json").read_text("utf-8"))
    page = (ROOT / "goralx" / "guide" / "choosing.md").read_text("utf-8")
    assert strategies.markdown(saved) in page


def test_an_arm_is_the_run_of_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ("dataset=iris", "n_queries=12", "batch_size=4", "seed=1", "goal=ent", "operator=max")
    quiet = ("tracker=csv", "figures=false", "report=false", "progress=false")
    assert call(capsys, *words, *quiet, "hydra.run.dir=here").status == 0
    asked = strategies.experiment("goral, ent, max", 1, 12, 4, smoke=True)
    measured = strategies.run(asked, 60.0)
    summary = json.loads((tmp_path / "here" / "summary.json").read_text())
    assert measured["aulc"] == pytest.approx(summary["aulc"], abs=1e-12)

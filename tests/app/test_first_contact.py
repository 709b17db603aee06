"""The first things a person types: what there is, what is whose name, where the pictures are."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from goralx.app.choices import experiments
from tests.program import call, runs


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("GORALX_PLUGINS", "GORALX_TRACEBACK", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_no_word_at_all_is_answered_with_the_help_page(capsys, here):
    outcome = call(capsys)
    assert outcome.status == 0 and "goralx [GROUP=NAME]" in outcome.out
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("name", ["goal=ent", "goal/ent"])
def test_a_component_is_shown_by_the_word_that_chooses_it(name, capsys):
    assert call(capsys, "plugins", "show", name).out == call(capsys, "plugins", "show", "ent").out


def test_presets_are_listed_and_shown(capsys):
    listed = call(capsys, "plugins").out
    for name, path in experiments().items():
        assert f"experiment  {name}" in listed
        shown = call(capsys, "plugins", "show", f"experiment={name}")
        assert shown.status == 0 and path.read_text(encoding="utf-8").strip() in shown.out
    assert "# @package" in call(capsys, "plugins", "show", "fig2").out


@pytest.mark.parametrize("words", [("--info", "defaults"), ("goal=fir", "--info", "searchpath")])
def test_hydra_answers_what_it_is_asked_of_itself(words, capsys):
    outcome = call(capsys, *words)
    assert outcome.status == 0 and "conf" in outcome.out


def test_a_launcher_that_is_not_there_is_said_where_to_get(capsys):
    outcome = call(capsys, "hydra/launcher=slurm", "-m", "seed=0,1")
    assert outcome.status == 2 and "pip install hydra-submitit-launcher" in outcome.err


def test_a_run_is_named_after_its_file_and_keeps_its_rows(capsys, here):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=80), "b": rng.normal(size=80)})
    table["kind"] = np.array(["007", "$5_"])[np.arange(80) % 2]
    table.loc[[0, 7, 31], "a"] = np.nan
    table.to_csv(here / "mine (1).csv", index=False)
    outcome = call(
        capsys, "dataset=csv", "dataset.path=mine (1).csv", "dataset.missing=drop", "tracker=csv",
        "n_queries=20", "progress=false", "audit.every=0", "ceiling=false",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    (directory,) = runs(here)
    summary = json.loads((directory / "summary.json").read_text())
    assert summary["name"].startswith("mine (1).csv-") and "mine (1).csv-" in directory.name
    assert summary["tags"]["goralx.dataset"] == "mine (1).csv"
    queried = pd.read_csv(directory / "queries.csv", dtype={"label": str})
    assert (table["kind"][queried["pool_id"]].to_numpy() == queried["label"]).all()
    assert not table["a"][queried["pool_id"]].isna().any()
    assert "curves" in outcome.out.splitlines()[-1]
    for picture in (directory / "figures").glob("*.png"):
        assert picture.name in outcome.out

"""What is said of results is what is kept: the guide, the recommended arm."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from goralx.reproduction import ITEMS

from . import readme

ROOT = Path(__file__).parents[2]
MEASURED = (ROOT / "goralx" / "guide" / "measured.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "goralx" / "guide" / "choosing.md").read_text(encoding="utf-8")


def test_the_claims_that_are_told_are_those_that_are_kept():
    assert readme.paper() in MEASURED
    found = readme.verdicts()
    counts = [found.get(v, 0) for v in ("holds", "does not hold", "cannot be said")]
    words = "{} claims: {} hold, {} do not, {} cannot be said".format(sum(counts), *counts)
    assert words in " ".join(MEASURED.split())


def test_the_guide_s_tables_are_those_that_are_kept():
    assert readme.effects() in GUIDE
    assert readme.sizes() in GUIDE
    assert readme.choices() in GUIDE


def test_the_recommended_experiment_is_the_arm_that_was_chosen():
    found = readme.rows(readme.FINDING / "choices.csv")
    most = max(len(row["datasets"].split()) for row in found)
    best = next(
        row["arm"]
        for row in found
        if row["arm"].split("-")[0] in ("ent", "dev", "aopt")
        and len(row["datasets"].split()) >= most - 1
    )
    path = ROOT / "conf" / "experiment" / "recommended.yaml"
    chosen = {k: v for d in yaml.safe_load(path.read_text())["defaults"] for k, v in d.items()}
    assert best == f"{chosen['override /goal']}-{chosen['override /batch']}"


@pytest.mark.parametrize("folder", [readme.PAPER, readme.FINDING])
def test_what_is_kept_says_how_it_was_made(folder):
    made = json.loads((folder / "made.json").read_text(encoding="utf-8"))
    assert made["command"].startswith("goralx reproduce")
    assert made["versions"]["goralx"] and made["arms"]
    assert all(
        a["command"].startswith("goralx ") for arms in made["arms"].values() for a in arms.values()
    )


def test_claims_that_are_kept_are_of_the_paper_s_items():
    assert {row["item"] for row in readme.rows(readme.PAPER / "claims.csv")} <= set(ITEMS)


def test_every_arm_that_was_run_says_what_it_reached():
    made = json.loads((readme.PAPER / "made.json").read_text(encoding="utf-8"))["arms"]
    found = {(r["data_set"], r["arm"]): r for r in readme.rows(readme.PAPER / "arms.csv")}
    assert set(found) == {(name, arm) for name, arms in made.items() for arm in arms}
    for row in found.values():
        assert int(row["n_seeds"]) == made[row["data_set"]][row["arm"]]["seeds"]
        assert float(row["aulc_low"]) <= float(row["aulc"]) <= float(row["aulc_high"])
        if row["arm"] == "random":
            assert float(row["aulc_minus_random"]) == 0.0

"""The whole command at its smallest, and that its runs are those of ``goralx``."""

from __future__ import annotations

import csv
import re
from dataclasses import replace

import numpy as np
import pytest

from goralx.records import read_queries, read_rounds
from goralx.reproduction import FINDING, ITEMS, Reproduction, check_items, grid, running
from goralx.reproduction import arms as arms_module
from goralx.reproduction import paper as paper_module
from goralx.reproduction.arms import Arm, Plan, Setting
from goralx.reproduction.evidence import FAILS, HOLDS, OPEN
from tests.program import call


def claims(out):
    with (out / "claims.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Figs 1 and 5 with two seeds and few queries, once."""
    place = tmp_path_factory.mktemp("quick")
    made = Reproduction(
        place / "runs", place / "out", "goralx reproduce", quick=True, progress=False
    )
    return made, made.paper(["fig1", "fig5"])


def test_quick_writes_claims_figures_and_a_page(quick):
    made, lines = quick
    rows = claims(made.out)
    assert {row["item"] for row in rows} == {"fig1", "fig5"}
    assert {row["verdict"] for row in rows} <= {HOLDS, FAILS, OPEN}
    by_name = {row["name"]: row for row in rows}
    assert by_name["fig1-init-misleads"]["verdict"] == HOLDS  # 20 seeds cost nothing
    assert by_name["fig5-uncertainty-230"]["verdict"] == OPEN  # two seeds say nothing
    assert by_name["fig5-uncertainty-230"]["n_seeds"] == "2"
    for item in ("fig1", "fig5"):
        assert (made.out / f"{item}.png").read_bytes().startswith(b"\x89PNG")
        assert (made.out / f"{item}.svg").read_bytes().startswith(b"<?xml")
    assert f"{len(rows)} claims" in lines[-2]


def test_the_page_asks_nothing_of_anybody_and_shows_every_claim(quick):
    made, _ = quick
    page = (made.out / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href)=\"(?!data:)", page)
    assert page.count("data:image/png;base64,") == 2
    assert all(row["name"] in page for row in claims(made.out))


def test_what_is_there_is_not_run_again_and_what_is_missing_is(quick, monkeypatch):
    made, _ = quick
    ran = []
    real = running.run
    monkeypatch.setattr(running, "run", lambda arm, *rest: ran.append(arm.name) or real(arm, *rest))
    before = claims(made.out)
    made.paper(["fig5"])
    assert ran == []
    (made.runs / "synth2-b10" / "dev-min" / "seed-001" / "run.json").unlink()
    made.paper(["fig1", "fig5"])
    assert ran == ["dev-min"]
    assert claims(made.out) == before


def test_a_run_of_other_options_is_not_taken_for_this_one(quick):
    made, _ = quick
    whole = replace(made, quick=False, n_seeds=1)
    with pytest.raises(Exception, match="holds a run of other options"):
        whole.paper(["fig5"])


def test_its_runs_are_those_of_the_command_line(tmp_path, capsys, monkeypatch):
    """The same instance, queries and curves, to the last bit, as the command that an arm names."""
    monkeypatch.chdir(tmp_path)
    setting = Setting("iris", 20, dev_fraction=0.2, dev_removed=True, monitors=("dev", "ent"))
    for arm in (
        Arm(setting, "goral", goal="dev", operator="average", batch="sequential"),
        Arm(setting, "trained", strategy="uncertainty", dev_use="train"),
        Arm(
            setting, "entropy", strategy="uncertainty", options={"strategy": {"measure": "entropy"}}
        ),
    ):
        drawn = running.instance(setting, 3)
        running.run(arm, drawn, 3, tmp_path / arm.name, 1.0)
        words = [*arm.command().split()[1:], "seed=3", "tracker=csv", "progress=false"]
        done = call(capsys, *words, f"hydra.run.dir=cli-{arm.name}")
        assert done.status == 0, done.err
        own, other = read_rounds(tmp_path / arm.name), read_rounds(tmp_path / f"cli-{arm.name}")
        goals = ("goal/ent",) if arm.dev_use == "train" else ("goal/ent", "goal/dev")
        for column in ("n_labelled", "test/accuracy", *goals):
            np.testing.assert_array_equal(own[column], other[column])
        for mine, theirs in zip(
            read_queries(tmp_path / arm.name), read_queries(tmp_path / f"cli-{arm.name}")
        ):
            np.testing.assert_array_equal(mine, theirs)


def test_dev_labels_trained_on_are_labelled_from_the_start():
    setting = Setting("iris", 20, dev_fraction=0.2)
    drawn = running.instance(setting, 0)
    trained = drawn.trained_on_dev()
    assert set(drawn.dev) <= set(drawn.pool)  # it stays in the pool, as in the paper
    assert set(trained.init) == {*drawn.init, *drawn.dev}
    assert set(trained.pool) == {*drawn.pool} - {*drawn.dev}


def test_the_finding_at_its_smallest(tmp_path, monkeypatch):
    """Two data sets, three seeds: tables, picture, page, and an answer for each question."""
    small = (
        grid.Data("iris", 20, 0.2, 3, beyond=(("ent", "max"),)),
        grid.Data("wine", 20, 0.15, 3, beyond=(("ent", "max"),)),
    )
    monkeypatch.setattr(grid, "SIZED", ("iris",))
    for module in ("finding", "grid"):
        monkeypatch.setattr(f"goralx.reproduction.{module}.DATA", small)
    monkeypatch.setattr("goralx.reproduction.finding.SIZED", ("iris",))
    monkeypatch.setattr("goralx.reproduction.conclusions.PICTURED", "iris")
    made = Reproduction(tmp_path / "runs", tmp_path / "out", "goralx", n_seeds=3, progress=False)
    lines = made.finding()
    out = made.out / FINDING
    with (out / "effects.csv").open(newline="") as file:
        effects = list(csv.DictReader(file))
    totals = [row for row in effects if row["dataset"] == "all data sets"]
    assert {row["question"] for row in totals} >= {"additivity, at first order", "both"}
    for total in totals:
        each = [
            float(row["mean"]) for row in effects
            if (row["question"], row["cell"], row["batch_size"])
            == (total["question"], total["cell"], total["batch_size"]) and row is not total
        ]  # fmt: skip
        assert float(total["mean"]) == pytest.approx(np.mean(each))
    with (out / "choices.csv").open(newline="") as file:
        arms = [row["arm"] for row in csv.DictReader(file)]
    assert "margin" not in arms and not any("oracle" in arm for arm in arms)
    assert (out / "choices.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "index.html").is_file() and (out / "first_batches.csv").is_file()
    assert len(lines) == len(totals) + 2


def test_items_come_in_the_paper_s_order_and_unknown_ones_are_refused(capsys):
    assert check_items([]) == list(ITEMS)
    assert check_items(["fig5", "fig1"]) == ["fig1", "fig5"]
    assert check_items(["all", "finding"]) == [*ITEMS, "finding"]
    wrong = call(capsys, "reproduce", "fig10")
    assert wrong.status == 2 and "item 'fig10'" in wrong.errors[0], wrong.err
    few = call(capsys, "reproduce", "fig1", "--seeds", "0")
    assert few.status == 2 and "--seeds 0; allowed: at least 1" in few.errors[0]


def test_without_runs_nothing_is_run_and_what_is_not_there_cannot_be_said(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    done = call(capsys, "reproduce", "fig5", "fig6", "--no-runs")
    assert done.status == 0, done.err
    out = tmp_path / "outputs" / "reproduction"
    rows = claims(out)
    assert {row["verdict"] for row in rows} == {OPEN} and {row["number"] for row in rows} == {""}
    assert not (tmp_path / "outputs" / "reproduction-runs").exists()
    assert "0 hold, 0 do not" in done.out and (out / "fig6.png").is_file()


def test_every_arm_is_one_that_can_be_built():
    """Names and options of all arms, on an instance of another data set."""
    drawn = {s.monitors: running.instance(replace(s, dataset="iris", dev_fraction=0.2), 0)
             for s in (paper_module.SYNTH2, grid.setting(grid.DATA[0]))}  # fmt: skip
    plans = [*paper_module.PLANS.values(), *grid.plans().values()]
    for arm in {arm.name: arm for plan in plans for arm in plan.arms}.values():
        own = replace(arm, setting=replace(arm.setting, dataset="iris"))
        running.experiment(own, drawn[arm.setting.monitors], 0)


def test_claims_have_one_name_each_and_items_of_the_paper():
    from goralx.reproduction import data_claims, learning_claims

    found = [*data_claims.claims(), *learning_claims.claims()]
    names = [claim.name for claim in found]
    assert len(set(names)) == len(names) > 60
    assert {claim.item for claim in found} <= set(ITEMS)


def test_plans_within_a_budget():
    plan = Plan((Arm(Setting("iris", 100), "a"),), 10)
    shorter = plan.within(30, 2)
    assert (shorter.n_seeds, shorter.arms[0].setting.n_queries) == (2, 30)
    assert plan.within(None, None) == plan
    assert arms_module.Setting("iris", 100).instances == ("iris", 0.1, False)

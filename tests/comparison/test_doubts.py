"""Each check finds what it is for, in a sweep that is otherwise in order, and only that."""

from __future__ import annotations

import json

import numpy as np
import pytest

from goralx.comparison import CHECKS, gather, group, lint
from tests.comparison import made

FULL = {name: arm for name, arm in made.ARMS.items() if not arm.get("truth")}
ROWS = np.arange(200)


def doubts(folder):
    return lint(group(*gather(made.folders(folder))))


def names(found):
    return {f.check for f in found}


def sound(folder, arms=FULL, **options):
    return made.sweep(folder, **{"seeds": range(8), "datasets": ("wine",), "arms": arms, **options})


def parts(seed, **changed):
    rows = np.random.default_rng([seed, 7]).permutation(200)
    return {"init": rows[:10], "pool": rows[10:150], "test": rows[150:], **changed}


def test_a_sound_sweep_has_no_doubts(tmp_path):
    assert doubts(sound(tmp_path)) == []


def test_every_finding_says_where_what_and_what_to_do(tmp_path):
    sound(tmp_path, arms={"ent oracle": made.ARMS["ent oracle"]}, seeds=range(2))
    found = doubts(tmp_path)
    assert {"missing random baseline", "missing margin baseline", "truth used", "few seeds"} <= (
        names(found)
    )
    assert all(f.where and f.what and f.remedy for f in found) and len(CHECKS) >= 10
    levels = [f.level for f in found]
    assert levels == sorted(levels, key=("fault", "warning", "note").index)


@pytest.mark.parametrize(
    "shared, check",
    [("pool", "pool and test overlap"), ("init", "init and test overlap")],
)
def test_overlaps(tmp_path, shared, check):
    sound(tmp_path)
    rows = parts(29)
    rows["test"] = np.append(rows["test"], rows[shared][0])
    for arm in ("random", "uncertainty", "goral"):
        made.record(tmp_path / f"odd-{arm}", 29, arm, instance=rows)
    found = doubts(tmp_path)
    assert check in names(found)
    assert ("goal computed on test inputs" in names(found)) == (shared == "pool")


def test_a_goal_on_a_dev_set_from_the_test_set(tmp_path):
    sound(tmp_path)
    rows = parts(29)
    for arm in ("random", "uncertainty", "goral"):
        made.record(
            tmp_path / f"odd-{arm}", 29, arm, instance={**rows, "dev": rows["test"][:3]},
            dev_labels=3 if arm == "goral" else 0,
        )  # fmt: skip
    assert "goal computed on test inputs" in names(doubts(tmp_path))


def test_double_queries(tmp_path):
    sound(tmp_path)
    pool = parts(29)["pool"]
    for arm in ("random", "uncertainty", "goral"):
        made.record(tmp_path / f"odd-{arm}", 29, arm, queried=np.append(pool[:34], pool[0]))
    (found,) = (f for f in doubts(tmp_path) if f.level == "fault" and f.check == "double queries"
                and "random" in f.where)  # fmt: skip
    assert found.what.startswith("1 ")


def test_a_strategy_with_a_generator_of_its_own(tmp_path):
    """The places are the same in pools that are not."""
    sound(tmp_path, arms={"uncertainty": FULL["uncertainty"], "ent max": FULL["ent max"]})
    for seed in range(8):
        pool = parts(seed)["pool"]
        made.record(tmp_path / f"r{seed}", seed, queried=pool[5:40])
    (found,) = doubts(tmp_path)
    assert found.check == "one strategy seed over repeats" and "random" in found.where


def test_repeats_on_one_instance(tmp_path):
    rows = {"init": ROWS[:10], "pool": ROWS[10:150], "test": ROWS[150:]}
    sound(tmp_path, instance=rows)
    assert names(doubts(tmp_path)) == {"one instance over repeats"}


def test_unpaired_instances_and_seeds(tmp_path):
    sound(tmp_path)
    other = parts(77)
    made.record(tmp_path / "a", 28, "random", instance=other)
    for arm in ("uncertainty", "goral"):
        made.record(tmp_path / arm, 28, arm)
    found = doubts(tmp_path)
    assert names(found) == {"unpaired instances"} and len(found) == 2
    made.record(tmp_path / "b", 29, "random")
    assert names(doubts(tmp_path)) == {"unpaired instances", "unpaired seeds"}


def test_data_that_changed_under_the_same_rows(tmp_path):
    sound(tmp_path)
    for arm, data in (("random", "x"), ("uncertainty", "y"), ("goral", "x")):
        made.record(tmp_path / arm, 28, arm, tags={"goralx.data": data})
    assert len([f for f in doubts(tmp_path) if f.check == "unpaired instances"]) == 2


def test_dev_labels_uncounted_and_never_trained_on(tmp_path):
    sound(tmp_path)
    for seed in range(8):
        made.record(
            tmp_path / f"d{seed}",
            seed,
            "goral",
            goal="dev",
            n_dev=14,
            goals={"dev": np.arange(8.0)},
        )
    assert names(doubts(tmp_path)) == {"dev labels uncounted"}
    for path in tmp_path.glob("d*/summary.json"):
        summary = json.loads(path.read_text())
        path.write_text(json.dumps({**summary, "dev_labels_used": 14}))
    assert names(doubts(tmp_path)) == {"dev labels in training missing"}


def test_few_seeds_and_no_power(tmp_path):
    sound(tmp_path, seeds=range(4))
    assert names(doubts(tmp_path)) == {"few seeds"}


def test_five_seeds_of_three_arms_can_show_nothing(tmp_path):
    sound(tmp_path, seeds=range(5))
    (found,) = doubts(tmp_path)
    assert found.check == "no difference can be shown" and "5 seeds and 3 pairs" in found.what


def test_different_code_and_unlike_conditions(tmp_path):
    arms = {k: FULL[k] for k in ("uncertainty", "ent max")}
    sound(tmp_path, arms=arms)
    sound(
        tmp_path / "b", arms={"random": FULL["random"]}, versions={"goralx": "0.2.0"},
        batch_size=7,
    )  # fmt: skip
    found = doubts(tmp_path)
    assert names(found) == {"different code", "unlike conditions"}
    assert any("batch_size is 5 and 7" in f.what for f in found)
    assert any("goralx 0.1.0 and 0.2.0" in f.what for f in found)


def test_what_is_not_known_or_not_there(tmp_path):
    sound(tmp_path)
    made.record(tmp_path / "going", 0, status="running")
    sound(tmp_path / "b", full=None, seeds=range(8, 10))
    found = doubts(tmp_path)
    assert names(found) == {"left out", "full pool not fit"}


@pytest.mark.parametrize("n, level", [(2, "note"), (9, "warning")])
def test_test_samples_that_are_in_the_pool_by_content(tmp_path, n, level):
    sound(tmp_path)
    for folder in made.folders(tmp_path):
        path = folder / "summary.json"
        summary = json.loads(path.read_text())
        path.write_text(json.dumps({**summary, "twins": {"pool and test": n, "init and test": 0}}))
    (found,) = doubts(tmp_path)
    assert found.check == "identical samples in pool and test" and found.level == level
    assert f"{n} of " in found.what

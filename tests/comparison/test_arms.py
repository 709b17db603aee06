"""Runs become arms: what is averaged is alike, what is paired had the same instance."""

from __future__ import annotations

import numpy as np
import pytest

from goralx import comparison
from goralx.comparison import gather, group
from goralx.errors import BadInput, UnknownName
from tests.comparison import made


def read(folder, **options):
    return group(*gather(made.folders(folder)), **options)


def test_arms_are_named_by_what_tells_them_apart(tmp_path):
    arms = read(made.sweep(tmp_path, seeds=range(2)))
    assert [arm.label for arm in arms.arms] == ["random", "uncertainty", "ent max", "ent oracle"]
    assert [arm.label for arm in arms.ranked] == ["random", "uncertainty", "ent max"]
    assert arms.arms[-1].uses_truth and arms.arms[-1].goal == "ent" and arms.arms[0].goal == ""
    assert arms.datasets == ("iris", "wine")
    assert "utility=influence" in arms.arms[2].key
    assert [run.seed for run in arms.of("wine", arms.arms[0])] == [0, 1]
    assert not arms.left_out and not arms.notes


def test_a_baseline_does_not_depend_on_what_it_does_not_ask(tmp_path):
    """Run once a goal, random is one arm, and has the goal curves of all."""
    for goal in ("ent", "fir"):
        made.record(
            tmp_path / goal, 0, "random", accuracy=[0.5, 0.6], goal=goal,
            goals={f"only-{goal}": [1.0, 2.0]},
        )  # fmt: skip
    arms = read(tmp_path)
    (arm,) = arms.arms
    (run,) = arms.of("wine", arm)
    assert arm.label == "random" and not arms.left_out
    assert {"ent", "only-ent", "only-fir"} <= set(run.goals)


def test_unlike_runs_are_not_averaged(tmp_path):
    for seed in range(2):
        for C in (0.1, 1.0):
            made.record(
                tmp_path / f"{seed}-{C}", seed, config={"model": {"name": "softmax", "C": C}}
            )
    arms = read(tmp_path)
    assert [arm.label for arm in arms.arms] == ["random model.C=0.1", "random model.C=1"]
    assert "model.C" in arms.notes[0]
    assert [arm.label for arm in read(tmp_path, by=["model.C"]).arms] == [
        "model.C=0.1",
        "model.C=1",
    ]


def test_how_a_run_was_watched_makes_no_arm(tmp_path):
    for seed, threads in enumerate((1, 2)):
        made.record(tmp_path / str(seed), seed, config={"threads": threads, "progress": bool(seed)})
    assert len(read(tmp_path).arms) == 1


def test_data_sets_of_one_name_are_told_apart_by_their_options(tmp_path):
    for path in ("a.csv", "b.csv"):
        made.record(tmp_path / path, 0, config={"dataset": {"name": "csv", "path": path}})
    assert read(tmp_path).datasets == ("wine path=a.csv", "wine path=b.csv")


def test_of_repeats_with_another_result_the_newest_is_kept(tmp_path):
    made.record(tmp_path / "old", 0, accuracy=[0.5, 0.6])
    made.record(
        tmp_path / "new", 0, accuracy=[0.5, 0.7], summary={"started": "2026-02-01T00:00:00+00:00"}
    )
    arms = read(tmp_path)
    (run,) = arms.all_runs
    assert run.directory.name == "new"
    (left,) = arms.left_out
    assert left.directory.name == "old" and "another result" in left.why and left.remedy


def test_only_runs_on_one_instance_are_pairs(tmp_path):
    made.sweep(
        tmp_path, seeds=range(3), datasets=("wine",), arms={"random": {"strategy": "random"}}
    )
    rows = np.arange(200)
    other = {"init": rows[:10], "pool": rows[10:150], "test": rows[150:]}
    for seed in range(3):
        made.record(
            tmp_path / f"u{seed}", seed, "uncertainty", instance=other if seed == 0 else None
        )
    arms = read(tmp_path)
    pairs = arms.pairs("wine", *arms.arms)
    assert [a.seed for a, _ in pairs] == [1, 2]


def test_a_dev_set_taken_out_of_the_pool_still_pairs(tmp_path):
    rows = np.arange(200)
    kept = {"init": rows[:10], "pool": rows[10:150], "test": rows[150:], "dev": rows[10:20]}
    removed = {**kept, "pool": rows[20:150]}
    made.record(tmp_path / "a", 0, instance=kept)
    made.record(tmp_path / "b", 0, "uncertainty", instance=removed)
    arms = read(tmp_path)
    assert len(arms.pairs("wine", *arms.arms)) == 1


@pytest.mark.parametrize(
    "status, why, remedy",
    [
        ("running", "hard kill", "resume"),
        ("failed", "failed", "resume"),
        ("killed", "interrupted", "resume"),
    ],
)
def test_what_is_not_finished_is_left_out_and_said(tmp_path, status, why, remedy):
    made.record(tmp_path / "done", 0)
    made.record(tmp_path / "other", 1, status=status)
    arms = read(tmp_path)
    assert len(arms.all_runs) == 1
    (left,) = arms.left_out
    assert why in left.why and remedy in left.remedy


def test_a_run_that_goes_on_is_said_to(tmp_path):
    from filelock import FileLock

    made.record(tmp_path / "done", 0)
    going = made.record(tmp_path / "going", 1, status="running")
    with FileLock(going / ".lock"):
        (left,) = read(tmp_path).left_out
    assert left.why == "still going"


@pytest.mark.parametrize(
    "file, text",
    [
        ("summary.json", "{"),
        ("summary.json", '{"status": "finished"}'),
        ("rounds.csv", ""),
        ("rounds.csv", "n_labelled,test/accuracy\n1,x\n"),
        ("instance.npz", "no archive"),
        ("queries.csv", "round,pool_id\nx,y\n"),
    ],
)
def test_a_damaged_record_is_one_line(tmp_path, file, text):
    run = made.record(tmp_path / "run", 0)
    (run / file).write_text(text)
    with pytest.raises(BadInput) as caught:
        comparison.read_run(run)
    assert str(run) in str(caught.value) and "\n" not in str(caught.value)
    made.record(tmp_path / "good", 1)
    (left,) = read(tmp_path).left_out
    assert left.directory == run


def test_fields_and_arms_go_by_names_that_exist(tmp_path):
    arms = read(made.sweep(tmp_path, seeds=range(1), datasets=("wine",)))
    with pytest.raises(UnknownName, match="operator"):
        read(tmp_path, by=["opperator"])
    with pytest.raises(UnknownName, match="uncertainty"):
        arms.find("nobody")
    with pytest.raises(UnknownName):
        arms.find("goral")  # two arms
    with pytest.raises(BadInput, match="no finished run"):
        group([])


def test_dev_labels_in_training_pair_with_the_rest_and_are_an_arm(tmp_path):
    """Their init has the dev set in it, and their pool lacks it."""
    rows = np.arange(200)
    plain = {"init": rows[:10], "pool": rows[10:150], "test": rows[150:]}
    watched = {**plain, "dev": rows[10:20]}
    trained = {**watched, "init": rows[:20], "pool": rows[20:150]}
    dev = {"fraction": 0.1, "remove_from_pool": False, "use": "goal"}
    made.record(tmp_path / "a", 0, instance=plain, config={"dev": dev})
    made.record(tmp_path / "b", 1, instance=watched, config={"dev": dev})
    for seed in range(2):
        made.record(
            tmp_path / f"t{seed}", seed, instance=trained, n_init=20,
            config={"dev": {**dev, "use": "train"}},
        )  # fmt: skip
    arms = read(tmp_path)
    assert [arm.label for arm in arms.arms] == ["random", "random dev.use=train"]
    assert len(arms.pairs("wine", *arms.arms)) == 2


def test_dev_labels_that_are_queried_are_paid_for_once(tmp_path):
    rows = np.arange(200)
    parts = {"init": rows[:10], "pool": rows[10:150], "test": rows[150:], "dev": rows[10:24]}
    asked = np.r_[rows[10:15], rows[100:110], rows[15:17], rows[110:120]]  # 5, 0, 0, then 2 of dev
    made.record(
        tmp_path / "a", 0, "goral", instance=parts, dev_labels=14, accuracy=[0.5] * 5,
        queried=asked,
    )  # fmt: skip
    (run,) = read(tmp_path).all_runs
    assert run.n_labelled.tolist() == [10, 15, 20, 25, 30]
    assert run.total_labels.tolist() == [24, 24, 29, 34, 37]
    curve = comparison.mean_curve([run], "test/accuracy")
    assert curve.total_labels.tolist() == [24, 24, 29, 34, 37]

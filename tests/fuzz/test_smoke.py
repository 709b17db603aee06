"""A few hostile inputs of each kind, and that the judge notices what must never be."""

from __future__ import annotations

import os
import pickle
import time

import pytest

from goralx import BadInput

from .__main__ import fuzz
from .inputs import Bomb
from .judge import Tally, judge


def test_hostile_inputs_are_a_line_each():
    tally = fuzz(24, limit=120.0)
    assert sum(tally.inputs.values()) >= 24 and len(tally.inputs) == 4
    assert tally.faults == []


def fails(error):
    raise error


NOTICED = {
    "traceback": lambda: fails(IndexError("5")),
    "hang": lambda: time.sleep(5),
    "execution": lambda: pickle.loads(pickle.dumps(Bomb())),
    "outside": lambda: os.mkdir("../elsewhere"),
    "raw": lambda: print("\x1b[31m"),
}


@pytest.mark.parametrize("fault, act", NOTICED.items(), ids=NOTICED)
def test_the_judge_notices(fault, act, tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    assert fault in {kind for kind, _ in judge(inside, act, 0.5)}


@pytest.mark.parametrize("act", [lambda: 0, lambda: 2, lambda: fails(BadInput("no"))])
def test_the_judge_lets_pass_what_is_put_in_words(act, tmp_path):
    assert judge(tmp_path, act, 5.0) == []


def test_a_status_of_one_is_a_fault(tmp_path):
    assert [kind for kind, _ in judge(tmp_path, lambda: 1, 5.0)] == ["traceback"]


def test_a_damaged_file_that_is_refused_is_named(tmp_path):
    def refused():
        print("goralx: d.csv is damaged")
        return 2

    assert judge(tmp_path, refused, 5.0, ("a", "d.csv")) == []
    assert [kind for kind, _ in judge(tmp_path, refused, 5.0, ("e.csv",))] == ["unnamed"]


def test_the_table_counts_by_kind_and_fault():
    tally = Tally()
    tally.add("data", "x", [("traceback", "y")])
    tally.add("data", "x", [])
    assert tally.table().splitlines()[1].split() == ["data", "2", "1", *"00000"]

"""Options of every kind that a plugin may declare: they arrive in their types, or are refused."""

from __future__ import annotations

import enum
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

import goralx
from goralx.app.nodes import typed_options
from goralx.discovery import Component, loading
from goralx.discovery.listing import as_json, show
from tests.program import launch


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


@dataclass(frozen=True)
class Kinds:
    """One of each."""

    colour: Colour = Colour.RED
    maybe: Colour | None = None
    colours: tuple[Colour, ...] = (Colour.RED,)
    word: Literal["a", "b"] | None = None
    mixed: Literal["auto", 3] = "auto"
    weights: dict[str, float] = field(default_factory=lambda: {"x": 1.0})
    by_colour: dict[Colour, int] = field(default_factory=dict)
    bare: dict = field(default_factory=dict)
    anything: dict[str, Any] = field(default_factory=dict)
    lists: dict[str, list[int]] = field(default_factory=dict)
    names: str | Sequence[str] | None = None
    pair: tuple[int, float] = (1, 2.0)


COMPONENT = Component("strategy", "kinds", Kinds, "here")


@pytest.mark.parametrize(
    "option, given, expected",
    [
        ("colour", "BLUE", Colour.BLUE),
        ("maybe", "BLUE", Colour.BLUE),
        ("maybe", None, None),
        ("colours", ["BLUE", "RED"], (Colour.BLUE, Colour.RED)),
        ("word", "b", "b"),
        ("word", None, None),
        ("mixed", 3, 3),
        ("weights", {"y": 2}, {"x": 1.0, "y": 2.0}),
        ("by_colour", {"BLUE": 4}, {Colour.BLUE: 4}),
        ("bare", {"k": [1, "x"]}, {"k": [1, "x"]}),
        ("anything", {"k": {"l": 1}}, {"k": {"l": 1}}),
        ("lists", {"k": [1, 2]}, {"k": [1, 2]}),
        ("names", ["a", "b"], ["a", "b"]),
        ("names", "a", "a"),
        ("pair", [3, 4], (3, 4.0)),
    ],
)
def test_options_arrive_in_their_types(option, given, expected):
    value = typed_options(COMPONENT, {option: given})[option]
    assert value == expected and type(value) is type(expected)
    if isinstance(expected, dict):
        assert [type(v) for v in value.values()] == [type(v) for v in expected.values()]


@pytest.mark.parametrize(
    "option, given, says",
    [
        ("maybe", "GREEN", "GREEN"),
        ("word", "c", "strategy.word=c; allowed: a, b"),
        ("mixed", 4, "strategy.mixed=4; allowed: auto, 3"),
        ("weights", {"y": "abc"}, "abc"),
        ("lists", {"k": 3}, "strategy.lists.k=3; expected a list in brackets"),
        ("by_colour", {"GREEN": 1}, "GREEN"),
        ("pair", [1], "strategy.pair=.1.; expected 2 values"),
    ],
)
def test_what_is_none_is_refused(option, given, says):
    with pytest.raises(Exception, match=says):
        typed_options(COMPONENT, {option: given})


PLUGIN = """
import enum
from dataclasses import dataclass, field
import numpy as np
import goralx

class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"

@dataclass(frozen=True)
class Inner:
    a: int = 1

@dataclass(frozen=True)
class Mine(goralx.Strategy):
    '''Mine.'''
    colour: Colour = Colour.RED
    weights: dict[str, float] = field(default_factory=lambda: {"x": 1.0})
    %s

    def select(self, query):
        assert self.colour is Colour.BLUE and self.weights == {"x": 1.0, "y": 2.0}
        assert [type(v) for v in self.weights.values()] == [float, float]
        return goralx.Selection(query.rng.permutation(len(query.candidates))[: query.batch_size])

@goralx.hookimpl
def register_strategies(register):
    register("mine", Mine)
"""
RUN = ("dataset=iris", "n_queries=10", "tracker=csv", "progress=false", "figures=false",
       "strategy=mine")  # fmt: skip


def test_on_the_command_line_and_in_the_record_and_again_on_resume(tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "mine.py").write_text(PLUGIN % "")
    own = {"GORALX_PLUGINS": str(tmp_path / "plugins")}
    words = ("strategy.colour=BLUE", "strategy.weights.y=2")
    done = launch(tmp_path, *RUN, *words, "hydra.run.dir=run", **own)
    assert done.status == 0, done.err
    chosen = json.loads((tmp_path / "run" / "summary.json").read_text())["config"]["strategy"]
    assert chosen == {"name": "mine", "colour": "BLUE", "weights": {"x": 1.0, "y": 2}}
    again = launch(tmp_path, "verify", "run", **own)
    assert again.status == 0, again.out + again.err
    for word, says in (
        ("strategy.colour=GREEN", "expected one of [RED, BLUE]"),
        ("strategy.weights.y=abc", "strategy.weights.y=abc"),
        ("strategy.weights=3", "strategy.weights=3"),
    ):
        refused = launch(tmp_path, *RUN, word, **own)
        assert refused.status == 2 and len(refused.errors) == 1 and says in refused.err


@pytest.mark.parametrize(
    "option, says",
    [
        ("inner: Inner = Inner()", "option inner is a dataclass, Inner; make its fields"),
        ("inner: Inner | None = None", "option inner is a dataclass, Inner"),
        (
            "a: object = field(default_factory=lambda: np.ones(2))",
            "the default of option a is of type ndarray",
        ),
        ("f: object = len", "the default of option f is of type builtin_function_or_method"),
    ],
)
def test_what_cannot_be_written_is_not_loaded_and_nobody_is_locked_out(tmp_path, option, says):
    (tmp_path / "mine.py").write_text(PLUGIN % option)
    found = loading.load(loading._own_folder(), [tmp_path], ())
    (broken,) = found.broken
    assert "strategy 'mine' cannot be configured" in broken.error and says in broken.error
    assert ("strategy", "mine") not in found.components
    with pytest.raises(goralx.UnknownName, match="not loaded"):
        found.component("strategy", "mine")


def test_a_page_names_the_members_of_an_enum(tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN % "")
    found = loading.load(loading._own_folder(), [tmp_path], ())
    page = show(found, "strategy=mine")
    assert "strategy.colour=RED" in page and "one of RED, BLUE" in page
    (mine,) = json.loads(as_json(found, "strategy=mine"))["components"]
    assert mine["options"][0]["default"] == "RED"

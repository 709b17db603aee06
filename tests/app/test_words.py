"""What is typed is what is meant: text options in bash, and the words that refusals print."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from goralx.app.words import literal
from goralx.errors import as_word


def meant(word, sweep=False):
    """What the configuration makes of an override, as the data set gets it."""
    (word,) = literal([word], sweep=sweep)
    override = OverridesParser.create().parse_override(word)
    assert not override.is_sweep_override()
    return OmegaConf.to_container(OmegaConf.create({"x": override.value()}), resolve=True)["x"]


@pytest.mark.parametrize(
    "option, value",
    [
        ("dataset.delimiter", ";"),
        ("dataset.delimiter", ","),
        ("dataset.delimiter", "|"),
        ("dataset.delimiter", " "),
        ("dataset.delimiter", "\\t"),
        ("dataset.path", "data (1).csv"),
        ("dataset.path", "run=1/a.csv"),
        ("dataset.path", "~/a.csv"),
        ("dataset.path", "a,b.csv"),
        ("dataset.path", "[a].csv"),
        ("dataset.path", "a{1}.csv"),
        ("dataset.path", "C:\\data\\a.csv"),
        ("dataset.path", "2024"),
        ("dataset.label", "Größe"),
        ("dataset.label", "日本"),
        ("dataset.label", "007"),
        ("dataset.label", "1e3"),
        ("dataset.label", "true"),
        ("dataset.label", "a: b"),
        ("dataset.label", 'what\'s "this"?'),
        ("dataset.label", "f(x)"),
        ("dataset.label", "$50 ${x"),
        ("hydra.run.dir", "outputs/Läufe (1)"),
        ("strategy.measure", "entropy"),
    ],
)
@pytest.mark.parametrize("plus", ["", "+", "++"])
def test_text_is_taken_literally(option, value, plus):
    assert meant(f"{plus}{option}={value}") == value


def test_what_hydra_reads_as_it_is_meant_stays():
    for word, value in (
        ("dataset.exclude=[a,b]", ["a", "b"]),
        ("dataset.exclude='a,b'", "a,b"),
        ('dataset.path="data (1).csv"', "data (1).csv"),
        ("dataset.label=null", None),
        ("dataset.label=", ""),
        ("dataset.n_test=20", 20),
        ("dataset.header=false", False),
        ("seed=3", 3),
    ):
        assert meant(word) == value
    assert literal(["dataset.path=${oc.env:HOME}/a"], sweep=False) == [
        "dataset.path=${oc.env:HOME}/a"
    ]


def test_a_comma_is_of_a_list_or_of_a_sweep():
    assert meant("dataset.exclude=a,b") == "a,b" == meant("dataset.exclude=a,b", sweep=True)
    for word in ("dataset.path=a.csv,b.csv", "dataset.exclude=[a],[b]", "strategy.measure=a,b"):
        assert literal([word], sweep=True) == [word]
    assert literal(["seed=0,1", "goal=ent,fir"], sweep=False) == ["seed=0,1", "goal=ent,fir"]


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r\n"), min_size=1)
ODD = ["a,b", "[x]", "'", '"', "\\", "a\\", "${x}", "\\${x}", "null", " a ", "f(1)", "-", "#N/A"]


@settings(max_examples=60, deadline=None)
@given(names=st.lists(texts, min_size=1, max_size=3))
@example(ODD)
@example([","])
def test_the_word_that_is_printed_is_what_is_meant(names):
    for name in names:
        (word,) = shlex.split(as_word("dataset.label", name))
        assert meant(word) == name
    (word,) = shlex.split(as_word("dataset.exclude", names))
    given = meant(word)
    if isinstance(given, str):
        given = given.split(",")
    assert given == names


def test_bash_gives_the_word_that_is_printed():
    typed = " ".join(as_word("dataset.label", name) for name in ODD)
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {typed}"], capture_output=True, text=True, check=True
    )
    assert [meant(word) for word in done.stdout.splitlines()] == ODD

"""What the guide tells a reader to type does what it says: every block is run, in order.

Blocks called ``console`` are not: they need a server, a cluster or an extra. Runs are made small,
and pictures and reports, which tests of their own look at, are not drawn.
"""

from __future__ import annotations

import builtins
import re
import shlex
import sys
from pathlib import Path

import pytest

from goralx.app import commands, guide
from goralx.discovery import HOOKS
from tests.program import call, launch, runs

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "goralx" / "guide"
PLAIN = ("tracker=csv", "figures=false", "progress=false")


def blocks(topic: str) -> list[tuple[str, str]]:
    """Language and text of each block that is run."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", guide.pages()[topic], re.DOTALL | re.MULTILINE)
    assert {language for language, _ in found} <= {"bash", "python", "console"}
    return [(language, text) for language, text in found if language != "console"]


def small(words: list[str]) -> list[str]:
    """A run or a sweep of one seed and few labels, of whatever else was asked."""
    fewer = [re.sub(r"^n_queries=\d+$", "n_queries=20", word) for word in words]
    fewer = [re.sub(r"^seed=range\(\d+\)$", "seed=range(1)", word) for word in fewer]
    said = {word.partition("=")[0] for word in words}
    plain = [word for word in PLAIN if word.partition("=")[0] not in said]
    return [*fewer, *plain, *(["report=false"] if "-m" in words else [])]


def typed(line: str, capsys) -> None:
    """Run a line of a ``bash`` block from the working directory."""
    words = shlex.split(line)
    environment = dict(word.split("=", 1) for word in words[: words.index("goralx")])
    words = words[len(environment) + 1 :]
    if words[0] not in commands.COMMANDS:
        words = small(words)
    # plugins are looked for once a process
    done = launch(Path.cwd(), *words, **environment) if environment else call(capsys, *words)
    assert done.status == 0, done.err


@pytest.mark.slow
@pytest.mark.parametrize("topic", ["tutorial", "overview", "howto", "plugins", "measured"])
def test_everything_that_is_to_be_typed_can_be(topic, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    reported: list[object] = []
    monkeypatch.setattr("goralx.app.comparing._write", lambda arms, *_, **__: reported.append(arms))
    monkeypatch.setattr("goralx.explanation.figures.draw", lambda *_, **__: None)
    answers = iter(["1", "2", "u", "2", "s", "q"])
    monkeypatch.setattr(builtins, "input", lambda _: next(answers))
    for language, text in blocks(topic):
        named = re.match(r"# (\S+/\S+\.py)\n", text)
        if language == "bash":
            for line in text.splitlines():
                typed(line, capsys)
        elif named:
            Path(named[1]).parent.mkdir(exist_ok=True)
            Path(named[1]).write_text(text)
        else:
            exec(compile(text, topic, "exec"), {})
    assert runs(tmp_path) or topic == "measured"  # whose runs are goralx reproduce's own
    assert bool(reported) == ("\ngoralx report\n" in guide.pages()[topic])


def test_every_kind_of_plugin_has_an_example_a_command_and_its_checks():
    text = guide.pages()["plugins"]
    assert set(re.findall(r"^def (register_\w+)", text, re.MULTILINE)) == set(HOOKS.values())
    registered = re.findall(r"^    register\(\"(\w+)\"", text, re.MULTILINE)
    for name in registered:
        assert re.search(rf"^GORALX_PLUGINS=.*\b{name}\b", text, re.MULTILINE), name
    assert len(re.findall(r"^testing\.check_", text, re.MULTILINE)) == len(registered)


@pytest.mark.parametrize("page", sorted(GUIDE.glob("*.md")), ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).is_file(), link


@pytest.mark.parametrize(
    "topic", ["index", "tutorial", "overview", "howto", "explanation", "choosing", "measured"]
)
def test_topics_options_and_components_that_are_named_exist(topic):
    from goralx.app.choices import listed, names
    from goralx.discovery import registry

    known, components, text = listed(), registry().components, guide.pages()[topic]
    for name in re.findall(r"goralx guide (\w+)", text):
        assert name in guide.pages()
    for word in re.findall(r"`([a-z_]+(?:\.[a-z_]+)?)=", text):
        group, _, option = word.partition(".")
        if option and group in known["groups"]:
            assert any(option in c.options for (g, _), c in components.items() if g == group), word
        else:
            assert word in known["groups"] or word in known["options"], word
    for group, name in re.findall(r"`(?:[^`]* )?([a-z]+)=([a-z_0-9]+)(?=[ `])", text):
        if group in known["groups"]:
            assert name in names(group), f"{group}={name}"

"""The guide in the terminal."""

from __future__ import annotations

import pydoc
from pathlib import Path

import pytest

from goralx.app import guide
from tests.program import call

FOLDER = Path(guide.__file__).parents[1] / "guide"


def test_every_page_is_listed_with_its_title(capsys):
    asked = call(capsys, "guide")
    assert asked.status == 0
    for page in FOLDER.glob("*.md"):
        title = page.read_text(encoding="utf-8").partition("\n")[0]
        assert title.startswith("# ")
        line = next(x for x in asked.out.splitlines() if x.split()[:1] == [page.stem.lower()])
        assert line.endswith(f"  {title[2:]}")


@pytest.mark.parametrize("spelt", ["schema", "SCHEMA"])
def test_a_page_is_read_whole_and_as_it_is(spelt, capsys, monkeypatch):
    monkeypatch.setattr(pydoc, "pager", lambda text: pytest.fail("no pager into a pipe"))
    asked = call(capsys, "guide", spelt)
    assert asked.out.strip() == (FOLDER / "SCHEMA.md").read_text(encoding="utf-8").strip()


def test_a_person_at_a_terminal_gets_a_pager(capsys, monkeypatch):
    shown = []
    monkeypatch.setattr(guide, "pages", lambda: {"page": "# Page\n\x1b[31mred"})
    monkeypatch.setattr(guide.pydoc, "pager", shown.append)
    monkeypatch.setattr(guide.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(guide.sys.stdout, "isatty", lambda: True, raising=False)
    assert guide.guide(["page"]) == 0
    assert shown == ["# Page\n\\x1b[31mred"]


def test_an_unknown_topic_is_one_line_with_the_nearest(capsys):
    asked = call(capsys, "guide", "chosing")
    assert asked.status == 2 and asked.out == ""
    (line,) = asked.errors
    assert line.startswith("goralx: unknown topic 'chosing'; did you mean 'choosing'? · available:")

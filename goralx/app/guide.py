"""``goralx guide``: the pages of `goralx/guide/`, read in the terminal."""

from __future__ import annotations

import pydoc
import sys
from importlib import resources

from goralx import escaping
from goralx.errors import unknown_name

from .shared import FINISHED, Parser


def guide(words: list[str]) -> int:
    """``goralx guide [TOPIC]``: a page, or which pages there are."""
    parser = Parser(prog="goralx guide", description="What there is to read.")
    parser.add_argument("topic", nargs="?", metavar="TOPIC", help="a page; without one, the list")
    topic = parser.parse_args(words).topic
    found = pages()
    if topic is None:
        escaping.say(contents(found))
    elif topic.lower() not in found:
        raise unknown_name("topic", topic, found)
    elif sys.stdin.isatty() and sys.stdout.isatty():
        lines = found[topic.lower()].splitlines()
        pydoc.pager("\n".join(map(escaping.for_terminal, lines)))
    else:
        escaping.say(found[topic.lower()].rstrip())
    return FINISHED


def pages() -> dict[str, str]:
    """The text of each page by topic: its file's name in small letters."""
    files = (resources.files("goralx") / "guide").iterdir()
    found = {f.name[:-3].lower(): f for f in files if f.name.endswith(".md")}
    return {topic: found[topic].read_text(encoding="utf-8") for topic in sorted(found)}


def contents(found: dict[str, str]) -> str:
    """A line a page: its topic and its title."""
    width = max(map(len, found))
    titles = {topic: text.partition("\n")[0].lstrip("# ") for topic, text in found.items()}
    lines = [f"  {topic:<{width}}  {title}" for topic, title in titles.items()]
    return "\n".join([*lines, "", "goralx guide TOPIC reads one of them."])

"""The guide's page `reference.md`, from what is registered and what conf/ says of it.

``python -m goralx.app.reference`` writes it anew; a test holds the page to it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import goralx
from goralx.discovery import HOOKS, Component, Registry, in_order, options, registry

from .choices import config_folder, experiments
from .commands import COMMANDS

PAGE = Path(__file__).parents[1] / "guide" / "reference.md"

HEAD = """\
# Reference: every command, option, component and public name

Made by `python -m goralx.app.reference` from the components themselves. `goralx plugins` lists
yours, too, and `goralx plugins show NAME` has all of what a component says. The files of a run are
in [SCHEMA.md](SCHEMA.md).
"""


def page(found: Registry) -> str:
    """The whole page, of the components that goralx itself brings."""
    parts = [HEAD, *_commands(), *_run(), *_experiments()]
    ours = [c for c in in_order(found) if c.origin == "goralx"]
    for group, hook in HOOKS.items():
        members = [c for c in ours if c.group == group]
        parts.append(f"## {members[0].folder}=\n\nOne of your own: the hook `{hook}`.\n")
        parts += map(_component, members)
    return "\n".join([*parts, *_names()])


def _commands() -> Iterator[str]:
    """The commands, each by the first line of its docstring."""
    yield "## Commands\n\nEach has a page: `goralx COMMAND --help`.\n"
    for command in COMMANDS.values():
        asked, _, what = first_line(command).replace("``", "`").partition(": ")
        yield f"- {asked}: {what}" if what else f"- {asked.rstrip('.')}"
    yield ""


def _run() -> Iterator[str]:
    """The options of every run, as conf/config.yaml has them."""
    text = (config_folder() / "config.yaml").read_text(encoding="utf-8")
    ours = text.partition("\nhydra:")[0].strip()
    yield f"## Options of a run\n\n```yaml\n{ours}\n```\n"


def _experiments() -> Iterator[str]:
    yield "## experiment=\n\nSeveral options at once: `goralx plugins show NAME` has the file.\n"
    for name, path in experiments().items():
        lines = path.read_text(encoding="utf-8").splitlines()
        comments = [line.removeprefix("# ") for line in lines if re.match(r"# (?!@)", line)]
        said = opening("\n".join(comments))
        yield f"- `experiment={name}`: {said}"
    yield ""


def _component(c: Component) -> str:
    said = meanings(config_folder() / c.folder / f"{c.name}.yaml")
    lines = [
        f"- `{c.prefix}.{o.name}={o.value}` ({o.type})"
        + (f": {said[o.name]}" if o.name in said else "")
        for o in options(c)
    ]
    text = f"### {c.chosen}\n\n{first_line(c.cls)}\n"
    return "\n".join([text, *lines, ""]) if lines else text


def meanings(path: Path) -> dict[str, str]:
    """What a file of conf/ says of each option: the comment behind it, and below it."""
    said: dict[str, str] = {}
    option = None
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        begun = re.match(r"(\w+):.*?\s#\s+(.*)", line)
        more = re.match(r"\s+#\s+(.*)", line)
        if begun:
            option = begun[1]
            said[option] = begun[2]
        elif more and option:
            said[option] += f" {more[1]}"
        else:
            option = None
    return said


def _names() -> Iterator[str]:
    """What ``import goralx`` gives."""
    yield "## import goralx\n"
    for name in goralx.__all__:
        value = getattr(goralx, name)
        known = inspect.isclass(value) or inspect.isfunction(value)
        yield f"- `goralx.{name}`" + (f": {first_line(value)}" if known else "")
    yield ""


def first_line(value: object) -> str:
    """Of a docstring: the first line, and those after it until one ends a sentence."""
    return opening(inspect.cleandoc(value.__doc__ or ""))


def opening(text: str) -> str:
    said: list[str] = []
    for line in text.partition("\n\n")[0].splitlines():
        said.append(line)
        if line.endswith("."):
            break
    return " ".join(said)


if __name__ == "__main__":
    PAGE.write_text(page(registry()), encoding="utf-8")

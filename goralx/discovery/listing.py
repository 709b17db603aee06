"""What ``goralx plugins`` shows: every component, its options, where it came from, what broke."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from goralx.errors import unknown_name

from .components import HOOKS, BrokenPlugin, Component, Registry
from .writable import among, resolved


def table(found: Registry) -> str:
    """A line a component: group, name, origin, and the first line of its documentation."""
    rows = [(c.group, c.name, c.origin, _doc(c.cls).split("\n")[0]) for c in in_order(found)]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[3]]).rstrip()
        for row in rows
    ]
    broken = [f"not loaded: {b.name}: {b.error}" for b in found.broken]
    return "\n".join([*lines, *broken])


def show(found: Registry, name: str) -> str:
    """All there is to know of a component (``ent`` or ``goal=ent``), or why a plugin is broken."""
    components, broken = _named(found, name)
    return "\n\n".join([*map(_page, components), *map(_failure, broken)])


def as_json(
    found: Registry, name: str | None = None, presets: Sequence[Mapping[str, Any]] = ()
) -> str:
    """The same for programs: ``{"components": [...], "broken": [...], "presets": [...]}``."""
    components, broken = _named(found, name) if name else (in_order(found), list(found.broken))
    return json.dumps(
        {
            "components": [
                {
                    "group": c.group,
                    "name": c.name,
                    "class": f"{c.cls.__module__}.{c.cls.__qualname__}",
                    "origin": c.origin,
                    "doc": _doc(c.cls),
                    "options": [_plain(o) for o in options(c)],
                }
                for c in components
            ],
            "broken": [dataclasses.asdict(b) for b in broken],
            **({"presets": list(presets)} if presets else {}),
        },
        indent=2,
        default=str,
    )


@dataclasses.dataclass(frozen=True)
class Option:
    """An option of a component; ``default`` says nothing where it is ``required``."""

    name: str
    type: str
    default: Any
    required: bool

    @property
    def value(self) -> str:
        """The default as it is written on the command line."""
        return "(required)" if self.required else _text(self.default)


def options(component: Component) -> list[Option]:
    """The options of a component, in order."""
    hints = resolved(component.cls)
    return [_option(f, hints) for f in component.fields]


def _option(f: dataclasses.Field[Any], hints: Mapping[str, Any]) -> Option:
    kind = f.type if isinstance(f.type, str) else inspect.formatannotation(f.type)
    for chosen in among(hints.get(f.name)):
        if issubclass(chosen, Enum):
            kind += f", {chosen.__name__} one of {', '.join(chosen.__members__)}"
    if f.default is not dataclasses.MISSING:
        return Option(f.name, kind, f.default, required=False)
    if f.default_factory is not dataclasses.MISSING:
        make: Callable[[], Any] = f.default_factory
        return Option(f.name, kind, make(), required=False)
    return Option(f.name, kind, None, required=True)


def _plain(option: Option) -> dict[str, Any]:
    return {**dataclasses.asdict(option), "default": _called(option.default)}


def in_order(found: Registry) -> list[Component]:
    """By group, as they follow one another in a run, and by name."""
    groups = list(HOOKS)
    return sorted(found.components.values(), key=lambda c: (groups.index(c.group), c.name))


def _named(found: Registry, name: str) -> tuple[list[Component], list[BrokenPlugin]]:
    """Components called so in any group, and broken plugins whose package or file is called so."""
    components = [c for c in in_order(found) if name.replace("=", "/", 1) in _names(c)]
    broken = [b for b in found.broken if name in (b.name, b.name.split()[0], Path(b.name).stem)]
    if components or broken:
        return components, broken
    plugins = [b.name for b in found.broken]
    names = [*{c.name for c in found.components.values()}, *plugins]
    raise unknown_name("name", name, names, found.hint())


def _names(c: Component) -> tuple[str, ...]:
    """What a component may be asked for by: ``ent``, ``goal/ent``, ``goal=ent``."""
    return c.name, f"{c.group}/{c.name}", c.chosen.replace("=", "/", 1)


def _page(c: Component) -> str:
    head = f"{c.chosen}    {c.cls.__qualname__}, from {c.origin}"
    if not options(c):
        return f"{head}\n\n{_doc(c.cls)}\n\nno options"
    given = [f"{c.prefix}.{o.name}={o.value}" for o in options(c)]
    width = max(len(text) for text in given)
    lines = [f"  {text:<{width}}  {o.type}" for text, o in zip(given, options(c), strict=True)]
    return "\n".join([head, "", _doc(c.cls), "", "options and their defaults:", *lines])


def _failure(b: BrokenPlugin) -> str:
    return f"{b.name} could not be loaded: {b.error}\n\n{b.traceback.rstrip()}"


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    value = _called(value)
    return str(list(value)) if isinstance(value, tuple) else str(value)


def _called(value: Any) -> Any:
    """Members of an Enum by their names, wherever they stand."""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Mapping):
        return {_called(k): _called(v) for k, v in value.items()}
    return type(value)(map(_called, value)) if isinstance(value, list | tuple) else value


def _doc(cls: type) -> str:
    """Its own documentation; what a dataclass makes up for want of one is only a signature."""
    said = inspect.cleandoc(cls.__doc__ or "")
    return "" if said.startswith(f"{cls.__name__}(") else said

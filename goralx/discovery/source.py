"""The source of what is in use, hashed: a plugin whose code changes gives other numbers."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .components import Registry
from .loading import LOOSE

OWN = ("core", "data", "contracts", "scoring", "learning")
"""Packages of goralx whose code makes numbers."""


def sources(found: Registry, used: Iterable[Any]) -> dict[str, str]:
    """SHA-256 of the source of each plugin in use, by file or package name.

    ``used`` are components, which may hold others; to these come the plugins that observe rounds.
    A loose file is hashed as a file, an installed plugin with all of its package. What these import
    from elsewhere is not followed.
    """
    modules = {type(component).__module__ for component in used}
    known = {component.cls for component in found.components.values()}
    for component in used:
        for part in _parts(component, set()):
            if type(part) in known:
                modules |= {cls.__module__ for cls in type(part).__mro__}
    for hook in found.manager.hook.observe_round.get_hookimpls():
        modules.add(getattr(hook.plugin, "__name__", type(hook.plugin).__module__))
    files: dict[str, set[Path]] = {}
    plugins = {
        component.cls.__module__.partition(".")[0] for component in found.components.values()
    }
    for name in modules:
        top = name.partition(".")[0]
        if name.startswith(LOOSE) or (top in plugins and top != "goralx"):
            called, belongs = _files(name)
            files.setdefault(called, set()).update(belongs)
    return {name: _digest(files[name]) for name in sorted(files)}


@cache
def own_source() -> str:
    """SHA-256 of goralx's own source, as far as it makes numbers."""
    package = Path(__file__).resolve().parent.parent
    return _digest(path for name in OWN for path in (package / name).rglob("*.py"))


def _parts(value: Any, seen: set[int]) -> Iterator[Any]:
    """The component and whatever components it holds, in fields or worked out from them."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Mapping):
        inside: Iterable[Any] = value.values()
    elif isinstance(value, list | tuple):
        inside = value
    elif hasattr(value, "__dataclass_fields__"):
        yield value
        inside = list(vars(value).values()) if hasattr(value, "__dict__") else ()
    else:
        return
    for part in inside:
        yield from _parts(part, seen)


def _files(module: str) -> tuple[str, list[Path]]:
    """What a plugin's source is called, and its files."""
    if module.startswith(LOOSE):
        path = Path(str(sys.modules[module].__file__))
        return path.name, [path]
    name = module.partition(".")[0]
    path = Path(str(sys.modules[name].__file__))
    return name, sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]


def _digest(paths: Iterable[Path]) -> str:
    """Of the files' names and contents, wherever they lie."""
    hashed = hashlib.sha256()
    for path in sorted(paths):
        content = path.read_bytes()
        hashed.update(f"{path.name} {len(content)}\n".encode() + content)
    return hashed.hexdigest()

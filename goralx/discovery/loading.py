"""Finds plugins, asks them what they register, and sees to it that a name has one owner."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
import traceback
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from goralx.contracts import Dataset, Engine, Model, plugin_manager
from goralx.errors import GoralxError, PluginError

from .components import HOOKS, BrokenPlugin, Component, Registry
from .writable import unwritable

PROTOCOLS: Mapping[str, type] = {"dataset": Dataset, "engine": Engine, "model": Model}
"""What components of these groups have, whatever they extend."""

LOOSE = "goralx_plugin_"
"""How the names of modules that are loose files begin."""


@cache
def registry() -> Registry:
    """Everything installed, found once per process."""
    return load(_own_folder(), _user_folders(), _entry_points())


def build(group: str, name: str, options: Mapping[str, Any] | None = None) -> Any:
    """A registered component, e.g. ``build("goal", "ent")``: how one is made of others."""
    return registry().build(group, name, options)


def _own_folder() -> Path:
    """``plugins/``: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "plugins"
    return inside if inside.is_dir() else package.parent / "plugins"


def _user_folders() -> list[Path]:
    return [
        Path(p).expanduser() for p in os.environ.get("GORALX_PLUGINS", "").split(os.pathsep) if p
    ]


def _entry_points() -> list[importlib.metadata.EntryPoint]:
    """Sorted, because their order is undefined and a clash should read the same everywhere."""
    return sorted(importlib.metadata.entry_points(group="goralx"), key=lambda e: (e.name, e.value))


def load(
    own: Path, folders: Iterable[Path], entry_points: Iterable[importlib.metadata.EntryPoint]
) -> Registry:
    """Load our own plugins, then installed packages, then folders of loose files.

    Ours must load. One that is not ours and fails is reported and skipped, and so is one that
    registers a name which is taken: whoever came first keeps it, and nobody takes ours.
    ``GORALX_STRICT_PLUGINS=1`` raises instead.
    """
    manager = plugin_manager()
    components: dict[tuple[str, str], Component] = {}
    broken: list[BrokenPlugin] = []
    for path in sorted(own.glob("*.py")):
        _register(manager, components, partial(load_file, path), "goralx", f"goralx:{path.stem}")
    seen: dict[str, str] = {}
    for entry in entry_points:
        origin = _distribution(entry)
        if entry.name in seen:
            error = f"entry point '{entry.name}' is also declared by {seen[entry.name]}; rename one"
            broken.append(BrokenPlugin(origin, error, error))
            continue
        seen[entry.name] = origin
        _try(
            broken, origin, partial(_register, manager, components, entry.load, origin, entry.name)
        )
    for folder in folders:
        if not folder.is_dir():
            raise PluginError(f"GORALX_PLUGINS names {folder}, which is not a folder")
        for path in sorted(folder.glob("*.py")):
            loader = partial(load_file, path)
            _try(
                broken,
                str(path),
                partial(_register, manager, components, loader, str(path), str(path)),
            )
    return Registry(components, tuple(broken), manager)


def _try(broken: list[BrokenPlugin], origin: str, register: Callable[[], None]) -> None:
    try:
        register()
    except (Exception, SystemExit) as error:  # a third party's module may raise anything
        if os.environ.get("GORALX_STRICT_PLUGINS") == "1":
            raise
        kind = "" if isinstance(error, GoralxError) else f"{type(error).__name__}: "
        line = f"{kind}{' '.join(str(error).split())}".removeprefix(f"{origin}: ")
        broken.append(BrokenPlugin(origin, line, traceback.format_exc()))


def _register(
    manager: pluggy.PluginManager,
    components: dict[tuple[str, str], Component],
    load_plugin: Callable[[], Any],
    origin: str,
    name: str,
) -> None:
    """Load one plugin and take what it registers: all of it, or nothing."""
    plugin = load_plugin()
    manager.register(plugin, name)
    try:
        manager.check_pending()
        found: dict[tuple[str, str], Component] = {}
        for group, hook in HOOKS.items():
            implementations = getattr(manager.hook, hook).get_hookimpls()
            for implementation in implementations:
                if implementation.plugin is plugin:
                    implementation.function(partial(_add, found, components, group, origin))
    except Exception:
        manager.unregister(plugin)
        raise
    components.update(found)


def _add(
    found: dict[tuple[str, str], Component],
    components: Mapping[tuple[str, str], Component],
    group: str,
    origin: str,
    name: str,
    cls: type,
) -> None:
    owner = found.get((group, name)) or components.get((group, name))
    if owner is not None:
        raise PluginError(
            f"{group} '{name}' is registered by {origin} and by {owner.origin}, whose it stays; "
            "rename one of them"
        )
    if not (isinstance(cls, type) and is_dataclass(cls) and cls.__dataclass_params__.frozen):  # type: ignore[attr-defined]
        raise PluginError(f"{origin}: {group} '{name}' must be a frozen dataclass, got {cls!r}")
    if lacks := unfinished(group, cls):
        raise PluginError(
            f"{origin}: {group} '{name}' is not finished, it has no {', '.join(lacks)} · "
            f"goralx new-plugin NAME --{group} writes one that works"
        )
    for reason in unwritable(cls):
        raise PluginError(f"{origin}: {group} '{name}' cannot be configured: {reason}")
    if not name.isidentifier():
        raise PluginError(f"{origin}: {group} '{name}' is not a name; letters, digits, underscores")
    found[group, name] = Component(group, name, cls, origin)


def unfinished(group: str, cls: type) -> list[str]:
    """What a component of the group needs and the class lacks, by name."""
    protocol = PROTOCOLS.get(group)
    asked = {} if protocol is None else {**vars(protocol), **protocol.__annotations__}
    there = {f.name for f in fields(cls)}
    lacks = {n for n in asked if not (n.startswith("_") or n in there or hasattr(cls, n))}
    return sorted(lacks | getattr(cls, "__abstractmethods__", frozenset()))


def load_file(path: Path) -> ModuleType:
    """Import a loose file under a name of its own, without touching sys.path."""
    name = f"{LOOSE}{path.stem}_{zlib.crc32(str(path.resolve()).encode()):08x}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their own module up while it is made
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _distribution(entry: importlib.metadata.EntryPoint) -> str:
    dist = entry.dist
    return f"{dist.name} {dist.version}" if dist is not None else entry.value

"""Plugins become typed Hydra nodes, and a node's values a plugin's options again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import dataclass, field, make_dataclass
from functools import partial
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import (
    OmegaConfBaseException,
)

from goralx.discovery import Component, Registry
from goralx.errors import BadInput, PluginError, unknown_name

from .choices import config_folder
from .option_values import declared


@dataclass
class DevSet:
    """The dev set, drawn only where a monitored goal is measured on one, or it is trained on."""

    use: str = MISSING
    fraction: float = MISSING
    remove_from_pool: bool = MISSING


@dataclass
class Auditing:
    """Audits of the utilities in use; see `goralx.learning.Audit`."""

    every: int | None = MISSING
    size: int = MISSING
    threshold: float = MISSING


@dataclass
class Recording:
    """How much of a run is kept on disk."""

    utilities: str = MISSING


@dataclass
class Approximation:
    """The study of approximation quality; see `goralx.approximation`."""

    n_labelled: int = MISSING
    n_pool: int = MISSING
    n_dev: int = MISSING
    batch_sizes: list[int] = MISSING
    n_windows: int | None = MISSING
    operators: list[str] = MISSING
    goals: list[str] = MISSING
    figures: list[str] = MISSING


@dataclass
class Settings:
    """Types of the top-level options; conf/config.yaml holds their values and meaning."""

    goal: Any = MISSING
    operator: Any = MISSING
    strategy: Any = MISSING
    utility: Any = MISSING
    batch: Any = MISSING
    model: Any = MISSING
    dataset: Any = MISSING
    initial: Any = MISSING
    tracker: Any = MISSING
    engine: Any = MISSING
    metrics: Any = MISSING
    stop: Any = MISSING
    oracle: Any = MISSING
    batch_size: int = MISSING
    n_queries: int = MISSING
    seed: int = MISSING
    guard: str = MISSING
    monitors: list[str] = MISSING
    dev: DevSet = field(default_factory=DevSet)
    audit: Auditing = field(default_factory=Auditing)
    ceiling: Any = MISSING
    figures: bool = MISSING
    record: Recording = field(default_factory=Recording)
    objective: Any = MISSING
    on_existing: str = MISSING
    job: str = MISSING
    approximation: Approximation = field(default_factory=Approximation)
    precision: str = MISSING
    threads: int = MISSING
    progress: bool = MISSING
    report: bool = MISSING


def register_nodes(found: Registry) -> None:
    """Make every registered component a Hydra node, so that ``goal=foo goal.alpha=3`` is typed.

    A YAML file cannot extend a node of its own name: the node is ``schema/<group>/<name>``, and
    ``<group>/<name>`` as well where there is no file. Of metrics several are chosen, so that each
    has a node of its own below ``metrics``.
    """
    store, folder = ConfigStore.instance(), config_folder()
    store.store(name="settings", node=Settings)
    for component in found.components.values():
        group, name, node = component.folder, component.name, node_type(component)
        store.store(group=f"schema/{group}", name=name, node=node)
        if not (folder / group / f"{name}.yaml").is_file():
            store.store(group=group, name=name, node=node, package=component.prefix)


def node_type(component: Component) -> type:
    """A dataclass of the component's name and fields: what may be configured, and of which type."""
    types = field_types(component.cls)
    if "name" in types:
        raise PluginError(
            f"{component.origin}: {component.group} '{component.name}' has an option called "
            "'name', which is taken; call it otherwise"
        )
    fields: list[Any] = [("name", str, field(default=component.name))]
    for f in dataclasses.fields(component.cls):
        if not f.init:
            continue
        default: Any = field(default=MISSING)
        if f.default is not NO_DEFAULT:
            # OmegaConf takes a tuple for a list, and a dataclass refuses the mutable default
            default = field(default=f.default)
        elif f.default_factory is not NO_DEFAULT:
            default = field(default_factory=partial(_open, f.default_factory))
        fields.append((f.name, _node_field_type(f.name, types[f.name], default), default))
    return make_dataclass(component.cls.__name__, fields)


def _open(default_factory: Callable[[], Any]) -> Any:
    """A default that is made anew; the keys of a mapping are its user's, whatever they are."""
    value = default_factory()
    return OmegaConf.create(value, flags={"struct": False}) if isinstance(value, dict) else value


def field_types(cls: type) -> dict[str, Any]:
    """Types of a component's options; Any where an annotation cannot be resolved while running."""
    try:
        hints = get_type_hints(cls)
    except NameError:  # imported for the type checker only
        hints = {}
    return {f.name: hints.get(f.name, Any) for f in dataclasses.fields(cls) if f.init}


def _node_field_type(name: str, hint: Any, default: Any) -> Any:
    """The type as OmegaConf knows it, or Any: what it cannot check is left to the component."""
    if get_origin(hint) is Literal:
        kinds = {type(value) for value in get_args(hint)}
        hint = kinds.pop() if len(kinds) == 1 else Any
    try:
        OmegaConf.structured(make_dataclass("Probe", [(name, hint, default)]))
    except (OmegaConfBaseException, ValueError):
        return Any
    return hint


def typed_options(component: Component, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a component, given and default, in the types that its fields declare."""
    prefix, types = component.prefix, field_types(component.cls)
    for key in given:
        if key not in types:
            raise unknown_name(f"option of {component.chosen}:", key, types)
    merged = OmegaConf.merge(OmegaConf.structured(node_type(component)), dict(given))
    missing = sorted(OmegaConf.missing_keys(merged))
    if missing:
        wanted = " ".join(f"{prefix}.{key}=..." for key in missing)
        raise BadInput(f"{component.chosen} needs a value for {', '.join(missing)} · {wanted}")
    values = OmegaConf.to_object(merged)
    return {k: declared(f"{prefix}.{k}", getattr(values, k), types[k]) for k in types}

"""Which one now: plugins become typed Hydra nodes, and Hydra's refusals a line each."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import dataclass, field, make_dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    OmegaConfBaseException,
)

from goralx.discovery import CHOICES, METRICS, Component, Registry, registry
from goralx.errors import BadInput, GoralxError, PluginError, as_word, reading, unknown_name
from goralx.records import check_configuration

from .option_values import declared
from .renamed import as_now


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


def config_folder() -> Path:
    """``conf/``: inside the package in a wheel, beside it in a checkout, from any directory."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


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


def plain(config: DictConfig) -> dict[str, Any]:
    """A composed configuration, resolved, as what JSON knows: no path, no enum, no infinity."""
    resolved = OmegaConf.to_container(config, resolve=True, enum_to_str=True)
    return {str(key): _plain(value) for key, value in cast(dict[Any, Any], resolved).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    odd = isinstance(value, Path) or (isinstance(value, float) and not math.isfinite(value))
    return str(value) if odd else value


def names(group: str) -> list[str]:
    """What can be chosen in a configuration group, registered or in a file of conf/."""
    files = (path.stem for path in (config_folder() / group).glob("*.yaml"))
    registered = (c.name for c in registry().components.values() if c.folder == group)
    return sorted({*files, *registered})


def listed() -> dict[str, Any]:
    """Every group with its names and their options, what is chosen by default, other options."""
    found, file = registry(), config_folder() / "config.yaml"
    config = cast(dict[str, Any], OmegaConf.to_container(OmegaConf.load(file)))
    groups: dict[str, dict[str, list[str]]] = {}
    for group in (*CHOICES, METRICS, "experiment"):
        parts = {name: found.components.get((group, name)) for name in names(group)}
        groups[group] = {name: list(c.options) if c else [] for name, c in parts.items()}
    entries = [entry for entry in config.pop("defaults") if isinstance(entry, dict)]
    chosen = {k: v for entry in entries for k, v in entry.items() if isinstance(v, str)}
    config.pop("hydra", None)
    nested = {k: [f"{k}.{o}" for o in v] for k, v in config.items() if isinstance(v, dict)}
    options = [option for key in config for option in nested.get(key, [key])]
    return {"groups": groups, "chosen": chosen, "options": options}


def experiments() -> dict[str, Path]:
    """The presets of conf/experiment by name."""
    return {path.stem: path for path in sorted((config_folder() / "experiment").glob("*.yaml"))}


def as_data(path: Path) -> dict[str, Any]:
    """A preset for programs: its name, what it says of itself, and what it sets."""
    lines = path.read_text(encoding="utf-8").splitlines()
    said = [line[2:] for line in lines if line.startswith("# ") and not line.startswith("# @")]
    return {
        "name": path.stem,
        "doc": "\n".join(said),
        "config": OmegaConf.to_container(OmegaConf.load(path), resolve=False),
    }


def first_comment(path: Path) -> str:
    """What a preset says of itself: the first of its comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    said = (line for line in lines if line.startswith("# ") and not line.startswith("# @"))
    return next(said, "").removeprefix("# ")


def hydra_files(config: DictConfig, directory: Path) -> dict[str, str]:
    """``.hydra/`` of a run: what was composed, from which overrides, where, and by which Hydra."""
    kept = ["mode", "overrides", "runtime", "run", "sweep", "job"]
    hydra = OmegaConf.masked_copy(cast(DictConfig, HydraConfig.get()), kept)
    hydra.sweep.dir, hydra.run.dir = str(hydra.sweep.dir), str(directory)
    hydra.runtime.output_dir = str(directory)
    return {
        "config.yaml": OmegaConf.to_yaml(config, resolve=True),
        "hydra.yaml": OmegaConf.to_yaml({"hydra": hydra}),
        "overrides.yaml": OmegaConf.to_yaml(hydra.overrides.task),
    }


NEEDED = ("goal", "operator", "strategy", "utility", "batch", "model", "dataset", "tracker",
          "batch_size", "n_queries", "seed", "guard", "monitors", "stop", "audit", "threads",
          "progress", "dev")  # fmt: skip
"""What the configuration of every run has said."""


def recorded(directory: Path) -> tuple[dict[str, Any], str | None, Path | None]:
    """Of a run: its configuration, its sweep if any, and where it was started if that is there.

    With what it has gone on with since it was begun.
    """
    files = [directory / ".hydra" / name for name in ("config.yaml", "hydra.yaml")]
    for file in files:
        if not file.is_file():
            raise BadInput(f"{directory} holds no run, or not a whole one · {file} is missing")
    changed = check_configuration(directory)
    with reading(files[1], "the record is damaged"):
        hydra = cast(DictConfig, OmegaConf.load(files[1]))
        sweep = Path(hydra.hydra.sweep.dir).name if hydra.hydra.mode == "MULTIRUN" else None
        began_in = Path(hydra.hydra.runtime.cwd)
        there = began_in if began_in.is_dir() else None
    with reading(files[0], "the record is damaged"):
        config = as_now(plain(cast(DictConfig, OmegaConf.load(files[0]))))
        missing = [key for key in NEEDED if key not in config]
        if missing:
            raise ValueError(f"it does not say its {missing[0]}")
    return {**config, **changed}, sweep, there


KINDS = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}


def explain(error: Exception) -> GoralxError:
    """What Hydra or OmegaConf refused, in one line with the names that exist."""
    first = _one_line(str(error).split("\n")[0])
    if isinstance(error, OverrideParseException):
        problem = first.removeprefix(f"Error parsing override '{error.override}'").strip()
        key, _, value = error.override.partition("=")
        return BadInput(f"{error.override} · {problem} · if it is text: {as_word(key, value)}")
    if first.startswith("Ambiguous value for argument "):
        given = first.removeprefix("Ambiguous value for argument ").strip("'")
        return BadInput(f"{given} · one value, or several with -m, or a list in brackets: [a,b]")
    if isinstance(error, MissingConfigException):
        group, _, name = (error.missing_cfg_file or "").rpartition("/")
        known = names(group) if group == METRICS else error.options  # Hydra lists none for several
        if known is not None:
            hint = registry().hint() if group in (*CHOICES, METRICS) else _packages(group)
            return unknown_name("metric" if group == METRICS else group, name, known, hint)
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OmegaConfBaseException):
        cause = cause.__cause__
    if cause is None:
        return BadInput(_one_line(str(error)))
    for words in ("Error merging override ", "Could not override "):
        first = first.removeprefix(words).strip("'.")
    if isinstance(cause, ConfigAttributeError | ConfigKeyError):
        *parents, key = first.split("=")[0].lstrip("+~").split(".")
        group = parents[0] if len(parents) == 1 else ""
        known = list(cause.parent_node) if isinstance(cause.parent_node, DictConfig) else []
        of_metric = parents[:1] == [METRICS]
        if of_metric and "name" not in known:
            name = [*parents, key][1]
            chosen = ",".join([*known, name])
            return BadInput(f"{first} · {name} is not measured · metrics=[{chosen}] measures it")
        chosen = f"={cause.parent_node['name']}" if "name" in known else ""
        where = f"option of {'.'.join(parents)}{chosen}:" if parents else "option"
        where = f"option of {METRICS}=[{parents[1]}]:" if of_metric else where
        parts = registry().components.items()
        others = sorted(n for (g, n), part in parts if g == group and key in part.options)
        hint = f" · {group}={' or '.join(others)} has it" if others else ""
        return unknown_name(where, key, [k for k in known if k not in ("name", "hydra")], hint)
    problem = _one_line(str(cause.msg).split("\n")[0])
    kind = problem.rpartition(" could not be converted to ")[2]
    if kind in KINDS:
        problem = f"expected {KINDS[kind]}"
    elif "is not a valid bool" in problem:
        problem = f"expected {KINDS['Boolean']}"
    elif "is not a ListConfig" in problem:
        problem = "expected a list in brackets: [a,b]"
    return BadInput(f"{first} · {problem}" if first != problem else problem)


PACKAGES = {
    "hydra/launcher": {
        "joblib": "hydra-joblib-launcher",
        "submitit_local and submitit_slurm": "hydra-submitit-launcher",
        "ray": "hydra-ray-launcher",
    },
    "hydra/sweeper": {"optuna": "hydra-optuna-sweeper", "ax": "hydra-ax-sweeper"},
}
"""What brings more of Hydra's own groups."""


def _packages(group: str) -> str:
    brought = [f"{name} (pip install {p})" for name, p in PACKAGES.get(group, {}).items()]
    return f" · packages of their own bring {', '.join(brought)}" if brought else ""


def _one_line(text: str) -> str:
    return " ".join(text.split())

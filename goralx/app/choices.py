"""What can be chosen: configuration groups, their names, options and presets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf

from goralx.discovery import CHOICES, METRICS, registry


def config_folder() -> Path:
    """``conf/``: inside the package in a wheel, beside it in a checkout, from any directory."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


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

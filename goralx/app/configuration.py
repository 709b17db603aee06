"""A run's configuration as data: as it was composed, and as a record says it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from goralx.errors import BadInput, reading
from goralx.records import check_configuration

from .renamed import as_now


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

"""What the whole pool gives, worked out once for all arms of a seed and kept by its content.

A run's last act is a fit on init and pool. It depends on data, split, model and metrics, not on the
strategy: the first run to need it puts it into the cache folder, and whoever comes meanwhile waits.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

import goralx.core
from goralx.data import cache_folder
from goralx.errors import BadInput
from goralx.learning import Experiment
from goralx.records import content, versions, write_json


def full_pool(experiment: Experiment) -> Mapping[str, float] | None:
    """`Experiment.full_pool`, from the cache if it is there; None where it is not to be had."""
    if not experiment.fits_pool:
        return None
    try:
        path = cache_folder("full_pool") / f"{_key(experiment)}.json"
    except BadInput:  # nowhere to keep it: no reason for a run to fail in the end
        return experiment.full_pool()
    with FileLock(f"{path}.lock"):
        found = _read(path)
        if found is None or set(found) != set(experiment.metrics):
            found = experiment.full_pool()
            assert found is not None
            write_json(path, found)
    return {name: found[name] for name in experiment.metrics}


def _key(experiment: Experiment) -> str:
    """SHA-256 of all that the fit on the pool and what is measured of it depend on."""
    instance, made_of = experiment.instance, (experiment.model, *experiment.metrics.values())
    code = {type(part): _code(type(part)) for part in made_of}
    installed = versions()
    identity: dict[str, Any] = {
        "model": [repr(experiment.model), code[type(experiment.model)]],
        "metrics": {name: [repr(m), code[type(m)]] for name, m in experiment.metrics.items()},
        "core": _core(),
        "versions": {name: installed.get(name) for name in ("goralx", "numpy", "scipy")},
        "scikit-learn": installed.get("scikit-learn"),
        "classes": instance.classes,
    }
    trained_on = np.sort(np.concatenate([instance.init, instance.pool]))
    arrays = {"X": instance.X, "y": instance.y, "on": trained_on, "test": np.sort(instance.test)}
    if experiment.model.regime == "fixed_lambda":  # the penalty of the first fit stays
        identity["first"] = len(instance.init)
    return content([identity], arrays)


def _read(path: Path) -> dict[str, float] | None:
    """What was kept; None where nothing was, or it is damaged."""
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        kept.pop("format", None)
        return {name: float("nan") if v is None else float(v) for name, v in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _code(cls: type) -> str:
    """Of the file that a class is written in: a component that is edited is another one."""
    try:
        return _digest(Path(inspect.getfile(cls)))
    except (OSError, TypeError):  # typed into an interpreter
        return cls.__qualname__


@cache
def _core() -> str:
    """Of the mathematics that fits."""
    files = sorted(Path(goralx.core.__file__).parent.rglob("*.py"))
    return hashlib.sha256("".join(map(_digest, files)).encode()).hexdigest()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

"""What a result depends on: options and data, the plugins' source, versions; and what changed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from goralx.data import Instance, as_matrix, blocks, part, shown
from goralx.errors import BadInput, RunWarning

from .storage import canonical, digest

PACKAGES = ("goralx", "numpy", "scipy", "scikit-learn", "hydra-core", "mlflow", "matplotlib")


NUMBERS = ("goralx", "numpy", "scipy", "scikit-learn")
"""Packages whose versions can change numbers, if only the last digits."""


def inputs(identity: Mapping[str, Any], instance: Instance) -> str:
    """SHA-256 (hex) of options and data: ``identity`` as JSON, and all of the instance.

    ``identity`` holds JSON values only; the order of its keys does not matter.
    """
    parts = ("X", "y", "init", "pool", "test", "dev")
    return content([identity, instance.classes], {name: getattr(instance, name) for name in parts})


SAMPLED = 4096
"""Rows whose features stand for all in `data_digest`."""


def data_digest(instance: Instance) -> str:
    """SHA-256 (hex) of classes, labels and, of `SAMPLED` rows spread over it, features.

    What is not the same data for two runs of one seed; which rows are asked is not in it.
    """
    n = len(instance.y)
    rows = np.unique(np.linspace(0, n - 1, min(n, SAMPLED)).astype(np.int64))
    return content([instance.classes], {"X": part(instance.X, rows), "y": instance.y})


def content(identity: Iterable[Any], arrays: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of JSON values and of arrays or matrices by their names."""
    hashed = hashlib.sha256()
    for value in identity:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
        hashed.update(b"%d:" % len(text) + text)
    for name, values in arrays.items():
        hashed.update(f"{name}{values.dtype.str}{values.shape}".encode())
        for block in shown(blocks(len(values)), "fingerprint", progress=name == "X"):
            for array in as_matrix(values).numbers(block):
                hashed.update(np.ascontiguousarray(array).data)
    return hashed.hexdigest()


def goralx_version() -> str:
    return importlib.metadata.version("goralx")


def versions() -> dict[str, str]:
    """Of what is installed; asking the metadata imports nothing."""
    installed = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            installed[package] = importlib.metadata.version(package)
    return installed


def fingerprint(inputs: str, sources: Mapping[str, str]) -> str:
    """SHA-256 (hex) of all that determines a result: `inputs`, plugins' source, goralx's version.

    ``sources`` are the hashes of the source of what is in use, by name.
    """
    return digest(canonical([inputs, goralx_version(), dict(sources)]))


def check_origin(
    directory: Path, begun: Mapping[str, Any], now: Mapping[str, Any], force: bool
) -> bool:
    """Whether a run goes on with the code that it was begun with; what differs is said.

    Raises `BadInput` where it is of other options or other data, and, unless ``force``, where what
    differs can change numbers.
    """
    if begun["inputs"] != now["inputs"]:
        raise BadInput(
            f"{directory} is the record of other options or other data (fingerprints differ) · "
            "use what it was begun with, or run anew"
        )
    changed = differences(begun, now)
    if not changed:
        return True
    if any(can_matter for can_matter, _ in changed) and not force:
        said = "; ".join(text for can_matter, text in changed if can_matter)
        raise BadInput(
            f"{directory} was begun with other code: {said} · take up the old one again, or run "
            "anew, or go on in spite of it with --force"
        )
    warnings.warn(
        f"{directory} was begun with other code: {'; '.join(text for _, text in changed)}",
        RunWarning,
        stacklevel=2,
    )
    return False


def mixed(fingerprint: str, other: str) -> str:
    """The fingerprint of a result that is partly of one and partly of another: of no other run."""
    return digest(canonical(["mixed", fingerprint, other]))


def differences(begun: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[bool, str]]:
    """What differs between two origins, and whether it can change numbers."""
    found = []
    before, after = begun["versions"], now["versions"]
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            was, is_now = before.get(name, "none"), after.get(name, "none")
            found.append((name in NUMBERS, f"{name} {was}, now {is_now}"))
    if begun["sources"] is None:
        return [*found, (False, "which source its plugins had is not known")]
    was_source, source = begun["sources"], now["sources"]
    changed = [n for n in sorted({*was_source, *source}) if was_source.get(n) != source.get(n)]
    return [*found, *((True, f"the source of {name} has changed") for name in changed)]

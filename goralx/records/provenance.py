"""What a result depends on: the fingerprint of all that determines it, and versions."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from goralx.data import Instance, as_matrix, blocks, shown

PACKAGES = ("goralx", "numpy", "scipy", "scikit-learn", "hydra-core", "mlflow", "matplotlib")


def fingerprint(identity: Mapping[str, Any], instance: Instance) -> str:
    """SHA-256 (hex) of all that determines a result: ``identity`` as JSON, and the instance's data.

    ``identity`` holds JSON values only; the order of its keys does not matter.
    """
    parts = ("X", "y", "init", "pool", "test", "dev")
    return content([identity, instance.classes], {name: getattr(instance, name) for name in parts})


def content(identity: Iterable[Any], arrays: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of JSON values and of arrays or matrices by their names."""
    digest = hashlib.sha256()
    for value in identity:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
        digest.update(b"%d:" % len(text) + text)
    for name, values in arrays.items():
        digest.update(f"{name}{values.dtype.str}{values.shape}".encode())
        for block in shown(blocks(len(values)), "fingerprint", progress=name == "X"):
            for array in as_matrix(values).numbers(block):
                digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Of what is installed; asking the metadata imports nothing."""
    installed = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            installed[package] = importlib.metadata.version(package)
    return installed

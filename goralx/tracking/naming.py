"""What a tracker calls things: a run's parameters, its final numbers, and where it came from."""

from __future__ import annotations

import getpass
import json
import math
import re
import subprocess
from collections.abc import Mapping
from typing import Any

MAX_VALUE = 6000
"""Characters of a parameter; MLflow would cut longer ones without a word."""


def metric_name(name: str) -> str:
    """With an underscore for every character that MLflow refuses."""
    return re.sub(r"[^\w\-. :/]", "_", name)


def parameters(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested configuration as ``group.option``: text; what is too long says so where it is cut."""
    flat: dict[str, str] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(parameters(value, f"{name}."))
            continue
        text = value if isinstance(value, str) else json.dumps(value)
        if len(text) > MAX_VALUE:
            note = f" ... (cut; {len(text)} characters, whole in .hydra/config.yaml)"
            text = text[: MAX_VALUE - len(note)] + note
        flat[metric_name(name)[:250]] = text
    return flat


def summary_metrics(summary: Mapping[str, Any]) -> dict[str, float]:
    """The finished run's numbers, to sort and compare runs by; a study has its own ``metrics``."""
    if "metrics" in summary:
        finite = {k: v for k, v in summary["metrics"].items() if v is not None and math.isfinite(v)}
        return {metric_name(name): float(value) for name, value in finite.items()}
    needed = {f"labels_needed_{k.rstrip('%')}": v for k, v in summary["labels_needed"].items()}
    full = {f"full_pool_{name}": value for name, value in (summary["full_pool"] or {}).items()}
    names = ("aulc", "n_queries", "dev_labels_used")
    values = {**summary["test"], **full, **{name: summary[name] for name in names}, **needed}
    return {
        f"summary/{name}": float(value)
        for name, value in values.items()
        if value is not None and math.isfinite(value)
    }


def origin() -> dict[str, str]:
    """The tags that mlflow's fluent interface sets and a client does not."""
    tags = {"mlflow.source.name": "goralx", "mlflow.source.type": "LOCAL"}
    try:
        tags["mlflow.user"] = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        tags["mlflow.user"] = "unknown"
    try:
        git = ["git", "rev-parse", "HEAD"]
        done = subprocess.run(git, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):  # no git, no commit
        return tags
    return (
        {**tags, "mlflow.source.git.commit": done.stdout.strip()} if not done.returncode else tags
    )

"""Options that were called otherwise once: records of then are read, and have the same fingerprint.

Whoever renames an option of a bundled component adds it here; the golden records among the tests
(``tests/records/golden``) notice where somebody has not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RENAMED = {
    ("utility", "influence"): {"kappa": "judged"},
    ("operator", "ucb"): {"kappa": "deviations"},
}
"""By group and component: what it was called first, and what it is called now."""

THRESHOLD = "utility_threshold"
"""The stopping rule that was the only one."""


def as_now(config: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded configuration in the names of now."""
    renamed, stop = _renamed(config, lambda first, now: {first: now}), config.get("stop", {})
    renamed.setdefault("initial", {"name": "given"})
    if "min_gain" in stop and "name" not in stop:  # before there were rules
        rule = {"name": "budget"} if stop["min_gain"] is None else {"name": THRESHOLD, **stop}
        renamed["stop"] = rule
    renamed.setdefault("oracle", {"name": "perfect"})  # before there were any
    return renamed


def as_first(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration, or a part of one, in the names that options had first."""
    renamed, stop = _renamed(config, lambda first, now: {now: first}), config.get("stop", {})
    if stop.get("name") == "budget":
        renamed["stop"] = {"min_gain": None, "patience": 3}
    elif stop.get("name") == THRESHOLD:
        renamed["stop"] = {key: stop[key] for key in ("min_gain", "patience")}
    return renamed


def _renamed(config: Mapping[str, Any], way: Any) -> dict[str, Any]:
    renamed = dict(config)
    for (group, name), options in RENAMED.items():
        node = renamed.get(group)
        if isinstance(node, Mapping) and node.get("name") == name:
            names: dict[str, str] = {}
            for first, now in options.items():
                names |= way(first, now)
            renamed[group] = {names.get(key, key): value for key, value in node.items()}
    return renamed

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


def as_now(config: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded configuration in the names of now."""
    return _renamed(config, lambda first, now: {first: now})


def as_first(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration, or a part of one, in the names that options had first."""
    return _renamed(config, lambda first, now: {now: first})


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

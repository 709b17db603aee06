"""What a sweeper is told of a run: any number of its ``summary.json``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from goralx.errors import unknown_name


def objective(summary: Mapping[str, Any], wanted: Any) -> float | list[float] | None:
    """The number called ``wanted`` (``aulc``, ``goals.ent``), or one for each of a list of names.

    None where nothing is wanted. What has no value (labels never reached) is NaN. Raises
    `UnknownName` with the numbers that there are.
    """
    if wanted is None:
        return None
    if isinstance(wanted, list):
        return [_number(summary, name) for name in wanted]
    return _number(summary, wanted)


def _number(summary: Mapping[str, Any], name: Any) -> float:
    known = dict(_numbers(summary))
    if str(name) not in known:
        raise unknown_name("objective", str(name), known)
    value = known[str(name)]
    return math.nan if value is None else float(value)


def _numbers(summary: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every number by its dotted name; what may have no value is null."""
    for key, value in summary.items():
        if isinstance(value, Mapping) and key not in ("config", "tags", "versions"):
            yield from _numbers(value, f"{prefix}{key}.")
        elif value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            yield f"{prefix}{key}", value

"""Which options of a component can be written on a command line and in a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_type_hints

PLAIN = (bool, int, float, str, Path, Enum, type(None))


def unwritable(cls: type) -> Iterator[str]:
    """Why each option that cannot be written cannot, with what to do: a default that is no plain
    value, or a dataclass of its own.
    """
    hints = resolved(cls)
    for f in fields(cls):
        if not f.init:
            continue
        inner = next((kind for kind in among(hints.get(f.name)) if is_dataclass(kind)), None)
        if inner is not None:
            yield (
                f"option {f.name} is a dataclass, {getattr(inner, '__name__', inner)}; make its "
                "fields options of their own, or the option a mapping (dict[str, float])"
            )
        elif (odd := _odd(_default(f))) is not None:
            yield (
                f"the default of option {f.name} is of type {type(odd).__name__}; use numbers, "
                "texts, an Enum, or lists and mappings of those, and make it in __post_init__ or "
                "where it is needed (field(init=False) is no option)"
            )


def resolved(cls: type) -> dict[str, Any]:
    """What the annotations of a class mean; nothing where one is for the type checker only."""
    try:
        return get_type_hints(cls)
    except NameError:
        return {}


def _default(f: Field[Any]) -> Any:
    if f.default is not MISSING:
        return f.default
    return f.default_factory() if f.default_factory is not MISSING else None


def among(hint: Any) -> Iterator[Any]:
    """The classes that an annotation is made of."""
    if isinstance(hint, type) and not get_args(hint):
        yield hint
    for part in get_args(hint):
        yield from among(part)


def _odd(value: Any) -> Any | None:
    """What in a value is not plain; None where all of it is."""
    if isinstance(value, PLAIN):
        return None
    if isinstance(value, Mapping):
        inside: list[Any] = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple):
        inside = list(value)
    else:
        return value
    return next((odd for part in inside if (odd := _odd(part)) is not None), None)

"""Values of options in the types that are declared: what OmegaConf leaves to a component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from goralx.errors import BadInput

WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def declared(option: str, value: Any, hint: Any) -> Any:
    """The value as the annotation has it: tuples, values of a Literal, members of an Enum, and
    whatever mappings, lists and unions hold. Raises `BadInput` for what is none; other types pass.
    """
    origin, among = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _one_of(option, value, among)
    if origin is Literal:
        if not any(value == a and isinstance(value, bool) == isinstance(a, bool) for a in among):
            raise BadInput(f"{option}={value}; allowed: {', '.join(str(a) for a in among)}")
        return value
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _member(option, value, hint)
    if hint in WORDS:
        return _plain(option, value, hint)
    if (origin or hint) is dict:
        return _mapping(option, value, *(among or (Any, Any)))
    if origin in (list, tuple) or (origin is Sequence and among):
        return _several(option, value, origin, among)
    return value


def _one_of(option: str, value: Any, among: tuple[Any, ...]) -> Any:
    """By the type that it has already, or else by the first that takes it."""
    if value is None and type(None) in among:
        return None
    kinds = [kind for kind in among if kind is not type(None)]
    if type(value) in kinds:
        return value
    refusals = []
    for kind in kinds:
        try:
            return declared(option, value, kind)
        except BadInput as refused:
            refusals.append(refused)
    raise refusals[0]


def _member(option: str, value: Any, hint: type[Enum]) -> Enum:
    if isinstance(value, hint):
        return value
    if value not in hint.__members__:
        raise BadInput(f"{option}={value}; allowed: {', '.join(hint.__members__)}")
    return hint[value]


def _plain(option: str, value: Any, hint: type) -> Any:
    if type(value) is hint:
        return value
    if hint is float and type(value) is int:
        return float(value)
    if hint is str and isinstance(value, int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    raise BadInput(f"{option}={value}; expected {WORDS[hint]}")


def _mapping(option: str, value: Any, key: Any, of: Any) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise BadInput(
            f"{option}={value}; expected a mapping: {option}.KEY=VALUE, or {{KEY:VALUE}}"
        )
    return {declared(option, k, key): declared(f"{option}.{k}", v, of) for k, v in value.items()}


def _several(option: str, value: Any, origin: Any, among: tuple[Any, ...]) -> Any:
    if not isinstance(value, list | tuple):
        raise BadInput(f"{option}={value}; expected a list in brackets: [a,b]")
    if origin is tuple and among[-1:] != (Ellipsis,):
        if len(value) != len(among):
            raise BadInput(f"{option}={list(value)}; expected {len(among)} values in brackets")
        return tuple(declared(option, v, of) for v, of in zip(value, among, strict=True))
    found = [declared(option, v, among[0]) for v in value]
    return tuple(found) if origin is tuple else found

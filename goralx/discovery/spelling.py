"""A component in one text, where an option of another names it: ``"noisy rate=0.3"``."""

from __future__ import annotations

import shlex
from typing import Any, get_args, get_type_hints

from goralx.errors import BadInput

from .loading import build, registry

ALLOWED = "allowed: NAME OPTION=VALUE ..."


def spelt(group: str, text: str, option: str) -> Any:
    """The component of its name and options, which are as its fields declare them.

    ``rates.cat=0.5`` is a key of a mapping; a value with spaces is quoted. ``option`` is where the
    text was given: `BadInput` names it.
    """
    try:
        name, *given = shlex.split(text) or [""]
    except ValueError as error:
        raise BadInput(f"{option}: {text} ({error}); {ALLOWED}") from None
    hints = get_type_hints(registry().component(group, name).cls)
    options: dict[str, Any] = {}
    for word in given:
        key, _, value = word.partition("=")
        key, _, inner = key.partition(".")
        try:
            found = _typed(value, hints.get(key))
        except ValueError:
            raise BadInput(f"{option}: {text} ({word}); {ALLOWED}") from None
        options[key] = {**options.get(key, {}), inner: found} if inner else found
    return build(group, name, options)


def _typed(value: str, hint: Any) -> Any:
    """A word as an option of this type; raises `ValueError`."""
    if not value:
        raise ValueError("no value")
    kinds = {hint, *get_args(hint)}
    if bool in kinds and value in ("true", "false"):
        return value == "true"
    for kind in (int, float):
        if kind in kinds:
            return kind(value)
    return value

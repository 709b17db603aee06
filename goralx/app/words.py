"""Words of the command line: text options are taken literally where Hydra's grammar cannot.

``dataset.delimiter=;``, ``dataset.path=data (1).csv`` and ``dataset.label=Größe`` are no sentences
of that grammar, and ``dataset.exclude=a,b`` is a sweep in it. An option that is declared as text
means what it says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from goralx.discovery import HOOKS, Registry, registry

from .nodes import field_types

Kind = Literal["text", "texts"]

TEXTS = ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir")
"""Text options that no component declares."""


def literal(words: Sequence[str], *, sweep: bool) -> list[str]:
    """The overrides, with text that Hydra would not take as it stands in quotes.

    Numbers are text there too (007), and so is a comma outside a sweep; within one it is that of a
    list where the option takes several texts. Lists, quoted text, references and null stay.
    """
    found = registry()
    return [_literal(word, found, sweep=sweep) for word in words]


def _literal(word: str, found: Registry, *, sweep: bool) -> str:
    from hydra.core.override_parser.types import Quote, QuotedString

    key, equals, value = word.partition("=")
    kind = _kind(key.lstrip("+"), found)
    if not (equals and value and kind) or _understood(word, value, kind, sweep=sweep):
        return word
    escaped = re.sub(r"(\\*)\$\{", r"\1\1\\${", value)
    return f"{key}={QuotedString(escaped, Quote.double).with_quotes()}"


def _understood(word: str, value: str, kind: Kind, *, sweep: bool) -> bool:
    """Whether Hydra reads the value as it is meant."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import ChoiceSweep, QuotedString
    from hydra.errors import HydraException

    try:
        override = OverridesParser.create().parse_override(word)
    except HydraException:
        return False
    given = override._value
    if override.is_sweep_override():
        lists = isinstance(given, ChoiceSweep) and any(isinstance(c, list) for c in given.list)
        return sweep and (kind == "text" or lists or not isinstance(given, ChoiceSweep))
    if isinstance(given, str):
        return value == value.strip()
    return given is None or isinstance(given, list | dict | QuotedString)


def _kind(key: str, found: Registry) -> Kind | None:
    """Whether the option takes a text, or several, in every component that has it."""
    if key in TEXTS:
        return "text"
    group, _, option = key.partition(".")
    if group not in HOOKS:
        return None
    kinds = {
        _declared(types[option])
        for (g, _), component in found.components.items()
        if g == group and option in (types := field_types(component.cls))
    }
    if not kinds or None in kinds:
        return None
    return "texts" if "texts" in kinds else "text"


def _declared(hint: Any) -> Kind | None:
    """What an annotation says: str, a choice of texts, or either beside a sequence of texts."""
    among = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    kinds = [kind for kind in among if kind is not type(None)]
    several = [kind for kind in kinds if get_origin(kind) is not None and get_args(kind)[0] is str]
    texts = [kind for kind in kinds if kind is str or _chosen(kind)]
    if not texts or len(texts) + len(several) < len(kinds):
        return None
    return "texts" if several else "text"


def _chosen(kind: Any) -> bool:
    return get_origin(kind) is Literal and all(isinstance(a, str) for a in get_args(kind))

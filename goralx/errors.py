"""What goralx raises on purpose: one line that says what was given, what is allowed, what to do."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

from numpy.linalg import LinAlgError


class GoralxError(Exception):
    """Base of every error that a user can mend; the command line exits with status 2."""


class BadInput(GoralxError, ValueError):
    """A value, a file or an array that cannot be used as given."""


class UnknownName(GoralxError, LookupError):
    """A name that nothing is registered under."""


class Incompatible(GoralxError, ValueError):
    """Components that make no sense together."""


class PluginError(GoralxError):
    """A plugin that breaks the contract: a clash of names, a misspelt hook, a failed import."""


class MissingExtra(GoralxError, ImportError):
    """A module that takes a package which an extra of goralx installs."""


class RunFailed(GoralxError, RuntimeError):
    """Something broke while running, through no fault of the input: exit status 1."""


class RunWarning(UserWarning):
    """Something a run goes on in spite of; the command line shows it as one line."""


class TooLarge(GoralxError, MemoryError):
    """What was asked does not fit into memory."""


class NotSolvable(GoralxError, ArithmeticError):
    """Linear algebra that found no answer: singular, overflown, or far from any optimum."""


@contextmanager
def in_words(what: str) -> Iterator[None]:
    """Whatever memory or linear algebra raises meanwhile, in a line that says what to do."""
    try:
        yield
    except GoralxError:
        raise
    except MemoryError as error:
        said = f" ({error})" if str(error) else ""
        raise TooLarge(
            f"{what}: memory is short{said}; use utility=influence or a smaller utility.screen, "
            "precision=single, sparse features, or fewer of them"
        ) from error
    except (ArithmeticError, LinAlgError) as error:
        raise NotSolvable(
            f"{what}: {type(error).__name__}: {error}; standardise the features, leave out those "
            "that depend on one another, or lower C"
        ) from error


@contextmanager
def reading(path: object, way_out: str) -> Iterator[None]:
    """Whatever a damaged file makes its reader raise, as `BadInput` that names it.

    Every format has errors of its own, and every library more of them. ``way_out``: what to do.
    """
    try:
        yield
    except GoralxError:
        raise
    except Exception as error:
        text = str(error).strip().split("\n")[0]
        said = f"{type(error).__name__}: {text}" if text else type(error).__name__
        raise BadInput(f"{path} cannot be read ({said}); {way_out}") from error


def unknown_name(kind: str, given: str, names: Iterable[str], hint: str = "") -> UnknownName:
    """`UnknownName` that lists what exists and the nearest of it."""
    known = sorted(names)
    near = get_close_matches(given, known, n=1)
    nearest = f"; did you mean '{near[0]}'?" if near else ""
    listed = ", ".join(known) or "none"
    return UnknownName(f"unknown {kind} '{given}'{nearest} · available: {listed}{hint}")


_TO_QUOTE = re.compile(
    r"""^$|^null$|^[\['"{\s]|\s$|.,|,.|[\\\n\r]|\$\{|^\w+\(.*\)$""", re.IGNORECASE
)
"""Text that the command line would not take as it stands: a list, a sweep, a reference, nothing."""


def as_word(option: str, value: str | Sequence[str]) -> str:
    """``OPTION=VALUE`` as it is typed in a shell, whatever characters the text or texts are of."""
    if isinstance(value, str):
        return f"{option}={shlex.quote(_quoted(value) if _TO_QUOTE.search(value) else value)}"
    listed = ",".join(value)
    if any(_TO_QUOTE.search(text) or "," in text for text in value):
        listed = f"[{','.join(map(_quoted, value))}]"
    return f"{option}={shlex.quote(listed)}"


def _quoted(text: str) -> str:
    """As the configuration's grammar has text in quotes: no reference, no end before the end."""
    text = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    return '"' + re.sub(r"(\\+)$", r"\1\1", re.sub(r'(\\*)"', r'\1\1\\"', text)) + '"'

"""The one boundary to components: what they raise and what they return, held against the contract.

What is handed to them is read-only (`goralx.data.read_only`). What a component does wrong is told
in a line that names its kind, its class, and the package or file that it came from.
"""

from __future__ import annotations

import importlib.metadata
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from goralx.data import Array, Rows
from goralx.errors import GoralxError, PluginError

HERE = Path(__file__).resolve().parent.parent
OURS = (HERE / "plugins", HERE.parent / "plugins", HERE)
"""Where our own components lie: in a wheel, in a checkout, in the package."""


@contextmanager
def asking(component: Any, kind: str, method: str) -> Iterator[None]:
    """What somebody else's component raises, as a `PluginError` that names it and the line.

    Memory that is short and linear algebra without an answer are nobody's fault and pass, as does
    what is raised on purpose; a fault of our own components stays what it is.
    """
    try:
        yield
    except (GoralxError, MemoryError, ArithmeticError, LinAlgError):
        raise
    except Exception as error:
        culprit, kind, line = _culprit(error.__traceback__, component, kind)
        if origin(type(culprit).__module__) == "goralx":
            raise
        said = " ".join(f"{type(error).__name__}: {error}".split())
        where = f" (line {line})" if line else ""
        hint = ""
        if "read-only" in said:
            hint = " · what components are given is shared with others: copy it before writing"
        raise PluginError(f"{named(culprit, kind)}: {method}{where}: {said}{hint}") from error


def named(component: Any, kind: str) -> str:
    """A component and where it comes from: ``goal Gini (goralx-gini 0.1.0)``."""
    cls = component if isinstance(component, type) else type(component)
    return f"{kind} {cls.__name__} ({origin(cls.__module__)})"


def origin(module: str) -> str:
    """The distribution and version that a module belongs to, or the file that it came from."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is not None and any(Path(file).resolve().is_relative_to(own) for own in OURS):
        return "goralx"
    top = module.partition(".")[0]
    for name in importlib.metadata.packages_distributions().get(top, []):
        return f"{name} {importlib.metadata.version(name)}"
    return file or module


def number(value: Any, component: Any, kind: str, what: str) -> float:
    """A finite number that a component gave."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise PluginError(
            f"{named(component, kind)}: {what} is {_described(value)}; expected a number"
        ) from None
    if not np.isfinite(found):
        raise PluginError(f"{named(component, kind)}: {what} is {found}; expected a finite number")
    return found


def numbers(
    value: Any,
    shape: tuple[int, ...],
    component: Any,
    kind: str,
    what: str,
    *,
    but: Sequence[float] = (),
) -> Array:
    """A real array of this shape that a component gave, finite ``but`` for NaN, -inf or inf."""
    found = value if isinstance(value, np.ndarray) else None
    if found is None or found.dtype.kind not in "fiu" or found.shape != shape:
        raise PluginError(
            f"{named(component, kind)}: {what} is {_described(value)}; expected an array of "
            f"numbers of shape {shape}"
        )
    with np.errstate(all="ignore"):
        quick = bool(np.isfinite(found.sum()))  # no entry is bad if the sum is not
    if not quick:
        bad = ~np.isfinite(found)
        for allowed in but:
            bad &= ~(np.isnan(found) if np.isnan(allowed) else found == allowed)
        if bad.any():
            place = tuple(int(i) for i in np.argwhere(bad)[0])
            raise PluginError(
                f"{named(component, kind)}: {what} is {found[place]} at {place}; every one must be "
                "finite"
            )
    return found


def instance_of(value: Any, expected: type, component: Any, kind: str, what: str) -> None:
    """Refuse what is of another type."""
    if not isinstance(value, expected):
        raise PluginError(
            f"{named(component, kind)}: {what} is {_described(value)}; expected {expected.__name__}"
        )


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} of shape {value.shape}"
    text = repr(value)
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    return f"{type(value).__name__} {shown}"


def places(value: Any, n: int, at_most: int, component: Any, kind: str) -> Rows:
    """Places among n candidates, 1 to ``at_most`` of them and all different: (b,)."""
    rows = np.asarray(value) if isinstance(value, np.ndarray | list | tuple) else np.empty((0, 0))
    good = rows.ndim == 1 and rows.dtype.kind in "iu" and 0 < len(rows) <= at_most
    if good and rows.min() >= 0 and rows.max() < n and len(np.unique(rows)) == len(rows):
        return rows.astype(np.int64, copy=False)
    shown = np.array2string(rows, threshold=20) if rows.ndim == 1 else _described(value)
    raise PluginError(
        f"{named(component, kind)} chose {shown}; expected 1 to {at_most} row numbers, all "
        f"different, of the candidates 0..{n - 1}"
    )


def _culprit(trace: TracebackType | None, asked: Any, kind: str) -> tuple[Any, str, int | None]:
    """The component whose method raised, and the line in its file: one asks another at times."""
    culprit, line = asked, None
    for frame, at in traceback.walk_tb(trace):
        owner = frame.f_locals.get("self")
        own_kind = getattr(type(owner), "_kind", None)
        if owner is not None and isinstance(own_kind, str):
            culprit, kind, line = owner, own_kind, None
        file = getattr(sys.modules.get(type(culprit).__module__), "__file__", None)
        if file is not None and frame.f_code.co_filename == file:
            line = at
    return culprit, kind, line

"""Checks of any component's options, and what the other checks share."""

from __future__ import annotations

import copy
import random
import types
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goralx.contracts import Model
from goralx.errors import GoralxError

T = TypeVar("T")
Check = Callable[[Any], None]

_PLAIN = (int, float, bool, str, Path, type(None))


def check_is_frozen_dataclass(component: Any) -> None:
    """A component is a frozen dataclass: a value that nobody changes behind another's back."""
    cls = type(component)
    frozen = is_dataclass(cls) and cls.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert frozen, f"decorate class {cls.__name__} with @dataclass(frozen=True)"


def check_options_are_plain(component: Any) -> None:
    """Every field has a type that the command line and a YAML file can express."""
    cls = type(component)
    hints = typing.get_type_hints(cls)
    for option in fields(cls):
        assert _is_plain(hints[option.name]), (
            f"option {option.name}: {option.type} cannot be written on a command line; use int, "
            "float, bool, str, an Enum, or lists, dicts and `| None` of those"
        )


def check_is_documented(component: Any) -> None:
    """The class says in its docstring what it does: that is what ``goralx plugins`` shows."""
    cls = type(component)
    own = (cls.__doc__ or "").strip()
    assert own and not own.startswith(f"{cls.__name__}("), f"class {cls.__name__} has no docstring"


def _is_plain(hint: Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, (*_PLAIN, Enum)):
        return True
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return True
    if origin is dict and arguments[1] is Any:  # another's options, whose types are its own
        return _is_plain(arguments[0])
    if origin in (Union, types.UnionType, list, tuple, dict):
        return all(a is Ellipsis or _is_plain(a) for a in arguments)
    return False


def require_close(
    actual: Any, expected: Any, message: str, *, rtol: float = 1e-9, scale: float = 0.0
) -> None:
    """Equal shapes, and no entry further off than ``rtol`` times the largest (or ``scale``)."""
    got, want = np.asarray(actual), np.asarray(expected)
    assert got.shape == want.shape, f"{message}: shape {got.shape}, expected {want.shape}"
    if not got.size:
        return
    assert np.isfinite(got).all(), f"{message}: NaN or infinite"
    error = np.abs(got - want)
    worst = np.unravel_index(int(error.argmax()), error.shape)
    at = f"[{', '.join(str(int(i)) for i in worst)}]" if worst else ""
    allowed = rtol * max(scale, float(np.abs(want).max()))
    assert error[worst] <= allowed, (
        f"{message}: entry{at} is {got[worst]:.10g}, expected {want[worst]:.10g}"
    )


def require_array(value: Any, shape: tuple[int, ...], what: str) -> None:
    """A finite floating array of this shape."""
    assert isinstance(value, np.ndarray), f"{what} is a {type(value).__name__}; return an array"
    assert value.shape == shape, f"{what} has shape {value.shape}; expected {shape}"
    assert value.dtype.kind == "f", f"{what} has type {value.dtype}; expected floating point"
    assert np.isfinite(value).all(), f"{what} has a NaN or an infinity"


def require_places(rows: ArrayLike, size: int, n: int, where: str) -> None:
    """``size`` different whole numbers among the places of ``n`` samples."""
    places = np.asarray(rows)
    assert places.shape == (size,), f"{where}: rows have shape {places.shape}; expected ({size},)"
    assert places.dtype.kind == "i", f"{where}: rows have type {places.dtype}; expected integers"
    assert len(np.unique(places)) == size, f"{where}: one is chosen twice"
    assert places.min() >= 0 and places.max() < n, (
        f"{where}: rows {places.tolist()} are not among 0..{n - 1}; places among those on offer "
        "are meant, not rows of the pool"
    )


@contextmanager
def raises_nothing(where: str, remedy: str) -> Iterator[None]:
    """Whatever the block raises is a finding, told with its remedy; findings pass."""
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        what = f"{where} it raises {type(error).__name__}: {error}"
        raise AssertionError(f"{what}; {remedy}") from error


def answer_or_refusal(ask: Callable[[], T], where: str) -> T | None:
    """What is answered; None where it is refused in words, which will do."""
    with raises_nothing(where, "get by, or raise goralx.Incompatible"):
        try:
            return ask()
        except GoralxError:
            return None


@contextmanager
def unchanged(learner: Model) -> Iterator[None]:
    """The block leaves the options of the model before any fit as they were."""
    before = copy.deepcopy(vars(learner))
    remedy = "it changes query.learner, the run's own; dataclasses.replace makes another"
    try:
        yield
    except FrozenInstanceError as error:
        raise AssertionError(remedy) from error
    assert vars(learner) == before, remedy


@contextmanager
def untouched(**arrays: NDArray[Any] | None) -> Iterator[None]:
    """The block leaves these arrays as they were."""
    before = {name: None if a is None else a.copy() for name, a in arrays.items()}
    try:
        yield
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise AssertionError(f"it writes into what is given ({error}); work on a copy") from error
    for name, array in arrays.items():
        same = array is None or np.array_equal(array, before[name], equal_nan=True)  # type: ignore[arg-type]
        assert same, f"it writes into its argument {name}; work on a copy"


@contextmanager
def global_generators_unused() -> Iterator[None]:
    """The block neither draws from nor seeds the global generators of numpy and Python."""
    numpy_before, python_before = _global_state(), random.getstate()
    yield
    assert _global_state() == numpy_before, "it uses numpy's global generator; use the one given"
    assert random.getstate() == python_before, "it uses the module random; use the generator given"


def _global_state() -> tuple[bytes, int]:
    state: Any = np.random.get_state(legacy=True)  # noqa: NPY002 - what is being looked for
    return state[1].tobytes(), int(state[2])


CHECKS: tuple[Check, ...] = (
    check_is_frozen_dataclass,
    check_options_are_plain,
    check_is_documented,
)

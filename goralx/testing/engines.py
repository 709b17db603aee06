"""What an engine promises: the same numbers as one process, whoever works them out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np

from goralx.contracts import HERE, Engine, LogitGoal, Reference
from goralx.data import Features, open_matrix
from goralx.discovery import build

from .common import Check
from .scenario import Learner, labelled

SIZE = 20_000
"""Samples of a pool: three blocks."""
PIECES = [slice(start, start + 3) for start in range(0, 21, 3)]


class Told(Exception):
    """What the checks' own function raises, where it is asked to."""


def spread_of(piece: slice) -> list[int]:
    """A piece as its two ends."""
    return [piece.start, piece.stop]


def refused(piece: slice) -> None:
    """No piece can be worked out."""
    raise Told(f"piece {piece.start}")


def check_is_engine(engine: Engine) -> None:
    """``remote`` is True or False, ``pieces`` None or a number of them, and there is ``map``."""
    name = type(engine).__name__
    assert isinstance(getattr(engine, "remote", None), bool), (
        f"{name}.remote says whether what it is given leaves the process; allowed: True, False"
    )
    assert callable(getattr(engine, "map", None)), f"{name} has no method map"
    assert hasattr(engine, "pieces"), f"{name} has no property pieces; None is a block each"
    pieces = engine.pieces
    whole = isinstance(pieces, int) and not isinstance(pieces, bool) and pieces >= 1
    assert pieces is None or whole, f"pieces is {pieces!r}; allowed: None, or at least 1"


def check_order(engine: Engine) -> None:
    """``map`` gives what the function says of each piece, in the order of the pieces."""
    for pieces in (PIECES, PIECES[::-1], PIECES[:1], []):
        expected = [spread_of(piece) for piece in pieces]
        found = list(engine.map(spread_of, pieces, "checking"))
        assert found == expected, f"of {len(pieces)} pieces it gives {found}; expected {expected}"


def check_failures_are_told(engine: Engine) -> None:
    """What a piece raises reaches whoever reads the results."""
    try:
        found = list(engine.map(refused, PIECES, "failing"))
    except Told:
        return
    except Exception as error:
        raise AssertionError(
            f"a piece raised Told and {type(error).__name__} came: {error}; pass on what was raised"
        ) from error
    raise AssertionError(f"every piece failed, and it gave {found}; a lost piece is a wrong sum")


def check_asked_again(engine: Engine) -> None:
    """It is asked again and again, and after a pass that nobody read to its end."""
    expected = [spread_of(piece) for piece in PIECES]
    for _ in range(3):
        for first in engine.map(spread_of, PIECES, "begun"):
            assert first == expected[0], f"it gives {first} first; expected {expected[0]}"
            break
        found = list(engine.map(spread_of, PIECES, "checking"))
        assert found == expected, "a pass that was not read to its end changes the next"


def check_passes(engine: Engine) -> None:
    """Predictions, goals and slopes of a pool are those of one process, bit for bit."""
    for K in (2, 5):
        with pool(K) as X:
            found, expected = (seen(K, X, each) for each in (engine, HERE))
        for what, value in found.items():
            assert np.array_equal(value, expected[what]), (
                f"K={K}: {what} differs from that of one process; map has to keep the order of the "
                "pieces, and to pass on what it is given as it is"
            )


def seen(K: int, X: Features, engine: Engine) -> dict[str, Any]:
    """What an engine's passes find of a pool, through a fitted model."""
    ent: LogitGoal = build("goal", "ent")
    fir: LogitGoal = build("goal", "fir")
    model = Learner().fit(labelled(K, 8 * K), K)
    reference = Reference(model, X, None, (ent, fir), ent, engine)
    return {
        "the slope of ent": reference.pulled(ent),
        "ent": reference.value(ent),
        "fir": reference.value(fir),
        "log P": reference.log_P,
    }


@contextmanager
def pool(K: int) -> Iterator[Features]:
    """A pool on disk, of some blocks, where every worker of this machine finds it."""
    with tempfile.TemporaryDirectory(prefix="goralx-engine-") as folder:
        path = Path(folder, "X.npy")
        np.save(path, labelled(K, SIZE, seed=1).X.astype(np.float32))
        yield cast(Features, open_matrix(path))


CHECKS: tuple[Check, ...] = (
    check_is_engine,
    check_order,
    check_failures_are_told,
    check_asked_again,
    check_passes,
)

"""What a strategy promises: b different candidates, decided by query and generator alone."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..components import Query, Selection, Strategy
from ..errors import Incompatible
from ..registry import _load_file
from .common import Check, global_generators_unused, untouched
from .scenario import query

N = 24


def check_is_strategy(strategy: Strategy) -> None:
    """A strategy extends goralx.Strategy, and its declarations are True or False."""
    name = type(strategy).__name__
    assert isinstance(strategy, Strategy), f"let {name} extend goralx.Strategy"
    for declared in ("needs_ground_truth", "uses_goal"):
        value = getattr(strategy, declared)
        assert isinstance(value, bool), f"{declared} = {value!r}; allowed: True, False"


def check_rows(strategy: Strategy) -> None:
    """``rows`` are b different positions among the N candidates; also for b = N and for N = 1."""
    for K in (2, 3):
        for n, b in ((N, 1), (N, 5), (N, N), (1, 1)):
            asked = query(strategy, b, K=K, n_candidates=n)
            selection = strategy.select(asked)
            where = f"{n} candidates, batch_size={b}"
            assert isinstance(selection, Selection), f"{where}: return a goralx.Selection"
            rows = np.asarray(selection.rows)
            assert rows.shape == (b,), f"{where}: rows have shape {rows.shape}; expected ({b},)"
            assert rows.dtype.kind == "i", (
                f"{where}: rows have type {rows.dtype}; expected integers"
            )
            assert len(np.unique(rows)) == b, f"{where}: a candidate is chosen twice"
            assert rows.min() >= 0 and rows.max() < n, (
                f"{where}: rows {rows.tolist()} are not among 0..{n - 1}; positions among the "
                "candidates are meant, not rows of the pool"
            )


def check_utility(strategy: Strategy) -> None:
    """``utility`` is None or a number for every candidate (N,); NaN only if not looked at."""
    selection = strategy.select(query(strategy, 5))
    utility = selection.utility
    if utility is not None:
        assert utility.shape == (N,), f"the utility has shape {utility.shape}; expected ({N},)"
        assert not np.isinf(utility).any(), "a utility is infinite"
        assert np.isfinite(utility[selection.rows]).all(), "one that was chosen has no utility"


def check_same_generator_same_rows(strategy: Strategy) -> None:
    """The same query and the same generator state give the same rows."""
    assert _rows(strategy) == _rows(strategy), (
        "the same query and generator gave other rows; draw from query.rng and keep no state"
    )


def check_same_rows_in_another_process(strategy: Strategy) -> None:
    """The same query and generator state give the same rows in a fresh interpreter."""
    cls = type(strategy)
    assert "<locals>" not in cls.__qualname__, (
        f"{cls.__qualname__} is defined inside a function, where no other process finds it"
    )
    order = {
        "module": cls.__module__,
        "file": inspect.getfile(cls),
        "name": cls.__qualname__,
        "options": {f.name: asdict(strategy)[f.name] for f in fields(cls) if f.init},  # type: ignore[call-overload,arg-type]
    }
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    path = os.pathsep.join(p for p in sys.path if p)
    child = subprocess.run(
        [sys.executable, "-c", "from goralx.testing.strategies import child; child()"],
        input=json.dumps(order, default=str),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
    )
    assert child.returncode == 0, f"in another process it fails: {child.stderr.strip()[-1000:]}"
    there = json.loads(child.stdout.splitlines()[-1])
    assert there == _rows(strategy), (
        "another process chose other rows; do not depend on the order of a set, on hash() or id()"
    )


def check_global_generators_unused(strategy: Strategy) -> None:
    """All randomness is drawn from ``query.rng``; the global generators are left alone."""
    with global_generators_unused():
        _rows(strategy)


def check_ties_at_random(strategy: Strategy) -> None:
    """Of candidates that are all alike it is not always the same ones that are chosen."""
    first = {tuple(sorted(_rows(strategy, seed=seed, alike=True))) for seed in range(8)}
    assert len(first) > 1, (
        "with candidates that are all the same it always chooses "
        f"{list(first.pop())}; break ties at random (query.top does)"
    )


def check_ground_truth_declared(strategy: Strategy) -> None:
    """Without declaring ``needs_ground_truth`` it does without true labels."""
    if strategy.needs_ground_truth:
        return
    try:
        _rows(strategy)
    except Exception as error:
        raise AssertionError(
            f"without true labels it raises {type(error).__name__}: {error}; "
            "if it needs query.y_true, declare needs_ground_truth = True"
        ) from error


def check_goal_declared(strategy: Strategy) -> None:
    """``uses_goal`` says whether it reads ``query.scores``, neither more nor less."""
    asked = query(strategy, 5)
    try:
        strategy.select(asked)
    except Incompatible as error:
        raise AssertionError(
            f"it reads query.scores; declare uses_goal = True ({error})"
        ) from error
    if strategy.uses_goal:
        assert "scores" in vars(asked), (
            "it declares uses_goal but never reads query.scores: every goal would choose the same"
        )


def check_inputs_untouched(strategy: Strategy) -> None:
    """A strategy does not write into features, predictions, rows or utilities."""
    asked = query(strategy, 5)
    pool = asked.candidates.pool
    parts = {"X": pool.X, "log_P": pool.log_P, "rows": asked.candidates.rows}
    parts |= {"query.X": asked.X, "query.log_P": asked.log_P}
    if strategy.uses_goal:
        parts |= {"scores.U": asked.scores.U, "scores.utility": asked.scores.utility}
    with untouched(**parts):
        strategy.select(asked)


def child() -> None:
    """What the other process does: an order on stdin, rows on stdout."""
    order: dict[str, Any] = json.load(sys.stdin)
    try:
        module = importlib.import_module(order["module"])
    except ModuleNotFoundError:  # a loose file, which was loaded by its path
        module = _load_file(Path(order["file"]))
    cls: Any = module
    for part in order["name"].split("."):
        cls = getattr(cls, part)
    print(json.dumps(_rows(cls(**order["options"]))))


def _rows(strategy: Strategy, *, seed: int = 7, **options: Any) -> list[int]:
    asked: Query = query(strategy, 5, seed=seed, **options)
    return [int(row) for row in strategy.select(asked).rows]


CHECKS: tuple[Check, ...] = (
    check_is_strategy,
    check_ground_truth_declared,
    check_goal_declared,
    check_rows,
    check_utility,
    check_same_generator_same_rows,
    check_same_rows_in_another_process,
    check_global_generators_unused,
    check_ties_at_random,
    check_inputs_untouched,
)

"""What a strategy promises: b different candidates, decided by query and generator alone."""

from __future__ import annotations

from functools import partial

import numpy as np

from goralx.contracts import Selection, Strategy
from goralx.errors import Incompatible

from .common import (
    Check,
    answer_or_refusal,
    global_generators_unused,
    raises_nothing,
    require_close,
    require_places,
    unchanged,
    untouched,
)
from .processes import in_another_process
from .scenario import parts_of, query

N = 24


def check_is_strategy(strategy: Strategy) -> None:
    """A strategy extends goralx.Strategy, and its declarations are True or False."""
    name = type(strategy).__name__
    assert isinstance(strategy, Strategy), f"let {name} extend goralx.Strategy"
    for declared in ("needs_ground_truth", "uses_goal", "uses_progress"):
        value = getattr(strategy, declared)
        assert isinstance(value, bool), f"{declared} = {value!r}; allowed: True, False"


def check_rows(strategy: Strategy) -> None:
    """``rows`` are b different positions among the N candidates; also for b = N and for N = 1."""
    for K in (2, 3, 5):
        for n, b in ((N, 1), (N, 5), (N, N), (1, 1)):
            asked = query(strategy, b, K=K, n_candidates=n)
            selection = strategy.select(asked)
            where = f"{n} candidates, batch_size={b}"
            assert isinstance(selection, Selection), f"{where}: return a goralx.Selection"
            require_places(selection.rows, b, n, where)


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
    assert rows_of(strategy) == rows_of(strategy), (
        "the same query and generator gave other rows; draw from query.rng and keep no state"
    )


def check_same_rows_in_another_process(strategy: Strategy) -> None:
    """The same query and generator state give the same rows in a fresh interpreter."""
    assert in_another_process(strategy, rows_of) == rows_of(strategy), (
        "another process chose other rows; do not depend on the order of a set, on hash() or id()"
    )


def check_global_generators_unused(strategy: Strategy) -> None:
    """All randomness is drawn from ``query.rng``; the global generators are left alone."""
    with global_generators_unused():
        rows_of(strategy)


def check_ties_at_random(strategy: Strategy) -> None:
    """Of candidates that are all alike it is not always the same ones that are chosen."""
    first = {tuple(sorted(rows_of(strategy, seed=seed, alike=True))) for seed in range(8)}
    assert len(first) > 1, (
        "with candidates that are all the same it always chooses "
        f"{list(first.pop())}; break ties at random (query.top does)"
    )


def check_ground_truth_declared(strategy: Strategy) -> None:
    """Without declaring ``needs_ground_truth`` it does without true labels."""
    if strategy.needs_ground_truth:
        return
    remedy = "if it needs query.y_true, declare needs_ground_truth = True"
    with raises_nothing("without labels", remedy):
        rows_of(strategy)


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


def check_progress_declared(strategy: Strategy) -> None:
    """Without declaring ``uses_progress`` it chooses the same at every stage of the budget."""
    if strategy.uses_progress:
        return
    assert rows_of(strategy, progress=0.0) == rows_of(strategy, progress=1.0), (
        "what it chooses changes with query.candidates.progress; declare uses_progress = True"
    )


def check_inputs_untouched(strategy: Strategy) -> None:
    """A strategy writes into nothing: features, labels, predictions, rows, utilities, theta."""
    asked = query(strategy, 5)
    parts = parts_of(asked.candidates) | {"query.X": asked.X, "query.log_P": asked.log_P}
    if strategy.uses_goal:
        parts |= {"scores.U": asked.scores.U, "scores.utility": asked.scores.utility}
    with untouched(**parts):
        strategy.select(asked)


def check_learner_untouched(strategy: Strategy) -> None:
    """``query.learner`` is fit anew as often as one likes; its options stay as they are."""
    asked = query(strategy, 5)
    with unchanged(asked.learner):
        strategy.select(asked)


def check_class_without_labels(strategy: Strategy) -> None:
    """With a class that has no label yet it chooses all the same, or refuses in words."""
    for K in (2, 3, 5):
        asked, where = query(strategy, 5, K=K, all_seen=False), f"K={K}, one class without a label"
        selection = answer_or_refusal(partial(strategy.select, asked), where)
        if selection is not None:
            require_places(selection.rows, 5, N, where)


def check_float32_features(strategy: Strategy) -> None:
    """A pool in single precision is chosen from as well; utilities change by round-off only."""
    for K in (2, 5):
        double = strategy.select(query(strategy, 5, K=K))
        single = strategy.select(query(strategy, 5, K=K, dtype=np.float32))
        require_places(single.rows, 5, N, f"K={K}, a pool in single precision")
        if double.utility is not None:
            assert single.utility is not None, f"K={K}: no utility of a pool in single precision"
            seen = ~np.isnan(double.utility)
            wrong = f"K={K}: utility of a pool in single precision"
            require_close(single.utility[seen], double.utility[seen], wrong, rtol=1e-3)


def rows_of(
    strategy: Strategy, *, seed: int = 7, alike: bool = False, progress: float = 0.5
) -> list[int]:
    """The places that it chooses for a batch of 5."""
    asked = query(strategy, 5, seed=seed, alike=alike, progress=progress)
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
    check_progress_declared,
    check_inputs_untouched,
    check_learner_untouched,
    check_class_without_labels,
    check_float32_features,
)

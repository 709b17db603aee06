"""What a batch rule promises: b different candidates out of those that have a utility."""

from __future__ import annotations

from functools import partial

import numpy as np

from goralx.contracts import BatchRule

from .common import (
    Check,
    answer_or_refusal,
    global_generators_unused,
    require_array,
    require_places,
    unchanged,
    untouched,
)
from .processes import in_another_process
from .scenario import parts_of, rule_query

N = 24


def check_is_batch_rule(rule: BatchRule) -> None:
    """A batch rule extends goralx.BatchRule and names what it needs of a model."""
    assert isinstance(rule, BatchRule), f"let {type(rule).__name__} extend goralx.BatchRule"
    needs = rule.needs_model
    assert isinstance(needs, frozenset), f"needs_model = {needs!r}; expected a frozenset of names"


def check_rows(rule: BatchRule) -> None:
    """b different places among the N candidates; also for b = N and for N = 1."""
    for K in (2, 3, 5):
        for n, b in ((N, 1), (N, 5), (N, N), (1, 1)):
            rows = rule.choose(rule_query(b, K=K, n_candidates=n))
            require_places(rows, b, n, f"{n} candidates, batch_size={b}")


def check_not_looked_at(rule: BatchRule) -> None:
    """A candidate whose utility is NaN was not looked at, and is not chosen."""
    asked = rule_query(6, screened=True)
    rows = np.asarray(rule.choose(asked))
    unseen = rows[np.isnan(asked.scores.utility[rows])]
    assert not len(unseen), f"it chose {unseen.tolist()}, whose utility is NaN"


def check_gains(rule: BatchRule) -> None:
    """``select`` gives the rows of ``choose``, and its gains, if any, are a number for each."""
    selection = rule.select(rule_query(5))
    rows = np.asarray(rule.choose(rule_query(5)))
    assert np.array_equal(selection.rows, rows), (
        f"select gives the rows {selection.rows}, choose {rows}; let one call the other"
    )
    if selection.gains is not None:
        require_array(np.asarray(selection.gains), rows.shape, "gains")


def check_same_generator_same_rows(rule: BatchRule) -> None:
    """The same query and the same generator state give the same rows, and no other is used."""
    with global_generators_unused():
        once, twice = batch_of(rule), batch_of(rule)
    assert once == twice, "the same query and generator gave other rows; keep no state"


def check_same_rows_in_another_process(rule: BatchRule) -> None:
    """The same query and generator state give the same rows in a fresh interpreter."""
    assert in_another_process(rule, batch_of) == batch_of(rule), (
        "another process chose other rows; do not depend on the order of a set, on hash() or id()"
    )


def check_ties_at_random(rule: BatchRule) -> None:
    """Of candidates that are all alike it is not always the same ones that are chosen."""
    chosen = {tuple(sorted(batch_of(rule, seed=seed, alike=True))) for seed in range(8)}
    assert len(chosen) > 1, (
        f"with candidates that are all the same it always chooses {list(chosen.pop())}; "
        "break ties at random (goralx.top_b does)"
    )


def check_inputs_untouched(rule: BatchRule) -> None:
    """A batch rule writes into nothing: features, labels, predictions, rows, utilities, theta."""
    asked = rule_query(5)
    parts, scores = parts_of(asked.candidates), asked.scores
    with untouched(**parts, **{"scores.U": scores.U, "scores.utility": scores.utility}):
        rule.choose(asked)


def check_learner_untouched(rule: BatchRule) -> None:
    """``query.learner`` is fit anew as often as one likes; its options stay as they are."""
    asked = rule_query(5)
    with unchanged(asked.learner):
        rule.choose(asked)


def check_class_without_labels(rule: BatchRule) -> None:
    """With a class that has no label yet it chooses all the same, or refuses in words."""
    for K in (2, 3, 5):
        asked, where = rule_query(5, K=K, all_seen=False), f"K={K}, one class without a label"
        rows = answer_or_refusal(partial(rule.choose, asked), where)
        if rows is not None:
            require_places(rows, 5, N, where)


def batch_of(rule: BatchRule, *, seed: int = 7, alike: bool = False) -> list[int]:
    """The places of a batch of 5."""
    return [int(row) for row in rule.choose(rule_query(5, seed=seed, alike=alike))]


CHECKS: tuple[Check, ...] = (
    check_is_batch_rule,
    check_rows,
    check_not_looked_at,
    check_gains,
    check_same_generator_same_rows,
    check_same_rows_in_another_process,
    check_ties_at_random,
    check_inputs_untouched,
    check_learner_untouched,
    check_class_without_labels,
)

"""What an oracle promises: an answer to each row, that of the row alone whenever it is asked."""

from __future__ import annotations

from typing import Any

import numpy as np

from goralx.contracts import Answers, Asked, Oracle, answered
from goralx.data import Instance
from goralx.errors import PluginError

from .common import Check, global_generators_unused, untouched
from .processes import in_another_process

N, D, K = 160, 3, 4


def instance(seed: int = 0) -> Instance:
    """Four classes, half of them hard to tell from their neighbours; called a, b, c and d."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, K, N)
    X = rng.normal(size=(N, D)) + 2.0 * np.stack([y == 1, y == 2, y == 3], axis=1)
    rows = rng.permutation(N)
    return Instance(
        "four classes", X, y, tuple("abcd"), init=rows[:8], pool=np.sort(rows[8:120]),
        test=rows[120:], dev=np.empty(0, dtype=np.int64),
    )  # fmt: skip


def ask(oracle: Oracle, rows: Any = None, seed: int = 0) -> Answers:
    """About these rows of `instance`, or all of its pool."""
    given = instance()
    ready = oracle.prepared(given)
    return answered(ready, Asked(given, given.pool if rows is None else np.asarray(rows), seed))


def check_is_oracle(oracle: Oracle) -> None:
    """An oracle extends goralx.Oracle, and so does what ``prepared`` gives."""
    name = type(oracle).__name__
    assert isinstance(oracle, Oracle), f"let {name} extend goralx.Oracle"
    ready = oracle.prepared(instance())
    assert isinstance(ready, Oracle), f"prepared gives {type(ready).__name__}; give an oracle"
    assert isinstance(oracle.digest(), str), "digest gives a text"


def check_answers(oracle: Oracle) -> None:
    """``answer`` gives goralx.Answers: a label or -1, a cost of at least 0, and who said what."""
    try:
        found = ask(oracle)
    except PluginError as error:
        raise AssertionError(str(error)) from error
    gave = found.labels >= 0
    said = (found.said == found.labels[:, None]).any(axis=1) if len(found.annotators) else ~gave
    assert said[gave].all(), "a label is learned that none of the annotators said"
    assert len(set(found.annotators)) == len(found.annotators), "two annotators have one name"


def check_answers_are_of_the_row_alone(oracle: Oracle) -> None:
    """A row is answered alike alone and beside others, in any order, early and late."""
    whole, pool = ask(oracle), instance().pool
    order = np.random.default_rng(1).permutation(len(pool))
    shuffled = ask(oracle, pool[order])
    _same(shuffled, _part(whole, order), "in another order")
    for i in (0, 7, len(pool) - 1):
        _same(ask(oracle, pool[[i]]), _part(whole, np.array([i])), "asked about alone")
    _same(ask(oracle), whole, "asked again")


def check_seed(oracle: Oracle) -> None:
    """Any seed is answered by the contract."""
    for seed in (1, 12, 2**31):
        try:
            ask(oracle, seed=seed)
        except PluginError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def check_leaves_what_it_is_given(oracle: Oracle) -> None:
    """It writes to no array and no global generator."""
    given = instance()
    arrays = {"X": np.asarray(given.X), "y": given.y, "pool": given.pool}
    try:
        with untouched(**arrays), global_generators_unused():
            answered(oracle.prepared(given), Asked(given, given.pool, 0))
    except PluginError as error:
        raise AssertionError(str(error)) from error


def check_another_process(oracle: Oracle) -> None:
    """Another process, where sets and hashes are in other order, is told the same."""
    here, there = _told(oracle), in_another_process(oracle, _told)
    assert here == there, "another process is told otherwise; go by the seed and the row alone"


def _told(oracle: Oracle) -> list[Any]:
    found = ask(oracle)
    return [found.labels.tolist(), found.cost.tolist(), found.said.tolist()]


def _part(answers: Answers, places: Any) -> Answers:
    return Answers(
        answers.labels[places], answers.cost[places], answers.said[places], answers.annotators
    )


def _same(a: Answers, b: Answers, how: str) -> None:
    same = (
        np.array_equal(a.labels, b.labels)
        and np.array_equal(a.cost, b.cost)
        and np.array_equal(a.said, b.said)
    )
    assert same and a.annotators == b.annotators, (
        f"{how}, rows are answered otherwise; draw by asked.random, and go by the row alone"
    )


CHECKS: tuple[Check, ...] = (
    check_is_oracle,
    check_answers,
    check_answers_are_of_the_row_alone,
    check_seed,
    check_leaves_what_it_is_given,
    check_another_process,
)

"""What memory and linear algebra raise never leaves the library or a run as they raise it."""

from __future__ import annotations

import numpy as np
import pytest

import goralx
from goralx.errors import NotSolvable, TooLarge, in_words
from tests.problems import blobs, experiment, instance


@pytest.mark.parametrize(
    "raised, becomes",
    [
        (MemoryError("Unable to allocate 11.2 GiB"), TooLarge),
        (np.linalg.LinAlgError("Singular matrix"), NotSolvable),
        (ZeroDivisionError("division by zero"), NotSolvable),
        (FloatingPointError("overflow"), NotSolvable),
    ],
)
def test_each_becomes_a_line_that_says_what_to_do(raised, becomes):
    with pytest.raises(becomes, match=r"here: .*; (use|standardise)") as found, in_words("here"):
        raise raised
    assert isinstance(found.value, goralx.GoralxError) and "\n" not in str(found.value)
    assert str(raised) in str(found.value)


def test_what_is_in_words_already_and_what_is_a_mistake_of_ours_stay_as_they_are():
    for error in (goralx.BadInput("as it is"), KeyError("a mistake")):
        with pytest.raises(type(error), match=str(error.args[0])), in_words("here"):
            raise error


class Hungry(goralx.LogitGoal):
    def value_and_logit_gradient(self, log_P, X, y):
        raise MemoryError


@pytest.mark.parametrize("ask", [goralx.query, goralx.utilities])
def test_the_library(ask):
    X, y = blobs(np.random.default_rng(0), 40, 3, 2)
    with pytest.raises(TooLarge, match=f"{ask.__name__}: memory is short; use utility=influence"):
        ask(X[:20], y[:20], X[20:], goal=Hungry())


def test_a_run():
    run = experiment(instance(), goal=Hungry())
    with pytest.raises(TooLarge, match="round 0: memory is short"):
        next(run.rounds())


def test_the_signatures_are_as_written():
    import inspect

    assert list(inspect.signature(goralx.query).parameters)[:4] == [
        "X_labelled", "y_labelled", "X_pool", "batch_size",
    ]  # fmt: skip


def test_under_every_label_where_only_some_were_looked_at():
    X, y = blobs(np.random.default_rng(0), 80, 3, 3)
    given = X[:20], y[:20], X[20:]
    screened = goralx.build("utility", "lookahead", {"screen": 7})
    U = goralx.utilities(*given, utility=screened, per_label=True)
    u = goralx.utilities(*given, utility=screened)
    assert U.shape == (60, 3)
    assert np.array_equal(np.isnan(U).all(axis=1), np.isnan(u)) and (~np.isnan(u)).sum() == 7
    assert np.allclose(np.nanmax(U[~np.isnan(u)], axis=1), u[~np.isnan(u)])

"""Promised and realised changes of a goal, and solves that are none."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goralx.learning.promises import Overstated, broken
from goralx.scoring.goal_utility import Imprecise
from tests.problems import build, experiment, instance

NUMBERS = st.floats(-1e6, 1e6)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_a_promise_is_broken_only_where_it_was_large_and_far_from_kept(predicted, realised, tau):
    if broken(predicted, realised, tau):
        assert predicted > 30 * abs(realised) and predicted > abs(tau) / 2
    assert not broken(predicted, predicted, tau)
    assert not broken(float("nan"), realised, tau)


def test_the_promise_that_went_unsaid():
    assert broken(5702.0, 9.5, -900.0)


class Overstating:
    """Softmax fits whose solve is a thousand times too large, or says that it failed."""

    regime = "fixed_C"

    def __init__(self, factor, error=0.0):
        self.factor, self.error = factor, error
        self.inner = build("model", "softmax")
        self.capabilities = frozenset({"derivatives"})

    def fit(self, labelled, n_classes, previous=None):
        return Wrapped(self.inner.fit(labelled, n_classes), self.factor, self.error)


@dataclass(frozen=True)
class Wrapped:
    fit: object
    factor: float
    error: float

    def __getattr__(self, name):
        return getattr(self.fit, name)

    def solve(self, g):
        found = self.fit.solve(g)
        return replace(found, x=self.factor * found.x, relative_error=self.error)


def run(model):
    list(experiment(instance(), model=model, batch_size=4, n_queries=12).rounds())


def test_a_run_says_once_that_utilities_overstate():
    with pytest.warns(Overstated, match="promised a change of") as said:
        run(Overstating(1e4))
    assert sum(issubclass(each.category, Overstated) for each in said) == 1


def test_a_solve_that_failed_is_said():
    with pytest.warns(Imprecise, match=r"goralx\.testing\.check_model"):
        run(Overstating(1.0, error=0.01))


def test_a_sound_run_says_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(build("model", "softmax"))

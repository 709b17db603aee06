import numpy as np
import pytest
from goralx_gini import Hopeful, NegativeGini, Spread

import goralx
from goralx import testing


@pytest.mark.parametrize("check", testing.checks("goal"))
def test_goal(check):
    check(NegativeGini(weight=2.0))


@pytest.mark.parametrize("check", testing.checks("operator"))
def test_operator(check):
    check(Hopeful(alpha=0.7))


@pytest.mark.parametrize("check", testing.checks("strategy"))
def test_strategy(check):
    check(Spread())


def test_hopeful_lies_between_the_mean_and_the_best():
    U = np.array([[0.0, 1.0, 5.0]])
    assert [Hopeful(a)(U, U, None, 0.0)[0] for a in (0, 0.25, 1)] == [2, 2.75, 5]


def test_spread_takes_the_best_and_then_the_farthest():
    X = np.array([[0.0, 0], [0.1, 0], [5, 5], [9, 9]])
    y = np.array([0, 1, 0, 1])
    chosen = goralx.query(X, y, X, batch_size=2, strategy=Spread(screen=2), goal=NegativeGini())
    utility = goralx.utilities(X, y, X, goal=NegativeGini())
    far = ((X - X[utility.argmax()]) ** 2).sum(axis=1)
    assert chosen.tolist() == [utility.argmax(), far.argmax()]


def test_an_impossible_option_is_refused():
    with pytest.raises(goralx.BadInput, match="alpha"):
        Hopeful(alpha=1.5)

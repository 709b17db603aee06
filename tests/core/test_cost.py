"""Counts of operations: what they decide is stated, and the same everywhere."""

from __future__ import annotations

import warnings

import pytest

from goralx.core.inverse import cost

SIZES = 5000, 300, 257, 10  # reference samples, labels, coordinates, classes


def test_as_many_candidates_as_a_minute_pays_for():
    assert cost.affordable(0.0, cost.MINUTE / 500) == 500
    assert cost.affordable(cost.MINUTE / 2, cost.MINUTE / 500) == 250
    assert cost.affordable(2 * cost.MINUTE, 1.0) == cost.FEWEST
    assert cost.affordable(0.0, cost.MINUTE) == cost.FEWEST


def test_more_than_a_minute_is_announced_before_it_starts():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cost.announce(0.9 * cost.MINUTE, "this", "that")
    for minutes, said in ((2, "120 seconds"), (60, "60 minutes")):
        with pytest.warns(cost.LongComputation, match=f"this will take about {said}; do that"):
            cost.announce(minutes * cost.MINUTE, "this", "do that")


@pytest.mark.parametrize("count", [cost.lookahead, cost.retrain])
def test_more_of_anything_costs_more(count):
    each = count(*SIZES)[1]
    for i in range(4):
        larger = list(SIZES)
        larger[i] *= 2
        assert count(*larger)[1] > each
    assert cost.retrain(*SIZES)[1] > cost.lookahead(*SIZES)[1]


def test_the_matrix_is_for_many_candidates_and_passes_for_few():
    few, many = cost.implicit(*SIZES, 10), cost.implicit(*SIZES, 100_000)
    assert few[0] < many[0] and few[1] > many[1]
    assert cost.square(*SIZES, 10) > cost.passes(*SIZES, 10)
    assert cost.square(*SIZES, 10**5) < cost.passes(*SIZES, 10**5)


def test_classes_cost_what_they_add_and_not_their_square():
    assert cost.inverse(500, 385, 200) < 2.2 * cost.inverse(500, 385, 100)
    assert cost.times(500, 385, 200) < 2.2 * cost.times(500, 385, 100)

"""Verdicts: what an interval says of where a number is claimed to lie."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goralx.reproduction.evidence import (
    ENOUGH,
    FAILS,
    HOLDS,
    OPEN,
    Evidence,
    Region,
    closest_to_breaking,
    every,
    exact,
    mean,
    nothing,
    verdict,
)


def evidence(low, high, n_seeds=10, kind="mean"):
    return Evidence((low + high) / 2, low, high, n_seeds, kind)


@pytest.mark.parametrize(
    "low, high, region, said",
    [
        (0.1, 0.2, Region(low=0.0), HOLDS),
        (-0.2, -0.1, Region(low=0.0), FAILS),
        (-0.1, 0.1, Region(low=0.0), OPEN),
        (0.1, 0.2, Region(high=0.0), FAILS),
        (210.0, 240.0, Region(210, 250), HOLDS),
        (200.0, 240.0, Region(210, 250), OPEN),
        (251.0, 260.0, Region(210, 250), FAILS),
        (170.0, 170.0, Region(170, 170), HOLDS),
        (math.nan, math.nan, Region(low=0.0), OPEN),
    ],
)
def test_verdicts(low, high, region, said):
    assert verdict(evidence(low, high), region) == said


finite = st.floats(-1e6, 1e6)


@given(finite, finite, finite, finite)
def test_a_verdict_is_what_every_number_of_the_interval_says(a, b, c, d):
    (low, high), (least, most) = sorted((a, b)), sorted((c, d))
    region = Region(least, most)
    inside = [least <= x <= most for x in np.linspace(low, high, 7)]
    said = verdict(evidence(low, high), region)
    if said == HOLDS:
        assert all(inside)
    elif said == FAILS:
        assert not any(inside)
    else:
        assert low < least or high > most


def test_few_seeds_say_nothing_but_of_what_no_seed_changes():
    assert verdict(evidence(0.1, 0.2, ENOUGH - 1), Region(low=0)) == OPEN
    assert verdict(evidence(0.1, 0.2, ENOUGH), Region(low=0)) == HOLDS
    assert verdict(exact(530), Region(530, 530)) == HOLDS
    assert verdict(exact(384), Region(768, 768)) == FAILS
    assert verdict(nothing(), Region()) == OPEN


def test_the_mean_over_seeds_and_the_range_over_all_of_them():
    values = [0.1, 0.2, 0.3, 0.4, 0.9]
    found = mean(values)
    assert found.number == pytest.approx(0.38)
    assert min(values) < found.low < 0.38 < found.high < max(values)
    assert found.n_seeds == 5
    assert every(values) == Evidence(0.3, 0.1, 0.9, 5, "range")
    assert verdict(mean([1.0, math.inf, 2.0, 1.0, 1.0]), Region(high=3)) == OPEN


def test_of_several_the_one_that_reaches_farthest_out_speaks():
    region = Region(low=0.0)
    sure, near, out = evidence(1.0, 2.0), evidence(0.1, 0.5), evidence(-0.2, 0.5)
    assert closest_to_breaking([sure, near], region) is near
    assert closest_to_breaking([sure, out, near], region) is out
    unknown = closest_to_breaking([sure, nothing()], region)
    assert verdict(unknown, region) == OPEN
    assert verdict(closest_to_breaking([], region), region) == OPEN


@pytest.mark.parametrize(
    "region, words",
    [
        (Region(low=0.8), ">= 0.8"),
        (Region(high=-50), "<= -50"),
        (Region(210, 250), "210 to 250"),
        (Region(170, 170), "170"),
    ],
)
def test_regions_in_words(region, words):
    assert str(region) == words

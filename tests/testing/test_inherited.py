"""The checks as classes: a test for each check, which fails, passes or is skipped as it should."""

from __future__ import annotations

from unittest import SkipTest

import pytest

import goralx
from goralx import testing
from goralx.discovery import registry
from goralx.testing import CHECKS, Contract

from .broken_components import BROKEN

CONTRACTS = {c.group: c for c in Contract.__subclasses__()}


@pytest.mark.parametrize("group", CHECKS)
def test_every_group_has_a_class_with_a_test_for_each_check(group):
    contract = CONTRACTS[group]
    assert contract.__name__ in testing.__all__
    tests = [name for name in vars(contract) if name.startswith("test_")]
    assert tests == [c.__name__.replace("check_", "test_", 1) for c in CHECKS[group]]


def test_a_test_fails_where_its_check_does_and_nowhere_else():
    class OfHalfGradient(testing.GoalContract):
        component = BROKEN["goal"]["check_gradient"]

    with pytest.raises(AssertionError, match="gradient and differences"):
        OfHalfGradient().test_gradient()
    OfHalfGradient().test_shapes()


def test_what_is_skipped_says_so_and_a_misspelt_one_is_refused():
    class OneSided(testing.GoalContract):
        component = BROKEN["goal"]["check_class_order"]
        skip = ("check_class_order",)

    with pytest.raises(SkipTest, match="check_class_order"):
        OneSided().test_class_order()
    with pytest.raises(goralx.UnknownName, match="check_class_order"):
        type("Misspelt", (testing.GoalContract,), {"skip": ("check_clas_order",)})


def test_a_class_without_a_component_tests_nothing_and_says_so():
    with pytest.raises(goralx.BadInput, match="component"):
        testing.MetricContract().test_value()


class TestAClassThatPytestFinds(testing.MetricContract):
    component = registry().component("metric", "macro_f1").cls

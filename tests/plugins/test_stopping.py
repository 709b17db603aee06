"""Each stopping rule against its definition, round by round, and all of them on real histories."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import goralx
from goralx.testing.stopping import history
from tests.problems import build

RULES = ["budget", "wall_time", "accuracy_plateau", "goal_plateau", "stable_predictions",
         "utility_threshold", "cost", "any"]  # fmt: skip
NUMBERS = st.lists(st.floats(0.1, 1.0), min_size=1, max_size=12)


def past(**columns) -> goralx.History:
    names = {"tau": "goal/own", "dev": "dev/accuracy", "kappa": "stop/agreement",
             "seconds": "seconds/total", "promised": "change/predicted"}  # fmt: skip
    arrays = {names.get(k, k): np.asarray(v, dtype=float) for k, v in columns.items()}
    return goralx.History(arrays, "own")


def stops(rule: str, history: goralx.History, **options) -> bool:
    return build("stop", rule, **options).halt(history) is not None


def slowly(values, patience, held) -> bool:
    """Whether ``held(i)`` for the last ``patience`` rounds, each of which has one before."""
    last = range(len(values) - patience, len(values))
    return last.start >= 1 and all(held(i) for i in last)


@given(NUMBERS, st.integers(1, 4), st.sampled_from([0.0, 0.05, 0.3]))
def test_accuracy_plateau(dev, patience, rise):
    before, lately = dev[:-patience], dev[-patience:]
    best = max(before, default=None)
    expected = bool(before) and not any(a >= best + rise and a > best for a in lately)
    assert stops("accuracy_plateau", past(dev=dev), patience=patience, min_rise=rise) == expected


@given(NUMBERS, st.integers(1, 4), st.sampled_from([0.01, 0.2, 2.0]))
def test_goal_plateau(tau, patience, change):
    tau = [-t for t in tau]
    expected = slowly(tau, patience, lambda i: abs(tau[i] - tau[i - 1]) < change * abs(tau[i - 1]))
    assert stops("goal_plateau", past(tau=tau), patience=patience, min_change=change) == expected


@given(NUMBERS, NUMBERS, st.integers(1, 4), st.sampled_from([0.1, 0.5, 2.0]))
def test_utility_threshold(tau, promised, patience, gain):
    n = min(len(tau), len(promised))
    tau, promised = [-t for t in tau[:n]], [np.nan, *promised][:n]
    expected = slowly(tau, patience, lambda i: promised[i] < gain * abs(tau[i - 1]))
    found = stops(
        "utility_threshold", past(tau=tau, promised=promised), patience=patience, min_gain=gain
    )
    assert found == expected


@given(NUMBERS, st.integers(1, 4))
def test_stable_predictions(kappa, window):
    kappa = [np.nan, *kappa]
    last = kappa[-window:]
    expected = len(kappa) > window and sum(last) / window >= 0.5
    assert stops("stable_predictions", past(kappa=kappa), window=window, agreement=0.5) == expected


@given(NUMBERS, st.integers(1, 4), st.floats(0, 3), st.floats(0, 3))
def test_cost(dev, patience, label, error):
    n = [10.0 + 10 * i for i in range(len(dev))]
    total = [label * n[i] + error * (1.0 - dev[i]) * 100 for i in range(len(dev))]
    before, lately = total[:-patience], total[-patience:]
    expected = bool(before) and min(lately) >= min(before)
    options = {"patience": patience, "label": label, "error": error, "n_future": 100}
    assert stops("cost", past(dev=dev, n_labelled=n), **options) == expected


@given(st.floats(0, 10), st.floats(0, 10))
def test_wall_time_is_censored(seconds, limit):
    halt = build("stop", "wall_time", seconds=limit).halt(past(seconds=[0.0, seconds]))
    assert (halt is not None) == (seconds >= limit)
    assert halt is None or halt.censored


def test_any_says_what_the_first_of_its_rules_says():
    both = build("stop", "any", rules=("goal_plateau", "wall_time seconds=2"))
    assert both.needs == {"goal"}
    moving, still = past(tau=[-3, -2], seconds=[1, 2]), past(tau=[-1] * 9, seconds=[1] * 9)
    assert both.halt(moving).censored and "2 seconds" in both.halt(moving).why
    assert not both.halt(still).censored and "the goal" in both.halt(still).why
    assert build("stop", "any", rules=("budget",)).halt(still) is None
    whole = build("stop", "any", rules=tuple(r for r in RULES if r != "any"))
    assert whole.needs == goralx.StoppingRule.NEEDS


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_but_the_budget_stops_a_run_that_has_nothing_to_learn(rule):
    long = history(400)
    long.columns["seconds/total"][-1] = 1e6
    assert stops(rule, long) == (rule != "budget")
    assert not stops(rule, history(1))


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("accuracy_plateau", {"patience": 0}),
        ("accuracy_plateau", {"min_rise": -1.0}),
        ("goal_plateau", {"min_change": float("nan")}),
        ("stable_predictions", {"agreement": 0.0}),
        ("stable_predictions", {"window": 0}),
        ("utility_threshold", {"min_gain": -1.0}),
        ("utility_threshold", {"patience": 0}),
        ("wall_time", {"seconds": -1.0}),
        ("cost", {"label": -1.0}),
        ("any", {"rules": ()}),
        ("any", {"rules": ("cost label=much",)}),
    ],
)
def test_bad_options_are_refused_by_name(rule, options):
    with pytest.raises(goralx.BadInput, match=rf"stop\.{next(iter(options))}"):
        build("stop", rule, **options)


def test_what_is_not_measured_is_refused_by_name():
    with pytest.raises(goralx.Incompatible, match="asks for dev/accuracy; measured are: goal/own"):
        build("stop", "cost").halt(past(tau=[1.0]))

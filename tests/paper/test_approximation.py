"""How good Eq. 3 is: its error against exact retraining, and how fast that goes away."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import goralx
from tests.problems import Setting, build
from tests.reference import GOALS, Problem

every_regime = pytest.mark.parametrize("regime", ["fixed_C", "fixed_lambda"])


def retrained(setting, goal, copies, x, y, weight=1.0):
    """tau(theta_(x, y)) - tau(theta) where every labelled sample is there ``copies`` times.

    The objective is the sum over samples with the penalty's lambda n; under ``fixed_C`` the new
    sample leaves that alone (C stays), under ``fixed_lambda`` it adds its lambda (Eq. 6).
    """
    n = copies * len(setting.y)
    share = setting.l2 if setting.regime == "fixed_lambda" else 0.0
    whole = Problem(
        setting.X,
        setting.y,
        np.full(len(setting.y), float(copies)),
        setting.K,
        n * setting.l2,
        setting.intercept,
    )
    X, labels = setting.reference_set(goal)
    theta = whole.plus(x, y, weight, weight * share).minimise(setting.optimum)
    return GOALS[goal](theta, X, labels) - GOALS[goal](setting.optimum, X, labels)


def utilities_of_copies(setting, goal, copies):
    """U as a run works it out from ``copies`` of every labelled sample, at the same lambda."""
    labelled = goralx.Labelled(np.tile(setting.X, (copies, 1)), np.tile(setting.y, copies))
    model = build(
        "model",
        "softmax",
        C=1.0 / (len(labelled) * setting.l2),
        regime=setting.regime,
        penalize_intercept=setting.intercept,
        tolerance=1e-13,
    )
    fit = model.fit(labelled, setting.K)
    X, y = setting.reference_set(goal)
    candidates = goralx.Candidates(goralx.Reference(fit, setting.pool), setting.rows, labelled, 0.0)
    estimate = build("utility", "influence").utilities(
        candidates, build("goal", goal), goralx.Reference(fit, X, y), regime=setting.regime
    )
    return estimate.U


@pytest.mark.parametrize("goal", GOALS)
@every_regime
@pytest.mark.parametrize(("K", "intercept"), [(2, False), (2, True), (3, False)])
def test_the_error_is_of_second_order_in_n(goal, regime, K, intercept):
    """n^2 (exact - U) is flat as the labelled set is there 8, 16, 32 times, at the same lambda."""
    setting = Setting(K, regime, intercept)
    scaled = []
    for copies in (8, 16, 32):
        U = utilities_of_copies(setting, goal, copies)
        errors = [
            retrained(setting, goal, copies, setting.pool[i], k) - U[row, k]
            for row, i in enumerate(setting.rows)
            for k in range(K)
        ]
        scaled.append(copies**2 * np.array(errors))
    changes = [np.abs(b - a).max() / np.abs(b).max() for a, b in pairwise(scaled)]
    shown = ", ".join(f"{c:.1%}" for c in changes)
    print(f"{goal} {regime} K={K} intercept={intercept}: n^2 error changes by {shown}")
    assert np.abs(scaled[-1]).max() > 1e-3  # there is an error to speak of
    assert changes[1] < 0.15
    assert changes[1] < 0.7 * changes[0]  # and what is left is of third order


@pytest.mark.parametrize("goal", GOALS)
@every_regime
@pytest.mark.parametrize("K", [2, 3])
def test_slope_goes_to_one_with_the_weight_of_the_candidate(goal, regime, K):
    """Exact change per weight, regressed on U over candidates and labels."""
    setting = Setting(K, regime, False)
    U = setting.utilities(goal).ravel()
    distance, offset = [], []
    for weight in (1.0, 0.1, 0.01, 0.001):
        exact = np.array(
            [
                retrained(setting, goal, 1, setting.pool[i], k, weight) / weight
                for i in setting.rows
                for k in range(K)
            ]
        )
        slope, intercept = np.polyfit(U, exact, 1)
        distance.append(abs(slope - 1.0))
        offset.append(abs(intercept) / np.abs(U).max())
    print(f"{goal} {regime} K={K}: |slope - 1| {np.array(distance)}")
    assert distance[0] > 1e-2  # a whole sample is not infinitesimal
    assert distance[3] < 2e-3
    assert offset[3] < 2e-3
    assert distance[3] < 0.2 * distance[2] < 0.2 * distance[1]


@pytest.mark.parametrize("K", [2, 3])
def test_a_wrong_pairing_of_regimes_never_gets_there(K):
    """The slope does, the offset stays: the constant lambda v.theta that no weight removes."""
    kept, folded = Setting(K, "fixed_C", False), Setting(K, "fixed_lambda", False)
    U = folded.utilities("ent").ravel()
    exact = np.array(
        [
            retrained(kept, "ent", 1, kept.pool[i], k, 1e-4) / 1e-4
            for i in kept.rows
            for k in range(K)
        ]
    )
    slope, offset = np.polyfit(U, exact, 1)
    constant = (folded.utilities("ent") - kept.utilities("ent"))[0, 0]
    assert slope == pytest.approx(1.0, abs=1e-3)
    assert offset == pytest.approx(-constant, rel=0.02)


@pytest.mark.parametrize("operator", ["max", "min", "average", "oracle"])
def test_resolved_utilities_approximate_equation_1(operator):
    """pi_goal of Eq. 1 by retraining under each label, with labels enough for first order."""
    setting = Setting(2, "fixed_C", False)
    copies = 32
    U = utilities_of_copies(setting, "ent", copies)
    exact = np.array(
        [
            [retrained(setting, "ent", copies, setting.pool[i], k) for k in range(2)]
            for i in setting.rows
        ]
    )
    part = build("operator", operator)
    log_P = setting.fit.log_proba(setting.pool[setting.rows])
    y = np.array([0, 1, 1]) if part.needs_ground_truth else None
    found, truth = part(U, log_P, y, 0.0), part(exact, log_P, y, 0.0)
    np.testing.assert_allclose(found, truth, atol=0.1 * np.abs(exact).max())
    assert np.argmax(found) == np.argmax(truth)

"""Operators as acquisition functions, a sample and a label at a time."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from goralx import BadInput
from tests.problems import Setting, build
from tests.reference import softmax

BELIEFS = ("model", "uniform")


@pytest.fixture(params=[2, 3, 5])
def table(request):
    """U (N, K), log_P (N, K)."""
    K, rng = request.param, np.random.default_rng(request.param)
    P = np.array([softmax(3 * rng.normal(size=K)) for _ in range(7)])
    return rng.normal(size=(7, K)), np.log(P)


def resolved(name, table, **options):
    U, log_P = table
    return build("operator", name, **options)(U, log_P, None, 0.0)


def gambles(table, belief):
    """(probabilities, utilities) of each sample's label, as lists."""
    for u, p in zip(table[0], np.exp(table[1]), strict=True):
        yield ([1 / len(u)] * len(u) if belief == "uniform" else list(p)), list(u)


def mean(q, u):
    return math.fsum(a * b for a, b in zip(q, u, strict=True))


def deviation(q, u):
    return math.sqrt(math.fsum(a * (b - mean(q, u)) ** 2 for a, b in zip(q, u, strict=True)))


@pytest.mark.parametrize("belief", BELIEFS)
@pytest.mark.parametrize("beta", [-2.0, 0.3, 1.0, 5.0])
def test_entropic_is_the_certainty_equivalent(table, beta, belief):
    expected = [
        math.log(math.fsum(a * math.exp(beta * b) for a, b in zip(q, u, strict=True))) / beta
        for q, u in gambles(table, belief)
    ]
    found = resolved("entropic", table, beta=beta, belief=belief)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


def test_entropic_goes_from_the_worst_label_through_the_expectation_to_the_best(table):
    U, log_P = table
    np.testing.assert_allclose(resolved("entropic", table, beta=1e6), U.max(axis=1), atol=1e-4)
    np.testing.assert_allclose(resolved("entropic", table, beta=-1e6), U.min(axis=1), atol=1e-4)
    gentle = resolved("entropic", table, beta=1e-5)
    np.testing.assert_allclose(gentle, (np.exp(log_P) * U).sum(axis=1), atol=1e-4)


def test_entropic_survives_utilities_that_exp_does_not():
    U = np.array([[-3e5, 2e5], [1e-12, 3e-12]])
    found = resolved("entropic", (U, np.log(np.full((2, 2), 0.5))))
    np.testing.assert_allclose(found, [2e5 - math.log(2), 2e-12], rtol=1e-9, atol=1e-15)


def test_entropic_of_a_batch_with_independent_labels_is_the_sum(table):
    """Over all K^3 joint labellings of three samples."""
    samples = list(gambles(table, "model"))[:3]
    total = 0.0
    for labels in product(range(len(samples[0][0])), repeat=3):
        q = math.prod(samples[i][0][y] for i, y in enumerate(labels))
        total += q * math.exp(0.7 * math.fsum(samples[i][1][y] for i, y in enumerate(labels)))
    found = resolved("entropic", table, beta=0.7)[:3]
    assert math.log(total) / 0.7 == pytest.approx(found.sum(), rel=1e-11)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_hurwicz_lies_between_the_extremes(table, alpha):
    expected = [alpha * max(u) + (1 - alpha) * min(u) for u in table[0]]
    np.testing.assert_allclose(resolved("hurwicz", table, alpha=alpha), expected, rtol=1e-12)


@pytest.mark.parametrize("belief", BELIEFS)
def test_std_is_the_spread_of_the_labels(table, belief):
    expected = [deviation(q, u) for q, u in gambles(table, belief)]
    np.testing.assert_allclose(resolved("std", table, belief=belief), expected, rtol=1e-11)


@pytest.mark.parametrize("belief", BELIEFS)
@pytest.mark.parametrize("kappa", [-1.0, 0.0, 2.0])
def test_ucb_is_the_expectation_and_kappa_deviations(table, kappa, belief):
    expected = [mean(q, u) + kappa * deviation(q, u) for q, u in gambles(table, belief)]
    found = resolved("ucb", table, deviations=kappa, belief=belief)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("belief", BELIEFS)
@pytest.mark.parametrize("u0", ["zero", "median"])
def test_ei_counts_what_is_above_u0(table, u0, belief):
    pairs = list(gambles(table, belief))
    threshold = sorted(mean(q, u) for q, u in pairs)[3] if u0 == "median" else 0.0  # of seven
    expected = [
        math.fsum(a * max(b - threshold, 0.0) for a, b in zip(q, u, strict=True)) for q, u in pairs
    ]
    found = resolved("ei", table, u0=u0, belief=belief)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-14)


def test_where_expected_is_constant_the_stakes_are_not():
    """Remark 1 and beyond: two classes, first order, the model's own prediction."""
    world = Setting(2, "fixed_C", False)
    rows = np.arange(len(world.pool))
    U = world.utilities("ent", rows=rows)
    log_P = world.fit.log_proba(world.pool)
    p, stake = np.exp(log_P[:, 1]), np.abs(U[:, 1] - U[:, 0])
    assert np.ptp(resolved("expected", (U, log_P))) < 1e-12 * np.abs(U).max()
    np.testing.assert_allclose(resolved("std", (U, log_P)), np.sqrt(p * (1 - p)) * stake)
    np.testing.assert_allclose(resolved("ei", (U, log_P)), p * (1 - p) * stake)
    np.testing.assert_allclose(
        resolved("ucb", (U, log_P), deviations=2.0), 2 * np.sqrt(p * (1 - p)) * stake, atol=1e-12
    )


def test_which_are_sums_over_a_batch():
    sums = {
        n: build("operator", n).decomposable for n in ("entropic", "hurwicz", "std", "ucb", "ei")
    }
    assert sums == {"entropic": True, "hurwicz": True, "std": False, "ucb": False, "ei": False}


@pytest.mark.parametrize(
    "name, options",
    [
        ("entropic", {"beta": 0.0}),
        ("entropic", {"beta": float("nan")}),
        ("entropic", {"beta": float("inf")}),
        ("entropic", {"belief": "oracle"}),
        ("hurwicz", {"alpha": 1.01}),
        ("hurwicz", {"alpha": -0.01}),
        ("hurwicz", {"alpha": float("nan")}),
        ("std", {"belief": "x"}),
        ("ucb", {"deviations": float("inf")}),
        ("ucb", {"belief": "x"}),
        ("ei", {"u0": "mean"}),
        ("ei", {"belief": "x"}),
    ],
)
def test_what_is_out_of_range_is_refused_with_what_is_allowed(name, options):
    with pytest.raises(BadInput, match=f"operator.{next(iter(options))}=.*allowed"):
        build("operator", name, **options)

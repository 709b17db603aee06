"""Every statistic by a second, slower road."""

from __future__ import annotations

from itertools import product
from math import comb, erf, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goralx import comparison
from goralx.comparison import gather, group
from goralx.comparison.censored import Reached, logrank_p
from goralx.comparison.curves import RESAMPLES, mean_interval
from goralx.comparison.paired import holm, rank_biserial, signed_rank_p, smallest_p
from goralx.comparison.ranks import of_table
from tests.comparison import made


def ranks_of(values):
    """Mean ranks by counting: how many are smaller, and half of those that are equal."""
    v = list(values)
    return [sum(o < x for o in v) + (sum(o == x for o in v) + 1) / 2 for x in v]


def signed_rank_by_enumeration(d):
    """P over all assignments of signs of a rank sum at least as far from its mean."""
    moved = [x for x in d if x != 0]
    ranks = ranks_of([abs(x) for x in moved])
    centre = sum(ranks) / 2
    given = abs(sum(r for r, x in zip(ranks, moved) if x > 0) - centre)
    sums = [
        sum(r for r, s in zip(ranks, signs) if s) for signs in product((0, 1), repeat=len(moved))
    ]
    return sum(abs(s - centre) >= given - 1e-9 for s in sums) / len(sums)


def holm_by_definition(p):
    """The largest over what is at most as large of p times the number of hypotheses left."""

    def adjusted(i):
        below = sorted(range(len(p)), key=lambda j: (p[j], j))
        place = below.index(i)
        return max(min(1.0, (len(p) - k) * p[below[k]]) for k in range(place + 1))

    return [adjusted(i) for i in range(len(p))]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-6, 6), min_size=2, max_size=9))
def test_signed_ranks_are_all_assignments_of_signs(d):
    expected = 1.0 if not any(d) else signed_rank_by_enumeration(d)
    assert signed_rank_p(np.array(d, dtype=float)) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_its_definition(p):
    assert holm(p) == pytest.approx(holm_by_definition(p))


def test_holm_leaves_out_what_was_not_tested():
    corrected = holm([0.01, float("nan"), 0.04])
    assert corrected[0] == pytest.approx(0.02) and corrected[2] == pytest.approx(0.04)
    assert np.isnan(corrected[1])


def test_the_smallest_p_is_what_all_wins_give():
    for n in (2, 5, 8):
        assert signed_rank_p(np.arange(1.0, n + 1)) == pytest.approx(smallest_p(n))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-6, 6), min_size=1, max_size=12))
def test_rank_biserial_counts_favourable_less_unfavourable_ranks(d):
    moved = [x for x in d if x]
    ranks = ranks_of([abs(x) for x in moved])
    up = sum(r for r, x in zip(ranks, moved) if x > 0)
    down = sum(r for r, x in zip(ranks, moved) if x < 0)
    expected = (up - down) / (up + down) if moved else 0.0
    assert rank_biserial(np.array(d, dtype=float)) == pytest.approx(expected)


def bca_by_hand(x, n=200_000, seed=5):
    """Efron's BCa interval of a mean, written out, with another generator and far more draws."""
    from statistics import NormalDist

    x = np.asarray(x, dtype=float)
    normal, rng = NormalDist(), np.random.default_rng(seed)
    means = x[rng.integers(0, len(x), (n, len(x)))].mean(axis=1)
    z0 = normal.inv_cdf(((means < x.mean()).mean() + (means <= x.mean()).mean()) / 2)
    jack = np.array([np.delete(x, i).mean() for i in range(len(x))])
    lean = jack.mean() - jack
    a = (lean**3).sum() / (6 * (lean**2).sum() ** 1.5)
    bounds = []
    for tail in (0.025, 0.975):
        z = normal.inv_cdf(tail)
        share = normal.cdf(z0 + (z0 + z) / (1 - a * (z0 + z)))
        bounds.append(float(np.quantile(means, share)))
    return bounds


@pytest.mark.parametrize("seed", range(4))
def test_mean_intervals_are_bca(seed):
    x = np.random.default_rng(seed).exponential(size=10)
    mean, low, high = mean_interval(x)
    expected = bca_by_hand(x)
    close = 0.06 * (expected[1] - expected[0])  # of 2,000 resamples
    assert mean == pytest.approx(x.mean())
    assert low == pytest.approx(expected[0], abs=close)
    assert high == pytest.approx(expected[1], abs=close)


def test_intervals_of_what_does_not_vary_and_of_too_little():
    assert mean_interval([2.0, 2.0, 2.0]) == (2.0, 2.0, 2.0)
    mean, low, high = mean_interval([1.0, 3.0])
    assert mean == 2.0 and np.isnan(low) and np.isnan(high)
    assert np.isnan(mean_interval([])).all()


def arms_of(folder, **options):
    return group(*gather(made.folders(made.sweep(folder, **options))))


def test_bands_are_percentiles_of_resampled_mean_curves(tmp_path):
    arms = arms_of(tmp_path, datasets=("wine",))
    runs = arms.of("wine", arms.find("random"))
    curve = comparison.mean_curve(runs, "test/accuracy")
    table = np.array([run.rounds["test/accuracy"] for run in runs])
    assert curve.mean == pytest.approx(table.mean(axis=0))
    assert (curve.n_seeds == len(runs)).all() and RESAMPLES >= 1000
    rng = np.random.default_rng(99)
    means = table[rng.integers(0, len(table), (50_000, len(table)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    close = 0.08 * (high - low).max()
    assert curve.low == pytest.approx(low, abs=close)
    assert curve.high == pytest.approx(high, abs=close)


def test_a_curve_says_how_many_seeds_got_that_far(tmp_path):
    made.record(tmp_path / "a", 0, accuracy=[0.5, 0.6, 0.7])
    made.record(tmp_path / "b", 1, accuracy=[0.7, 0.8])
    runs, _ = gather(made.folders(tmp_path))
    curve = comparison.mean_curve(runs, "test/accuracy")
    assert curve.n_seeds.tolist() == [2, 2, 1]
    assert curve.mean == pytest.approx([0.6, 0.7, 0.7]) and np.isnan(curve.low[2])
    assert curve.whole.n_labelled.tolist() == [10, 15]
    assert curve.queries.tolist() == [0, 5, 10]


def kaplan_meier(found):
    """The product-limit estimate, factor by factor."""
    times = sorted({r.labels for r in found})
    left, out = 1.0, []
    for t in times:
        at_risk = sum(r.labels >= t for r in found)
        events = sum(r.labels == t and not r.censored for r in found)
        left *= 1 - events / at_risk
        out.append((t, left))
    return out


def logrank_by_hand(x, y):
    observed = expected = variance = 0.0
    for t in sorted({r.labels for r in (*x, *y) if not r.censored}):
        a, b = (sum(r.labels >= t for r in g) for g in (x, y))
        d = sum(r.labels == t and not r.censored for r in (*x, *y))
        n = a + b
        observed += sum(r.labels == t and not r.censored for r in x)
        expected += d * a / n
        if n > 1:
            variance += d * (a / n) * (b / n) * (n - d) / (n - 1)
    z = abs(observed - expected) / sqrt(variance)
    return 1 - erf(z / sqrt(2))


def test_the_log_rank_test_is_observed_less_expected():
    rng = np.random.default_rng(3)
    x = [Reached(i, float(rng.integers(1, 12)), bool(rng.random() < 0.3)) for i in range(12)]
    y = [Reached(i, float(rng.integers(4, 16)), bool(rng.random() < 0.3)) for i in range(12)]
    assert logrank_p(x, y) == pytest.approx(logrank_by_hand(x, y), rel=1e-6)
    nobody = [Reached(i, 10.0, True) for i in range(3)]
    assert np.isnan(logrank_p(nobody, nobody))
    at_once = [Reached(i, 10.0, False) for i in range(3)]
    assert logrank_p(at_once, at_once) == 1.0


def test_labels_needed_keep_those_who_never_get_there(tmp_path):
    """Targets .9 of 1; reached at 15, 20, never, never: half are there at 20, with dev labels."""
    made_up = ([0.1, 0.95, 0.95, 0.95], [0.1, 0.1, 0.95, 0.95], [0.1] * 4, [0.1] * 4)
    for seed, accuracy in enumerate(made_up):
        made.record(tmp_path / str(seed), seed, accuracy=accuracy, full=1.0, dev_labels=3)
    arms = group(*gather(made.folders(tmp_path)))
    (arm,) = arms.arms
    found = comparison.needed(arms, "wine", arm, 0.9)
    assert (found.n_reached, found.n_seeds, found.median) == (2, 4, 23.0)
    reached = [Reached(0, 18.0, False), Reached(1, 23.0, False)]
    reached += [Reached(i, 28.0, True) for i in (2, 3)]
    assert list(zip(found.times, found.waiting)) == kaplan_meier(reached)
    assert np.isnan(comparison.needed(arms, "wine", arm, 0.96).median)


def test_savings_are_restricted_to_where_the_shorter_arm_ends(tmp_path):
    for seed in range(4):
        fast = [0.1, 0.95, 0.95, 0.95]
        slow = [0.1, 0.1, 0.1, 0.1] if seed else [0.1, 0.1, 0.95, 0.95]
        made.record(tmp_path / f"a{seed}", seed, "uncertainty", accuracy=fast, full=1.0)
        made.record(tmp_path / f"b{seed}", seed, "random", accuracy=slow, full=1.0)
    arms = group(*gather(made.folders(tmp_path)))
    found = comparison.savings(arms, arms.find("random"))
    saved = next(s for s in found if s.share == 0.9)
    assert saved.n_pairs == 4 and saved.n_censored == 3
    assert saved.mean == pytest.approx(np.mean([5, 10, 10, 10]))


def test_ranks_friedman_and_nemenyi_of_a_table():
    """With 4 arms on 14 data sets the critical difference is 1.25 (Demsar 2006, Sec. 3.2.4)."""
    accuracy = np.array([
        [.763, .768, .771, .798], [.599, .591, .590, .569], [.954, .971, .968, .967],
        [.628, .661, .654, .657], [.882, .888, .886, .898], [.936, .931, .916, .931],
        [.661, .668, .609, .685], [.583, .583, .563, .625], [.775, .838, .866, .875],
        [1.0, 1.0, 1.0, 1.0], [.940, .962, .965, .962], [.619, .666, .614, .669],
        [.972, .981, .975, .975], [.957, .978, .946, .970],
    ])  # fmt: skip
    found = of_table("aulc", [str(i) for i in range(14)], list("abcd"), -accuracy)
    ties = np.array([ranks_of(row) for row in -accuracy])
    assert found.mean_ranks == pytest.approx(ties.mean(axis=0))
    assert found.critical_difference == pytest.approx(1.25, abs=0.005)
    N, k = accuracy.shape
    between = 12 * N / (k * (k + 1)) * ((ties.mean(axis=0) - (k + 1) / 2) ** 2).sum()
    lost = sum(np.sum(c**3 - c) for c in (np.unique(row, return_counts=True)[1] for row in ties))
    corrected = between / (1 - lost / (N * (k**3 - k)))
    from scipy.stats import chi2

    assert found.p == pytest.approx(chi2.sf(corrected, k - 1))
    assert found.groups == [tuple("dbca")]  # the best and the worst are 1.21 apart
    by_definition = found.nemenyi < 0.05
    apart = np.abs(found.mean_ranks[:, None] - found.mean_ranks) > found.critical_difference
    assert (by_definition == apart).all()


def test_nemenyi_of_two_arms_is_a_normal_test():
    """The studentized range of two is a normal difference."""
    found = of_table("aulc", ["x", "y", "z", "u"], ["a", "b"], np.array([[0, 1.0]] * 4))
    z = 1.0 / sqrt(2 * 3 / (6 * 4))
    assert found.nemenyi[0, 1] == pytest.approx(1 - erf(z / sqrt(2)), rel=1e-6)


def test_every_number_of_every_comparison_by_a_second_road(tmp_path):
    arms = arms_of(tmp_path)
    found = comparison.compare_all(arms)
    ranked = ["random", "uncertainty", "ent max"]
    assert len(found) == 2 * comb(len(ranked), 2) * 3
    assert not any(c.a.uses_truth or c.b.uses_truth for c in found)
    for c in found:
        x = {run.seed: by_hand(run, c.metric) for run in arms.of(c.dataset, c.a)}
        y = {run.seed: by_hand(run, c.metric) for run in arms.of(c.dataset, c.b)}
        d = np.array([x[seed] - y[seed] for seed in sorted(x)])
        better = -d if c.metric == "log_loss" else d
        assert c.n_pairs == 8 and c.mean_difference == pytest.approx(d.mean(), abs=1e-9)
        assert (c.wins, c.ties, c.losses) == ((better > 0).sum(), 0, (better < 0).sum())
        low, high = bca_by_hand(d)
        assert (c.low, c.high) == pytest.approx((low, high), abs=0.08 * (high - low))
        assert c.p == pytest.approx(signed_rank_by_enumeration(d.tolist()), abs=1e-9)
        family = [o for o in found if (o.dataset, o.metric) == (c.dataset, c.metric)]
        corrected = holm_by_definition([o.p for o in family])
        assert c.p_holm == pytest.approx(corrected[family.index(c)])
        winner = c.a if better.mean() > 0 else c.b
        expected = f"{winner.label} better" if c.p_holm < 0.05 else "no difference shown"
        assert c.verdict == expected


def by_hand(run, metric):
    column = run.rounds["test/accuracy" if metric == "aulc" else f"test/{metric}"]
    if metric != "aulc":
        return column[-1]
    n = run.n_labelled
    return sum((n[i + 1] - n[i]) * (column[i] + column[i + 1]) / 2 for i in range(len(n) - 1)) / (
        n[-1] - n[0]
    )


def test_against_a_baseline_the_family_is_smaller(tmp_path):
    arms = arms_of(tmp_path, datasets=("wine",))
    random = arms.find("random")
    found = comparison.compare_all(arms, baseline=random)
    assert len(found) == 2 * 3 and all(c.b == random for c in found)


def test_the_matrix_counts_both_ways(tmp_path):
    arms = arms_of(tmp_path)
    found = comparison.compare_all(arms)
    matrix = comparison.tally(found)
    a, b = arms.find("ent max"), arms.find("random")
    assert matrix[a, b].better == matrix[b, a].worse == 2
    assert matrix[a, b].wins == matrix[b, a].losses
    assert matrix[a, b].wins + matrix[a, b].ties + matrix[a, b].losses == 16

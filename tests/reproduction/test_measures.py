"""Numbers of claims and of the finding, on made-up runs, by a slower road."""

from __future__ import annotations

import numpy as np
import pytest

from goralx.reproduction import finding, measures, snapshots
from goralx.reproduction.evidence import FAILS, HOLDS, OPEN, Region, verdict
from goralx.reproduction.finding import equal_totals, sooner

from .made_up import results, write


@pytest.fixture
def two(tmp_path):
    """Six seeds of two arms, a always .1 above b in the end; a's goal falls where b's rises."""
    found = results(tmp_path, 6, "a", "b")
    rng = np.random.default_rng(0)
    for seed in range(6):
        base = 0.5 + 0.05 * rng.random()
        goal = np.array([-4.0, -3.0, -2.0, -1.0])
        for name, gain in (("a", 0.1), ("b", 0.0)):
            accuracy = base + (0.3 + gain) * np.array([0.0, 0.5, 0.8, 1.0])
            own = goal if name == "b" else -goal
            write(
                tmp_path, found.arms[name], seed, accuracy, n_dev=5 if name == "a" else 0,
                goal__dev=own, queries=np.arange(30) + (10 if name == "b" else 0),
            )  # fmt: skip
    return found


def test_differences_are_paired(two):
    found = measures.difference(two, measures.final(), "a", "b")
    assert (found.number, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))
    assert (found.n_seeds, found.beside) == (6, "b")
    aulc = measures.difference(two, measures.aulc, "a", "b")
    assert aulc.number == pytest.approx(0.1 * np.trapezoid([0.0, 0.5, 0.8, 1.0]) / 3)


def test_a_seed_that_one_arm_lacks_is_in_no_pair(two, tmp_path):
    (two.arms["b"].folder(tmp_path, 3) / "run.json").unlink()
    assert measures.difference(two, measures.final(), "a", "b").n_seeds == 5
    assert measures.of_arm(two, "a", measures.final()).n_seeds == 6


def test_correlations_overlaps_and_changes(two):
    correlation = measures.agreement("test/accuracy", "goal/dev")
    assert measures.of_arm(two, "b", correlation).number == pytest.approx(1.0)
    assert measures.of_arm(two, "a", correlation).number == pytest.approx(-1.0)
    assert measures.overlap(two, "a", "b", 20).number == pytest.approx(10 / 20)
    assert measures.of_arm(two, "b", measures.change("goal/dev", 10)).number == 2.0
    assert measures.of_arm(two, "b", measures.area("dev")).number == -2.5


def test_arms_that_are_consistently_above_are_counted(two):
    above = measures.consistently_above([two, two], measures.final(), ["a"], ["b"])
    assert (above.number, above.high, above.n_seeds) == (1.0, 1.0, 6)
    assert verdict(above, Region(0, 0)) == FAILS
    below = measures.consistently_above([two], measures.final(), ["b"], ["a"])
    assert verdict(below, Region(0, 0)) == HOLDS


def test_an_arm_that_may_or_may_not_be_above_leaves_it_open(tmp_path):
    found = results(tmp_path, 6, "a", "b")
    for seed in range(6):
        write(tmp_path, found.arms["a"], seed, [0.5, 0.5 + 0.1 * (-1) ** seed])
        write(tmp_path, found.arms["b"], seed, [0.5, 0.5])
    count = measures.consistently_above([found], measures.final(), ["a"], ["b"])
    assert (count.low, count.high) == (0.0, 1.0)
    assert verdict(count, Region(0, 0)) == OPEN


def test_synth2_by_its_clusters():
    """By the coordinates that the instance of another seed has, too."""
    from goralx.reproduction.first_look import clusters, instance_of

    instance = instance_of("synth2", 3)
    X = np.asarray(instance.X)
    names = clusters(np.arange(len(X)))
    assert set(names) == {"central", "distracting", "definitive"}
    centre = {"central": (0, 2), "distracting": (-4, 5), "definitive": (-3, -5)}
    for name, place in centre.items():
        sign = np.where(instance.y == 1, 1.0, -1.0)[:, None]
        assert np.abs((X * sign)[names == name] - place).max() < 3.0


def test_queries_by_cluster_and_labels_to_the_target(tmp_path):
    """12 central, then 8 distracting: rows 0-199 and 200-399."""
    found = results(tmp_path, 5, "a", "b")
    queries = [*range(12), *range(200, 208), *range(400, 410)]
    for seed in range(5):
        write(tmp_path, found.arms["a"], seed, [0.5, 0.6, 1.0, 1.0], queries=queries, n_dev=7)
        write(tmp_path, found.arms["b"], seed, [0.5, 0.6, 0.6, 1.0], queries=queries)
    run = found.of("a")[0]
    assert snapshots.central_of_first(20)(run) == 12
    assert snapshots.central_until(0.9)(run) == 12
    assert snapshots.share_of_first("distracting", 20)(run) == 8 / 20
    assert snapshots.place("central")(run) == pytest.approx(np.arange(12).mean() / 29)
    assert snapshots.saved(found, "a", "b", 0.9).number == 20 + 7 - 30
    assert snapshots.central_until(1.1)(run) != snapshots.central_until(1.1)(run)  # NaN


def test_equal_totals_give_the_other_as_many_queries_more_as_there_are_dev_labels(tmp_path):
    found = results(tmp_path, 1, "a", "b")
    write(tmp_path, found.arms["a"], 0, [0.5, 0.6, 0.7], ceiling=0.7)
    write(tmp_path, found.arms["b"], 0, [0.4, 0.5, 0.6, 0.65], ceiling=0.7)
    a, b = found.of("a")[0], found.of("b")[0]
    assert equal_totals(a, b, 0) == pytest.approx(np.mean([0.1, 0.1, 0.1]))
    assert equal_totals(a, b, 5) == pytest.approx(np.mean([0.05, 0.05, 0.7 - 0.625]))
    assert equal_totals(a, b, 20) == pytest.approx(np.mean([0.5 - 0.6, 0.6 - 0.65]))
    assert sooner(a, b, 0) == 30 - 20  # b never gets to .665: cut off at its budget
    assert sooner(a, b, 15) == 0  # 35 labels are beyond the budget, too


def test_an_effect_counts_only_where_its_interval_is_on_one_side(tmp_path):
    from goralx.reproduction.evidence import Evidence

    def sign(low, high, n=10):
        return finding.Effect("q", "c", "d", 10, Evidence(0.0, low, high, n)).sign

    assert [sign(0.1, 0.2), sign(-0.2, -0.1), sign(-0.1, 0.1)] == [1, -1, 0]
    assert sign(0.1, 0.2, n=4) == 0

"""What runs say of themselves: predictions kept, audits, goals that rise while the test falls."""

from __future__ import annotations

import numpy as np
import pytest

from goralx import comparison
from goralx.comparison import gather, group
from tests.comparison import made


def read(folder):
    return group(*gather(made.folders(folder)))


def test_predictions_are_held_against_what_came(tmp_path):
    accuracy = [0.5, 0.6, 0.55, 0.7]  # the goal rises by 1, falls by .5, rises by 1.5
    for seed in range(3):
        made.record(tmp_path / str(seed), seed, "goral", accuracy=accuracy)
    (kept,) = comparison.predictions(read(tmp_path))
    assert kept.ratio == pytest.approx(2.0 / 3.0)  # 1 was predicted of each
    assert kept.same_sign == pytest.approx(2 / 3) and np.isnan(kept.rank)


def test_audits_are_means_of_what_was_audited(tmp_path):
    made.sweep(tmp_path, seeds=range(3), datasets=("wine",))
    found = comparison.trust(read(tmp_path))
    assert [t.arm.label for t in found] == ["ent max", "ent oracle"]
    assert found[0].audits["spearman"] == pytest.approx(0.8) and found[0].n_audits == 9


def test_costs_are_medians(tmp_path):
    for seed in range(3):
        seconds = {"total": [1.0, 2.0, 9.0][seed], "fit": 0.5, "score": None}
        made.record(tmp_path / str(seed), seed, summary={"seconds": seconds})
    (cost,) = comparison.costs(read(tmp_path))
    assert (cost.total, cost.fit) == (2.0, 0.5) and np.isnan(cost.score)


def falling(seed, slope=-0.01):
    noise = 0.001 * np.random.default_rng(seed).normal(size=13)
    return 0.6 + np.r_[0.03 * np.arange(7), 0.18 + slope * np.arange(6)] + noise


@pytest.mark.parametrize("dev", [0, 14])
def test_a_goal_that_rises_while_the_test_falls_is_flagged(tmp_path, dev):
    for seed in range(5):
        made.record(
            tmp_path / str(seed), seed, "goral", goal="dev", accuracy=falling(seed),
            goals={"dev": np.arange(13.0)}, dev_labels=dev, n_dev=dev,
        )  # fmt: skip
    (found,) = comparison.divergences(read(tmp_path))
    assert found.dev == bool(dev) and found.since == 50
    assert found.test_slope[0] == pytest.approx(-0.2, abs=0.02)  # -.01 in 5 labels
    assert found.goal_slope[0] == pytest.approx(20.0)
    said = comparison.of_divergence(found)
    assert ("over-fitted" in said) == bool(dev)


@pytest.mark.parametrize("goal, slope", [(np.zeros(13), -0.01), (np.arange(13.0), 0.004)])
def test_neither_a_flat_goal_nor_a_rising_test_is(tmp_path, goal, slope):
    for seed in range(5):
        made.record(
            tmp_path / str(seed), seed, "goral", goal="dev", accuracy=falling(seed, slope),
            goals={"dev": goal},
        )  # fmt: skip
    assert comparison.divergences(read(tmp_path)) == []


def test_sentences_say_who_is_better_and_when_nothing_is_shown(tmp_path):
    arms = read(made.sweep(tmp_path, datasets=("wine",)))
    said = {
        (c.metric, c.a.label, c.b.label): comparison.of_comparison(arms, c)
        for c in comparison.compare_all(arms)
    }
    assert "ent max is higher, and better, than random (+0." in said["aulc", "ent max", "random"]
    assert "better in 8 of 8 seeds" in said["aulc", "ent max", "random"]
    assert "lower, and better" in said["log_loss", "ent max", "random"]
    nothing = [s for s in said.values() if "no difference shown between" in s]
    assert all("p = " in s or "p < " in s for s in said.values()) and len(said) == 9
    assert all("CI" in s for s in nothing)


def test_sentences_on_savings_never_claim_what_is_not_shown(tmp_path):
    arms = read(made.sweep(tmp_path, datasets=("wine",)))
    for s in comparison.savings(arms, arms.find("random")):
        said = comparison.of_savings(s)
        assert ("no saving shown" in said) == (s.low <= 0 <= s.high)


@pytest.mark.parametrize("p, said", [(0.0004, "p < .001"), (0.05, "p = .050"), (1.0, "p = 1.000")])
def test_p_values_are_written_as_in_papers(p, said):
    assert comparison.p_value(p) == said
    assert comparison.p_value(float("nan")) == "p not known"

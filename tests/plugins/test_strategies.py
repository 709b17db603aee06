"""Strategies against loops over their definitions."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

from goralx import BadInput, Candidates, Incompatible, Labelled, Query, Reference, Scores, top_b
from tests.plugins.test_batch_rules import World
from tests.problems import blobs, build


def asked(K=3, b=4, *, seed=0, n_candidates=12, rng_seed=0, utility=None):
    """A query about every other sample of a pool."""
    rng = np.random.default_rng(seed)
    X, y = blobs(rng, 20, 2, K)
    model = build("model", "softmax").fit(Labelled(X, y), K)
    pool = Reference(model, 2 * rng.normal(size=(2 * n_candidates, 2)))
    candidates = Candidates(pool, np.arange(1, 2 * n_candidates, 2), Labelled(X, y), 0.0)

    def score(candidates, *, per_label=False):
        rows = np.arange(len(candidates))
        return Scores(np.tile(utility, (K, 1)).T, utility, 0.0, rows)

    generator = np.random.default_rng(rng_seed)
    return Query(candidates, b, generator, None, None if utility is None else score)


UNCERTAINTY = {
    "margin": lambda p: sorted(p)[-2] - sorted(p)[-1],
    "entropy": lambda p: -math.fsum(q * math.log(q) for q in p),
    "least_confident": lambda p: -max(p),
}


@pytest.mark.parametrize("K", [2, 4])
@pytest.mark.parametrize("measure", UNCERTAINTY)
def test_uncertainty_is_its_definition_and_takes_the_highest(measure, K):
    query = asked(K)
    selection = build("strategy", "uncertainty", measure=measure).select(query)
    P = np.exp(query.log_P)
    one_by_one = [UNCERTAINTY[measure]([float(q) for q in p]) for p in P]
    np.testing.assert_allclose(selection.utility, one_by_one, rtol=1e-12)
    best = sorted(range(len(P)), key=lambda i: -one_by_one[i])[:4]
    assert selection.rows.tolist() == best


def test_for_two_classes_the_measures_agree():
    rows = [
        build("strategy", "uncertainty", measure=measure).select(asked(2)).rows.tolist()
        for measure in UNCERTAINTY
    ]
    assert rows[0] == rows[1] == rows[2]


def test_for_more_classes_they_do_not():
    rows = {
        tuple(build("strategy", "uncertainty", measure=measure).select(asked(4, 8)).rows)
        for measure in UNCERTAINTY
    }
    assert len(rows) > 1


def test_certain_predictions_have_no_entropy_and_no_nan():
    P = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    with np.errstate(divide="ignore"):
        log_P = np.maximum(np.log(P), -745.0)

    class Fixed:
        n_classes = 3

        def log_proba(self, X):
            return log_P

    pool = Reference(Fixed(), np.zeros((3, 2)))
    candidates = Candidates(pool, np.arange(3), Labelled(np.zeros((1, 2)), np.zeros(1, int)), 0.0)
    query = Query(candidates, 3, np.random.default_rng(0))
    for measure, certain in (("entropy", 0.0), ("margin", -1.0), ("least_confident", -1.0)):
        utility = build("strategy", "uncertainty", measure=measure).select(query).utility
        assert utility[0] == pytest.approx(certain, abs=1e-300)
        assert utility.argmin() == 0


def test_an_unknown_measure_is_refused():
    with pytest.raises(BadInput, match=r"variance.*margin, entropy, least_confident"):
        build("strategy", "uncertainty", measure="variance")


def test_goral_takes_the_highest_utilities_best_first():
    utility = np.array([0.3, -1.0, 2.0, 0.0, 5.0, 1.0, -2.0, 0.1, 0.2, 4.0, -0.5, 3.0])
    query = asked(utility=utility)
    selection = build("strategy", "goral").select(query)
    assert selection.rows.tolist() == [4, 9, 11, 2]
    np.testing.assert_array_equal(selection.utility, utility)


def test_goral_without_a_goal_is_refused():
    with pytest.raises(Incompatible, match="goal"):
        build("strategy", "goral").select(asked())


def test_random_is_uniform_and_has_no_utility():
    strategy = build("strategy", "random")
    candidates = asked(2, 3, n_candidates=6).candidates
    chosen = Counter()
    for seed in range(600):
        selection = strategy.select(Query(candidates, 3, np.random.default_rng(seed)))
        assert selection.utility is None
        assert len(set(selection.rows.tolist())) == 3
        chosen.update(selection.rows.tolist())
    # each of 6 candidates is chosen in half of 600 draws; 5 standard deviations are 61
    assert set(chosen) == set(range(6))
    assert all(abs(count - 300) < 61 for count in chosen.values())


def test_random_does_not_look_at_the_model():
    class Blind:
        n_classes = 2

        def log_proba(self, X):
            raise AssertionError("it looked")

    pool = Reference(Blind(), np.zeros((5, 2)))
    candidates = Candidates(pool, np.arange(5), Labelled(np.zeros((1, 2)), np.zeros(1, int)), 0.0)
    query = Query(candidates, 2, np.random.default_rng(0))
    assert len(build("strategy", "random").select(query).rows) == 2


# --- top_b -----------------------------------------------------------------------------------


def test_top_b_breaks_ties_uniformly_and_never_prefers_the_worse():
    utility = np.array([1.0, 5.0, 1.0, 1.0, 0.0])
    second = Counter()
    for seed in range(600):
        first, other = top_b(utility, 2, np.random.default_rng(seed))
        assert first == 1
        second[int(other)] += 1
    assert set(second) == {0, 2, 3}
    assert all(abs(count - 200) < 58 for count in second.values())  # 5 standard deviations


def test_top_b_passes_over_what_was_not_looked_at():
    utility = np.array([np.nan, 1.0, np.nan, 3.0, 2.0])
    assert top_b(utility, 2, np.random.default_rng(0)).tolist() == [3, 4]


def test_top_b_refuses_an_infinite_utility():
    with pytest.raises(BadInput, match="infinite"):
        top_b(np.array([0.0, np.inf]), 1, np.random.default_rng(0))


@pytest.mark.parametrize("rule", [None, "top", "sequential"])
def test_shuffled_asks_each_candidate_as_often_whatever_it_is_worth(rule):
    world = World(n_pool=24)
    scorer, chosen = world.scorer("dev", "oracle"), Counter()
    for seed in range(400):
        query = world.query(scorer, rule or "top", 3, seed)
        query = query if rule else replace(query, rule=None)
        selection = build("strategy", "shuffled").select(query)
        np.testing.assert_array_equal(selection.utility, scorer(world.candidates).utility)
        chosen.update(selection.rows.tolist())
    n = len(world.candidates)
    expected = 400 * 3 / n
    statistic = sum((chosen[i] - expected) ** 2 / expected for i in range(n))
    assert statistic < chi2.ppf(0.9999, n - 1)


def test_shuffled_deals_out_the_very_utilities_and_passes_over_who_was_not_looked_at():
    utility = np.array([5.0, 1.0, 2.0, 4.0, 3.0, 0.0])
    utility[[1, 4]] = np.nan
    query = asked(n_candidates=6, b=4, utility=utility)

    def score(candidates, *, per_label=False):
        looked_at = np.flatnonzero(~np.isnan(utility))
        return Scores(np.zeros((4, 3)), utility, 0.0, looked_at)

    seen = []

    class Watching(type(build("batch", "top"))):
        def choose(self, query):
            seen.append(query.scores.utility)
            return super().choose(query)

    query = replace(query, score=score, rule=Watching())
    rows = build("strategy", "shuffled").select(query).rows
    assert sorted(rows.tolist()) == [0, 2, 3, 5]
    assert sorted(seen[0][~np.isnan(seen[0])]) == [0.0, 2.0, 4.0, 5.0]
    assert np.isnan(seen[0][[1, 4]]).all()


# --- what a strategy from outside may ask ------------------------------------------------------


def test_a_query_has_names_for_its_classes_numbers_unless_they_are_given():
    query = asked(K=3)
    assert query.classes == ("0", "1", "2")
    named = replace(query, classes=("pear", "fig", "apple"))
    assert named.classes == ("pear", "fig", "apple")
    with pytest.raises(BadInput, match="2 class names, and the model has 3 classes"):
        replace(query, classes=("pear", "fig"))


def test_a_query_gives_the_unfitted_learner_or_says_that_there_is_none():
    query, learner = asked(K=3), build("model", "softmax", C=0.3)
    with pytest.raises(Incompatible, match="no learner"):
        _ = query.learner
    given = replace(query, candidates=replace(query.candidates, learner=learner))
    assert given.learner is learner


def test_a_seed_is_drawn_once_from_the_querys_generator():
    query = asked(rng_seed=3)
    assert query.seed == query.seed == np.random.default_rng(3).integers(2**31 - 1)
    assert query.rng.random() == asked(rng_seed=3).rng.random(2)[1]
    assert asked(rng_seed=4).seed != query.seed

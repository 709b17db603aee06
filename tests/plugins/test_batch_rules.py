"""Batch rules against refits, enumeration, and the probabilities that they promise."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest

import goralx
from goralx import (
    BadInput,
    Candidates,
    GoalOrientedUtility,
    Incompatible,
    Labelled,
    Query,
    Reference,
    Scores,
)
from tests.problems import blobs, build, experiment, instance
from tests.reference import Problem, predict, pseudo_inverse, with_constant

RULES = ("top", "sequential", "gumbel", "kmeanspp")


class World:
    """A fitted model, candidates that are every other pool sample, a dev set, hidden labels."""

    def __init__(self, K=2, *, n=30, C=0.5, seed=0, d=4, n_pool=60, copies=1, regime="fixed_C"):
        rng = np.random.default_rng([seed, K])
        X, y = blobs(rng, n + n_pool + 80, d, K)
        self.K, self.known = K, Labelled(X[:n], y[:n])
        self.pool = Labelled(
            np.repeat(X[n : n + n_pool], copies, axis=0), np.repeat(y[n : n + n_pool], copies)
        )
        self.dev = Labelled(X[n + n_pool :], y[n + n_pool :])
        self.learner = build("model", "softmax", C=C, regime=regime)
        self.fit = self.learner.fit(self.known, K)
        rows = np.arange(0, len(self.pool), 2 if copies == 1 else 1)
        self.candidates = Candidates(Reference(self.fit, self.pool.X), rows, self.known, 0.0)

    def scorer(self, goal="dev", operator="oracle", utility="influence", **options):
        return GoalOrientedUtility(
            build("goal", goal),
            build("operator", operator) if isinstance(operator, str) else operator,
            build("utility", utility, **options),
            self.learner,
            self.dev,
            pool_y=self.pool.y,
            first_order=build("utility", "influence"),
        )

    def query(self, scorer, rule, b=4, seed=0, **options):
        rng = np.random.default_rng(seed)
        chooser = build("batch", rule, **options)
        return Query(self.candidates, b, rng, score=scorer, rule=chooser)

    def refit(self, samples):
        """The model fit to the labelled samples and these (pool row, label)."""
        rows, labels = np.array([r for r, _ in samples], dtype=int), [y for _, y in samples]
        more = Labelled(
            np.concatenate([self.known.X, self.pool.X[rows]]),
            np.concatenate([self.known.y, np.array(labels, dtype=int)]),
        )
        return self.learner.fit(more, self.K, previous=self.fit)

    def gain(self, scorer, chosen):
        """tau of the refit on the whole batch under its true labels, less tau."""
        rows = self.candidates.rows[chosen]
        after = self.refit([(r, self.pool.y[r]) for r in rows])

        def tau(model):
            return scorer.goal.measure(scorer.reference(Reference(model, self.pool.X)))

        return tau(after) - tau(self.fit)


def regrets(world, scorer, chosen, label):
    """The slow road: refit after every pick, and see by how much of the spread a better one was."""
    left, picked, missed = list(range(len(world.candidates))), [], []
    for pick in chosen:
        model = world.refit([(world.candidates.rows[i], y) for i, y in picked])
        asked = replace(
            world.candidates, pool=Reference(model, world.pool.X), rows=world.candidates.rows[left]
        )
        utility, place = scorer(asked).utility, left.index(pick)
        missed.append((utility.max() - utility[place]) / np.ptp(utility))
        picked.append((pick, label(world, asked, place)))
        del left[place]
    return missed


# --- top -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["top", None])
def test_top_is_the_b_highest_best_first(rule):
    world = World()
    query = world.query(world.scorer(), rule or "top")
    query = query if rule else replace(query, rule=None)
    assert query.batch().tolist() == np.argsort(-query.scores.utility)[:4].tolist()


def test_to_first_order_no_batch_is_worth_more_than_the_best():
    """Remark 2: the batch's utility is its members' sum; over all batches of three."""
    world = World(n_pool=20)
    query = world.query(world.scorer(), "top", 3)
    utility = query.scores.utility
    best = max(combinations(range(10), 3), key=lambda rows: utility[list(rows)].sum())
    assert set(query.batch().tolist()) == set(best)


# --- sequential ------------------------------------------------------------------------------


def the_true_one(world, candidates, place):
    return int(world.pool.y[candidates.rows[place]])


def the_likeliest(world, candidates, place):
    return int(candidates.log_P[place].argmax())


@pytest.mark.parametrize("operator", ["oracle", "average", "max"])
@pytest.mark.parametrize("goal", ["dev", "ent"])
@pytest.mark.parametrize("K", [2, 3])
def test_sequential_picks_the_best_as_refitting_after_every_pick_sees_it(K, goal, operator):
    """Within 2 % of the spread (for an oracle's dev goal the b best come to miss 10 % and more)."""
    world = World(K, C=0.05, n=40)
    scorer = world.scorer(goal, operator)
    label = the_true_one if operator == "oracle" else the_likeliest
    chosen = {rule: world.query(scorer, rule, 6).batch().tolist() for rule in ("sequential", "top")}
    assert max(regrets(world, scorer, chosen["sequential"], label)) < 0.02
    if (goal, operator) == ("dev", "oracle"):
        assert max(regrets(world, scorer, chosen["top"], label)) > 0.1


@pytest.mark.parametrize("utility", ["implicit", "lookahead", "retrain"])
@pytest.mark.parametrize("regime", ["fixed_C", "fixed_lambda"])
def test_sequential_works_with_every_estimator_in_both_regimes(utility, regime):
    world = World(2, C=0.05, regime=regime)
    scorer = world.scorer("dev", "oracle", utility)
    chosen = world.query(scorer, "sequential").batch().tolist()
    assert max(regrets(world, scorer, chosen, the_true_one)) < 0.02


def test_sequential_does_not_ask_the_same_thing_twice():
    """Five copies of every sample: the b best are one sample and its copies."""
    world = World(n_pool=12, copies=5)
    scorer = world.scorer("dev", "oracle")
    originals = {rule: world.query(scorer, rule, 5).batch() // 5 for rule in ("top", "sequential")}
    assert len(set(originals["top"].tolist())) == 1
    assert len(set(originals["sequential"].tolist())) > 1


@pytest.mark.parametrize("regime", ["fixed_C", "fixed_lambda"])
def test_gains_given_those_before_add_up_to_what_the_batch_adds(regime):
    """By a joint refit under the true labels; the sum of what each adds alone is far off."""
    gains, singles, realised = [], [], []
    for seed in range(3):
        world = World(2, n=25, seed=seed, regime=regime)
        scorer = world.scorer("dev", "oracle", "implicit")
        selection = world.query(scorer, "sequential", 8).selection()
        np.testing.assert_array_equal(selection.utility, scorer(world.candidates).utility)
        assert selection.gains[0] == selection.utility.max()
        gains.append(selection.gains.sum())
        singles.append(selection.utility[selection.rows].sum())
        realised.append(world.gain(scorer, selection.rows))
    assert gains == pytest.approx(realised, rel=0.06)
    assert (np.array(singles) > 1.2 * np.array(realised)).all()


@pytest.mark.parametrize("goal", ["dev", "ent"])
def test_sequential_gains_more_than_top_in_truth(goal):
    """By joint refits under the true labels, b = 8 at n = 20: the mean and most of ten seeds."""
    pairs = []
    for seed in range(10):
        world = World(3, n=20, seed=seed, n_pool=160)
        scorer = world.scorer(goal, "oracle")
        pairs.append(
            [world.gain(scorer, world.query(scorer, r, 8).batch()) for r in ("sequential", "top")]
        )
    sequential, top = np.array(pairs).T
    assert sequential.mean() > 1.1 * top.mean()
    assert (sequential > top).sum() >= 9


class Told:
    """Stands for a fit and notes under which labels samples are inserted."""

    def __init__(self, fit, notes):
        self.fit, self.notes = fit, notes

    def __getattr__(self, name):
        return getattr(self.fit, name)

    def inserted(self, x, label, regime):
        self.notes.append(label)
        return Told(self.fit.inserted(x, label, regime), self.notes)


def labels_made_up(world, scorer, b=5, **options):
    notes = []
    told = replace(world.candidates, pool=Reference(Told(world.fit, notes), world.pool.X))
    rule = build("batch", "sequential", **options)
    query = Query(told, b, np.random.default_rng(0), score=scorer, rule=rule)
    return query.batch(), notes


def test_the_label_made_up_is_the_true_one_where_the_operator_knows_it():
    world = World(3)
    chosen, notes = labels_made_up(world, world.scorer("dev", "oracle"))
    assert notes == world.pool.y[world.candidates.rows[chosen]][:-1].tolist()


def test_the_label_made_up_is_the_likeliest_the_operator_believes():
    class Contrarian(type(build("operator", "average"))):
        def beliefs(self, candidates):
            return np.log((1 - np.exp(candidates.log_P)) / (candidates.model.n_classes - 1))

    world = World(3)
    chosen, notes = labels_made_up(world, world.scorer("ent", Contrarian()), b=2)
    assert notes == [int(world.candidates.log_P[chosen[0]].argmin())]


def test_an_optimist_makes_up_the_label_of_the_highest_utility():
    world = World(3)
    scorer = world.scorer("ent", "average")
    chosen, notes = labels_made_up(world, scorer, b=2, fantasy="optimistic")
    assert notes == [int(scorer(world.candidates).U[chosen[0]].argmax())]


@pytest.mark.parametrize("K", [2, 3])
def test_a_design_criterion_is_climbed_greedily_with_no_label(K):
    """log det A, dense, theta held: each pick the best given those before."""
    world = World(K, n_pool=24)
    selection = world.query(world.scorer("dopt"), "sequential").selection()
    chosen = selection.rows.tolist()
    assert labels_made_up(world, world.scorer("dopt"))[1] == [None] * 4
    objective = world.fit.objective
    before = A = len(world.known) * objective.hessian(np.exp(world.fit.log_proba(world.known.X)))
    expected = []
    for _ in range(4):
        values = {}
        for i, x in enumerate(world.candidates.X):
            p, row = predict(x[None], world.fit.theta)[0], with_constant(x[None])[0]
            information = objective.Q.T @ (np.diag(p) - np.outer(p, p)) @ objective.Q
            grown = A + np.kron(information, np.outer(row, row))
            values[i] = (np.linalg.slogdet(grown)[1], grown)
        best = max((i for i in values if i not in expected), key=lambda i: values[i][0])
        expected.append(best)
        A = values[best][1]
    assert chosen == expected
    volume = np.linalg.slogdet(A)[1] - np.linalg.slogdet(before)[1]
    assert selection.gains.sum() == pytest.approx(volume)


def test_what_screening_left_out_stays_out_and_what_is_left_is_not_screened_again():
    world = World(n_pool=80)
    scorer = world.scorer("dev", "oracle", "implicit", screen=6)
    looked_at = set(scorer(world.candidates).looked_at.tolist())
    for rule in RULES:
        chosen = world.query(scorer, rule, 6).batch().tolist()
        assert set(chosen) == looked_at and len(chosen) == 6


def test_once_nothing_is_left_to_rank_the_rest_is_random():
    """Under Remark 1 every later round of scoring is a constant, too."""
    world = World()
    scorer = world.scorer("ent", "expected")
    second = {int(world.query(scorer, "sequential", 2, seed).batch()[1]) for seed in range(12)}
    assert len(second) > 4


# --- gumbel ----------------------------------------------------------------------------------


def scripted(utility, b, rule, seed=0, candidates=None):
    """A query whose utilities are these."""
    world = World(n_pool=2 * len(utility)).candidates if candidates is None else candidates
    looked_at = np.flatnonzero(~np.isnan(utility))

    def score(candidates, *, per_label=False):
        return Scores(np.tile(utility[looked_at], (2, 1)).T, utility, 0.0, looked_at)

    return Query(world, b, np.random.default_rng(seed), score=score, rule=rule)


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.0])
def test_gumbel_draws_with_odds_exponential_in_the_standardised_utility(beta):
    utility = np.array([3.0, 1.0, np.nan, -2.0, 0.5])
    known = utility[~np.isnan(utility)]
    odds = np.exp(beta * (known - known.mean()) / known.std())
    probability = odds / odds.sum()
    rule, candidates = build("batch", "gumbel", beta=beta), World(n_pool=10).candidates
    total = 4000
    first = Counter(
        int(scripted(utility, 1, rule, seed, candidates).batch()[0]) for seed in range(total)
    )
    assert 2 not in first
    for place, p in zip([0, 1, 3, 4], probability, strict=True):
        allowed = 5 * np.sqrt(p * (1 - p) / total)
        assert abs(first[place] / total - p) < allowed


def test_gumbel_does_not_mind_the_goals_unit_and_ends_at_top():
    utility = np.random.default_rng(0).normal(size=20)
    candidates = World(n_pool=40).candidates
    for seed in range(5):
        plain, scaled = (
            scripted(u, 6, build("batch", "gumbel"), seed, candidates).batch().tolist()
            for u in (utility, 1e-6 * utility + 3.0)
        )
        assert plain == scaled
        steep = scripted(utility, 6, build("batch", "gumbel", beta=1e6), seed, candidates).batch()
        assert steep.tolist() == np.argsort(-utility)[:6].tolist()


# --- k-means++ -------------------------------------------------------------------------------


def slow_distances(world, operator_labels):
    """|B^(1/2) (U_i r_i - U_j r_j)|^2 (N, N), from the dense Hessian in all KD coordinates."""
    n = len(world.known)
    problem = Problem.mean(world.known.X, world.known.y, world.K, world.fit.l2, False)
    inverse = pseudo_inverse(n * problem.hessian(world.fit.theta))
    gradients = [
        np.outer(predict(x[None], world.fit.theta)[0] - np.eye(world.K)[y], with_constant(x[None]))
        for x, y in zip(world.candidates.X, operator_labels, strict=True)
    ]
    flat = np.array([g.ravel() for g in gradients])
    return np.array([[(a - b) @ inverse @ (a - b) for b in flat] for a in flat])


@pytest.mark.parametrize("operator", ["oracle", "average"])
@pytest.mark.parametrize("K", [2, 3])
def test_kmeanspp_draws_by_height_times_squared_distance(K, operator):
    world = World(K, n_pool=16)
    scorer = world.scorer("dev", operator)
    truth = world.pool.y[world.candidates.rows]
    labels = truth if operator == "oracle" else world.candidates.log_P.argmax(axis=1)
    distance, utility = slow_distances(world, labels), scorer(world.candidates).utility
    first = int(utility.argmax())
    odds = (utility - utility.min()) * distance[first]
    total, second = 1500, Counter()
    scores = scorer(world.candidates)

    def score(candidates, *, per_label=False):
        return scores

    score.regime = "fixed_C"
    for seed in range(total):
        chosen = world.query(score, "kmeanspp", 2, seed).batch()
        assert chosen[0] == first
        second[int(chosen[1])] += 1
    for place, p in enumerate(odds / odds.sum()):
        assert abs(second[place] / total - p) <= 5 * np.sqrt(p * (1 - p) / total)


def test_kmeanspp_draws_from_the_best_only():
    world = World(n_pool=80)
    scorer = world.scorer("dev", "oracle")
    best = set(np.argsort(-scorer(world.candidates).utility)[:8].tolist())
    for seed in range(20):
        chosen = world.query(scorer, "kmeanspp", 4, seed, oversample=2).batch().tolist()
        assert set(chosen) <= best
    assert set(world.query(scorer, "kmeanspp", 8, oversample=1).batch().tolist()) == best


def test_kmeanspp_takes_copies_only_when_nothing_else_is_left():
    world = World(n_pool=6, copies=4)
    scorer = world.scorer("dev", "oracle")
    for seed in range(10):
        chosen = world.query(scorer, "kmeanspp", 5, seed).batch() // 4
        assert len(set(chosen.tolist())) == 5
    assert sorted(world.query(scorer, "kmeanspp", 24).batch().tolist()) == list(range(24))


# --- all of them -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule, options",
    [
        ("sequential", {"fantasy": "oracle"}),
        ("gumbel", {"beta": -1.0}),
        ("gumbel", {"beta": float("inf")}),
        ("gumbel", {"beta": float("nan")}),
        ("kmeanspp", {"oversample": 0}),
    ],
)
def test_what_is_out_of_range_is_refused_with_what_is_allowed(rule, options):
    with pytest.raises(BadInput, match=f"batch.{next(iter(options))}=.*allowed"):
        build("batch", rule, **options)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("goal", ["dev", "ent", "fir", "accuracy", "dopt", "firatio"])
@pytest.mark.parametrize("operator", ["oracle", "max", "annealed", "laplace", "ei", "entropic"])
def test_every_rule_goes_with_every_goal_and_operator(rule, goal, operator):
    for K in (2, 3):
        world = World(K, n=15, n_pool=24)
        scorer = world.scorer(goal, operator, "lookahead")
        chosen = world.query(scorer, rule, 5).batch()
        assert sorted(set(chosen.tolist())) == sorted(chosen.tolist()) and len(chosen) == 5
        assert chosen.min() >= 0 and chosen.max() < 12


@pytest.mark.parametrize("rule", RULES)
def test_a_run_with_each_rule_records_first_pass_utilities_and_can_be_resumed(rule):
    run = experiment(
        instance(pool=50), operator="average", rule=build("batch", rule), batch_size=6, n_queries=24
    )
    rounds = list(run.rounds())
    asked = np.concatenate([r.queried for r in rounds])
    assert len(asked) == 24 and len(set(asked.tolist())) == 24
    for now, later in pairwise(rounds):
        singles = pytest.approx(now.queried_utility.sum())
        assert (later.metrics["change/predicted"] == singles) == (rule != "sequential")
    again = list(run.rounds(resume=rounds[1].checkpoint))
    for one, other in zip(rounds[2:], again, strict=True):
        np.testing.assert_array_equal(one.queried, other.queried)


def test_the_rules_do_choose_otherwise():
    chosen = {}
    for rule in RULES:
        run = experiment(instance(pool=80), rule=build("batch", rule), batch_size=8, n_queries=8)
        chosen[tuple(next(run.rounds()).queried.tolist())] = rule
    assert len(chosen) == 4


class Straight:
    """A model whose fits know nothing but predictions."""

    capabilities = frozenset()
    regime = "fixed_C"


def test_a_rule_that_asks_too_much_of_the_model_is_refused_with_the_way_out():
    scorer = GoalOrientedUtility(
        build("goal", "ent"), build("operator", "max"), build("utility", "retrain"), Straight()
    )
    with pytest.raises(Incompatible, match=r"derivatives.*model=softmax.*batch=top"):
        scorer.check_batch(build("batch", "kmeanspp"), 10)
    for rule in ("top", "gumbel", "sequential"):
        scorer.check_batch(build("batch", rule), 10)


def test_screening_fewer_than_the_batch_is_refused_before_anything_runs():
    world = World()
    scorer = world.scorer("dev", "oracle", "implicit", screen=9)
    with pytest.raises(Incompatible, match=r"utility.screen=9.*batch_size=10"):
        scorer.check_batch(None, 10)
    scorer.check_batch(None, 9)


def test_the_library_takes_a_rule_by_name_or_as_an_object_and_refuses_others():
    rng = np.random.default_rng(0)
    X, y = blobs(rng, 60, 3, 3)
    given = X[:20], y[:20], X[20:]
    by_name = goralx.query(*given, batch_size=5, operator="average", batch="sequential")
    rule = build("batch", "sequential")
    by_object = goralx.query(*given, batch_size=5, operator="average", batch=rule)
    np.testing.assert_array_equal(by_name, by_object)
    assert not np.array_equal(by_name, goralx.query(*given, batch_size=5, operator="average"))
    with pytest.raises(goralx.UnknownName, match=r"'sequental'; did you mean 'sequential'"):
        goralx.query(*given, batch="sequental")
    with pytest.raises(BadInput, match="batch=3"):
        goralx.query(*given, batch=3)

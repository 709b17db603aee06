"""Strategies that look for what the model does not know, against slower roads."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from scipy.special import expit, log_softmax
from scipy.stats import entropy, multivariate_normal, norm, spearmanr

from goralx import BadInput, Candidates, Incompatible, Labelled, Query, Reference
from goralx.discovery import registry
from tests.plugins.test_diverse import asked, dense
from tests.problems import build

bootstrap, information = (
    getattr(__import__("sys").modules[registry().component("strategy", "qbc").cls.__module__], name)
    for name in ("bootstrap", "information")
)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("beta", [0.0, 1.0, 2.5])
def test_density_is_entropy_times_mean_similarity(beta, sparse):
    query = asked(sparse=sparse)
    selection = build("strategy", "density", beta=beta).select(query)
    X = dense(query.X)
    for i, (x, log_p) in enumerate(zip(X, query.log_P)):
        cosines = [x @ z / (np.linalg.norm(x) * np.linalg.norm(z)) for z in X]
        similarity = np.mean([(1 + c) / 2 for c in cosines])
        expected = entropy(np.exp(log_p)) * similarity**beta
        assert selection.utility[i] == pytest.approx(expected, rel=1e-10)
    assert selection.rows.tolist() == np.argsort(-selection.utility)[:4].tolist()


def members_of(query, n_members, rng):
    """Predictions (members, N, K) of committees fit one by one."""
    known, K = query.candidates.labelled, query.log_P.shape[1]
    fits = []
    for _ in range(n_members):
        rows = bootstrap(known.y, rng)
        fits.append(query.candidates.learner.fit(Labelled(known.X[rows], known.y[rows]), K))
    return np.stack([np.exp(fit.log_proba(query.X)) for fit in fits])


@pytest.mark.parametrize("measure", ["kl", "vote_entropy"])
def test_a_committee_disagrees_as_defined(measure):
    selection = build("strategy", "qbc", members=4, measure=measure).select(asked(rng_seed=5))
    P = members_of(asked(), 4, np.random.default_rng(5))
    for i in range(P.shape[1]):
        if measure == "kl":
            expected = np.mean([entropy(p, P[:, i].mean(axis=0)) for p in P[:, i]])
        else:
            expected = entropy(np.bincount(P[:, i].argmax(axis=1), minlength=3) / 4)
        assert selection.utility[i] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_a_bootstrap_sample_has_every_class_and_is_drawn_with_replacement():
    y = np.array([0, 1, 1, 2, 2, 2, 2, 2, 2, 2])
    for seed in range(50):
        rows = bootstrap(y, np.random.default_rng(seed))
        assert len(rows) == 10
        assert set(y[rows]) == {0, 1, 2}
        assert len(set(rows)) < 10


def test_a_committee_of_any_model_and_none_without_a_learner():
    query = asked()
    forest = build("model", "sklearn", estimator="sklearn.tree.DecisionTreeClassifier")
    candidates = replace(query.candidates, learner=forest)
    selection = build("strategy", "qbc").select(Query(candidates, 3, np.random.default_rng(0)))
    assert len(set(selection.rows.tolist())) == 3
    without = Query(replace(candidates, learner=None), 3, np.random.default_rng(0))
    with pytest.raises(Incompatible, match=r"committee.*no learner"):
        build("strategy", "qbc").select(without)


def test_bald_of_two_classes_is_an_integral_over_their_difference():
    query = asked(K=2)
    found = build("strategy", "bald", draws=8000).select(query).utility
    variance = query.candidates.model.logit_variance(query.X)[:, 0]  # of the centred logit
    t = np.linspace(-8, 8, 4001)
    weight = norm.pdf(t) * (t[1] - t[0])
    for i, log_p in enumerate(query.log_P):
        p = expit(log_p[1] - log_p[0] + 2 * np.sqrt(variance[i]) * t)
        h = entropy(np.stack([p, 1 - p]))
        mean = weight @ p
        expected = entropy([mean, 1 - mean]) - weight @ h
        assert found[i] == pytest.approx(expected, rel=0.05)


def test_bald_of_more_classes_is_a_mean_over_draws_of_the_logits():
    query = asked(K=4, N=4)
    found = build("strategy", "bald", draws=8000).select(query).utility
    around = query.candidates.model.expansion("fixed_C")
    S = around.leverage(query.X)
    full = around.Q @ S @ around.Q.T
    variance = query.candidates.model.logit_variance(query.X)
    np.testing.assert_allclose(np.einsum("nkk->nk", full), variance, rtol=1e-8)
    for i, log_p in enumerate(query.log_P):
        normal = multivariate_normal(log_p, full[i], allow_singular=True)
        P = np.exp(log_softmax(normal.rvs(40000, random_state=i), axis=1))
        expected = entropy(P.mean(axis=0)) - entropy(P, axis=1).mean()
        assert found[i] == pytest.approx(expected, rel=0.05)


def test_certain_logits_say_nothing():
    log_P = log_softmax(np.random.default_rng(0).normal(size=(5, 3)), axis=1)
    Q = np.linalg.qr(np.column_stack([np.ones(3), np.eye(3)[:, :2]]))[0][:, 1:]
    noise = np.random.default_rng(1).normal(size=(8, 2))
    S = np.broadcast_to(1e-18 * np.eye(2), (5, 2, 2))
    np.testing.assert_allclose(information(log_P, S, Q, noise), 0.0, atol=1e-9)


@pytest.mark.parametrize("name", ["bald", "epig"])
def test_a_model_without_curvature_is_refused_by_name(name):
    query = asked()
    forest = build("model", "sklearn", estimator="sklearn.tree.DecisionTreeClassifier")
    candidates = replace(query.candidates, learner=forest)
    with pytest.raises(Incompatible, match=rf"strategy={name} .*SklearnClassifier"):
        build("strategy", name).select(Query(candidates, 3, np.random.default_rng(0)))


def drawn(query, draws, targets):
    """P(y | x) of candidates and of targets, draw by draw: what EPIG draws, in its order."""
    around, rng, pool = (
        query.candidates.model.expansion("fixed_C"),
        query.rng,
        query.candidates.pool,
    )
    moves = around.draws(draws, rng)
    some = np.sort(rng.choice(len(pool.X), targets, replace=False))

    def P(X):
        logits = query.candidates.model.log_proba(X)
        constant = np.column_stack([X, np.ones(len(X))])
        return [
            np.exp(log_softmax(logits + constant @ (around.Q @ move).T, axis=1)) for move in moves
        ]

    return np.stack(P(query.X)), np.stack(P(pool.X[some]))


def information_of(joint):
    """Mutual information of a table of probabilities."""
    alone = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    return (joint * np.log(joint / alone)).sum()


def contingency_of(joint):
    """Half the mean square contingency of a table of probabilities."""
    alone = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    return 0.5 * ((joint - alone) ** 2 / alone).sum()


@pytest.mark.parametrize("K", [2, 3])
def test_epig_is_a_mean_over_all_that_four_different_draws_say(K):
    """E (a - a')(b - b') squared, by quadruples: of no draw twice, and so without bias."""
    found = build("strategy", "epig", draws=5, targets=2).select(asked(K=K, N=4)).utility
    P, told = drawn(asked(K=K, N=4), 5, 2)
    fours = list(permutations(range(5), 4))
    for i, gain in enumerate(found):
        expected = []
        for j in range(2):
            p, t = (
                P[:, i] / np.sqrt(P[:, i].mean(axis=0)),
                told[:, j] / np.sqrt(told[:, j].mean(axis=0)),
            )
            k, m = p @ p.T, t @ t.T
            expected.append(
                np.mean([k[a, b] * (m[a, b] + m[c, d] - 2 * m[a, c]) for a, b, c, d in fours])
            )
        assert gain == pytest.approx(0.5 * np.mean(expected), rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("K", [2, 4])
def test_epig_ranks_as_the_information_of_two_labels_about_one_another(K):
    query = asked(K=K, N=30)
    found = build("strategy", "epig", draws=1000, targets=60).select(query).utility
    P, told = drawn(asked(K=K, N=30, rng_seed=1), 20_000, 60)
    pairs = np.einsum("sia,sjb->ijab", P, told, optimize=True) / len(P)
    exact = np.array([np.mean([information_of(t) for t in of_x]) for of_x in pairs])
    half = np.array([np.mean([contingency_of(t) for t in of_x]) for of_x in pairs])
    np.testing.assert_allclose(found, half, rtol=0.2, atol=0.02 * half.max())
    assert spearmanr(found, exact)[0] > 0.9


def test_few_draws_are_no_bias():
    query = asked(K=4, N=10)
    strategy = build("strategy", "epig", draws=100, targets=20)
    few = [
        strategy.select(Query(query.candidates, 1, np.random.default_rng(s))).utility
        for s in range(400)
    ]
    many = build("strategy", "epig", draws=3000, targets=20).select(query).utility
    error = np.std(few, axis=0) / 20
    assert (np.abs(np.mean(few, axis=0) - many) < 5 * error + 0.2 * many).all()
    assert np.abs(np.mean(few, axis=0) - many).max() < 9 / 200 / 2  # by which tables overstate


def test_epig_of_two_classes_is_an_integral_over_both_differences():
    query = asked(K=2, N=4)
    found = build("strategy", "epig", draws=4000, targets=8).select(query).utility
    around, model = query.candidates.model.expansion("fixed_C"), query.candidates.model
    pool = query.candidates.pool.X
    t, weight = np.polynomial.hermite_e.hermegauss(60)
    weight = np.outer(weight, weight) / weight.sum() ** 2
    for i, x in enumerate(query.X):
        gains = []
        for z in pool:
            U = np.column_stack([np.append(x, 1.0), np.append(z, 1.0)])
            S = U.T @ around.B.times(U.T[:, None, :])[:, 0].T
            L = np.linalg.cholesky(S + 1e-12 * np.eye(2)) * (around.Q[1] - around.Q[0])
            logits = [model.log_proba(each[None])[0] for each in (x, z)]
            mean = [log_p[1] - log_p[0] for log_p in logits]
            p = expit(mean[0] + L[0, 0] * t)[:, None] * np.ones(len(t))
            q = expit(mean[1] + L[1, 0] * t[:, None] + L[1, 1] * t[None])
            pairs = [(weight * a * b).sum() for a in (p, 1 - p) for b in (q, 1 - q)]
            gains.append(contingency_of(np.array(pairs).reshape(2, 2)))
        assert found[i] == pytest.approx(np.mean(gains), rel=0.1)


def test_epig_ignores_what_no_target_depends_on():
    """Two features that have nothing to do with one another: targets vary along the first."""
    rng = np.random.default_rng(0)
    X = np.repeat(np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 2.0], [0.0, -2.0]]), 3, axis=0)
    y = np.repeat([0, 1, 0, 1], 3)
    learner = build("model", "softmax")
    known = Labelled(X, y)
    pool = np.column_stack([rng.normal(size=400), np.zeros(400)])
    pool[:2] = [[6.0, 0.0], [0.0, 6.0]]
    seen = Reference(learner.fit(known, 2), pool)
    candidates = Candidates(seen, np.arange(2), known, 0.0, learner=learner)

    def gains(name, **options):
        question = Query(candidates, 1, np.random.default_rng(0))
        return build("strategy", name, draws=2000, **options).select(question).utility

    along, across = gains("epig", targets=300)
    assert along > 5 * across
    same = gains("bald")
    assert same[0] == pytest.approx(same[1], rel=0.05)


def test_sparse_and_single_precision_features_have_the_same_epig():
    strategy = build("strategy", "epig")
    plain = strategy.select(asked(5))
    for options in ({"sparse": True}, {"dtype": np.float32}):
        found = strategy.select(asked(5, **options))
        assert found.rows.tolist() == plain.rows.tolist()
        np.testing.assert_allclose(found.utility, plain.utility, rtol=1e-4)


def test_everybody_left_can_be_asked_and_those_alike_at_random():
    for b in (14, 20):
        rows = build("strategy", "epig").select(asked(b)).rows
        assert sorted(rows.tolist()) == list(range(14))
    alike = np.repeat(asked().candidates.pool.X[:1], 28, axis=0)
    firsts = {
        int(build("strategy", "epig", draws=20).select(asked(1, X_pool=alike, rng_seed=s)).rows[0])
        for s in range(8)
    }
    assert len(firsts) > 2


@pytest.mark.parametrize("name", ["density", "epig"])
def test_the_order_of_candidates_does_not_matter(name):
    query = asked(6, N=40)
    order = np.random.default_rng(1).permutation(40)
    turned = replace(query, candidates=query.candidates.subset(order))
    turned = replace(turned, rng=np.random.default_rng(0))
    rows = build("strategy", name).select(turned).rows
    assert order[rows].tolist() == build("strategy", name).select(query).rows.tolist()


@pytest.mark.parametrize(
    "name, options, said",
    [
        ("density", {"beta": -1.0}, "strategy.beta=-1.0; allowed: a finite number, at least 0"),
        ("density", {"beta": float("inf")}, "strategy.beta=inf"),
        ("qbc", {"members": 1}, "strategy.members=1; allowed: at least 2"),
        ("qbc", {"measure": "votes"}, "strategy.measure=votes; allowed: kl, vote_entropy"),
        ("bald", {"draws": 3}, "strategy.draws=3; allowed: even, at least 2"),
        ("epig", {"draws": 3}, "strategy.draws=3; allowed: at least 4"),
        ("epig", {"targets": 0}, "strategy.targets=0; allowed: at least 1"),
    ],
)
def test_options_out_of_range_are_refused(name, options, said):
    with pytest.raises(BadInput, match=said):
        build("strategy", name, **options)

"""The best of several strategies' batches, against trying them out one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import goralx
from goralx import BadInput, Incompatible, Labelled
from tests.plugins.test_diverse import asked
from tests.problems import blobs, build


def told(b=4, *, K=3, N=40, seed=0, **options):
    """A query that knows the labels: those of the nearest labelled sample."""
    query = asked(b, K=K, N=N, seed=seed, **options)
    known = query.candidates.labelled
    far = ((query.X[:, None] - known.X[None]) ** 2).sum(axis=2)
    return replace(query, y_true=known.y[far.argmin(axis=1)])


def after(query, rows, measure):
    """What the candidates say of a model fit from nothing to what is labelled and these."""
    known = query.candidates.labelled
    X = np.concatenate([known.X, query.X[rows]])
    fit = query.candidates.learner.fit(
        Labelled(X, np.concatenate([known.y, query.y_true[rows]])), 3
    )
    log_P = fit.log_proba(query.X)
    if measure == "accuracy":
        return np.mean(log_P.argmax(axis=1) == query.y_true)
    return np.mean(log_P[np.arange(len(log_P)), query.y_true])


@pytest.mark.parametrize("measure", ["accuracy", "log_loss"])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_best_of_what_is_proposed(measure, seed):
    strategy = build("strategy", "boss", measure=measure, proposals=2)
    selection = strategy.select(told(seed=seed))
    query = told(seed=seed)
    batches = list(strategy.batches(replace(query, y_true=None)))
    assert len(batches) == 2 * len(strategy.strategies)
    values = [after(query, rows, measure) for rows in batches]
    best = [b.tolist() for b, v in zip(batches, values) if v >= max(values) - 1e-9]
    assert selection.rows.tolist() in best
    assert after(query, selection.rows, measure) == pytest.approx(max(values), abs=1e-9)


def test_first_proposals_are_what_each_would_choose_and_others_come_of_halves():
    strategy = build("strategy", "boss", strategies=["kcenter", "maxherding"], proposals=3)
    batches = list(strategy.batches(replace(told(), y_true=None)))
    for i, name in enumerate(strategy.strategies):
        alone = build("strategy", name).select(asked(4, N=40)).rows
        assert batches[3 * i].tolist() == alone.tolist()
        assert all(len(set(b.tolist())) == 4 for b in batches[3 * i : 3 * i + 3])
    assert len({tuple(b.tolist()) for b in batches}) > 2


def test_nobody_who_proposes_sees_a_label(monkeypatch):
    strategy = build("strategy", "boss")
    seen, members = [], type(strategy).members
    for member in members(strategy):
        cls = type(member)
        select = cls.select
        monkeypatch.setattr(
            cls, "select", lambda self, q, s=select: seen.append(q.y_true) or s(self, q)
        )
    strategy.select(told())
    assert len(seen) == 7 * 4 and all(y is None for y in seen)


def test_a_ceiling_is_no_lower_than_its_parts():
    """A whole run: what a batch is judged by, after each of ten rounds."""
    rng = np.random.default_rng(2)
    X, y = blobs(rng, 300, 4, 3)
    order = np.arange(300)
    data = goralx.Instance(
        "made", X, y, ("a", "b", "c"), order[:6], order[6:150], order[150:], order[:0]
    )

    def aulc(strategy):
        experiment = goralx.Experiment(
            data, build("model", "softmax"), strategy, None, {"ent": build("goal", "ent")}, "ent",
            batch_size=5, n_queries=40,
        )  # fmt: skip
        return np.mean([r.metrics["test/accuracy"] for r in experiment.rounds()])

    members = ["random", "uncertainty", "kcenter"]
    boss = aulc(build("strategy", "boss", strategies=members, measure="log_loss"))
    assert boss >= max(aulc(build("strategy", name)) for name in members) - 0.01


def test_everybody_left_can_be_asked_and_no_more():
    for b in (14, 20):
        rows = build("strategy", "boss").select(told(b, N=14)).rows
        assert sorted(rows.tolist()) == list(range(14))


@pytest.mark.parametrize("options", [{"sparse": True}, {"dtype": np.float32}])
def test_sparse_and_single_precision_features_choose_the_same(options):
    strategy = build("strategy", "boss", measure="log_loss", proposals=1)
    y_true = told().y_true
    found = strategy.select(replace(asked(4, N=40, **options), y_true=y_true))
    assert found.rows.tolist() == strategy.select(told()).rows.tolist()


def test_it_is_told_apart_everywhere():
    assert build("strategy", "boss").needs_ground_truth
    with pytest.raises(Incompatible, match="true labels"):
        build("strategy", "boss").select(asked())
    rng = np.random.default_rng(0)
    X, y = blobs(rng, 40, 3, 3)
    with pytest.raises(BadInput, match="true labels"):
        goralx.query(X[:12], y[:12], X[12:], strategy="boss")


@pytest.mark.parametrize(
    "options, said",
    [
        ({"proposals": 0}, "strategy.proposals=0; allowed: at least 1"),
        ({"measure": "loss"}, "strategy.measure=loss; allowed: accuracy, log_loss"),
        ({"strategies": []}, r"strategy.strategies=\[\]; give one or more"),
        ({"strategies": ["goral"]}, "has 'goral', which asks for a goal"),
        ({"strategies": ["boss"]}, "has 'boss', which asks for"),
        ({"strategies": ["badeg"]}, "badge"),
    ],
)
def test_options_out_of_range_are_refused(options, said):
    with pytest.raises(goralx.GoralxError, match=said):
        build("strategy", "boss", **options)

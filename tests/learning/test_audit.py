"""Audits: agreement by hand, periods, and that a run's audit is exact retraining's verdict."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import goralx
from goralx.contracts.samples import Candidates, Reference
from goralx.data import streams
from goralx.discovery import registry
from goralx.learning.audit import METRICS, Audit, Auditor, Untrusted, agreement
from tests import runs


def test_agreement_against_scipy():
    rng = np.random.default_rng(0)
    estimate = rng.normal(size=40)
    exact = 0.3 * estimate + 0.1 * rng.normal(size=40)
    found = agreement(estimate, exact, 10)
    assert found["pearson"] == pytest.approx(stats.pearsonr(estimate, exact).statistic)
    assert found["spearman"] == pytest.approx(stats.spearmanr(estimate, exact).statistic)
    assert found["slope"] == pytest.approx(stats.linregress(estimate, exact).slope)
    best = set(np.argsort(estimate)[-10:]) & set(np.argsort(exact)[-10:])
    assert found["overlap"] == len(best) / 10


def test_agreement_of_constants_is_nan():
    found = agreement(np.zeros(5), np.arange(5.0), 1)
    assert np.isnan(found["spearman"]) and np.isnan(found["slope"])
    assert np.isnan(agreement(np.arange(5.0), np.zeros(5), 1)["rmse"])


def test_agreement_with_itself():
    u = np.random.default_rng(1).normal(size=9)
    found = agreement(u, u, 2)
    assert found["rmse"] == 0.0 and found["overlap"] == 1.0
    assert found["slope"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("audit", "n", "K", "period"),
    [
        (Audit(every=7), 1000, 26, 7),
        (Audit(every=0), 10, 2, 0),
        (Audit(), 20, 2, 10),
        (Audit(), 52, 26, 0),  # 520 refits an audit: never, unless asked for
    ],
)
def test_period(audit, n, K, period):
    assert audit.period(n, K) == period


@pytest.mark.parametrize("options", [{"every": -1}, {"size": 4}, {"threshold": 1.5}])
def test_bad_options(options):
    with pytest.raises(goralx.BadInput, match=next(iter(options))):
        Audit(**options)


def audited(utility="influence", **options):
    experiment = runs.experiment(n_queries=20)
    found = registry()
    score = replace(experiment.utility, estimator=found.build("utility", utility))
    auditor = Auditor(Audit(**options), score, found.build("utility", "retrain"))
    return replace(experiment, utility=score, auditor=auditor)


def test_audit_in_a_run_agrees_with_a_brute_force_refit():
    experiment = audited(every=1, size=5, threshold=-1)
    first = next(experiment.rounds())
    assert set(METRICS) <= {name.removeprefix("audit/") for name in first.metrics}
    instance = experiment.instance
    fitted = experiment.model.fit(instance.labelled(instance.init), instance.n_classes)
    rows = np.arange(len(instance.pool))
    labelled = instance.labelled(instance.init)
    candidates = Candidates(Reference(fitted, instance.pool_X), rows, labelled, 0.0, 0)
    chosen = np.sort(streams(experiment.seed, "audit 0").choice(rows, 5, replace=False))
    goal = experiment.utility.goal
    before = goal.measure(Reference(fitted, instance.pool_X))
    exact = np.empty((5, instance.n_classes))
    for i, row in enumerate(chosen):
        for y in range(instance.n_classes):
            X = np.vstack([labelled.X, instance.pool_X[row]])
            refit = experiment.model.fit(
                goralx.Labelled(X, np.append(labelled.y, y)), instance.n_classes
            )
            exact[i, y] = goal.measure(Reference(refit, instance.pool_X)) - before
    resolved = experiment.utility.resolve(exact, candidates.subset(chosen))
    estimate = experiment.utility(candidates).utility[chosen]
    expected = stats.spearmanr(estimate, resolved).statistic
    assert first.metrics["audit/spearman"] == pytest.approx(expected)


def test_exact_utilities_pass_their_own_audit():
    first = next(audited("retrain", every=1).rounds())
    assert first.metrics["audit/spearman"] == pytest.approx(1.0)
    assert first.metrics["audit/rmse"] == pytest.approx(0.0, abs=1e-6)


def test_audits_change_no_selection():
    without = [r.queried for r in audited(every=0).rounds()]
    with_audits = [r.queried for r in audited(every=1, threshold=-1).rounds()]
    assert all(np.array_equal(a, b) for a, b in zip(without, with_audits, strict=True))


def test_a_low_correlation_warns_once_and_names_what_does_better():
    with pytest.warns(Untrusted, match="utility=") as told:
        list(audited(every=1, size=5, threshold=1.0).rounds())
    assert sum(issubclass(each.category, Untrusted) for each in told) == 1


def test_no_warning_above_the_threshold():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(audited("retrain", every=1, threshold=0.9).rounds())

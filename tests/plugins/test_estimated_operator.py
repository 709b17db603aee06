"""P(y) from another classifier: left out of its own fit, calibrated, with labels however few."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from goralx import Candidates, Labelled, Reference
from tests.problems import blobs, build

CALIBRATIONS = ("temperature", "isotonic", "none")


def asked(y, *, K=None, seed=0, n_candidates=40, d=2, noise=0.0):
    """Candidates of ``blobs`` beside labelled samples of these classes, some labels flipped."""
    K = K or int(max(y)) + 1
    rng = np.random.default_rng(seed)
    centres = 2.0 * np.random.default_rng(7).normal(size=(K, d))
    y = np.asarray(y)
    X = centres[y] + rng.normal(size=(len(y), d))
    flipped = np.where(rng.random(len(y)) < noise, rng.integers(K, size=len(y)), y)
    pool_y = rng.integers(K, size=n_candidates)
    pool_X = centres[pool_y] + rng.normal(size=(n_candidates, d))
    pool_y = np.where(rng.random(n_candidates) < noise, rng.integers(K, size=n_candidates), pool_y)
    fitted_on = blobs(rng, 4 * K, d, K)
    model = build("model", "softmax").fit(Labelled(*fitted_on), K)
    pool = Reference(model, pool_X)
    return Candidates(pool, np.arange(n_candidates), Labelled(X, flipped), 0.0), pool_y


def log_loss(log_Q, y):
    return -float(log_Q[np.arange(len(y)), y].mean())


@pytest.mark.parametrize("calibration", CALIBRATIONS)
@pytest.mark.parametrize("classifier", ["random_forest", "neighbors"])
@pytest.mark.parametrize(
    "y, K",
    [
        ([0, 0, 1, 1], 2),  # two of each
        ([0, 0, 1, 1, 2, 2], 3),
        ([0, 1], 2),  # left out, its class is gone
        ([0, 0, 0, 2, 2], 4),  # two classes without a label
        ([1], 2),  # nothing can be left out
        (list(range(10)), 26),  # ten labels, twenty-six classes
        ([3] * 8, 5),
    ],
)
def test_however_few_the_labels_it_is_a_distribution(y, K, classifier, calibration):
    candidates, _ = asked(y, K=K)
    operator = build("operator", "estimated", classifier=classifier, calibration=calibration)
    Q = np.exp(operator.beliefs(candidates))
    assert Q.shape == (40, K) and np.isfinite(Q).all()
    np.testing.assert_allclose(Q.sum(axis=1), 1.0)
    assert Q.min() > 0.0  # smoothing: no label is impossible


@pytest.mark.parametrize("classifier", ["random_forest", "neighbors"])
def test_calibration_makes_a_sure_classifier_as_sure_as_it_is_right(classifier):
    """Labels of which a third are noise: out of sample the log loss falls, by either way."""
    rng = np.random.default_rng(0)
    candidates, truth = asked(rng.integers(3, size=300), noise=0.35, n_candidates=2000)
    loss = {
        c: log_loss(
            build(
                "operator", "estimated", classifier=classifier, calibration=c, smoothing=0.01
            ).beliefs(candidates),
            truth,
        )
        for c in CALIBRATIONS
    }
    assert loss["temperature"] < 0.9 * loss["none"]
    assert loss["isotonic"] < 0.95 * loss["none"]


def test_a_classifier_that_is_too_careful_is_sharpened():
    """Clean, separate classes and a third of uniform: it learns that it is right more often."""
    y = np.arange(90) % 3
    candidates, truth = asked(y, n_candidates=600)
    options = {"classifier": "neighbors", "smoothing": 0.33}
    careful = build("operator", "estimated", calibration="none", **options).beliefs(candidates)
    sharpened = build("operator", "estimated", **options).beliefs(candidates)
    assert log_loss(sharpened, truth) < log_loss(careful, truth)


def brute_force_temperature(operator, candidates):
    """T of the least penalised log loss on left-out predictions, on a fine grid."""
    labelled, K = candidates.labelled, candidates.model.n_classes
    left_out = operator._left_out(labelled, K, candidates.random_state)
    best = None
    for log_T in np.linspace(-4, 4, 8001):
        total = 0.5 * log_T**2
        for p, y in zip(left_out, labelled.y, strict=True):
            powers = [float(v) ** math.exp(-log_T) for v in p]
            total -= math.log(powers[y] / math.fsum(powers))
        best = min(best or (total, 0.0), (total, log_T))
    return math.exp(best[1])


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_the_temperature_is_the_best_on_what_was_left_out(noise):
    candidates, _ = asked(np.arange(24) % 3, noise=noise)
    operator = build("operator", "estimated", classifier="neighbors")
    T = brute_force_temperature(operator, candidates)
    plain = replace(operator, calibration="none").beliefs(candidates)
    for logits, log_Q in zip(plain, operator.beliefs(candidates), strict=True):
        odds = [math.exp(v / T) for v in logits]
        np.testing.assert_allclose(np.exp(log_Q), np.array(odds) / math.fsum(odds), rtol=1e-2)


def test_a_sample_is_left_out_of_the_fit_that_predicts_it():
    """A nearest neighbour would be certain of every sample it has seen."""
    candidates, _ = asked(np.arange(30) % 2, noise=1.0)
    operator = build("operator", "estimated", classifier="neighbors", smoothing=0.0)
    labelled = candidates.labelled
    seen = operator._predicted(labelled, labelled.X, 2, 0)[np.arange(30), labelled.y]
    left_out = operator._left_out(labelled, 2, 0)[np.arange(30), labelled.y]
    assert (seen == 1.0).all() and left_out.mean() < 0.8


def test_every_class_is_spread_over_as_many_folds_as_it_has_samples():
    candidates, _ = asked(np.repeat(np.arange(4), [1, 2, 5, 11]))
    fold = type(build("operator", "estimated"))._left_out.__globals__["folds"](
        candidates.labelled.y, 0
    )
    for k, size in enumerate((1, 2, 5, 11)):
        counts = Counter(fold[candidates.labelled.y == k].tolist())
        assert len(counts) == min(size, 5) and max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_the_run_decides_what_it_draws(calibration):
    candidates, _ = asked(np.arange(20) % 2, noise=0.3)
    operator = build("operator", "estimated", calibration=calibration)
    once = operator.beliefs(replace(candidates, random_state=3))
    np.testing.assert_array_equal(once, operator.beliefs(replace(candidates, random_state=3)))
    assert not np.array_equal(once, operator.beliefs(replace(candidates, random_state=4)))


def test_neither_the_model_nor_made_up_labels_change_what_it_believes():
    candidates, _ = asked(np.arange(20) % 2)
    operator = build("operator", "estimated")
    before = operator.beliefs(candidates)[1:]
    after = operator.beliefs(candidates.inserted(0, 1, "fixed_C"))
    np.testing.assert_array_equal(before, after)

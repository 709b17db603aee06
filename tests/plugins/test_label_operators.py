"""Every operator against its formula, a sample and a label at a time."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

import goralx
from goralx import BadInput, Candidates, Incompatible, Labelled, Reference
from tests.problems import blobs, build
from tests.reference import Problem, pseudo_inverse, softmax, with_constant


@pytest.fixture(params=[2, 3, 5])
def table(request):
    """U (N, K), log_P (N, K), true labels (N,)."""
    K, rng = request.param, np.random.default_rng(request.param)
    P = np.array([softmax(3 * rng.normal(size=K)) for _ in range(6)])
    return rng.normal(size=(6, K)), np.log(P), rng.integers(K, size=6)


def resolved(name, table, progress=0.0, **options):
    U, log_P, y = table
    operator = build("operator", name, **options)
    return operator(U, log_P, y if operator.needs_ground_truth else None, progress)


SLOW = {
    "oracle": lambda u, p, y: u[y],
    "max": lambda u, p, y: max(u),
    "min": lambda u, p, y: min(u),
    "average": lambda u, p, y: math.fsum(u) / len(u),
    "expected": lambda u, p, y: math.fsum(q * w for q, w in zip(p, u, strict=True)),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_sample_at_a_time(table, name):
    U, log_P, y = table
    one_by_one = [SLOW[name](U[i], np.exp(log_P[i]), y[i]) for i in range(len(U))]
    np.testing.assert_allclose(resolved(name, table), one_by_one, rtol=1e-13, atol=1e-15)


def test_only_the_oracle_needs_the_truth_and_all_are_decomposable():
    names = ["oracle", "max", "min", "average", "expected", "annealed", "laplace", "estimated"]
    for name in names:
        operator = build("operator", name)
        assert operator.needs_ground_truth == (name == "oracle")
        assert operator.decomposable
        assert operator.needs_model == ({"logit_variance"} if name == "laplace" else set())


# --- annealed --------------------------------------------------------------------------------


def tempered(table, T):
    """sum_y p_y^(1/T) U_y / sum_y p_y^(1/T), by powers of the probabilities."""
    U, log_P, _ = table
    expected = []
    for u, p in zip(U, np.exp(log_P), strict=True):
        q = [float(v) ** (1 / T) for v in p]
        expected.append(math.fsum(a * b for a, b in zip(q, u, strict=True)) / math.fsum(q))
    return expected


@pytest.mark.parametrize("schedule, halfway", [("exponential", 2.0), ("linear", 2.5)])
def test_the_temperature_falls_from_start_to_end(table, schedule, halfway):
    options = {"start": 4.0, "end": 1.0, "schedule": schedule}
    for progress, T in ((0.0, 4.0), (0.5, halfway), (1.0, 1.0)):
        np.testing.assert_allclose(
            resolved("annealed", table, progress, **options), tempered(table, T), rtol=1e-12
        )


def test_an_infinite_temperature_is_average_and_one_is_expected(table):
    hot = resolved("annealed", table, start=1e9, end=1.0)
    np.testing.assert_allclose(hot, resolved("average", table), rtol=1e-6, atol=1e-7)
    cool = resolved("annealed", table, 1.0, start=1e9, end=1.0)
    np.testing.assert_allclose(cool, resolved("expected", table), rtol=1e-12, atol=1e-14)


def test_a_temperature_near_zero_is_the_predicted_label(table):
    U, log_P, _ = table
    cold = resolved("annealed", table, 1.0, start=5.0, end=1e-4)
    np.testing.assert_allclose(cold, U[np.arange(len(U)), log_P.argmax(axis=1)], rtol=1e-12)


@pytest.mark.parametrize(
    "options", [{"start": 0.0}, {"end": -1.0}, {"start": float("nan")}, {"schedule": "cubic"}]
)
def test_an_impossible_schedule_is_refused(options):
    with pytest.raises(BadInput, match=next(iter(options))):
        build("operator", "annealed", **options)


# --- laplace ---------------------------------------------------------------------------------


def seen(K, n, *, seed=0, C=0.5, d=2, penalize_intercept=False):
    """Candidates of a pool seen through a model fit to n samples."""
    rng = np.random.default_rng(seed)
    X, y = blobs(rng, n, d, K)
    pool = 2 * rng.normal(size=(5, d))
    model = build("model", "softmax", C=C, penalize_intercept=penalize_intercept)
    labelled = Labelled(X, y)
    fitted = model.fit(labelled, K)
    return Candidates(Reference(fitted, pool), np.array([3, 0, 4]), labelled, 0.0)


def covariance_of_logits(asked, K, *, C=0.5, penalize_intercept=False):
    """S(x) = (I (x) x)' (nH)^-1 (I (x) x) of every candidate, from the dense Hessian of Eq. 7."""
    n = len(asked.labelled)
    problem = Problem.mean(asked.labelled.X, asked.labelled.y, K, 1 / (n * C), penalize_intercept)
    inverse = pseudo_inverse(n * problem.hessian(asked.model.theta))
    for x in with_constant(asked.X):
        J = np.kron(np.eye(K), x)
        yield J @ inverse @ J.T


@pytest.mark.parametrize("penalize_intercept", [False, True])
@pytest.mark.parametrize("K", [2, 3, 4])
def test_laplace_moderates_each_logit_by_its_posterior_variance(K, penalize_intercept):
    asked = seen(K, 15, penalize_intercept=penalize_intercept)
    beliefs = np.exp(build("operator", "laplace").beliefs(asked))
    covariances = covariance_of_logits(asked, K, penalize_intercept=penalize_intercept)
    centre = np.eye(K) - 1.0 / K
    for i, S in enumerate(covariances):
        eta = asked.model.theta @ with_constant(asked.X)[i]
        if K == 2:
            variance = S[0, 0] + S[1, 1] - 2 * S[0, 1]
            moderated = (eta[1] - eta[0]) / np.sqrt(1 + np.pi / 8 * variance)
            expected = softmax(np.array([0.0, moderated]))
        else:
            variances = np.diag(centre @ S @ centre)
            expected = softmax((eta - eta.mean()) / np.sqrt(1 + np.pi / 8 * variances))
        np.testing.assert_allclose(beliefs[i], expected, rtol=1e-7)


def test_for_two_classes_it_is_close_to_the_mean_prediction_under_the_posterior():
    asked = seen(2, 15)
    beliefs = np.exp(build("operator", "laplace").beliefs(asked))
    plain = np.exp(asked.log_P)
    rng = np.random.default_rng(1)
    for i, S in enumerate(covariance_of_logits(asked, 2)):
        eta = asked.model.theta @ with_constant(asked.X)[i]
        deviation = np.sqrt(S[0, 0] + S[1, 1] - 2 * S[0, 1])
        draws = eta[1] - eta[0] + deviation * rng.normal(size=200_000)
        mean = (1 / (1 + np.exp(-draws))).mean()
        assert abs(beliefs[i, 1] - mean) < 0.02  # MacKay's approximation, not Monte Carlo's error
        assert abs(beliefs[i, 1] - mean) < 0.5 * abs(plain[i, 1] - mean)


@pytest.mark.parametrize("K", [2, 3])
def test_laplace_is_less_certain_than_the_model_and_comes_to_agree_with_it(K):
    gaps = []
    for n in (12, 120, 1200, 12000):
        asked = seen(K, n)
        beliefs = np.exp(build("operator", "laplace").beliefs(asked))
        P = np.exp(asked.log_P)
        if K == 2:
            assert (beliefs.max(axis=1) < P.max(axis=1)).all()
        gaps.append(np.abs(beliefs - P).max())
    assert gaps[0] > 0.01 and gaps[-1] < 1e-3
    assert all(later < 0.5 * earlier for earlier, later in pairwise(gaps))


def test_laplace_resolves_under_its_beliefs(table):
    np.testing.assert_array_equal(resolved("laplace", table), resolved("expected", table))


def test_laplace_is_refused_with_a_model_that_cannot_say_how_sure_it_is():
    class Plain:
        capabilities = frozenset({"derivatives"})
        regime = "fixed_C"

    with pytest.raises(Incompatible, match=r"logit_variance.*model=softmax"):
        goralx.GoalOrientedUtility(
            build("goal", "ent"),
            build("operator", "laplace"),
            build("utility", "influence"),
            Plain(),
        )


# --- estimated -------------------------------------------------------------------------------


def labelled_line(labels):
    """One feature, samples at 0, 10, 20, ... with these labels; candidates at 1, 11, 21."""
    X = 10.0 * np.arange(len(labels))[:, None]
    known = Labelled(X, np.array(labels))
    K = max(labels) + 1
    pool = X[:3] + 1.0
    model = build("model", "softmax").fit(Labelled(X, np.arange(len(X)) % K), K)
    return Candidates(Reference(model, pool), np.arange(3), known, 0.0)


@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
def test_neighbours_beliefs_are_distance_weighted_votes_mixed_with_uniform(smoothing):
    labels = [0, 1, 1, 2, 2, 2]
    asked = labelled_line(labels)
    operator = build(
        "operator", "estimated", classifier="neighbors", calibration="none", smoothing=smoothing
    )
    beliefs = np.exp(operator.beliefs(asked))
    for i, x in enumerate(asked.X[:, 0]):
        distances = np.abs(asked.labelled.X[:, 0] - x)
        votes = np.zeros(3)
        for j in np.argsort(distances)[:5]:
            votes[labels[j]] += 1 / distances[j]
        expected = (1 - smoothing) * votes / votes.sum() + smoothing / 3
        np.testing.assert_allclose(beliefs[i], expected, rtol=1e-10)


@pytest.mark.parametrize("classifier", ["random_forest", "neighbors"])
def test_a_class_without_a_labelled_sample_keeps_its_share_and_its_column(classifier):
    asked = labelled_line([0, 0, 2, 2])
    operator = build(
        "operator", "estimated", classifier=classifier, calibration="none", smoothing=0.3
    )
    beliefs = np.exp(operator.beliefs(asked))
    assert beliefs.shape == (3, 3)
    np.testing.assert_allclose(beliefs.sum(axis=1), 1.0)
    np.testing.assert_allclose(beliefs[:, 1], 0.1)
    assert beliefs[0, 0] > 0.5 and beliefs[2, 2] > 0.5


def test_without_smoothing_an_impossible_label_weighs_nothing():
    asked = labelled_line([0, 0, 2, 2])
    operator = build(
        "operator", "estimated", classifier="neighbors", calibration="none", smoothing=0.0
    )
    log_Q = operator.beliefs(asked)
    assert np.isneginf(log_Q[:, 1]).all()
    U = np.array([[1.0, 1e6, 1.0]] * 3)
    np.testing.assert_allclose(operator(U, log_Q, None, 0.0), 1.0)


def test_the_forest_is_decided_by_the_seed_of_the_run():
    rng = np.random.default_rng(0)
    X, y = blobs(rng, 30, 2, 3)
    model = build("model", "softmax").fit(Labelled(X, y), 3)
    pool = Reference(model, rng.normal(size=(20, 2)))

    def beliefs(seed):
        asked = Candidates(pool, np.arange(20), Labelled(X, y), 0.0, seed)
        return build("operator", "estimated").beliefs(asked)

    np.testing.assert_array_equal(beliefs(3), beliefs(3))
    assert not np.array_equal(beliefs(3), beliefs(4))


@pytest.mark.parametrize(
    "options",
    [{"classifier": "svm"}, {"calibration": "platt"}, {"smoothing": -0.1}, {"smoothing": 1.1}],
)
def test_an_impossible_estimator_is_refused(options):
    with pytest.raises(BadInput, match=next(iter(options))):
        build("operator", "estimated", **options)

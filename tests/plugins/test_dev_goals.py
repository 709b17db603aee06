"""Dev goals: values by loops over their definitions, derivatives and utilities by refits."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pytest

import goralx
from goralx.core import softmax_regression as softmax
from tests.problems import Setting, blobs, build
from tests.program import SHORT, call
from tests.reference import predict, relative

COSTS = {
    2: [[0.0, 1.0], [7.0, 0.5]],
    3: [[0.0, 1.0, 2.0], [5.0, -1.0, 0.0], [1.0, 1.0, 0.0]],
}
PRIORS = {2: [3.0, 1.0], 3: [0.2, 0.7, 0.1]}


def labelled_predictions(theta, X, y):
    return zip(predict(X, theta), y, strict=True)


def eacc(theta, X, y):
    return sum(p[k] for p, k in labelled_predictions(theta, X, y))


def gce(theta, X, y, q):
    return sum((p[k] ** q - 1) / q for p, k in labelled_predictions(theta, X, y))


def brier(theta, X, y):
    return -sum(((p - np.eye(len(p))[k]) ** 2).sum() for p, k in labelled_predictions(theta, X, y))


def cost(theta, X, y, matrix):
    return -sum(
        matrix[k][j] * p[j] for p, k in labelled_predictions(theta, X, y) for j in range(len(p))
    )


def weighted(theta, X, y, prior):
    """The likelihood that the dev set would have, were its classes met as often as ``prior``."""
    found = sorted(set(y.tolist()))
    total = sum(prior[k] for k in found)
    tau = 0.0
    for k in found:
        mean = np.mean([np.log(p[k]) for p in predict(X[y == k], theta)])
        tau += len(y) * prior[k] / total * mean
    return tau


def accuracy(theta, X, y):
    return np.mean([p.argmax() == k for p, k in labelled_predictions(theta, X, y)])


CASES = {
    "eacc": lambda K: (build("goal", "eacc"), eacc),
    "gce": lambda K: (build("goal", "gce"), partial(gce, q=0.7)),
    "gce_q": lambda K: (build("goal", "gce", q=0.2), partial(gce, q=0.2)),
    "brier": lambda K: (build("goal", "brier"), brier),
    "cost": lambda K: (build("goal", "cost"), partial(cost, matrix=1 - np.eye(K))),
    "cost_matrix": lambda K: (build("goal", "cost", cost=COSTS[K]), partial(cost, matrix=COSTS[K])),
    "weighted": lambda K: (build("goal", "weighted"), partial(weighted, prior=np.ones(K))),
    "weighted_prior": lambda K: (
        build("goal", "weighted", prior=PRIORS[K]),
        partial(weighted, prior=PRIORS[K]),
    ),
}

every_case = pytest.mark.parametrize("case", CASES)
every_K = pytest.mark.parametrize("K", [2, 3])


class ManyLabels(Setting):
    n = 200


@cache
def refits(kind, K, regime, weight):
    """theta with each candidate under each label, ``weight`` of it: N rows of K, for any goal."""
    setting = kind(K, regime, False)
    return [[setting.refit([(setting.pool[i], k)], weight) for k in range(K)] for i in setting.rows]


def sample(seed, K, M=12, d=3):
    rng = np.random.default_rng(seed)
    X, y = blobs(rng, M, d, K)
    return rng, X, y, rng.normal(size=(K, d + 1))


@every_case
@every_K
def test_value_is_its_definition(case, K):
    _, X, y, theta = sample(0, K)
    goal, slow = CASES[case](K)
    assert goal.reference == "dev"
    value = goal.value(softmax.log_proba(X, theta), X, y)
    assert value == pytest.approx(slow(theta, X, y), rel=1e-12)


@every_case
@every_K
def test_derivatives_along_any_direction_of_the_parameters(case, K):
    """d tau(theta + t V) / dt twice, by differences of the slow value."""
    rng, X, y, theta = sample(1, K)
    goal, slow = CASES[case](K)
    V, h, seen = rng.normal(size=theta.shape), 1e-3, (softmax.log_proba(X, theta), X, y)
    moved = X @ V[:, :-1].T + V[:, -1]
    tau = {i: slow(theta + i * h * V, X, y) for i in (-2, -1, 0, 1, 2)}
    slope = (8 * (tau[1] - tau[-1]) - (tau[2] - tau[-2])) / (12 * h)
    bend = (16 * (tau[1] + tau[-1]) - tau[2] - tau[-2] - 30 * tau[0]) / (12 * h * h)
    gradient = goal.value_and_logit_gradient(*seen)[1]
    assert (gradient * moved).sum() == pytest.approx(slope, rel=1e-8, abs=1e-8)
    hessian = goal.logit_hessian(*seen)
    assert np.einsum("nj,njk,nk->", moved, hessian, moved) == pytest.approx(
        bend, rel=1e-6, abs=1e-6
    )


@every_case
@pytest.mark.parametrize(("K", "regime"), [(2, "fixed_lambda"), (3, "fixed_C")])
def test_influence_is_the_derivative_of_retraining(case, K, regime):
    """U = (1/n) d tau / d eps, by refits at +-eps with an independent solver."""
    goal, slow = CASES[case](K)
    setting = Setting(K, regime, False)
    eps = 2e-4 / setting.n
    tau = {
        i: np.array([[slow(theta, setting.dev_X, setting.dev_y) for theta in row] for row in refit])
        for i in (-2, -1, 1, 2)
        for refit in [refits(Setting, K, regime, i * eps)]
    }
    truth = (8 * (tau[1] - tau[-1]) - (tau[2] - tau[-2])) / (12 * eps) / setting.n
    assert relative(utilities(setting, goal, "influence"), truth) < 1e-6


@every_case
@every_K
def test_beyond_first_order_is_nearer_to_a_refit(case, K):
    """The exact change, by refits with the whole sample: logit_hessian is what brings it near."""
    goal, slow = CASES[case](K)
    setting = ManyLabels(K, "fixed_C", False)
    after = [
        [slow(theta, setting.dev_X, setting.dev_y) for theta in row]
        for row in refits(ManyLabels, K, "fixed_C", 1 / setting.n)
    ]
    exact = np.array(after) - slow(setting.optimum, setting.dev_X, setting.dev_y)
    errors = {
        name: relative(utilities(setting, goal, name), exact)
        for name in ("influence", "implicit", "lookahead")
    }
    assert errors["implicit"] < errors["influence"] / 10
    assert errors["lookahead"] < errors["influence"]


def utilities(setting, goal, name):
    reference = goralx.Reference(setting.fit, setting.dev_X, setting.dev_y)
    pool = goralx.Reference(setting.fit, setting.pool)
    candidates = goralx.Candidates(pool, setting.rows, setting.labelled, 0.0)
    return build("utility", name).utilities(candidates, goal, reference, regime=setting.regime).U


# How they are related ----------------------------------------------------------------------------


@every_K
def test_gce_lies_between_the_log_likelihood_and_expected_accuracy(K):
    _, X, y, theta = sample(2, K)
    seen = softmax.log_proba(X, theta), X, y

    def value(name, **options):
        return build("goal", name, **options).value(*seen)

    assert value("gce", q=1.0) == pytest.approx(value("eacc") - len(y), rel=1e-12)
    assert value("gce", q=1e-9) == pytest.approx(value("dev"), rel=1e-7)
    between = [value("gce", q=q) for q in (1e-9, 0.25, 0.5, 0.75, 1.0)]
    assert (np.diff(between) > 0).all()


@every_K
def test_the_cost_of_any_mistake_is_expected_accuracy(K):
    _, X, y, theta = sample(3, K)
    seen = softmax.log_proba(X, theta), X, y
    cost, eacc = build("goal", "cost"), build("goal", "eacc")
    assert cost.value(*seen) == pytest.approx(eacc.value(*seen) - len(y), rel=1e-12)
    gradients = [goal.value_and_logit_gradient(*seen)[1] for goal in (cost, eacc)]
    np.testing.assert_allclose(*gradients, atol=1e-14)


def test_a_balanced_dev_set_needs_no_weights_and_its_own_proportions_change_nothing():
    _, X, _, theta = sample(4, 3)
    for y, options in (
        (np.arange(12) % 3, {}),
        (np.array([0] * 6 + [1] * 4 + [2] * 2), {"prior": [3.0, 2.0, 1.0]}),
    ):
        seen = softmax.log_proba(X, theta), X, y
        weighted, dev = build("goal", "weighted", **options), build("goal", "dev")
        assert weighted.value(*seen) == pytest.approx(dev.value(*seen), rel=1e-12)


def test_a_class_without_a_dev_sample_has_no_weight():
    _, X, _, theta = sample(5, 3)
    y = np.arange(12) % 2
    seen = softmax.log_proba(X, theta), X, y
    few, all_of_them = (build("goal", "weighted", prior=[1.0, 3.0, r]) for r in (1e-9, 5.0))
    assert few.value(*seen) == pytest.approx(all_of_them.value(*seen), rel=1e-6)


def test_one_mislabelled_dev_sample_dominates_the_log_likelihood_alone():
    X, y = np.zeros((10, 1)), np.zeros(10, dtype=int)
    log_P = np.tile(np.log([[1 - 1e-9, 1e-9]]), (10, 1))
    wrong = np.array([1] + [0] * 9)
    loss = {
        name: build("goal", name).value(log_P, X, y) - build("goal", name).value(log_P, X, wrong)
        for name in ("dev", "eacc", "gce", "brier")
    }
    assert loss["dev"] > 20
    assert max(loss[name] for name in ("eacc", "gce", "brier")) <= 2.0


# Accuracy itself ---------------------------------------------------------------------------------


@every_K
def test_accuracy_and_its_exact_change(K):
    _, X, y, theta = sample(6, K, M=40)
    goal = build("goal", "accuracy")
    value = goal.value(softmax.log_proba(X, theta), X, y)
    assert value == pytest.approx(accuracy(theta, X, y), rel=1e-12)
    assert goal.reduction == "mean"
    setting = Setting(K, "fixed_C", False, seed=1)
    before = accuracy(setting.optimum, setting.dev_X, setting.dev_y)
    exact = [
        [
            accuracy(setting.refit([(setting.pool[i], k)], 1 / setting.n), setting.dev_X,
                     setting.dev_y) - before
            for k in range(K)
        ]
        for i in setting.rows
    ]  # fmt: skip
    assert np.any(exact), "nothing to tell apart"
    np.testing.assert_allclose(utilities(setting, goal, "retrain"), exact, atol=1e-12)


@pytest.mark.parametrize("utility", ["influence", "implicit"])
def test_accuracy_is_refused_where_a_gradient_is_needed(utility, tmp_path, monkeypatch, capsys):
    dev = goralx.Labelled(np.zeros((3, 2)), np.zeros(3, dtype=int))

    def scorer(utility, **options):
        return goralx.GoalOrientedUtility(
            build("goal", "accuracy"), build("operator", "max"),
            build("utility", utility, **options), build("model", "softmax"), dev,
        )  # fmt: skip

    with pytest.raises(goralx.Incompatible, match=r"no gradient.*utility=lookahead"):
        scorer(utility)
    with pytest.raises(goralx.Incompatible, match=r"screening.*utility\.screen=null"):
        scorer("lookahead", screen=5)
    scorer("lookahead")
    monkeypatch.chdir(tmp_path)
    refused = call(capsys, "goal=accuracy", f"utility={utility}", *SHORT)
    assert refused.status == 2
    assert len(refused.errors) == 1 and "utility=retrain" in refused.errors[0]
    assert not list(tmp_path.iterdir())


# Options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("gce", {"q": 0.0}, "goal.q=0.0"),
        ("gce", {"q": 1.5}, "goal.q=1.5"),
        ("gce", {"q": float("nan")}, "goal.q=nan"),
        ("cost", {"cost": [[0.0, 1.0]]}, r"as many rows \(true class\)"),
        ("cost", {"cost": [[0.0, 1.0], [1.0]]}, "as many rows"),
        ("cost", {"cost": [[0.0]]}, "as many rows"),
        ("cost", {"cost": []}, "as many rows"),
        ("cost", {"cost": [0.0, 1.0]}, "as many rows"),
        ("cost", {"cost": [[0.0, float("inf")], [1.0, 0.0]]}, "finite"),
        ("cost", {"cost": [[0.0, "dear"], [1.0, 0.0]]}, "goal.cost="),
        ("cost", {"cost": 3.0}, "goal.cost=3.0"),
        ("weighted", {"prior": [1.0]}, "a positive number a class"),
        ("weighted", {"prior": [1.0, 0.0]}, "a positive number a class"),
        ("weighted", {"prior": [1.0, float("nan")]}, "a positive number a class"),
    ],
)
def test_options_out_of_range_are_refused(name, options, message):
    with pytest.raises(goralx.BadInput, match=message):
        build("goal", name, **options)


@pytest.mark.parametrize(
    "words, message",
    [
        (["goal=cost", "goal.cost=[[0,1],[1,0]]"], "goal.cost is 2 x 2, but there are 3 classes"),
        (["goal=weighted", "goal.prior=[0.5,0.5]"], "goal.prior has 2 numbers, but there are 3"),
        (["goal=cost", "goal.cost=[[0,1],[x,0]]"], "goal.cost"),
    ],
)
def test_what_does_not_fit_the_classes_is_one_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    refused = call(capsys, *words, *SHORT)
    assert refused.status == 2
    assert message in refused.errors[-1]
    assert not any("Traceback" in line for line in refused.errors)


def test_a_cost_matrix_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    done = call(capsys, "goal=cost", "goal.cost=[[0,1,1],[5,0,1],[1,1,0]]", *SHORT)
    assert done.status == 0, done.err

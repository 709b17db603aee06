"""Approximation quality (Sec. 6.1, Figs 2-4): every number of a tiny study by a slower road."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.stats import linregress, spearmanr

import goralx
from goralx.approximation import Comparison, Study, draw, numbers
from goralx.approximation import figures as figures
from goralx.approximation import study as study_module
from goralx.approximation.batches import labelling_index, labellings
from tests.problems import blobs, build
from tests.reference import GOALS, Problem

OPERATORS = ("average", "min", "max", "oracle", "expected")


def study(K=2, regime="fixed_C", utility="influence", goals=("ent", "dev"), **options):
    """8 labelled, a pool of 6, 5 dev samples, two features."""
    rng = np.random.default_rng(K)
    X, y = blobs(rng, 60, 2, K)
    drawn = goralx.make_instance("blobs", X, y, rng=rng, n_init=2 * K, n_test=10)
    options = {"batch_sizes": (1, 2), **options}
    return Study(
        draw(drawn, 8, 6, 5, rng),
        build("model", "softmax", C=0.5, regime=regime),
        {name: build("goal", name) for name in goals},
        {name: build("operator", name) for name in OPERATORS},
        build("utility", utility),
        **options,
    )


def actual(made):
    """By goal and batch size, as the job gathers it from its blocks."""
    parts = {}
    for block in made.blocks():
        for goal, U in made.actual(block).items():
            parts.setdefault((goal, block.batch_size), []).append(U)
    return {key: np.concatenate(found) for key, found in parts.items()}


def slow_utility(made, goal, window, labels):
    """tau(theta_(X, Y)) - tau(theta) from two fits by the reference solver, Eq. 1."""
    instance, n = made.instance, len(made.instance.init)
    X, y = instance.X[instance.init], instance.y[instance.init]
    problem = Problem.mean(X, y, instance.n_classes, 1 / (n * made.model.C), False)
    before = problem.minimise()
    share = problem.reg / n if made.model.regime == "fixed_lambda" else 0.0
    for row, label in zip(instance.pool[window], labels, strict=True):
        problem = problem.plus(instance.X[row], label, 1 / n, share)
    after = problem.minimise(before)
    on = instance.dev if goal == "dev" else instance.pool
    seen = instance.X[on], instance.y[on]
    return GOALS[goal](after, *seen) - GOALS[goal](before, *seen)


@pytest.mark.parametrize("regime", ["fixed_C", "fixed_lambda"])
@pytest.mark.parametrize("K", [2, 3])
def test_actual_utilities_are_those_of_serial_refits(K, regime):
    made = study(K, regime)
    found = actual(made)
    assert {key: U.shape for key, U in found.items()} == {
        (goal, b): (7 - b, K**b) for goal in ("ent", "dev") for b in (1, 2)
    }
    for (goal, b), U in found.items():
        for w, window in enumerate(made.windows(b)):
            for i, labels in enumerate(itertools.product(range(K), repeat=b)):
                expected = slow_utility(made, goal, window, labels)
                assert U[w, i] == pytest.approx(expected, abs=1e-7)


def test_batches_that_share_their_leverages_give_the_same(monkeypatch):
    made = study()
    own = actual(made)
    monkeypatch.setattr(study_module, "SHARED", 1)
    monkeypatch.setattr(study_module, "BLOCK", 4)
    assert [b.stop - b.start for b in made.blocks()] == [2, 2, 2, 1, 1, 1, 1, 1]
    for key, U in actual(made).items():
        np.testing.assert_allclose(U, own[key], atol=1e-9)


def resolved(operator, of, P, labels, K):
    """An operator over the labellings of a batch by brute force; ``of(labelling)`` its utility."""
    every = list(itertools.product(range(K), repeat=len(labels)))
    values = [of(labelling) for labelling in every]
    if operator == "oracle":
        return of(tuple(labels))
    if operator == "expected":
        return sum(
            v * np.prod([P[i, k] for i, k in enumerate(labelling)])
            for v, labelling in zip(values, every, strict=True)
        )
    return {"average": np.mean, "min": np.min, "max": np.max}[operator](values)


@pytest.mark.parametrize("K", [2, 3])
def test_operators_over_all_labellings_and_remark_2(K):
    """Actual: the operator over K^b labellings. Approximate: the sum of the members' resolved."""
    made = study(K, utility="implicit")
    utilities = actual(made)
    P = np.exp(made.candidates.log_P)
    for c in made.comparisons(utilities):
        singles = {
            "approximate": made.estimates[c.goal].U,
            "additive": utilities[c.goal, 1],
        }
        U = utilities[c.goal, c.batch_size]
        assert (c.additive is None) == (c.batch_size == 1)
        for w, window in enumerate(made.windows(c.batch_size)):
            y, p = made.pool_y[window], P[window]
            index = {Y: i for i, Y in enumerate(itertools.product(range(K), repeat=len(y)))}
            assert c.true[w] == U[w, index[tuple(y)]]
            expected = resolved(c.operator, lambda Y, w=w, U=U, at=index: U[w, at[Y]], p, y, K)
            assert c.actual[w] == pytest.approx(expected, abs=1e-12)
            for kind, V in singles.items():
                if getattr(c, kind) is not None:
                    members = [
                        resolved(c.operator, lambda Y, i=i, V=V: V[i, Y[0]], p[[j]], y[[j]], K)
                        for j, i in enumerate(window)
                    ]
                    assert getattr(c, kind)[w] == pytest.approx(sum(members), abs=1e-12)


def test_the_estimate_under_the_model_s_own_expectation_is_constant():
    """Remark 1: nothing to correlate, and the table says so; implicit has something to say."""
    found = {}
    for utility in ("influence", "implicit"):
        made = study(utility=utility)
        rows = [numbers(c) for c in made.comparisons(actual(made))]
        found[utility] = [row for row in rows if row["operator"] == "expected"]
    for row in found["influence"]:
        assert np.isnan([row[c] for c in ("pearson", "spearman", "slope", "overlap")]).all()
        assert row["approximate_sd"] < 1e-12 < row["actual_sd"]
    assert all(row["pearson"] > 0.9 for row in found["implicit"] if row["batch_size"] == 1)


def test_numbers_of_the_table():
    rng = np.random.default_rng(0)
    approximate = rng.normal(size=40)
    actual = 0.3 * approximate + 0.1 * rng.normal(size=40) + 2.0
    row = numbers(Comparison("ent", "max", 2, actual, approximate, actual, 2.0 * actual))
    line = linregress(approximate, actual)
    assert row["pearson"] == pytest.approx(line.rvalue)
    assert row["slope"] == pytest.approx(line.slope)
    assert row["spearman"] == pytest.approx(spearmanr(approximate, actual).statistic)
    rmse = np.sqrt(np.mean((approximate - actual) ** 2))
    assert row["rmse_over_sd"] == pytest.approx(rmse / np.std(actual))
    assert row["additive_pearson"] == pytest.approx(1.0)
    best = [set(np.argsort(u)[-10:]) for u in (approximate, actual)]
    assert row["overlap"] == len(best[0] & best[1]) / 10
    assert (row["goal"], row["operator"], row["batch_size"], row["n"]) == ("ent", "max", 2, 40)


def test_labellings_are_in_the_order_that_the_index_says():
    Y = labellings(3, 3)
    assert Y.tolist() == [list(Y) for Y in itertools.product(range(3), repeat=3)]
    assert labelling_index(Y, 3).tolist() == list(range(27))


def test_windows_slide_over_the_pool_or_are_spread_over_it():
    made = study()
    assert made.windows(1).tolist() == [[i] for i in range(6)]
    assert made.windows(4).tolist() == [[0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5]]
    fewer = dataclasses.replace(made, n_windows=3)
    assert fewer.windows(2).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert len(fewer.windows(1)) == 6  # members are needed whatever the batches


# The draw ----------------------------------------------------------------------------------------


def instance(y):
    X = np.arange(2.0 * len(y)).reshape(-1, 2)
    return goralx.make_instance("line", X, y, rng=np.random.default_rng(0), n_init=2, n_test=4)


def test_the_draw_takes_disjoint_samples_outside_the_test_set_in_random_order():
    source = instance(np.arange(50) % 2)
    orders = set()
    for seed in range(3):
        drawn = draw(source, 10, 20, 8, np.random.default_rng(seed))
        parts = np.concatenate([drawn.init, drawn.pool, drawn.dev])
        assert len(np.unique(parts)) == 38
        assert np.isin(parts, np.concatenate([source.init, source.pool])).all()
        assert set(drawn.y[drawn.init]) == {0, 1}
        assert (np.diff(drawn.pool) < 0).any()
        orders.add(tuple(drawn.pool))
    assert len(orders) == 3


def test_draws_without_one_of_the_classes_are_thrown_away():
    source = instance(np.append(np.zeros(50, dtype=int), np.ones(6, dtype=int)))
    for seed in range(20):
        assert set(source.y[draw(source, 3, 10, 0, np.random.default_rng(seed)).init]) == {0, 1}


@pytest.mark.parametrize(
    "sizes, line",
    [
        ((1, 5, 0), "n_labelled=1; allowed: at least 2"),
        ((5, 2, 0), "n_pool=2; allowed: at least 3"),
        ((10, 30, 20), r"n_labelled=10 \+ n_pool=30 \+ n_dev=20 are more than the 46 samples"),
    ],
)
def test_a_draw_that_cannot_be_is_refused(sizes, line):
    with pytest.raises(goralx.BadInput, match=line):
        draw(instance(np.arange(50) % 2), *sizes, np.random.default_rng(0))


@pytest.mark.parametrize(
    "options, line",
    [
        ({"batch_sizes": (0,)}, "batch_sizes: 0; allowed: 1 to 4 in a pool of 6"),
        ({"batch_sizes": (5,)}, "batch_sizes: 5; allowed: 1 to 4 in a pool of 6"),
        ({"batch_sizes": ()}, "a goal, an operator and a batch size"),
        ({"n_windows": 2}, "n_windows=2; null"),
        ({"goals": ("aopt",)}, "goal aopt sees no predictions"),
        ({"goals": ("accuracy",)}, "use utility=lookahead or utility=retrain"),
    ],
)
def test_a_study_that_cannot_be_is_refused(options, line):
    with pytest.raises(goralx.GoralxError, match=line):
        study(**options)


def test_too_many_labellings_are_refused(monkeypatch):
    monkeypatch.setattr(study_module, "MAX_LABELLINGS", 8)
    study(batch_sizes=(3,))
    with pytest.raises(goralx.BadInput, match="4 samples of 2 classes have 16 labellings"):
        study(batch_sizes=(4,))


# The pictures ------------------------------------------------------------------------------------


def test_panels_share_colours_and_crosses():
    made = study()
    chosen = [c for c in made.comparisons(actual(made)) if (c.goal, c.batch_size) == ("ent", 1)]
    panels = figures.scatter(chosen, "a study").axes[: len(chosen)]
    marked = figures.spread(chosen[0].true, figures.N_CROSSES)
    assert len(marked) == 5
    assert (np.diff(chosen[0].true[marked]) > 0).all()  # from the least useful to the most
    for axes, c in zip(panels, chosen, strict=True):
        dots, _, crosses = axes.collections
        np.testing.assert_array_equal(dots.get_array(), chosen[0].true)
        np.testing.assert_array_equal(dots.get_offsets(), np.stack([c.approximate, c.actual], 1))
        np.testing.assert_array_equal(
            crosses.get_offsets(), np.stack([c.approximate, c.actual], 1)[marked]
        )
        assert axes.get_title(loc="left") == c.operator


def test_a_distribution_has_a_panel_for_each_goal_and_batch_size():
    made = study()
    shown = figures.distribution(made.comparisons(actual(made)), "a study").axes
    titles = [axes.get_title(loc="left") for axes in shown]
    assert titles == [
        f"{goal}, {what}" for goal in ("ent", "dev") for what in ("single samples", "batches of 2")
    ]
    for axes in shown:
        curves = [line for line in axes.lines if len(line.get_xdata()) == figures.GRID_POINTS]
        assert len(curves) == len(OPERATORS)
        for line in curves:  # densities
            x, y = line.get_data()
            assert trapezoid(y, x) == pytest.approx(1.0, abs=0.15)

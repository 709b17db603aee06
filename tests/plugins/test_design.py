"""Design criteria by dense matrices: the sample's Fisher block added, everything recomputed."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.linalg import null_space

import goralx
import goralx.testing
from goralx.core import softmax_regression as softmax
from goralx.core.inverse import curvature
from tests.problems import blobs, build, experiment, instance
from tests.program import SHORT, call, runs
from tests.reference import Problem, predict, pseudo_inverse, with_constant

GOALS = ("firatio", "aopt", "dopt")

every_goal = pytest.mark.parametrize("name", GOALS)
every_K = pytest.mark.parametrize("K", [2, 3, 5])
every_regime = pytest.mark.parametrize("regime", ["fixed_C", "fixed_lambda"])


class World:
    """A fit, a pool, and the over-parametrised (K D, K D) matrices of Sec. 8 around it."""

    def __init__(self, K, *, intercept=False, n=25, d=3, N=9, seed=0, C=0.6):
        rng = np.random.default_rng(seed)
        self.K, self.n = K, n
        self.X, self.y = blobs(rng, n, d, K)
        self.pool = 1.5 * rng.normal(size=(N, d))
        self.l2 = 1.0 / (n * C)
        self.fit = softmax.fit(self.X, self.y, K, l2=self.l2, penalize_intercept=intercept)
        self.slow = Problem.mean(self.X, self.y, K, self.l2, intercept)

    def candidates(self, rows=None, fit=None):
        rows = np.arange(len(self.pool)) if rows is None else rows
        pool = goralx.Reference(fit or self.fit, self.pool)
        return goralx.Candidates(pool, rows, goralx.Labelled(self.X, self.y), 0.0)

    def gains(self, name, regime="fixed_C"):
        asked = self.candidates()
        return build("goal", name).gains(asked, asked.pool, regime=regime)

    def tau(self, name, theta, extra=(), regime="fixed_C", problem=None):
        """From the definition, theta held: A the Hessian of the labelled set and ``extra``."""
        slow = problem or self.slow
        A = len(slow.y) * slow.hessian(theta)
        for x in extra:
            p = predict(x[None], theta)[0]
            A = A + np.kron(np.diag(p) - np.outer(p, p), np.outer(*[np.append(x, 1.0)] * 2))
            if regime == "fixed_lambda":
                A = A + np.diag(self.l2 * slow.penalised.ravel())
        if name == "dopt":
            contrasts = np.kron(null_space(np.ones((1, self.K))), np.eye(self.pool.shape[1] + 1))
            return np.linalg.slogdet(contrasts.T @ A @ contrasts)[1]
        F = np.zeros_like(A)
        for x, p in zip(with_constant(self.pool), predict(self.pool, theta), strict=True):
            for k in range(self.K):
                score = np.outer(np.eye(self.K)[k] - p, x).ravel()  # grad log p_k
                scale = p[k] if name == "firatio" else p[k] ** 2  # aopt: grad p_k
                F += scale * np.outer(score, score) / len(self.pool)
        return -np.trace(F @ pseudo_inverse(A))


@every_goal
@every_K
@every_regime
@pytest.mark.parametrize("intercept", [False, True])
def test_gains_by_adding_the_samples_block_to_the_curvature(name, K, regime, intercept):
    world = World(K, intercept=intercept)
    before = world.tau(name, world.fit.theta)
    dense = [world.tau(name, world.fit.theta, [x], regime) - before for x in world.pool]
    np.testing.assert_allclose(world.gains(name, regime), dense, rtol=1e-10)


@every_goal
@every_K
def test_the_measure_is_its_definition(name, K):
    world = World(K)
    tau = build("goal", name).measure(world.candidates().pool)
    assert tau == pytest.approx(world.tau(name, world.fit.theta), rel=1e-10)


@every_goal
def test_a_reference_of_its_own_is_not_the_candidates(name):
    """The pool is the initial one: which of it may still be queried changes no gain."""
    world = World(3)
    rows = np.array([7, 2, 4])
    some = world.candidates(rows)
    gains = build("goal", name).gains(some, some.pool, regime="fixed_C")
    np.testing.assert_allclose(gains, world.gains(name)[rows], rtol=1e-12)


@pytest.mark.parametrize("name", ["firatio", "aopt", "dopt"])
@pytest.mark.parametrize("K", [2, 3])
def test_a_refit_moves_the_criterion_by_the_gain_on_average(name, K):
    """With many labels, and the label drawn as the model expects it: theta then moves to no end."""
    world = World(K, n=600, d=2, N=8)
    before = world.tau(name, world.fit.theta)
    gains = world.gains(name)
    realised = []
    for x, p in zip(world.pool, predict(world.pool, world.fit.theta), strict=True):
        change = 0.0
        for k in range(K):
            X, y = np.vstack([world.X, x]), np.append(world.y, k)
            l2 = world.l2 * world.n / len(y)
            refit = softmax.fit(X, y, K, l2=l2, previous=world.fit, tolerance=1e-12)
            problem = Problem.mean(X, y, K, l2, False)
            change += p[k] * (world.tau(name, refit.theta, problem=problem) - before)
        realised.append(change)
    np.testing.assert_allclose(realised, gains, rtol=0.1)
    assert list(np.argsort(realised)) == list(np.argsort(gains))


@pytest.mark.parametrize("K", [2, 4])
def test_d_optimality_to_first_order_is_the_leverage(K):
    """log det(I + Lambda S) ~ tr(Lambda S), where much is known already."""
    world = World(K, n=4000)
    expansion = world.fit.expansion("fixed_C")
    S = expansion.leverage(world.pool)
    information = curvature.fisher(predict(world.pool, world.fit.theta), expansion.Q)
    first = np.einsum("nij,nji->n", information, S)
    np.testing.assert_allclose(world.gains("dopt"), first, rtol=0.01)


@every_goal
def test_a_float32_pool_gives_the_same_gains(name):
    world = World(3)
    gains = world.gains(name)
    world.pool = world.pool.astype(np.float32)
    single = world.gains(name)
    assert single.dtype == np.float64
    np.testing.assert_allclose(single, gains, rtol=1e-5)


@every_goal
def test_memory_stays_bounded_however_large_the_pool(name, monkeypatch):
    """In blocks: the same gains, and far less than a few (K-1, K-1) matrices a candidate."""
    world = World(6, n=60, d=2, N=6000)
    whole = world.gains(name)
    monkeypatch.setattr(curvature, "_BLOCK", 1 << 14)
    asked = world.candidates()
    asked.log_P, asked.X, world.fit.expansion("fixed_C")  # not the criterion's own
    tracemalloc.start()
    in_blocks = build("goal", name).gains(asked, asked.pool, regime="fixed_C")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(in_blocks, whole, rtol=1e-9)
    assert peak < 8 * 25 * 6000, f"{peak / 2**20:.1f} MiB, more than one such matrix a candidate"


# In a run ----------------------------------------------------------------------------------------


@every_goal
@pytest.mark.parametrize("regime", ["fixed_C", "fixed_lambda"])
def test_a_run_takes_the_largest_gains_and_its_curve_rises(name, regime):
    drawn = instance(n_classes=3, pool=40, dev=0)
    run = experiment(
        drawn, goal=name, monitors=GOALS, batch_size=1, n_queries=8,
        model_options={"regime": regime},
    )  # fmt: skip
    rounds = list(run.rounds())
    curve = [r.metrics[f"goal/{name}"] for r in rounds]
    for r in rounds[:-1]:
        assert r.queried_utility[0] == r.utility.max() > 0
    changes = np.diff(curve)
    predicted = [r.metrics["change/predicted"] for r in rounds[1:]]
    assert changes.sum() > 0
    if name == "dopt":  # the others' F moves with theta, far from large n
        assert np.corrcoef(changes, predicted)[0, 1] > 0


@every_goal
def test_operator_and_utility_do_not_matter(name):
    """Not even a combination that any other goal would refuse: no label is to be resolved."""
    drawn = instance(n_classes=3, pool=30, dev=0)
    chosen = {
        operator: [r.queried.tolist() for r in experiment(
            drawn, goal=name, operator=operator, batch_size=3, n_queries=9,
        ).rounds()]
        for operator in ("max", "min", "oracle")
    }  # fmt: skip
    assert chosen["max"] == chosen["min"] == chosen["oracle"]


def test_design_criteria_are_monitored_beside_any_goal(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    done = call(capsys, "goal=ent", f"monitors=[{','.join(GOALS)}]", *SHORT)
    assert done.status == 0, done.err
    header, *rows = (runs(tmp_path)[0] / "rounds.csv").read_text().splitlines()
    for name in GOALS:
        column = header.split(",").index(f"goal/{name}")
        curve = [float(row.split(",")[column]) for row in rows]
        assert np.isfinite(curve).all() and curve[-1] > curve[0]


# The shipped check -------------------------------------------------------------------------------


def broken(**overrides):
    firatio = type(build("goal", "firatio"))
    return type("Broken", (firatio,), {"__doc__": "Broken.", **overrides})()


@pytest.mark.parametrize(
    "overrides, message",
    [
        ({"measure": lambda self, reference: float("nan")}, "tau is nan"),
        ({"measure": lambda self, reference: np.zeros(1)}, "give a float"),
        ({"gains": lambda self, asked, reference, *, regime: -np.ones(len(asked))}, "no label can"),
        ({"gains": lambda self, asked, reference, *, regime: np.ones((len(asked), 1))}, "shape"),
    ],
)
def test_the_check_of_gains_finds(overrides, message):
    goralx.testing.check_goal(broken())
    with pytest.raises(AssertionError, match=f"check_gains: .*{message}"):
        goralx.testing.check_goal(broken(**overrides))

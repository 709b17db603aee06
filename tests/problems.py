"""Small random instances and models, and the parts of a run by name."""

from __future__ import annotations

import numpy as np

import goralx
from goralx.discovery import registry
from tests.reference import GOALS, Problem


def build(group, name, **options):
    return registry().build(group, name, options)


def blobs(rng, n, d, n_classes, spread=1.0):
    """X (n, d), y (n,): overlapping Gaussian classes, each of them present."""
    centres = rng.normal(size=(n_classes, d)) * spread
    y = np.append(np.arange(n_classes), rng.integers(0, n_classes, size=n - n_classes))
    return centres[y] + rng.normal(size=(n, d)), y


def matrix(expansion):
    """Its B (m, m)."""
    return expansion.times_B(np.eye(len(expansion.phi)))


def instance(seed=0, n_classes=3, pool=60, init=12, test=30, d=3, dev=0.2, spread=1.0):
    rng = np.random.default_rng(seed)
    X, y = blobs(rng, pool + init + test, d, n_classes, spread)
    drawn = goralx.make_instance("blobs", X, y, rng=rng, n_init=init, n_test=test)
    return drawn.with_dev(dev, rng) if dev else drawn


def experiment(
    instance,
    *,
    strategy="goral",
    goal="ent",
    operator="max",
    model="softmax",
    monitors=("ent", "fir"),
    model_options=None,
    operator_options=None,
    **options,
):
    """An `Experiment` of registered names; objects are taken as they are."""

    def part(group, given, **fields):
        return build(group, given, **fields) if isinstance(given, str) else given

    learner = part("model", model, **(model_options or {}))
    dev = instance.labelled(instance.dev) if len(instance.dev) else None
    utility = goralx.GoalOrientedUtility(
        part("goal", goal),
        part("operator", operator, **(operator_options or {})),
        build("utility", "influence"),
        learner,
        dev,
        pool_y=instance.y[instance.pool],
    )
    named = goal if isinstance(goal, str) else "own"
    goals = {name: build("goal", name) for name in monitors}
    goals[named] = utility.goal
    return goralx.Experiment(
        instance, learner, part("strategy", strategy), utility, goals, named, **options
    )


class Setting:
    """A fitted model, a pool of which only some are candidates, and a dev set; drawn by a seed."""

    n, C = 20, 0.7

    def __init__(self, K, regime, intercept, *, seed=0, d=2, **options):
        self.rng = np.random.default_rng(seed)
        self.K, self.regime, self.intercept = K, regime, intercept
        self.X, self.y = blobs(self.rng, self.n, d, K)
        self.pool = self.rng.normal(size=(14, d)) * 2
        self.dev_X, self.dev_y = blobs(self.rng, 9, d, K)
        self.rows = np.array([11, 2, 5])  # candidates: some of the pool, in no order
        self.model = build(
            "model", "softmax", C=self.C, regime=regime, penalize_intercept=intercept, **options
        )
        self.labelled = goralx.Labelled(self.X, self.y)
        self.fit = self.model.fit(self.labelled, K)
        self.l2 = 1.0 / (self.n * self.C)
        self.slow = Problem.mean(self.X, self.y, K, self.l2, intercept)
        self.optimum = self.slow.minimise()

    def reference_set(self, goal):
        return (self.dev_X, self.dev_y) if goal == "dev" else (self.pool, None)

    def utilities(self, goal, rows=None, reference=None, pool=None):
        """U (N, K) as a run works it out."""
        X, y = reference or self.reference_set(goal)
        pool = goralx.Reference(self.fit, self.pool if pool is None else pool)
        rows = self.rows if rows is None else rows
        candidates = goralx.Candidates(pool, rows, self.labelled, 0.0)
        estimate = build("utility", "influence").utilities(
            candidates,
            build("goal", goal),
            goralx.Reference(self.fit, X, y),
            regime=self.regime,
        )
        return estimate.U

    def refit(self, samples, weight):
        """theta with the samples (x, y) added, ``weight`` each beside the others' 1/n."""
        share = weight * self.l2 if self.regime == "fixed_lambda" else 0.0
        problem = self.slow
        for x, y in samples:
            problem = problem.plus(x, y, weight, share)
        return problem.minimise(self.optimum)

    def derivative(self, goal, samples):
        """d tau(theta_eps) / d eps at 0, by refits at +-eps and +-2 eps (Eq. 2)."""
        X, y = self.reference_set(goal)
        h = 2e-4 / self.n

        def tau(eps):
            return GOALS[goal](self.refit(samples, eps), X, y)

        return (8 * (tau(h) - tau(-h)) - (tau(2 * h) - tau(-2 * h))) / (12 * h)

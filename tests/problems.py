"""Small random instances, and the parts of a run by name."""

from __future__ import annotations

import numpy as np

import goralx
from goralx.registry import registry


def build(group, name, **options):
    return registry().build(group, name, options)


def blobs(rng, n, d, n_classes, spread=1.0):
    """X (n, d), y (n,): overlapping Gaussian classes, each of them present."""
    centres = rng.normal(size=(n_classes, d)) * spread
    y = np.append(np.arange(n_classes), rng.integers(0, n_classes, size=n - n_classes))
    return centres[y] + rng.normal(size=(n, d)), y


def instance(seed=0, n_classes=3, pool=60, init=12, test=30, d=3, dev=0.2):
    rng = np.random.default_rng(seed)
    X, y = blobs(rng, pool + init + test, d, n_classes)
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
    **options,
):
    """An `Experiment` of registered names; objects are taken as they are."""

    def part(group, given, **fields):
        return build(group, given, **fields) if isinstance(given, str) else given

    learner = part("model", model, **(model_options or {}))
    dev = instance.labelled(instance.dev) if len(instance.dev) else None
    utility = goralx.GoalOrientedUtility(
        part("goal", goal),
        part("operator", operator),
        build("utility", "influence"),
        learner,
        dev,
        reveal=lambda rows: instance.y[instance.pool[rows]],
    )
    named = goal if isinstance(goal, str) else "own"
    goals = {name: build("goal", name) for name in monitors}
    goals[named] = utility.goal
    return goralx.Experiment(
        instance, learner, part("strategy", strategy), utility, goals, named, **options
    )

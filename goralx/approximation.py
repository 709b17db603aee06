"""Approximation quality (Sec. 6.1): estimated utilities held against exact retraining.

A model is fit to a few random samples. For batches of a pool of others, the actual utility under
every one of the K^b labellings comes from retraining; the estimate is the sum of the members' own
(Remark 2). A batch is then one candidate with K^b labels, and any label operator resolves both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from .components import (
    Array,
    Candidates,
    CurvedModel,
    Goal,
    LabelOperator,
    Model,
    PredictionGoal,
    Reference,
    Utilities,
    UtilityEstimator,
)
from .core.retraining import predictions
from .data import Features, Instance, Labelled, Labels, Rows
from .errors import BadInput, Incompatible
from .goal_utility import GoalOrientedUtility, goal_reference

MAX_LABELLINGS = 1 << 14
"""Of one batch: beyond, enumerating them is no longer practical."""

SHARED = 64  # labellings of a window from which sharing its leverages pays
BLOCK = 1024  # retrainings that are solved and kept together
MAX_DRAWS = 1000
VACUOUS = 1e-9  # relative spread below which an estimate is a constant (Remark 1)

Windows = NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """Windows ``start`` to ``stop`` of the batches of one size."""

    batch_size: int
    start: int
    stop: int


@dataclass(frozen=True)
class Comparison:
    """Utilities of W batches as one operator resolves them, (W,) each.

    ``true`` is the actual utility under the true labels, whatever the operator; ``additive`` the
    sum of the members' own actual utilities, or None where those are not known.
    """

    goal: str
    operator: str
    batch_size: int
    actual: Array
    approximate: Array
    true: Array
    additive: Array | None = None


@dataclass(frozen=True)
class Study:
    """What is compared. ``instance`` is that of `draw`: its init set is what the model is fit to.

    ``n_windows`` of the sliding windows over the pool, evenly spread; None: all of them. Raises
    what `GoalOrientedUtility` raises of components that make no sense together.
    """

    instance: Instance
    model: Model
    goals: Mapping[str, Goal]
    operators: Mapping[str, LabelOperator]
    estimator: UtilityEstimator
    batch_sizes: tuple[int, ...] = (1,)
    n_windows: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not (self.goals and self.operators and self.batch_sizes):
            raise BadInput("approximation: a goal, an operator and a batch size, at least one each")
        if self.n_windows is not None and self.n_windows < 3:
            raise BadInput(f"approximation.n_windows={self.n_windows}; null (all) or at least 3")
        K, N = self.instance.n_classes, len(self.instance.pool)
        for b in self.batch_sizes:
            if not 1 <= b <= N - 2:
                raise BadInput(
                    f"approximation.batch_sizes: {b}; allowed: 1 to {N - 2} in a pool of {N}"
                )
            if K**b > MAX_LABELLINGS:
                raise BadInput(
                    f"approximation.batch_sizes: {b} samples of {K} classes have "
                    f"{float(K) ** b:.3g} labellings; allowed: at most {MAX_LABELLINGS} · use "
                    "smaller batches"
                )
        if "expansion" not in self.model.capabilities:
            raise Incompatible(
                f"{type(self.model).__name__} cannot be retrained in batches; use model=softmax"
            )
        for name, goal in self.goals.items():
            if not isinstance(goal, PredictionGoal):
                raise Incompatible(
                    f"goal {name} sees no predictions, its gains are exact; use one that does, "
                    "such as ent or dev"
                )
            for operator in self.operators.values():
                GoalOrientedUtility(
                    goal, operator, self.estimator, self.model, self.dev, self.pool_y
                )

    @cached_property
    def pool_y(self) -> Labels:
        return self.instance.y[self.instance.pool]

    @cached_property
    def dev(self) -> Labelled | None:
        return self.instance.labelled(self.instance.dev) if len(self.instance.dev) else None

    @cached_property
    def candidates(self) -> Candidates:
        """The whole pool, seen through the model."""
        labelled = self.instance.labelled(self.instance.init)
        model = self.model.fit(labelled, self.instance.n_classes)
        pool = Reference(model, self.instance.pool_X)
        return Candidates(pool, np.arange(len(pool.X)), labelled, 0.0, self.seed)

    @cached_property
    def references(self) -> dict[str, Reference]:
        """What each goal is measured on."""
        pool = self.candidates.pool
        return {name: goal_reference(goal, pool, self.dev) for name, goal in self.goals.items()}

    @cached_property
    def estimates(self) -> dict[str, Utilities]:
        """Of each goal: the estimator's utilities of single samples, U (N, K)."""
        return {
            name: self.estimator.utilities(
                self.candidates, goal, self.references[name], regime=self.model.regime
            )
            for name, goal in self.goals.items()
        }

    def windows(self, b: int) -> Windows:
        """Batches of b as positions in the pool (W, b); of one sample each, all of them."""
        n = len(self.instance.pool) - b + 1
        starts = np.arange(n)
        if b > 1 and self.n_windows is not None and self.n_windows < n:
            starts = np.linspace(0, n - 1, self.n_windows).round().astype(np.int64)
        return starts[:, None] + np.arange(b)

    def blocks(self) -> Iterator[Block]:
        """All that is to be retrained, in parts that can be kept one by one."""
        for b in self.batch_sizes:
            n, step = len(self.windows(b)), max(1, BLOCK // self.instance.n_classes**b)
            yield from (Block(b, i, min(n, i + step)) for i in range(0, n, step))

    def n_retrained(self, block: Block) -> int:
        """How many retrainings a block is."""
        return (block.stop - block.start) * int(self.instance.n_classes**block.batch_size)

    def actual(self, block: Block) -> dict[str, Array]:
        """tau(theta_(X, Y)) - tau(theta) by retraining, of each goal: (windows, K^b)."""
        windows = self.windows(block.batch_size)[block.start : block.stop]
        Y = labellings(self.instance.n_classes, block.batch_size)
        X = self.candidates.X[windows]
        if len(Y) >= SHARED:
            found = [self._changes(x[None], Y) for x in X]
            return {name: np.stack([each[name] for each in found]) for name in self.goals}
        taus = self._changes(np.repeat(X, len(Y), axis=0), np.tile(Y, (len(X), 1)))
        return {name: tau.reshape(len(X), len(Y)) for name, tau in taus.items()}

    def _changes(self, X: Features, Y: Labels) -> dict[str, Array]:
        """What X (T, b, d), or (1, b, d), under labels Y (T, b) does to each goal: (T,)."""
        model, regime = cast(CurvedModel, self.candidates.model), self.model.regime
        changes, found = model.retrained(X, Y, regime), {}
        for name, goal in self.goals.items():
            assert isinstance(goal, PredictionGoal)
            seen = self.references[name]
            after = predictions(model.expansion(regime), seen.X, seen.log_P, changes)
            tau = np.array([goal.value(log_P, seen.X, seen.y) for log_P in after])
            found[name] = tau - goal.measure(seen)
        return found

    def compare(
        self, goal: str, b: int, actual: Array, singles: Array | None = None
    ) -> list[Comparison]:
        """Actual utilities (W, K^b) against the estimate, as each operator resolves them.

        ``singles`` (N, K) are the actual utilities of every single sample, if they are known.
        """
        windows, K = self.windows(b), self.instance.n_classes
        truth = labelling_index(self.pool_y[windows], K)
        kinds = {"actual": actual, "approximate": of_batches(self.estimates[goal].U, windows)}
        if singles is not None:
            kinds["additive"] = of_batches(singles, windows)
        compared = []
        for name, operator in self.operators.items():
            beliefs = of_batches(operator.beliefs(self.candidates), windows)
            known = truth if operator.needs_ground_truth else None
            resolved = {kind: operator(U, beliefs, known, 0.0) for kind, U in kinds.items()}
            true = actual[np.arange(len(windows)), truth]
            compared.append(Comparison(goal, name, b, true=true, **resolved))
        return compared

    def comparisons(self, actual: Mapping[tuple[str, int], Array]) -> list[Comparison]:
        """All of them, from the actual utilities by goal and batch size."""
        return [
            comparison
            for (goal, b), U in actual.items()
            for comparison in self.compare(goal, b, U, actual.get((goal, 1)) if b > 1 else None)
        ]


def draw(
    instance: Instance, n_labelled: int, n_pool: int, n_dev: int, rng: np.random.Generator
) -> Instance:
    """An instance of the study: random samples of pool and init take the parts, in random order.

    Draws in which a class has no labelled sample are thrown away. ``n_dev`` may be 0.
    """
    rows = np.sort(np.concatenate([instance.init, instance.pool]))
    asked = {"n_labelled": n_labelled, "n_pool": n_pool, "n_dev": n_dev}
    for name, least in (("n_labelled", instance.n_classes), ("n_pool", 3), ("n_dev", 0)):
        if asked[name] < least:
            raise BadInput(f"approximation.{name}={asked[name]}; allowed: at least {least}")
    if sum(asked.values()) > len(rows):
        listed = " + ".join(f"{name}={size}" for name, size in asked.items() if size)
        raise BadInput(
            f"approximation: {listed} are more than the {len(rows)} samples of dataset "
            f"'{instance.name}' outside the test set; lower them"
        )
    for _ in range(MAX_DRAWS):
        order = rng.permutation(rows)
        init, rest = order[:n_labelled], order[n_labelled:]
        if len(np.unique(instance.y[init])) == instance.n_classes:
            pool, dev = rest[:n_pool], np.sort(rest[n_pool : n_pool + n_dev])
            return replace(instance, init=init, pool=pool, dev=dev)
    raise BadInput(
        f"approximation.n_labelled={n_labelled}: {MAX_DRAWS} random draws all lack one of the "
        f"{instance.n_classes} classes; raise it"
    )


def labellings(n_classes: int, b: int) -> Rows:
    """Every labelling of b samples, the last one's label changing fastest: (K^b, b)."""
    return np.stack(np.unravel_index(np.arange(n_classes**b), (n_classes,) * b), axis=1)


def labelling_index(y: Rows, n_classes: int) -> Rows:
    """Which of `labellings` the labels y (W, b) are: (W,)."""
    return np.asarray(np.ravel_multi_index(tuple(y.T), (n_classes,) * y.shape[1]))


def of_batches(U: Array, windows: Windows) -> Array:
    """Sums over the members of each batch (W, b), of what each label adds (N, K): (W, K^b)."""
    Y = labellings(U.shape[1], windows.shape[1])
    total = np.zeros((len(windows), len(Y)))
    for i, column in enumerate(Y.T):
        total += U[windows[:, i]][:, column]
    return total


def numbers(comparison: Comparison) -> dict[str, Any]:
    """How far an estimate agrees with the actual utilities: a row of the table.

    ``slope``: least squares of actual on approximate, below 1 where the estimate overstates.
    ``rmse_over_sd``: their root mean square difference over the standard deviation of the actual.
    ``additive_pearson``: of the actual with the sum of the members' own actual utilities, what
    Remark 2 alone leaves. NaN where there is nothing to correlate.
    """
    actual, approximate = comparison.actual, comparison.approximate
    size = max(float(np.abs(actual).max()), float(np.abs(approximate).max()))
    pearson = spearman = slope = float("nan")
    if np.ptp(approximate) > VACUOUS * size:
        pearson = correlation(approximate, actual)
        spearman = correlation(rankdata(approximate), rankdata(actual))
        slope = float(np.cov(approximate, actual)[0, 1] / approximate.var(ddof=1))
    sd, rmse = float(actual.std()), float(np.sqrt(np.mean((approximate - actual) ** 2)))
    additive = comparison.additive
    return {
        "goal": comparison.goal,
        "operator": comparison.operator,
        "batch_size": comparison.batch_size,
        "n": len(actual),
        "pearson": pearson,
        "spearman": spearman,
        "slope": slope,
        "rmse_over_sd": rmse / sd if sd > 0 else float("nan"),
        "additive_pearson": float("nan") if additive is None else correlation(additive, actual),
        "actual_mean": float(actual.mean()),
        "actual_sd": sd,
        "actual_q05": float(np.quantile(actual, 0.05)),
        "actual_q95": float(np.quantile(actual, 0.95)),
        "approximate_mean": float(approximate.mean()),
        "approximate_sd": float(approximate.std()),
    }


def correlation(a: Array, b: Array) -> float:
    """Pearson's; NaN if either is constant."""
    return float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) > 0 and np.ptp(b) > 0 else float("nan")

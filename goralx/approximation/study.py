"""A study: its parts, the retrainings that it asks for, and what they are compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np

from goralx.contracts import (
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
from goralx.core import predictions_after
from goralx.data import Array, Features, Instance, Labelled, Labels
from goralx.errors import BadInput, Incompatible
from goralx.scoring import GoalOrientedUtility, goal_reference

from .batches import Windows, labelling_index, labellings, of_batches, sliding_windows
from .numbers import Comparison

MAX_LABELLINGS = 1 << 14
"""Of one batch: beyond, enumerating them is no longer practical."""

SHARED = 64  # labellings of a window from which sharing its leverages pays
BLOCK = 1024  # retrainings that are solved and kept together


@dataclass(frozen=True)
class Block:
    """Windows ``start`` to ``stop`` of the batches of one size."""

    batch_size: int
    start: int
    stop: int


@dataclass(frozen=True)
class Study:
    """What is compared. ``instance`` is that of `draw`: its init set is what the model is fit to.

    Small numbers are compared, so that all is worked out in double precision.

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
        if not len(self.instance.dev):
            return None
        dev = self.instance.labelled(self.instance.dev)
        return replace(dev, X=dev.X.astype(np.float64))

    @cached_property
    def candidates(self) -> Candidates:
        """The whole pool, seen through the model."""
        labelled = self.instance.labelled(self.instance.init)
        model = self.model.fit(labelled, self.instance.n_classes)
        pool = Reference(model, np.asarray(self.instance.pool_X, dtype=np.float64))
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
        return sliding_windows(len(self.instance.pool), b, self.n_windows if b > 1 else None)

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
        changes, found = model.retrained(X, Y, regime), dict[str, Array]()
        for name, goal in self.goals.items():
            assert isinstance(goal, PredictionGoal)
            seen = self.references[name]
            after = predictions_after(model.expansion(regime), seen.X, seen.log_P, changes)
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

"""Estimators of what one more labelled sample does to the goal, from cheap to exact.

=============  ==========================  ===================================================
utility        a candidate costs           believe it
=============  ==========================  ===================================================
``influence``  one product with v          ranks at low leverage (kappa < 0.05); overstates
``implicit``   K proximal problems         ranks and values while kappa < about 1
``lookahead``  those, and the goal anew    the same or better, for any goal
``retrain``    K exact refits              always
=============  ==========================  ===================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy.special import log_softmax

import goralx
from goralx import Array, BadInput, Candidates, LogitGoal, PredictionGoal, Reference, Utilities
from goralx.core import implicit, influence
from goralx.core.curvature import Expansion, parts, with_constant

SECOND_ORDER: frozenset[str] = frozenset({"expansion"})


@dataclass(frozen=True)
class Influence(goralx.UtilityEstimator):
    """First order, the paper's (Eqs 2-3): one solve, then one matrix product for every label.

    Ranks well and overstates, the more so the fewer labels there are and the weaker the penalty.
    """

    def utilities(
        self, candidates: Candidates, goal: LogitGoal, reference: Reference, *, regime: str
    ) -> Utilities:
        model = candidates.model
        _, G = goal.value_and_logit_gradient(reference.log_P, reference.X, reference.y)
        solution = model.solve(model.pullback(reference.X, G))
        v = influence.direction(solution.x, model.n_labelled)
        penalty = float((v * model.penalty_gradient).sum()) if regime == "fixed_lambda" else 0.0
        U = influence.utilities(np.exp(candidates.log_P), candidates.pushforward(v), penalty)
        return Utilities(U, solution.relative_residual)


@dataclass(frozen=True)
class Implicit(goralx.UtilityEstimator):
    """The new sample's loss kept exact, labelled set and goal to second order.

    No pass over the reference for a candidate. With many classes or a large pool, ``screen`` looks
    only at the candidates that influence ranks best.
    """

    needs_model: ClassVar[frozenset[str]] = SECOND_ORDER
    needs: ClassVar[Literal["value", "gradient", "hessian"]] = "hessian"

    screen: int | None = None

    def __post_init__(self) -> None:
        check_positive("screen", self.screen)

    def utilities(
        self, candidates: Candidates, goal: LogitGoal, reference: Reference, *, regime: str
    ) -> Utilities:
        model, expansion = candidates.model, candidates.model.expansion(regime)
        seen = reference.log_P, reference.X, reference.y
        _, G = goal.value_and_logit_gradient(*seen)
        t = (expansion.Q.T @ model.pullback(reference.X, G)).ravel()
        T = implicit.effective_curvature(expansion, reference.X, goal.logit_hessian(*seen), t)
        residual, trust = proximal(candidates, expansion)
        return Utilities(implicit.utilities(expansion, candidates.X, residual, t, T), 0.0, trust)


@dataclass(frozen=True)
class Lookahead(goralx.UtilityEstimator):
    """The proximal step of `Implicit`, then the goal itself where it leads: for any goal.

    Each candidate and label costs a pass over the reference: ``reference_size`` takes that many of
    it at random (sums are scaled up), ``screen`` bounds the candidates.
    """

    needs_model: ClassVar[frozenset[str]] = SECOND_ORDER
    needs: ClassVar[Literal["value", "gradient", "hessian"]] = "value"

    screen: int | None = None
    reference_size: int | None = None

    def __post_init__(self) -> None:
        check_positive("screen", self.screen)
        check_positive("reference_size", self.reference_size)

    def utilities(
        self, candidates: Candidates, goal: PredictionGoal, reference: Reference, *, regime: str
    ) -> Utilities:
        expansion = candidates.model.expansion(regime)
        residual, trust = proximal(candidates, expansion)
        seen, scale = sampled(reference, goal, self.reference_size, candidates.random_state)
        U = np.empty(candidates.log_P.shape)
        for part, changes in proximal_changes(expansion, candidates.X, residual):
            U[part] = scale * goal_changes(goal, seen, expansion, changes)
        return Utilities(U, 0.0, trust)


@dataclass(frozen=True)
class Retrain(goralx.UtilityEstimator):
    """Exact: the model retrained with every candidate under every label, many at once.

    What the others are held against; ``screen`` and ``reference_size`` as for lookahead.
    """

    needs_model: ClassVar[frozenset[str]] = SECOND_ORDER
    needs: ClassVar[Literal["value", "gradient", "hessian"]] = "value"

    screen: int | None = None
    reference_size: int | None = None

    def __post_init__(self) -> None:
        check_positive("screen", self.screen)
        check_positive("reference_size", self.reference_size)

    def utilities(
        self, candidates: Candidates, goal: PredictionGoal, reference: Reference, *, regime: str
    ) -> Utilities:
        expansion = candidates.model.expansion(regime)
        seen, scale = sampled(reference, goal, self.reference_size, candidates.random_state)
        N, K = candidates.log_P.shape
        U = np.empty((N, K))
        for part in parts(N, K * len(expansion.phi)):
            X = np.repeat(candidates.X[part], K, axis=0)[:, None, :]
            y = np.tile(np.arange(K), len(X) // K)[:, None]
            changes = candidates.model.retrained(X, y, regime)
            changes = changes.reshape(-1, K, len(expansion.phi))
            U[part] = scale * goal_changes(goal, seen, expansion, changes)
        return Utilities(U, 0.0)


def sampled(
    reference: Reference, goal: PredictionGoal, size: int | None, random_state: int
) -> tuple[Reference, float]:
    """``size`` reference samples at random, and what a goal on them is to be multiplied with."""
    total = len(reference.X)
    if size is None or size >= total:
        return reference, 1.0
    rows = np.sort(np.random.default_rng(random_state).choice(total, size=size, replace=False))
    labels = None if reference.y is None else reference.y[rows]
    scale = total / size if goal.reduction == "sum" else 1.0
    return Reference(reference.model, reference.X[rows], labels), scale


def goal_changes(
    goal: PredictionGoal, reference: Reference, expansion: Expansion, changes: Array
) -> Array:
    """tau(phi + d) - tau(phi) for changes d (n, K, m) of the parameters: (n, K)."""
    rows, log_P = with_constant(reference.X), reference.log_P
    n, K, m = changes.shape
    C = expansion.Q.shape[1]
    before = goal.measure(reference)
    flat = changes.reshape(n * K * C, m // C)
    tau = np.empty(n * K)
    for part in parts(n * K, C * len(rows)):
        moved = rows @ flat[part.start * C : part.stop * C].T  # one product for many models
        contrasts = moved.reshape(len(rows), -1, C)
        for i, t in enumerate(range(part.start, part.stop)):
            after = log_softmax(log_P + contrasts[:, i] @ expansion.Q.T, axis=1)
            tau[t] = goal.value(after, reference.X, reference.y)
    return tau.reshape(n, K) - before


def proximal(candidates: Candidates, expansion: Expansion) -> tuple[Array, Array]:
    """r* (N, K, K) of every candidate and label, and their kappa (N,)."""
    N, K = candidates.log_P.shape
    residual, trust = np.empty((N, K, K)), np.empty(N)
    for part in parts(N, K * K * (K - 1) * 4):
        X = candidates.X[part]
        S = expansion.leverage(X)
        logits = expansion.shifted(X, candidates.log_P[part])
        residual[part] = implicit.proximal_residual(logits, S, expansion.Q)
        trust[part] = implicit.trust(expansion, residual[part], S)
    return residual, trust


def proximal_changes(
    expansion: Expansion, X: Array, residual: Array
) -> Iterator[tuple[slice, Array]]:
    """Changes d = d0 - B U r* (n, K, m), in blocks of candidates that fit in memory."""
    K, m = residual.shape[1], len(expansion.phi)
    for part in parts(len(X), 2 * K * m):
        outer = (residual[part] @ expansion.Q)[..., None] * with_constant(X[part])[:, None, None, :]
        yield part, expansion.shift - outer.reshape(-1, K, m) @ expansion.B


def check_positive(option: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise BadInput(f"utility.{option}={value}; allowed: null (all) or at least 1")


@goralx.hookimpl
def register_utilities(register):
    register("influence", Influence)
    register("implicit", Implicit)
    register("lookahead", Lookahead)
    register("retrain", Retrain)

"""Estimators beyond first order: the new sample's loss, or all of the fit, kept exact.

When to believe which, beside ``influence``, is in `utilities`. Where all of a pool would take more
than a minute, the best by influence are looked at again: by that of a softmax regression where the
model has no derivatives.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike

import goralx
from goralx import (
    Array,
    BadInput,
    Candidates,
    Labelled,
    LogitGoal,
    PredictionGoal,
    Reference,
    Rows,
    Utilities,
)
from goralx.core import (
    Expansion,
    Linearised,
    appended,
    cost,
    implicit,
    in_double,
    log_softmax,
    parts,
    with_constant,
)
from goralx.scoring import drawn_kappa


@dataclass(frozen=True)
class _Screened(goralx.UtilityEstimator):
    """An estimator that costs much per candidate.

    ``screen``: the influence utility ranks the pool, and only that many of the best are looked at
    again. Null: all of them where that is a minute's work of one core, by a count of operations
    that is the same on every machine, else as many as a minute pays for, at least 20; 20 of a model
    whose work cannot be counted.
    """

    screen: int | None = None

    def __post_init__(self) -> None:
        check_positive("screen", self.screen)

    def looks_at(self, candidates: Candidates, reference: Reference) -> int | None:
        if self.screen is not None:
            return self.screen
        if not candidates.can("expansion"):
            return cost.FEWEST
        N = len(candidates)
        of_few_or_all = (self.operations(candidates, reference, n) for n in (cost.FEWEST, N))
        return max(cost.affordable(*operations) for operations in of_few_or_all)

    @abstractmethod
    def operations(
        self, candidates: Candidates, reference: Reference, N: int
    ) -> tuple[float, float]:
        """Floating-point operations where N candidates are looked at: once, and for each."""

    def announce(self, candidates: Candidates, reference: Reference) -> None:
        """Say what it will cost, where that is more than a minute."""
        once, each = self.operations(candidates, reference, len(candidates))
        cost.announce(
            once + len(candidates) * each,
            f"{type(self).__name__} of {len(candidates)} candidates under "
            f"{candidates.model.n_classes} labels on {len(reference.X)} reference samples",
            "utility.screen=20 looks at fewer, utility=influence takes seconds",
        )


@dataclass(frozen=True)
class Implicit(_Screened):
    """The new sample's loss kept exact, labelled set and goal to second order.

    So is a candidate's own share in a separable goal on the pool: it moves the most. Where
    `Influence` was measured: .001 to .05 standard deviations at .999 and more with two classes, .2
    to .8 at .73 to .99 with 26. While (K-1)D is small, no pass over the reference for a candidate.
    """

    needs: ClassVar[Literal["value", "gradient", "hessian"]] = "hessian"
    needs_model: ClassVar[frozenset[str]] = frozenset({"expansion"})

    def operations(
        self, candidates: Candidates, reference: Reference, N: int
    ) -> tuple[float, float]:
        return cost.implicit(*sizes(candidates, reference), N)

    def utilities(
        self, candidates: Candidates, goal: LogitGoal, reference: Reference, *, regime: str
    ) -> Utilities:
        self.announce(candidates, reference)
        expansion = candidates.model.expansion(regime)
        t = (expansion.Q.T @ reference.pulled(goal)).ravel()
        hessian, Q = reference.curvature(goal), expansion.Q
        T = implicit.effective_curvature(
            expansion, reference.X, lambda part: implicit.contrasted(hessian(part), Q), t
        )
        quadratic = implicit.QuadraticGoal.of(expansion, t, T, len(candidates))
        N, K = candidates.log_P.shape
        U, trust = np.empty((N, K)), np.empty(N)
        for part in parts(N, 8 * K**3):
            some = candidates.subset(np.arange(part.start, part.stop))
            S, residual, trust[part] = proximal(some, expansion)
            U[part] = quadratic.change(some.X, residual)
            if goal.separable and reference is candidates.pool:
                moves = implicit.own_moves(residual, S, expansion.Q)
                moves += (expansion.shifted(some.X, some.log_P) - some.log_P)[:, None, :]
                U[part] += own_rest(goal, reference, some.rows, moves)
        return Utilities(U, 0.0, trust)


@dataclass(frozen=True)
class _Remeasured(_Screened):
    """The goal measured anew where each candidate and label would take the parameters."""

    needs: ClassVar[Literal["value", "gradient", "hessian"]] = "value"

    reference_size: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("reference_size", self.reference_size)

    def seen(self, candidates: Candidates, reference: Reference) -> tuple[int, int, int, int]:
        M, *others = sizes(candidates, reference)
        return min(M, self.reference_size or M), *others


@dataclass(frozen=True)
class Lookahead(_Remeasured):
    """The proximal step of `Implicit`, a correction, and the goal itself where that leads.

    For any goal, differentiable or not. Where `Influence` was measured: .001 to .006 standard
    deviations at 1.000 with two classes, .04 to .6 at .93 to 1 with 26.

    Each candidate and label costs a pass over the reference: ``reference_size`` takes that many of
    it at random (sums are scaled up), ``screen`` bounds the candidates. A model with derivatives
    and no curvature in closed form is asked two solves for each class (`goralx.core.Linearised`).
    """

    needs_model: ClassVar[frozenset[str]] = frozenset({"derivatives"})

    def operations(
        self, candidates: Candidates, reference: Reference, N: int
    ) -> tuple[float, float]:
        return cost.lookahead(*self.seen(candidates, reference))

    def utilities(
        self, candidates: Candidates, goal: PredictionGoal, reference: Reference, *, regime: str
    ) -> Utilities:
        if not candidates.can("expansion"):
            return self._by_solves(candidates, goal, reference, regime)
        self.announce(candidates, reference)
        expansion = candidates.model.expansion(regime)
        seen, scale = sampled(reference, goal, self.reference_size, candidates.random_state)
        N, K = candidates.log_P.shape
        U, trust = np.empty((N, K)), np.empty(N)
        for part in parts(N, 3 * K * len(expansion.phi)):
            some = candidates.subset(np.arange(part.start, part.stop))
            S, residual, trust[part] = proximal(some, expansion)
            changes = implicit.steps(expansion, some.X, residual, S)
            U[part] = scale * goal_changes(goal, seen, expansion, changes, np.float32)
        return Utilities(U, 0.0, trust)

    def _by_solves(
        self, candidates: Candidates, goal: PredictionGoal, reference: Reference, regime: str
    ) -> Utilities:
        seen, scale = sampled(reference, goal, self.reference_size, candidates.random_state)
        X, log_P, model = seen.X[:], in_double(seen.log_P), candidates.model
        known, before = candidates.known, goal.value(log_P, X, seen.y)
        around = Linearised(model, known.X[:], regime)

        def of_one(i: int) -> tuple[list[float], float]:
            one = candidates.subset(np.array([i]))
            steps, kappa = around.steps(with_constant(one.X)[:, :-1], one.log_P)
            after = (log_softmax(log_P + model.pushforward(X, step)) for step in steps)
            return [scale * (goal.value(each, X, seen.y) - before) for each in after], kappa

        U, kappa = zip(*candidates.pool.engine.map(of_one, range(len(candidates)), "looking ahead"))
        return Utilities(np.array(U), 0.0, np.array(kappa))

    def changes(self, candidates: Candidates, *, regime: str) -> Array | None:
        if not candidates.can("expansion"):
            return None
        expansion = candidates.model.expansion(regime)
        S, residual, _ = proximal(candidates, expansion)
        return implicit.steps(expansion, candidates.X, residual, S)


@dataclass(frozen=True)
class Retrain(_Remeasured):
    """Exact: the model retrained with every candidate under every label, many at once.

    What the others are held against; ``screen`` and ``reference_size`` as for lookahead. A model
    without a curvature in closed form is fit anew for each, one after the other.
    """

    def operations(
        self, candidates: Candidates, reference: Reference, N: int
    ) -> tuple[float, float]:
        return cost.retrain(*self.seen(candidates, reference))

    def utilities(
        self, candidates: Candidates, goal: PredictionGoal, reference: Reference, *, regime: str
    ) -> Utilities:
        if not candidates.can("expansion"):
            return self._by_fits(candidates, goal, reference)
        self.announce(candidates, reference)
        expansion = candidates.model.expansion(regime)
        seen, scale = sampled(reference, goal, self.reference_size, candidates.random_state)
        N, K = candidates.log_P.shape
        U = np.empty((N, K))
        for part in parts(N, K * len(expansion.phi)):
            changes = self._changes(candidates.subset(np.arange(part.start, part.stop)), regime)
            U[part] = scale * goal_changes(goal, seen, expansion, changes)
        return Utilities(U, 0.0, drawn_kappa(candidates))

    def _by_fits(
        self, candidates: Candidates, goal: PredictionGoal, reference: Reference
    ) -> Utilities:
        seen, scale = sampled(reference, goal, self.reference_size, candidates.random_state)
        K, before = candidates.model.n_classes, goal.measure(seen)

        def of_one(i: int) -> list[float]:
            x = with_constant(candidates.subset(np.array([i])).X)[:, :-1]
            fits = (candidates.refit(Labelled(x, np.array([y]))) for y in range(K))
            after = (Reference(fit, seen.X, seen.y) for fit in fits)
            return [scale * (goal.measure(each) - before) for each in after]

        each = candidates.pool.engine.map(of_one, range(len(candidates)), "retraining")
        return Utilities(np.array(list(each)), 0.0)

    def changes(self, candidates: Candidates, *, regime: str) -> Array | None:
        if not candidates.can("expansion"):
            return None
        return self._changes(candidates, regime)

    def _changes(self, candidates: Candidates, regime: str) -> Array:
        N, K = candidates.log_P.shape
        X = np.repeat(with_constant(candidates.X)[:, None, :-1], K, axis=0)
        y = np.tile(np.arange(K), N)[:, None]
        return candidates.model.retrained(X, y, regime).reshape(N, K, -1)


def sizes(candidates: Candidates, reference: Reference) -> tuple[int, int, int, int]:
    """M, n, D and K: reference samples, labels, coordinates of a sample, classes."""
    model, (M, d) = candidates.model, reference.X.shape
    return M, model.n_labelled, d + 1, model.n_classes


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
    goal: PredictionGoal,
    reference: Reference,
    expansion: Expansion,
    changes: Array,
    dtype: DTypeLike = np.float64,
) -> Array:
    """tau(phi + d) - tau(phi) for changes d (n, K, m) of the parameters: (n, K).

    ``dtype`` is the precision of the changes of the logits; the logits are in double, before as
    after, so that what single precision made of them cancels.
    """
    rows = appended(reference.X).astype(dtype, copy=False)
    log_P = in_double(reference.log_P)
    n, K, m = changes.shape
    C = expansion.Q.shape[1]
    before = goal.value(log_P, reference.X, reference.y)
    flat = changes.reshape(n * K * C, m // C).astype(dtype, copy=False)
    tau = np.empty(n * K)
    for part in parts(n * K, C * rows.shape[0]):
        moved = flat[part.start * C : part.stop * C] @ rows.T  # one product for many models
        for t, contrasts in enumerate(moved.reshape(-1, C, rows.shape[0]), start=part.start):
            after = log_softmax(log_P + (expansion.Q @ contrasts).T)
            tau[t] = goal.value(after, reference.X, reference.y)
    return tau.reshape(n, K) - before


def proximal(candidates: Candidates, expansion: Expansion) -> tuple[Array, Array, Array]:
    """Leverages S (N, K-1, K-1), residuals r* (N, K, K) and kappa (N,) of the candidates."""
    S = expansion.leverage(candidates.X)
    logits = expansion.shifted(candidates.X, candidates.log_P)
    residual = implicit.proximal_residual(logits, S, expansion.Q)
    return S, residual, implicit.trust(residual, S, expansion.Q)


def own_rest(goal: LogitGoal, pool: Reference, rows: Rows, moves: Array) -> Array:
    """What two orders miss of the shares of some rows (n,) of the pool in a separable goal: (n, K).

    ``moves`` (n, K, K) are of their logits under every label.
    """
    share = 1.0 / len(pool.X) if goal.reduction == "mean" else 1.0
    log_P, X = in_double(pool.log_P[rows]), pool.X[rows]
    each = share * len(rows) if goal.reduction == "mean" else 1.0  # of what is said of them alone
    slope = each * goal.value_and_logit_gradient(log_P, X, None)[1]
    Gamma = each * goal.logit_hessian(log_P, X, None)
    series = np.einsum("nj,nyj->ny", slope, moves) + 0.5 * ((moves @ Gamma) * moves).sum(axis=2)
    before, exact = goal.shares(log_P, X, None), np.empty(series.shape)
    for y in range(series.shape[1]):
        exact[:, y] = goal.shares(log_softmax(log_P + moves[:, y]), X, None) - before
    return share * exact - series


def check_positive(option: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise BadInput(f"utility.{option}={value}; allowed: null (all) or at least 1")


@goralx.hookimpl
def register_utilities(register):
    register("implicit", Implicit)
    register("lookahead", Lookahead)
    register("retrain", Retrain)

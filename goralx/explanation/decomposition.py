"""A utility as a sum over the goal's reference: which of its samples gain by a label, which lose.

A goal adds up over its reference, and a sample (x, y) acts on it through the change d of the
parameters alone, by which the logits of reference sample u move by dz_u. To first order u
contributes G_u . dz_u to U[x, y], G the goal's gradient in the logits; beyond, what it contributes
to tau after d less what it did before. Each estimator has a d of its own, and its contributions add
up to its utilities.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
from scipy.special import log_softmax

from goralx.contracts import (
    Candidates,
    CurvedModel,
    DifferentiableModel,
    LogitGoal,
    PredictionGoal,
    Reference,
    UtilityEstimator,
)
from goralx.core import Expansion, appended, implicit, in_double, influence, parts, unit_steps
from goralx.data import Array, Features, Rows
from goralx.errors import Incompatible

NODES = (4, 8, 16, 32, 64)
"""Of the quadrature along a change, the first that is exact enough is taken."""

EXACT = 1e-6
"""Share of the sum of absolute contributions that adding them up may miss."""


def contributions(
    estimator: UtilityEstimator,
    candidates: Candidates,
    goal: PredictionGoal,
    reference: Reference,
    *,
    regime: str,
) -> Array:
    """What each reference sample contributes to each utility: (N, K, M), in the goal's unit.

    Adds up over M to the estimator's U (N, K) on the whole reference. The estimator says which
    change d is behind U (`UtilityEstimator.changes`), or that U is a series. Raises `Incompatible`
    for a goal without a gradient that is no sum over its samples.
    """
    changes = estimator.changes(candidates, regime=regime)
    if changes is not None:
        expansion = cast(CurvedModel, candidates.model).expansion(regime)
        return _exact(expansion, goal, reference, changes)
    if estimator.needs == "gradient":
        return _first_order(candidates, cast(LogitGoal, goal), reference, regime)
    if estimator.needs == "value":
        raise Incompatible(
            f"utility {type(estimator).__name__} gives no changes of the model, by which its "
            "utilities would be shared out among the reference; use utility=lookahead or retrain"
        )
    expansion, X = cast(CurvedModel, candidates.model).expansion(regime), candidates.X
    S, logits = expansion.leverage(X), expansion.shifted(X, candidates.log_P)
    steps = _proximal_steps(expansion, X, implicit.proximal_residual(logits, S, expansion.Q))
    own = candidates.rows if goal.separable and reference is candidates.pool else None
    return _second_order(expansion, cast(LogitGoal, goal), reference, steps, own)


def _first_order(
    candidates: Candidates, goal: LogitGoal, reference: Reference, regime: str
) -> Array:
    """G_u . dz_u with d = -(1/n) H^-1 grad R(x, y) (Eq. 2): asks nothing but derivatives."""
    model = cast(DifferentiableModel, candidates.model)
    _, G = goal.value_and_logit_gradient(reference.log_P, reference.X, reference.y)
    n, K = candidates.log_P.shape
    share = model.penalty_gradient if regime == "fixed_lambda" else 0.0
    found = np.empty((n, K, len(G)))
    for i in range(n):
        x, P = candidates.X[i : i + 1], np.exp(candidates.log_P[i : i + 1])
        for y in range(K):
            gradient = model.pullback(x, P - np.eye(K)[[y]]) + share
            d = influence.direction(model.solve(gradient).x, model.n_labelled)
            found[i, y] = (G * model.pushforward(reference.X[:], d)).sum(axis=1)
    return found


def _proximal_steps(expansion: Expansion, X: Features, residual: Array) -> Array:
    """d = d0 - B U r* of every candidate and label (n, K, m), see `core.implicit`."""
    reach = unit_steps(expansion, X).reshape(len(residual), expansion.Q.shape[1], -1)
    steps: Array = expansion.shift - (residual @ expansion.Q) @ reach
    return steps


def _moves(expansion: Expansion, rows: Any, steps: Array) -> Iterator[tuple[int, int, Array]]:
    """Each candidate, label, and the logit moves (M, K) of rows (M, D)."""
    for i, y in np.ndindex(*steps.shape[:2]):
        yield i, y, (rows @ steps[i, y].reshape(-1, rows.shape[1]).T) @ expansion.Q.T


def _second_order(
    expansion: Expansion, goal: LogitGoal, reference: Reference, steps: Array, own: Rows | None
) -> Array:
    """What `core.implicit` adds up: t'd + 1/2 d'T d, T = grad^2 tau - T_F.

    T_F is linear in t, and d'T_F d = w'B t with w = sum_i U_i Gamma_i, the third derivative of
    labelled sample i's loss along d twice. So the goal's gradient meets d - 1/2 B w, its Hessian d.
    ``own`` (N,) are the candidates' places in the reference, whose shares d changes exactly.
    """
    seen = in_double(reference.log_P), reference.X, reference.y
    _, G = goal.value_and_logit_gradient(*seen)
    hessian = reference.curvature(goal)
    share = 1.0 / len(reference.X) if goal.reduction == "mean" else 1.0
    rows, P, Q = appended(reference.X), np.exp(expansion.log_P), expansion.Q
    n, K, M = *steps.shape[:2], len(reference.X)
    bent = np.empty_like(steps)
    for i, each in enumerate(steps):
        s = _logit_moves(expansion.X, each, Q)
        s -= np.einsum("nk,nyk->ny", P, s)[..., None]
        third = P[:, None] * (s * s - np.einsum("nk,nyk->ny", P, s * s)[..., None])
        w = (third @ Q).transpose(1, 2, 0) @ expansion.X
        bent[i] = each - 0.5 * expansion.times_B(w.reshape(K, -1))
    found = np.empty((n, K, M))
    for part in parts(M, 4 * K * K):
        of_part = hessian(part)
        for i, each in enumerate(steps):
            dz = _logit_moves(rows[part], each, Q)
            linear = np.einsum("uk,uyk->yu", G[part], _logit_moves(rows[part], bent[i], Q))
            found[i, :, part] = linear + 0.5 * ((dz @ of_part) * dz).sum(axis=2).T
    for i, u in enumerate(() if own is None else own):
        one, x = seen[0][u : u + 1], reference.X[u : u + 1]
        dz = _logit_moves(rows[u : u + 1], steps[i], Q)[0]
        linear = (_logit_moves(rows[u : u + 1], bent[i], Q)[0] - dz) @ G[u]
        for y in range(K):
            after = goal.shares(log_softmax(one + dz[y], axis=1), x, None)
            change = share * (after - goal.shares(one, x, None))[0]
            found[i, y, u] = linear[y] + change
    return found


def _logit_moves(rows: Any, steps: Array, Q: Array) -> Array:
    """Of rows (M, D), after steps (K, m): (M, K, K), labels first."""
    contrasts = rows @ steps.reshape(-1, rows.shape[1]).T
    moves: Array = contrasts.reshape(rows.shape[0], len(steps), -1) @ Q.T
    return moves


def _exact(expansion: Expansion, goal: PredictionGoal, reference: Reference, steps: Array) -> Array:
    """What each reference sample contributes to tau(phi + d), less what it does to tau(phi)."""
    rows, log_P = appended(reference.X), in_double(reference.log_P)
    found = np.empty((*steps.shape[:2], len(reference.X)))
    before = goal.value(log_P, reference.X, reference.y)
    own = None if isinstance(goal, LogitGoal) else _own_values(goal, log_P, reference)
    for i, y, dz in _moves(expansion, rows, steps):
        if own is not None:
            found[i, y] = _own_values(goal, log_softmax(log_P + dz, axis=1), reference) - own
            continue
        after = goal.value(log_softmax(log_P + dz, axis=1), reference.X, reference.y)
        found[i, y] = _along(cast(LogitGoal, goal), reference, dz, after - before)
    return found


def _along(goal: LogitGoal, reference: Reference, dz: Array, change: float) -> Array:
    """The integral of G_u . dz_u along the move dz (M, K): contributions (M,) to ``change`` of tau.

    Of a goal that is a sum over samples it is tau_u after less tau_u before, whatever the path; one
    whose samples interact is shared out all the same (integrated gradients, arXiv:1703.01365).
    """
    total = np.empty(0)
    for n_nodes in NODES:
        nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
        total = np.zeros(len(dz))
        for t, weight in zip(0.5 * (nodes + 1.0), 0.5 * weights, strict=True):
            log_P = log_softmax(reference.log_P + t * dz, axis=1)
            _, G = goal.value_and_logit_gradient(log_P, reference.X, reference.y)
            total += weight * (G * dz).sum(axis=1)
        if abs(total.sum() - change) <= EXACT * np.abs(total).sum():
            break
    return total


def _own_values(goal: PredictionGoal, log_P: Array, reference: Reference) -> Array:
    """tau of each reference sample on its own (M,), its share of tau."""
    values = goal.shares(log_P, reference.X, reference.y)
    values = values / len(values) if goal.reduction == "mean" else values
    total = goal.value(log_P, reference.X, reference.y)
    if abs(values.sum() - total) > EXACT * (abs(total) + np.abs(values).sum()):
        raise Incompatible(
            f"goal {type(goal).__name__} is no {goal.reduction} over its reference samples; what "
            "each of them gains cannot be told"
        )
    return values

"""Beyond first order without retraining: the new sample's loss kept exact, the rest quadratic.

Around the old optimum the labelled set's objective is quadratic (`curvature.Expansion`); adding the
exact loss of (x, y), its minimiser is

    d = d0 - B U r*,      r* = softmax(eta*) - e_y,      eta* = eta - S r*,

eta the logits of x at d0 and S = U'BU its leverage: the *proximal step*, a problem in the K-1
logits of x alone. It cannot overshoot, however large the leverage. With a quadratic goal too,

    tau(phi + d) - tau(phi)  ~  t'd + 1/2 d'T d,      T = grad^2 tau - T_F,

where T_F folds in how the labelled samples' own curvature changes along d: no pass over the
labelled or the reference samples is left to do for a candidate. The sample that d moves by far the
most is the candidate itself, so that where it is a reference sample too (of a goal on the pool),
its own share in tau is better taken exactly: `own_moves` says how far it goes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..inverse.curvature import fisher, parts, with_constant
from ..linear_solve import ENOUGH, Array, NotConverged
from ..predictions import Floats, log_softmax
from .expansion import Expansion
from .second_order import SampleSum, Sandwich, sandwich, unit_steps

MAX_ITER = 100


@dataclass(frozen=True)
class QuadraticGoal:
    """A goal to second order, t'd + d'T d / 2, ready to be asked of many proximal steps.

    ``constant`` is its change by d0 alone, ``slope`` (m,) is B (t + T d0), ``bend`` is B T B.
    """

    expansion: Expansion
    constant: float
    slope: Array
    bend: Sandwich

    @classmethod
    def of(cls, expansion: Expansion, t: Array, T: SampleSum, n_candidates: int) -> QuadraticGoal:
        """From the goal's gradient t (m,) and its `effective_curvature` T, for so many to ask."""
        d0 = expansion.shift
        Td0 = T.times(d0) if expansion.logit_shift else np.zeros_like(d0)
        constant = float(t @ d0 + 0.5 * d0 @ Td0)
        slope = expansion.times_B((t + Td0)[None])[0]
        return cls(expansion, constant, slope, sandwich(expansion, T, n_candidates))

    def change(self, X: NDArray[np.floating], residual: Array) -> Array:
        """Of the goal, for X (N, d) with their proximal ``residual`` (N, K, K): (N, K)."""
        r = residual @ self.expansion.Q
        m = with_constant(X) @ self.slope.reshape(-1, X.shape[1] + 1).T
        curved = ((r @ self.bend.form(X)) * r).sum(axis=2)
        change: Array = self.constant - np.einsum("nj,nyj->ny", m, r) + 0.5 * curved
        return change


def effective_curvature(
    expansion: Expansion, X: Floats, curvature: Callable[[slice], Array], t: Array
) -> SampleSum:
    """T of a goal with gradient t (m,) on its reference X (M, d).

    ``curvature`` gives its `contrasted` Hessians (n, C, C) for a slice of the reference.
    """
    v = expansion.times_B(t[None])[0]

    def folded(part: slice) -> Array:
        return -third_derivative(expansion, v, part)

    labelled = (expansion.X[:, :-1], folded)
    return SampleSum(((X, curvature), labelled), expansion.Q.shape[1])


def contrasted(logit_hessian: Floats, Q: Array) -> Array:
    """Q' L Q of logit Hessians L (M, K, K): (M, C, C)."""
    return Q.T @ (logit_hessian.astype(np.float64, copy=False) @ Q)


def third_derivative(expansion: Expansion, v: Array, part: slice = slice(None)) -> Array:
    """T_F, the derivative of the labelled set's Hessian along v (m,): v'F'''[d, d] = d'T_F d.

    sum_i Gamma_i (x) x_i x_i', Gamma (n, C, C) the derivative of diag p - p p' along the change of
    logits s; this is Gamma, of a slice of the samples.
    """
    P, Q, X = np.exp(expansion.log_P[part]), expansion.Q, expansion.X[part]
    s = (X @ v.reshape(-1, X.shape[1]).T) @ Q.T
    change = P * (s - (P * s).sum(axis=1, keepdims=True))
    cross = (change @ Q)[:, :, None] * (P @ Q)[:, None, :]
    gamma = np.einsum("ka,nk,kb->nab", Q, change, Q, optimize=True)
    derivative: Array = gamma - cross - cross.transpose(0, 2, 1)
    return derivative


def steps(expansion: Expansion, X: NDArray[np.floating], residual: Array, S: Array) -> Array:
    """Change of phi by every sample under every label, to the next order: (N, K, m).

    The proximal step d of X (N, d) with its ``residual`` (N, K, K), then one Newton step more from
    there: what is left of the gradient is the labelled set's third derivative, F'''[d, d] / 2, and
    the curvature to solve with is A and the new sample's own, Lambda at eta* (Woodbury).
    """
    rows, Q = with_constant(X), expansion.Q
    N, K, _ = residual.shape
    C, D = Q.shape[1], rows.shape[1]
    reach = unit_steps(expansion, X).reshape(N, C, C * D)
    first = expansion.shift - (residual @ Q) @ reach
    left = expansion.times_B(-0.5 * _third_order(expansion, first.reshape(N * K, C * D)))
    left = left.reshape(first.shape)
    moved = (left.reshape(N, K * C, D) @ rows[:, :, None]).reshape(N, K, C, 1)
    information = fisher((residual + np.eye(K)).reshape(N * K, K), Q).reshape(N, K, C, C)
    system = np.eye(C) + S[:, None] @ information
    left -= (information @ np.linalg.solve(system, moved))[..., 0] @ reach
    left += first
    return left


def _third_order(expansion: Expansion, changes: Array) -> Array:
    """F'''[d, d] of the labelled set for changes d (T, m): (T, m)."""
    P, Q, X = np.exp(expansion.log_P), expansion.Q, expansion.X
    C, (n, D) = Q.shape[1], X.shape
    third = np.empty_like(changes)
    for part in parts(len(changes), 4 * n * (C + 1)):
        t = part.stop - part.start
        s = (changes[part].reshape(t * C, D) @ X.T).reshape(t, C, n).transpose(0, 2, 1) @ Q.T
        s -= np.einsum("nk,tnk->tn", P, s)[..., None]
        bend = P * (s * s - np.einsum("nk,tnk->tn", P, s * s)[..., None])
        third[part] = ((bend @ Q).transpose(0, 2, 1) @ X).reshape(t, C * D)
    return third


def own_moves(residual: Array, S: Array, Q: Array) -> Array:
    """-S r, how samples move their own logits under each label: (N, L, K).

    From residuals r (N, L, K) of L labels and leverages S (N, K-1, K-1), without what d0 moves.
    """
    moves: Array = ((residual @ Q) @ -S) @ Q.T
    return moves


def trust(residual: Array, S: Array, Q: Array) -> Array:
    """kappa(x) (N,): the largest move of x's own logits, over labels and classes, |S r*|.

    From the proximal ``residual`` (N, L, K) of L labels and leverages S (N, K-1, K-1). Below about
    0.05 first order may be believed, below 0.6 this module; above 2 retrain.
    """
    kappa: Array = np.abs(own_moves(residual, S, Q)).max(axis=(1, 2))
    return kappa


def boldest(log_P: Array, S: Array, Q: Array, count: int) -> NDArray[np.int64]:
    """The ``count`` labels of each sample that would move its logits most, did nothing resist.

    (N, count), from log_P (N, K) and S (N, K-1, K-1): where kappa is to be had for few problems.
    """
    surprise = np.exp(log_P)[:, None, :] - np.eye(log_P.shape[1])
    most = np.argsort(-np.abs(own_moves(surprise, S, Q)).max(axis=2), axis=1)
    return most[:, :count]


def proximal_residual(
    log_P: Array,
    S: Array,
    Q: Array,
    labels: NDArray[np.int64] | None = None,
    tolerance: float = 1e-10,
) -> Array:
    """r* = softmax(eta*) - e_y with eta* = eta - S r*, for every sample and label: (N, K, K).

    log_P (N, K) are the logits eta, S (N, K-1, K-1) the leverages in contrast coordinates. The last
    axis is over classes; the one before over ``labels`` (N, L) where only some are asked for. A
    strictly convex problem in a, S = L L', solved by damped Newton until no gradient is larger than
    ``tolerance``: minimise |a|^2 / 2 + loss_y(eta + Q L a).
    """
    N, K = log_P.shape
    y = np.tile(np.arange(K), N) if labels is None else labels.ravel()
    each = len(y) // N  # problems of a sample
    root = Q @ _root(S)
    found = np.empty((len(y), K))
    for part in parts(len(y), 6 * K * K):
        sample = np.arange(part.start, part.stop) // each
        problems = _Proximal(root[sample], log_P[sample], y[part])
        found[part] = _solved(problems, tolerance)
    return found.reshape(N, each, K)


def _root(S: Array) -> Array:
    """L (N, C, C) with L L' = S, round-off aside."""
    jitter = 1e-14 * np.trace(S, axis1=1, axis2=2)[:, None, None] + 1e-300
    try:
        root: Array = np.linalg.cholesky(S + jitter * np.eye(S.shape[1]))
    except np.linalg.LinAlgError:  # a direction of nearly no leverage, whose round-off is negative
        values, vectors = np.linalg.eigh(S)
        root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    return root


def _solved(problems: _Proximal, tolerance: float) -> Array:
    """softmax - e_y (T, K) at the solutions."""
    T, K, C = problems.L.shape
    here = problems.at(np.zeros((T, C)))
    found, rows = np.empty((T, K)), np.arange(T)
    for _ in range(MAX_ITER):
        gradient = problems.gradient(here)
        left = np.abs(gradient).max(axis=1) > tolerance
        if not left.all():
            found[rows[~left]] = here.residual[~left]
            rows, gradient = rows[left], gradient[left]
            problems, here = problems.only(left), here.only(left)
        if len(rows) == 0:
            return found
        here = problems.newton(here, gradient)
    raise NotConverged(f"proximal step: {len(rows)} problems open after {MAX_ITER} steps")


@dataclass(frozen=True)
class _Place:
    """Where T proximal problems are: a (T, K-1), softmax - e_y (T, K) and the objective (T,)."""

    a: Array
    residual: Array
    value: Array

    def only(self, mask: NDArray[np.bool_]) -> _Place:
        return _Place(self.a[mask], self.residual[mask], self.value[mask])


@dataclass(frozen=True)
class _Proximal:
    """T problems: minimise |a|^2 / 2 + loss_y(eta + La), of L (T, K, K-1), eta (T, K), y (T,)."""

    L: Array
    eta: Array
    y: NDArray[np.int64]

    def only(self, mask: NDArray[np.bool_]) -> _Proximal:
        return _Proximal(self.L[mask], self.eta[mask], self.y[mask])

    def at(self, a: Array) -> _Place:
        log_P = log_softmax(self.eta + (self.L @ a[:, :, None])[:, :, 0])
        told, residual = (np.arange(len(a)), self.y), np.exp(log_P)
        residual[told] -= 1.0
        return _Place(a, residual, 0.5 * (a * a).sum(axis=1) - log_P[told])

    def gradient(self, here: _Place) -> Array:
        """a + L'r (T, K-1)."""
        return here.a + _times(here.residual, self.L)

    def newton(self, here: _Place, gradient: Array) -> _Place:
        """Newton's step of each problem, halved until its own value falls."""
        P = here.residual.copy()
        P[np.arange(len(P)), self.y] += 1.0
        mean = _times(P, self.L)
        hessian = self.L.transpose(0, 2, 1) @ (P[:, :, None] * self.L)
        hessian -= mean[:, :, None] * mean[:, None, :]
        hessian += np.eye(mean.shape[1])
        step = -np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        slope = (gradient * step).sum(axis=1)
        noise, length = 1e-13 * (1.0 + here.value), np.ones(len(P))
        while length.min() > 1e-10:
            there = self.at(here.a + length[:, None] * step)
            worse = there.value > here.value + ENOUGH * length * slope + noise
            if not worse.any():
                return there
            length[worse] *= 0.5
        raise NotConverged("proximal step: no step lowers the objective")


def _times(r: Array, L: Array) -> Array:
    """L'r of every problem: (T, K-1)."""
    product: Array = (r[:, None, :] @ L)[:, 0, :]
    return product

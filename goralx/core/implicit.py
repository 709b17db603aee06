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
its own share in tau is taken exactly: `beyond_second_order`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import NDArray
from scipy.special import softmax

from .curvature import (
    Expansion,
    fisher,
    parts,
    quadratic_form,
    weighted_gram,
    with_constant,
)
from .linear_solve import Array, NotConverged
from .predictions import log_softmax

MAX_ITER = 100
NODES = 8  # of the quadrature along a sample's move


@dataclass(frozen=True)
class QuadraticGoal:
    """A goal to second order, t'd + d'T d / 2, ready to be asked of many proximal steps.

    ``constant`` is its change by d0 alone, ``slope`` (m,) is B (t + T d0), ``bend`` (m, m) B T B.
    """

    expansion: Expansion
    constant: float
    slope: Array
    bend: Array

    @classmethod
    def of(cls, expansion: Expansion, t: Array, T: Array) -> QuadraticGoal:
        """From the goal's gradient t (m,) and its `effective_curvature` T (m, m)."""
        B, d0 = expansion.B, expansion.shift
        constant = float(t @ d0 + 0.5 * d0 @ T @ d0)
        return cls(expansion, constant, B @ (t + T @ d0), B @ T @ B)

    def change(self, X: NDArray[np.floating], residual: Array) -> Array:
        """Of the goal, for X (N, d) with their proximal ``residual`` (N, K, K): (N, K)."""
        r = residual @ self.expansion.Q
        m = with_constant(X) @ self.slope.reshape(-1, X.shape[1] + 1).T
        W = quadratic_form(X, self.bend)
        curved = np.einsum("nyj,nji,nyi->ny", r, W, r, optimize=True)
        change: Array = self.constant - np.einsum("nj,nyj->ny", m, r) + 0.5 * curved
        return change


def effective_curvature(
    expansion: Expansion, X: NDArray[np.floating], logit_hessian: Array, t: Array
) -> Array:
    """T (m, m) of a goal with gradient t (m,) and logit Hessians (M, K, K) on its reference X."""
    Q = expansion.Q
    goal = np.einsum("ka,nkl,lb->nab", Q, logit_hessian, Q, optimize=True)
    return weighted_gram(X, goal) - third_derivative(expansion, expansion.B @ t)


def beyond_second_order(
    gradient: Callable[[Array], Array], log_P: Array, logit_hessian: Array, moves: Array
) -> Array:
    """What two orders miss of samples' own shares in a goal, for ``moves`` (N, K, K): (N, K).

    ``gradient`` gives the slopes (N, K) of the shares at log predictions (N, K); ``logit_hessian``
    (N, K, K) is theirs at log_P (N, K), and moves[:, y] of the logits (N, K) are what label y does.
    tau(eta + s) - tau(eta) is the integral of g(eta + a s)'s over a from 0 to 1 (Gauss-Legendre).
    """
    curved = np.einsum("nyj,nji,nyi->ny", moves, logit_hessian, moves, optimize=True)
    rest: Array = -np.einsum("nj,nyj->ny", gradient(log_P), moves) - 0.5 * curved
    for y in range(log_P.shape[1]):
        move = np.asfortranarray(moves[:, y])
        for node, weight in zip(*leggauss(NODES), strict=True):
            slope = gradient(log_softmax(log_P + 0.5 * (1.0 + node) * move))
            rest[:, y] += 0.5 * weight * (slope * move).sum(axis=1)
    return rest


def third_derivative(expansion: Expansion, v: Array) -> Array:
    """T_F (m, m), the derivative of the labelled set's Hessian along v: v'F'''[d, d] = d'T_F d.

    sum_i Gamma_i (x) x_i x_i', Gamma the derivative of diag p - p p' along the logit change s.
    """
    P, Q = np.exp(expansion.log_P), expansion.Q
    s = (expansion.X @ v.reshape(-1, expansion.X.shape[1]).T) @ Q.T
    change = P * (s - (P * s).sum(axis=1, keepdims=True))
    cross = (change @ Q)[:, :, None] * (P @ Q)[:, None, :]
    gamma = np.einsum("ka,nk,kb->nab", Q, change, Q, optimize=True)
    return weighted_gram(expansion.X[:, :-1], gamma - cross - cross.transpose(0, 2, 1))


def steps(expansion: Expansion, X: NDArray[np.floating], residual: Array, S: Array) -> Array:
    """Change of phi by every sample under every label, to the next order: (N, K, m).

    The proximal step d of X (N, d) with its ``residual`` (N, K, K), then one Newton step more from
    there: what is left of the gradient is the labelled set's third derivative, F'''[d, d] / 2, and
    the curvature to solve with is A and the new sample's own, Lambda at eta* (Woodbury).
    """
    rows, B, Q = with_constant(X), expansion.B, expansion.Q
    N, K, _ = residual.shape
    C, D = Q.shape[1], rows.shape[1]
    outer = (residual @ Q)[..., None] * rows[:, None, None, :]
    first = expansion.shift - outer.reshape(N * K, C * D) @ B
    left = -0.5 * _third_order(expansion, first) @ B
    moved = (left.reshape(N, K * C, D) @ rows[:, :, None]).reshape(N, K, C, 1)
    information = fisher((residual + np.eye(K)).reshape(N * K, K), Q).reshape(N, K, C, C)
    system = np.eye(C) + S[:, None] @ information
    back = (information @ np.linalg.solve(system, moved))[..., 0]
    left -= (back[..., None] * rows[:, None, None, :]).reshape(N * K, C * D) @ B
    return (first + left).reshape(N, K, C * D)


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
    """-S r*, how the new sample moves its own logits under every label: (N, K, K).

    From the proximal ``residual`` (N, K, K) and leverages S (N, K-1, K-1); what d0 moves aside.
    """
    moves: Array = -np.einsum("nij,nyj->nyi", S, residual @ Q) @ Q.T
    return moves


def trust(residual: Array, S: Array, Q: Array) -> Array:
    """kappa(x) (N,): the largest move of x's own logits, over labels and classes, |S r*|.

    Below about 0.05 first order may be believed, below 0.6 this module; above 2 retrain.
    """
    kappa: Array = np.abs(own_moves(residual, S, Q)).max(axis=(1, 2))
    return kappa


def proximal_residual(log_P: Array, S: Array, Q: Array) -> Array:
    """r* = softmax(eta*) - e_y with eta* = eta - S r*, for every sample and label: (N, K, K).

    log_P (N, K) are the logits eta, S (N, K-1, K-1) the leverages in contrast coordinates. The last
    axis is over classes. A strictly convex problem in a, S = L L', solved by damped Newton:
    minimise |a|^2 / 2 + loss_y(eta + Q L a).
    """
    N, K = log_P.shape
    jitter = 1e-14 * np.trace(S, axis1=1, axis2=2)[:, None, None] + 1e-300
    root = Q @ np.linalg.cholesky(S + jitter * np.eye(K - 1))
    L, eta = np.repeat(root, K, axis=0), np.repeat(log_P, K, axis=0)  # a problem each label
    y = np.tile(np.arange(K), N)
    a = np.zeros((N * K, K - 1))
    residual = _residual(eta, y)
    active = np.arange(N * K)
    for _ in range(MAX_ITER):
        gradient = a[active] + _times(residual[active], L[active])
        active, gradient = (
            kept[np.abs(gradient).max(axis=1) > 1e-10] for kept in (active, gradient)
        )
        if len(active) == 0:
            return residual.reshape(N, K, K)
        L_, y_, eta_ = L[active], y[active], eta[active]
        P = residual[active]
        P[np.arange(len(active)), y_] += 1.0
        mean = _times(P, L_)
        hessian = L_.transpose(0, 2, 1) @ (P[:, :, None] * L_) - mean[:, :, None] * mean[:, None, :]
        step = -np.linalg.solve(hessian + np.eye(K - 1), gradient[:, :, None])[:, :, 0]
        a[active], logits = _damped(a[active], step, gradient, L_, eta_, y_)
        residual[active] = _residual(logits, y_)
    raise NotConverged(f"proximal step: {len(active)} problems open after {MAX_ITER} steps")


def _damped(
    a: Array, step: Array, gradient: Array, L: Array, eta: Array, y: NDArray[np.int64]
) -> tuple[Array, Array]:
    """Each problem's step, halved until its own value falls, and eta + La there."""
    value = _value(a, eta + _image(L, a), y)
    slope = (gradient * step).sum(axis=1)
    length = np.ones(len(a))
    while length.min() > 1e-10:
        trial = a + length[:, None] * step
        logits = eta + _image(L, trial)
        allowed = value + 1e-4 * length * slope + 1e-13 * (1.0 + value)
        worse = _value(trial, logits, y) > allowed
        if not worse.any():
            return trial, logits
        length[worse] *= 0.5
    raise NotConverged("proximal step: no step lowers the objective")


def _image(L: Array, a: Array) -> Array:
    return (L @ a[:, :, None])[:, :, 0]


def _times(r: Array, L: Array) -> Array:
    """L'r of every problem: (N, K-1)."""
    return (r[:, None, :] @ L)[:, 0, :]


def _residual(logits: Array, y: NDArray[np.int64]) -> Array:
    r: Array = softmax(logits, axis=1)
    r[np.arange(len(y)), y] -= 1.0
    return r


def _value(a: Array, logits: Array, y: NDArray[np.int64]) -> Array:
    value: Array = 0.5 * (a * a).sum(axis=1) - log_softmax(logits)[np.arange(len(y)), y]
    return value

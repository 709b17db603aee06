"""Multinomial logistic regression (Sec. 8): predictions, objective, and its fit.

The objective, averaged over n labelled samples, is

    F(theta) = -(1/n) sum_i log p_{y_i}(x_i) + (l2/2) |theta_pen|^2,    p(x) = softmax(theta x),

with all K rows of theta free (footnote 4) and l2 = 1 / (n C). ``theta_pen`` leaves the intercepts
out unless ``penalize_intercept``; scikit-learn leaves them out, Eq. 6 to the letter keeps them in.
It is minimised in contrast coordinates phi (see the package's docstring) by Newton's method.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import helmert

from . import retraining
from .curvature import Expansion, logit_variance, parts
from .fantasy import Fantasy
from .linear_solve import (
    Array,
    Factor,
    NotConverged,
    Solution,
    approximate_inverse,
    conjugate_gradients,
)

_CHUNK = 1 << 22  # floats in the temporary of one Hessian block, 32 MB
_SPAN = 300  # coefficients of one retraining problem up to which a batch of them is cheaper
_STALE = 8  # conjugate-gradient iterations beyond which a fresh factor is cheaper


def contrasts(n_classes: int) -> Array:
    """Q (K, K-1): an orthonormal basis of the vectors that sum to zero over classes."""
    return np.ascontiguousarray(helmert(n_classes).T)


def logits(X: NDArray[np.floating], theta: Array) -> Array:
    """theta x for every row of X (N, d), up to a constant per row: (N, K), in Fortran order.

    Each class is one long contiguous column, so that every reduction over the few classes adds long
    columns; over a short last axis numpy takes several times as long. Two classes need one product:
    the halves of the difference, with opposite signs.
    """
    if len(theta) == 2:
        w = theta[1] - theta[0]
        half = 0.5 * (X @ w[:-1].astype(X.dtype, copy=False) + w[-1])
        by_class: Array = np.stack([-half, half]).astype(np.float64, copy=False)
        return by_class.T
    product: Array = theta[:, :-1].astype(X.dtype, copy=False) @ X.T
    return (product.astype(np.float64, copy=False) + theta[:, -1:]).T


def log_proba(X: NDArray[np.floating], theta: Array) -> Array:
    """log P(y | x) for every row of X (N, d) and every class: (N, K), in Fortran order."""
    log_P = np.empty((len(theta), len(X)))
    for part in parts(len(X), 4096):  # blocks of logits that stay in cache
        log_P[:, part] = log_softmax(logits(X[part], theta)).T
    return log_P.T


def log_softmax(z: Array) -> Array:
    """z - log sum exp z over the classes of z (N, K)."""
    shifted: Array = z - z.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def pullback(X: NDArray[np.floating], G: Array) -> Array:
    """Gradient in theta of a sum over samples whose gradient in the logits is G (N, K): (K, D).

    G is centred over classes first. That removes the gauge component, which no prediction sees,
    and with it the round-off that makes a float32 pool's right-hand side inconsistent.
    """
    if G.shape[1] == 2:
        half = 0.5 * (G[:, 1] - G[:, 0])
        row = np.append(half.astype(X.dtype, copy=False) @ X, half.sum())
        return np.stack([-row, row]).astype(np.float64, copy=False)
    G = G - G.mean(axis=1, keepdims=True)
    return np.column_stack([G.T.astype(X.dtype, copy=False) @ X, G.sum(axis=0)]).astype(np.float64)


@dataclass(frozen=True)
class Objective:
    """F and its derivatives in phi (K-1, D), raveled to (m,), for labels y (n,) of X (n, D)."""

    X: Array
    y: NDArray[np.int64]
    n_classes: int
    l2: float
    penalize_intercept: bool

    @classmethod
    def of(
        cls, X: ArrayLike, y: ArrayLike, n_classes: int, l2: float, penalize_intercept: bool
    ) -> Objective:
        """From features without the constant column: X (n, d), y (n,) in 0..K-1."""
        features = np.asarray(X, dtype=np.float64)
        with_constant = np.column_stack([features, np.ones(len(features))])
        return cls(with_constant, np.asarray(y, dtype=np.int64), n_classes, l2, penalize_intercept)

    @cached_property
    def Q(self) -> Array:
        return contrasts(self.n_classes)

    @cached_property
    def decay(self) -> Array:
        """(D,): l2 on the penalised coordinates, 0 on an unpenalised intercept."""
        decay = np.full(self.X.shape[1], self.l2)
        decay[-1] *= self.penalize_intercept
        return decay

    @property
    def size(self) -> int:
        return (self.n_classes - 1) * int(self.X.shape[1])

    def rows(self, flat: Array) -> Array:
        return flat.reshape(self.n_classes - 1, -1)

    def theta(self, phi: Array) -> Array:
        """phi (m,) as theta (K, D), whose rows sum to zero."""
        return self.Q @ self.rows(phi)

    def phi(self, theta: Array) -> Array:
        """theta (K, D) without its gauge, as phi (m,)."""
        return (self.Q.T @ theta).ravel()

    def log_proba(self, phi: Array) -> Array:
        return log_softmax(self._contrasted(self.rows(phi)))

    def _contrasted(self, rows: Array) -> Array:
        """Q (rows x) for every sample (n, K), in Fortran order: one product, over K - 1 or K."""
        if self.n_classes == 2:
            return (self.Q @ (self.X @ rows.T).T).T
        return ((self.Q @ rows) @ self.X.T).T

    def _pulled(self, S: Array) -> Array:
        """Its transpose: Q' S' X (K-1, D) for S (n, K)."""
        if self.n_classes == 2:
            return (S @ self.Q).T @ self.X
        pulled: Array = self.Q.T @ (S.T @ self.X)
        return pulled

    def value(self, phi: Array, log_P: Array) -> float:
        penalty = 0.5 * float(((self.rows(phi) ** 2) @ self.decay).sum())
        return penalty - float(log_P[np.arange(len(self.y)), self.y].mean())

    def gradient(self, phi: Array, P: Array) -> Array:
        """Eq. 6, averaged: (m,)."""
        residual = P.copy()
        residual[np.arange(len(self.y)), self.y] -= 1.0
        mean = self._pulled(residual) / len(self.y)
        return (mean + self.rows(phi) * self.decay).ravel()

    def hessian_product(self, P: Array, direction: Array) -> Array:
        """H times a direction (m,), without forming H: two products with X."""
        rows = self.rows(direction)
        S = self._contrasted(rows)
        S -= np.einsum("nk,nk->n", P, S)[:, None]
        S *= P
        return (self._pulled(S) / len(self.y) + rows * self.decay).ravel()

    def hessian(self, P: Array) -> Array:
        """Eq. 7, averaged: Q' Lambda Q (x) x x' plus l2, as a matrix (m, m)."""
        if self.n_classes == 2:  # Q' Lambda Q is the scalar 2 p0 p1
            scaled = self.X * np.sqrt(2.0 * P[:, :1] * P[:, 1:])
            H = scaled.T @ scaled
        else:
            H = self._hessian_over_parametrised(P)
            H = np.tensordot(self.Q, np.tensordot(H, self.Q, axes=(2, 0)), axes=(0, 0))
            H = H.transpose(0, 1, 3, 2).reshape(self.size, self.size)
        H /= len(self.y)
        H[np.diag_indices(self.size)] += np.tile(self.decay, self.n_classes - 1)
        return H

    def _hessian_over_parametrised(self, P: Array) -> Array:
        """Sum of Lambda_i (x) x_i x_i', (K, D, K, D): a block diagonal minus one Gram matrix."""
        n, D = self.X.shape
        K = self.n_classes
        H = np.zeros((K * D, K * D))
        step = max(1, _CHUNK // (K * D))
        for start in range(0, n, step):
            X, p = self.X[start : start + step], P[start : start + step]
            weighted = (p[:, :, None] * X[:, None, :]).reshape(len(X), K * D)
            H -= weighted.T @ weighted
            for k in range(K):
                block = slice(k * D, (k + 1) * D)
                H[block, block] += weighted[:, block].T @ X
        return H.reshape(K, D, K, D)


@dataclass(frozen=True)
class Preconditioner:
    """Inverse of the Hessian as it stood at ``theta``, over the first ``rows`` samples, at ``l2``.

    It outlives several fits: conjugate gradients need a few iterations more, and no fresh one is
    paid for. These three say which it is, so that an interrupted run rebuilds the same.
    """

    theta: Array
    rows: int
    l2: float
    inverse: NDArray[np.float32] = field(repr=False)

    @classmethod
    def of(cls, objective: Objective, theta: Array, rows: int, l2: float) -> Preconditioner:
        part = replace(objective, X=objective.X[:rows], y=objective.y[:rows], l2=l2)
        hessian = part.hessian(np.exp(part.log_proba(part.phi(theta))))
        return cls(theta, rows, l2, approximate_inverse(hessian))

    def __call__(self, residual: Array) -> Array:
        return (self.inverse @ residual.astype(np.float32)).astype(np.float64)


@dataclass(frozen=True)
class Predictor:
    """The predictions of theta (K, D) and their derivatives: all that a pass over a pool asks."""

    theta: Array

    @property
    def n_classes(self) -> int:
        return len(self.theta)

    def log_proba(self, X: NDArray[np.floating]) -> Array:
        """log P(y | x): (N, K) for X (N, d)."""
        return log_proba(X, self.theta)

    def pullback(self, X: NDArray[np.floating], G: Array) -> Array:
        """Jacobian' G summed over samples: (K, D) for X (N, d) and G (N, K)."""
        return pullback(X, G)

    def pushforward(self, X: NDArray[np.floating], v: Array) -> Array:
        """Derivative of the logits along v (K, D), up to a constant per row: (N, K)."""
        return logits(X, v)


@dataclass(frozen=True)
class SoftmaxFit(Predictor):
    """A fitted softmax regression: everything that a utility asks of a model.

    ``theta`` (K, D); ``objective`` is what it minimises and holds the labelled samples;
    ``gradient_norm`` is max |grad F| there, after ``n_iter`` Newton steps.
    """

    objective: Objective = field(repr=False)
    preconditioner: Preconditioner = field(repr=False)
    gradient_norm: float
    n_iter: int

    @property
    def n_labelled(self) -> int:
        return len(self.objective.y)

    @property
    def predictor(self) -> Predictor:
        """The same predictions without the labelled samples."""
        return Predictor(self.theta)

    @property
    def l2(self) -> float:
        return self.objective.l2

    @property
    def decay(self) -> Array:
        """(D,): l2 on the penalised coordinates."""
        return self.objective.decay

    @property
    def penalty_gradient(self) -> Array:
        """Gradient (K, D) of the penalty folded into each sample's loss: l2 theta_pen."""
        return self.theta * self.decay

    def solve(self, g: Array) -> Solution:
        """H^-1 g for g (K, D), to a relative residual of 1e-10; x has shape (K, D).

        The residual that is reported is measured at x: on a nearly singular system round-off leaves
        more than the recurrence of conjugate gradients knows of.
        """
        objective = self.objective
        b = objective.phi(g)

        def product(direction: Array) -> Array:
            return objective.hessian_product(self._P, direction)

        solution = conjugate_gradients(product, b, precondition=self.preconditioner, rtol=1e-10)
        scale = float(np.linalg.norm(b))
        left = float(np.linalg.norm(product(solution.x) - b)) / scale if scale > 0.0 else 0.0
        return replace(solution, x=objective.theta(solution.x), relative_residual=left)

    def logit_variance(self, X: NDArray[np.floating]) -> Array:
        """Posterior variance of each class-centred logit, by Laplace's approximation: (N, K)."""
        return logit_variance(X, self._covariance, self.objective.Q)

    def expansion(self, regime: str, n_new: int = 1) -> Expansion:
        """The labelled set's summed objective around its optimum, as ``n_new`` samples join it.

        Under ``fixed_C`` the summed penalty stays; under ``fixed_lambda`` each brings its share.
        What `implicit`, lookahead and `retraining` start from; made once and kept.
        """
        n_shares = n_new if regime == "fixed_lambda" else 0
        if n_shares not in self._expansions:
            self._expansions[n_shares] = self._expand(n_shares)
        return self._expansions[n_shares]

    def retrained(
        self, X_new: NDArray[np.floating], y_new: NDArray[np.int64], regime: str
    ) -> Array:
        """Exact change of phi (T, m) as X_new[t] (b, d) with labels y_new[t] (b,) join, for each t.

        X_new (1, b, d) are the same samples in every problem. Many at once in the span of the
        samples while that is small, else one warm start after another; to a gradient of 1e-10.
        """
        T, b = y_new.shape
        if (self.n_labelled + b) * (self.n_classes - 1) <= _SPAN:
            return retraining.retrained(self.expansion(regime, b), X_new, y_new)
        objective = self.objective
        n = self.n_labelled
        l2 = self.l2 if regime == "fixed_lambda" else self.l2 * n / (n + b)
        before, changes = objective.phi(self.theta), np.empty((T, objective.size))
        for t in range(T):
            refit = fit(
                np.concatenate([objective.X[:, :-1], X_new[t % len(X_new)]]),
                np.concatenate([objective.y, y_new[t]]),
                self.n_classes,
                l2=l2,
                penalize_intercept=objective.penalize_intercept,
                previous=self,
                tolerance=1e-10,
            )
            changes[t] = objective.phi(refit.theta) - before
        return changes

    def inserted(self, x: NDArray[np.floating], label: int | None, regime: str) -> Fantasy:
        """The model as x (d,) under a label (or none) would leave it, without a refit."""
        return Fantasy.of(self, x, label, regime)

    def _expand(self, n_shares: int) -> Expansion:
        objective = self.objective
        phi = objective.phi(self.theta)
        B, shift = self._covariance, np.zeros(objective.size)
        if n_shares:
            share = n_shares * np.tile(objective.decay, self.n_classes - 1)
            A = self.n_labelled * objective.hessian(self._P)
            A[np.diag_indices(len(A))] += share
            B = Factor.of(A).solve(np.eye(len(A)))
            shift = -B @ (share * phi)
        log_P = objective.log_proba(phi)
        targets = np.eye(self.n_classes)[objective.y]
        return Expansion(objective.Q, objective.X, log_P, targets, phi, B, shift)

    @cached_property
    def _expansions(self) -> dict[int, Expansion]:
        return {}

    def checkpoint(self) -> dict[str, Array]:
        """Arrays from which `restore` makes this fit again, bit for bit."""
        return {
            "theta": self.theta,
            "l2": np.array(self.l2),
            "preconditioner_theta": self.preconditioner.theta,
            "preconditioner_rows": np.array(float(self.preconditioner.rows)),
            "preconditioner_l2": np.array(self.preconditioner.l2),
        }

    @cached_property
    def _P(self) -> Array:
        return np.exp(self.objective.log_proba(self.objective.phi(self.theta)))

    @cached_property
    def _covariance(self) -> Array:
        """(nH)^-1 (m, m): the posterior covariance of phi by Laplace's approximation."""
        factor = Factor.of(self.objective.hessian(self._P))
        return factor.solve(np.eye(self.objective.size)) / self.n_labelled


def fit(
    X: ArrayLike,
    y: ArrayLike,
    n_classes: int,
    *,
    l2: float,
    penalize_intercept: bool = False,
    previous: SoftmaxFit | None = None,
    tolerance: float = 1e-8,
    max_iter: int = 100,
) -> SoftmaxFit:
    """Minimise F until max |grad F| <= ``tolerance`` (of the mean: 1e-8 n of the sum's gradient).

    Inexact Newton: each step is solved by conjugate gradients preconditioned with the inverse of
    an earlier Hessian, refreshed when it no longer helps, and halved until F falls (Armijo).
    ``previous`` is the last round's fit, whose samples are the first rows of X: where to start.
    Raises `NotConverged` at ``max_iter``: an influence away from the optimum is biased.
    """
    objective = Objective.of(X, y, n_classes, l2, penalize_intercept)
    if previous is None:
        phi = np.zeros(objective.size)
        preconditioner = Preconditioner.of(objective, objective.theta(phi), len(objective.y), l2)
    else:
        phi = objective.phi(previous.theta)
        preconditioner = previous.preconditioner
    for n_iter in range(max_iter + 1):
        log_P = objective.log_proba(phi)
        P = np.exp(log_P)
        gradient = objective.gradient(phi, P)
        norm = float(np.abs(gradient).max())
        if norm <= tolerance:
            return SoftmaxFit(objective.theta(phi), objective, preconditioner, norm, n_iter)
        step, preconditioner = _newton_step(objective, phi, P, gradient, preconditioner, tolerance)
        phi = phi + _step_length(objective, phi, log_P, gradient, step) * step
    raise NotConverged(
        f"softmax regression: gradient {norm:.1e} after {max_iter} Newton steps, "
        f"{tolerance:.0e} asked for; standardise the features or lower C"
    )


def restore(
    X: ArrayLike,
    y: ArrayLike,
    n_classes: int,
    arrays: Mapping[str, Array],
    *,
    penalize_intercept: bool,
) -> SoftmaxFit:
    """The fit whose `SoftmaxFit.checkpoint` these arrays are, with its labelled samples."""
    objective = Objective.of(X, y, n_classes, float(arrays["l2"]), penalize_intercept)
    preconditioner = Preconditioner.of(
        objective,
        arrays["preconditioner_theta"],
        int(arrays["preconditioner_rows"]),
        float(arrays["preconditioner_l2"]),
    )
    return _around(objective, arrays["theta"], preconditioner)


def at_optimum(
    X: ArrayLike, y: ArrayLike, theta: Array, *, l2: float, penalize_intercept: bool
) -> SoftmaxFit:
    """Parameters that another solver found (K, D), with this module's derivatives around them."""
    theta = theta - theta.mean(axis=0)
    objective = Objective.of(X, y, len(theta), l2, penalize_intercept)
    preconditioner = Preconditioner.of(objective, theta, len(objective.y), l2)
    return _around(objective, theta, preconditioner)


def _around(objective: Objective, theta: Array, preconditioner: Preconditioner) -> SoftmaxFit:
    phi = objective.phi(theta)
    gradient = objective.gradient(phi, np.exp(objective.log_proba(phi)))
    return SoftmaxFit(theta, objective, preconditioner, float(np.abs(gradient).max()), 0)


def _newton_step(
    objective: Objective,
    phi: Array,
    P: Array,
    gradient: Array,
    preconditioner: Preconditioner,
    tolerance: float,
) -> tuple[Array, Preconditioner]:
    """-H^-1 grad F as exactly as this step deserves, and the preconditioner for the next one."""
    norm = float(np.abs(gradient).max())
    rtol = max(min(0.1, norm**0.5), 0.1 * tolerance / norm)

    def product(direction: Array) -> Array:
        return objective.hessian_product(P, direction)

    def fresh() -> Preconditioner:
        return Preconditioner.of(objective, objective.theta(phi), len(objective.y), objective.l2)

    try:
        solution = conjugate_gradients(
            product, -gradient, precondition=preconditioner, rtol=rtol, max_iter=4 * _STALE
        )
    except NotConverged:
        preconditioner = fresh()
        solution = conjugate_gradients(product, -gradient, precondition=preconditioner, rtol=rtol)
        return solution.x, preconditioner
    return solution.x, preconditioner if solution.n_iter <= _STALE else fresh()


def _step_length(
    objective: Objective, phi: Array, log_P: Array, gradient: Array, step: Array
) -> float:
    """The first of 1, 1/2, 1/4, ... that lowers F enough; undamped Newton diverges from afar."""
    value = objective.value(phi, log_P)
    slope = float(gradient @ step)
    noise = 1e-14 * max(1.0, abs(value))  # F's own round-off decides nothing
    length = 1.0
    while length > 1e-10:
        trial = phi + length * step
        if (
            objective.value(trial, objective.log_proba(trial))
            <= value + 1e-4 * length * slope + noise
        ):
            return length
        length *= 0.5
    raise NotConverged(
        "softmax regression: no step lowers the objective; standardise the features or lower C"
    )

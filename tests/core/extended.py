"""Softmax regression in extended precision: what the fit's own numbers are held against.

numpy's longdouble (64 bits of mantissa here), Newton's method with the whole Hessian, whose systems
are solved by a factor in double and refined. Only for problems of a few hundred parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lu_factor, lu_solve

from goralx.core.fit.contrasts import contrasts

Long = np.longdouble


@dataclass(frozen=True)
class Extended:
    """The optimum ``theta`` (K, D) and the Hessian there, in contrasts Q; features less ``centre``,
    theta's intercepts with them."""

    theta: np.ndarray
    hessian: np.ndarray
    Q: np.ndarray
    centre: np.ndarray
    n: int

    @classmethod
    def of(cls, X, y, K, l2, penalize_intercept, start):
        """From a guess ``start`` (K, D) for the features as they are."""
        centre = np.zeros(X.shape[1]) if penalize_intercept else X.mean(axis=0)
        rows = with_constant(X - centre)
        n, D = rows.shape
        decay = np.full(D, Long(l2))
        decay[-1] *= penalize_intercept
        Q = contrasts(K).astype(Long)
        theta = moved(start.astype(Long), centre)
        for _ in range(80):
            P = predictions(rows, theta)
            residual = P.copy()
            residual[np.arange(n), y] = 0
            residual[np.arange(n), y] = -residual.sum(axis=1)
            g = residual.T @ rows / n + theta * decay
            H = np.einsum("ka,kdle,lb->adbe", Q, over_parametrised(rows, P), Q) / n
            H = H.reshape(Q.shape[1] * D, -1) + np.diag(np.tile(decay, K - 1))
            step = -Q @ solved(H, (Q.T @ g).ravel()).reshape(K - 1, D)
            furthest = np.abs(rows @ step.T).max()
            theta = theta + step / max(Long(1), furthest)
            if np.abs(step).max() <= 1e-17 * np.abs(theta).max():
                break
        return cls(theta, H, Q, centre, n)

    def utilities(self, pool, theta=None, solve=None):
        """U (N, K) of goal ent on the pool; by another theta and solver where they are given."""
        rows = with_constant(pool - self.centre)
        theta = self.theta if theta is None else moved(theta.astype(Long), self.centre)
        P = predictions(rows, theta)
        log_P = np.log(P)
        G = P * (log_P - (P * log_P).sum(axis=1, keepdims=True))
        g = G.T @ rows
        g -= g.mean(axis=0)
        if solve is None:
            x = self.Q @ solved(self.hessian, (self.Q.T @ g).ravel()).reshape(len(self.Q) - 1, -1)
        else:
            raw = g.copy()
            raw[:, :-1] += np.outer(g[:, -1], self.centre)
            x = moved(solve(raw.astype(float)).astype(Long), self.centre)
        S = rows @ x.T / -self.n
        return (P * S).sum(axis=1, keepdims=True) - S


def with_constant(X):
    return np.column_stack([X.astype(Long), np.ones(len(X), Long)])


def moved(theta, centre):
    """theta for features less the centre."""
    theta = theta.copy()
    theta[:, -1] += theta[:, :-1] @ centre.astype(Long)
    return theta


def predictions(rows, theta):
    z = rows @ theta.T
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def over_parametrised(rows, P):
    """Sum of Lambda (x) x x', (K, D, K, D), with 1 - p as the sum of the others."""
    K, D = P.shape[1], rows.shape[1]
    H = np.zeros((K, D, K, D), Long)
    for k in range(K):
        for j in range(K):
            w = P[:, k] * (np.delete(P, k, axis=1).sum(axis=1) if j == k else -P[:, j])
            H[k, :, j, :] = (rows * w[:, None]).T @ rows
    return H


def solved(A, b):
    scale = np.sqrt(np.diag(A)).astype(float)
    factor = lu_factor((A / scale[:, None] / scale).astype(float))
    x = np.zeros(len(b), Long)
    for _ in range(12):
        left = ((b - A @ x) / scale).astype(float)
        x = x + (lu_solve(factor, left) / scale).astype(Long)
    return x

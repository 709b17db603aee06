"""The slow road to every number: loops over samples, central differences, pseudo-inverses.

Written from the paper's Sec. 8, in its own over-parametrised coordinates (footnote 4), and without
a line of goralx. theta is (K, D) with the intercept last, X (n, d) is without the constant, and
theta.ravel() is the paper's vec. The objective is

    sum_i w_i [-log p_{y_i}(x_i)] + (reg / 2) |theta_pen|^2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np


def with_constant(X):
    return np.column_stack([np.asarray(X, dtype=float), np.ones(len(X))])


def softmax(eta):
    e = np.exp(eta - eta.max())
    return e / e.sum()


def predict(X, theta):
    """P (N, K), a sample at a time."""
    return np.array([softmax(theta @ x) for x in with_constant(X)])


@dataclass(frozen=True)
class Problem:
    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    n_classes: int
    reg: float
    penalize_intercept: bool

    @classmethod
    def mean(cls, X, y, n_classes, l2, penalize_intercept):
        """Eq. 6, averaged over the samples: weights 1/n."""
        weights = np.full(len(y), 1.0 / len(y))
        return cls(np.asarray(X, float), np.asarray(y), weights, n_classes, l2, penalize_intercept)

    def plus(self, x, y, weight, reg=0.0):
        """One more sample of this weight, which brings ``reg`` of the penalty along."""
        return replace(
            self,
            X=np.vstack([self.X, x]),
            y=np.append(self.y, y),
            weights=np.append(self.weights, weight),
            reg=self.reg + reg,
        )

    @property
    def penalised(self):
        """(K, D): 1 where theta is penalised."""
        mask = np.ones((self.n_classes, self.X.shape[1] + 1))
        mask[:, -1] = self.penalize_intercept
        return mask

    def value(self, theta):
        theta = theta.reshape(self.n_classes, -1)
        loss = 0.0
        for x, y, w in zip(with_constant(self.X), self.y, self.weights, strict=True):
            eta = theta @ x
            loss += w * (eta.max() + np.log(np.exp(eta - eta.max()).sum()) - eta[y])
        return loss + 0.5 * self.reg * (self.penalised * theta**2).sum()

    def gradient(self, theta):
        """Eq. 6: reg theta - sum_i w_i vec(x (y - p)')."""
        theta = theta.reshape(self.n_classes, -1)
        g = self.reg * self.penalised * theta
        for x, y, w in zip(with_constant(self.X), self.y, self.weights, strict=True):
            onehot = np.eye(self.n_classes)[y]
            g = g - w * np.outer(onehot - softmax(theta @ x), x)
        return g.ravel()

    def hessian(self, theta):
        """Eq. 7: reg I + sum_i w_i Lambda(x_i) (x) x_i x_i', (KD, KD)."""
        theta = theta.reshape(self.n_classes, -1)
        H = np.diag(self.reg * self.penalised.ravel())
        for x, w in zip(with_constant(self.X), self.weights, strict=True):
            p = softmax(theta @ x)
            H = H + w * np.kron(np.diag(p) - np.outer(p, p), np.outer(x, x))
        return H

    def minimise(self, start=None):
        """theta (K, D): damped Newton with the pseudo-inverse, until the steps are round-off."""
        theta = np.zeros(self.penalised.size) if start is None else start.ravel().copy()
        for _ in range(100):
            g = self.gradient(theta)
            step = -pseudo_inverse(self.hessian(theta)) @ g
            if np.abs(step).max() <= 1e-13 * (1.0 + np.abs(theta).max()):
                return (theta + step).reshape(self.n_classes, -1)
            length, value = 1.0, self.value(theta)
            enough = value + 1e-13 * (1.0 + abs(value))  # its own round-off decides nothing
            while self.value(theta + length * step) > enough + 1e-4 * length * (g @ step):
                length /= 2
            theta = theta + length * step
        if np.abs(g).max() > 1e-12:
            raise ArithmeticError(f"reference solver: gradient {np.abs(g).max():.1e}")
        return theta.reshape(self.n_classes, -1)


def pseudo_inverse(H):
    """H^+ of a symmetric matrix whose gauge is singular."""
    return np.linalg.pinv(H, rcond=1e-13, hermitian=True)


def tau_dev(theta, X, y):
    """Sec. 2.1 a): the log-likelihood of the dev set."""
    return sum(np.log(softmax(theta @ x)[k]) for x, k in zip(with_constant(X), y, strict=True))


def tau_ent(theta, X, y=None):
    """Sec. 2.1 b): minus the entropies of the predictions, summed."""
    total = 0.0
    for x in with_constant(X):
        total += sum(p * np.log(p) for p in softmax(theta @ x))
    return total


def tau_fir(theta, X, y=None):
    """Eqs 5 and 8 without tr(lambda I): minus the mean trace of the explicit Fisher matrix."""
    total = 0.0
    for x in with_constant(X):
        fisher, p = 0.0, softmax(theta @ x)
        for k in range(len(p)):  # E_y of the score's outer product, Sec. 7
            score = np.outer(np.eye(len(p))[k] - p, x).ravel()
            fisher = fisher + p[k] * np.outer(score, score)
        total -= np.trace(fisher)
    return total / len(X)


GOALS: dict[str, Callable[..., float]] = {"dev": tau_dev, "ent": tau_ent, "fir": tau_fir}


def central_difference(f, x, h=1e-5):
    """Gradient of f at x, in x's shape; error O(h^4)."""
    out = np.empty(x.size)
    for i in range(x.size):
        e = np.zeros(x.size)
        e[i] = h
        e = e.reshape(x.shape)
        out[i] = (8 * (f(x + e) - f(x - e)) - (f(x + 2 * e) - f(x - 2 * e))) / (12 * h)
    return out.reshape(x.shape)


def relative(a, b):
    """max |a - b| over max |b|."""
    return float(np.abs(np.asarray(a) - np.asarray(b)).max() / np.abs(np.asarray(b)).max())

"""The coordinates that a fit is worked out in: features near the origin, and no more than samples.

Features far from the origin are measured from a ``centre``: x - mu, with the intercept c = b + W mu
in the place of b. Without a penalty on the intercept that is the same problem, with one it is the
same penalty written in c (`objective.penalised`).

Where samples are fewer than features by far, the optimum lies in their *span* (the representer
theorem), and so do all gradients on the way. With the eigenvectors of their Gram matrix,
X X' = V S^2 V', the rows of R' = S^-1 V'X are an orthonormal basis of it, in which the samples are
V S: r <= n orthogonal features. Off the span the Hessian is the penalty alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from ..linear_solve import Array
from .objective import Objective

_FAR = 3.0  # of a feature's spread, from which on its mean is taken off
_FEWER = 6  # features for each sample, and
_SAMPLES = 400  # samples: a Gram matrix and its eigenvectors then pay within one fit
_RESOLVED = (
    1e-8  # of the largest eigenvalue of a Gram matrix: below, singular values are worked out
)


@dataclass(frozen=True)
class Coordinates:
    """Between theta (K, D) of the data as given and phi of ``inner``, the problem that is solved.

    ``centre`` (d,) or None; ``centred`` are the first rows that it is the mean of, 0 for None.
    ``samples`` (n or n+1, d) less the centre and ``weights`` S^-1 V' (r, n) give R', None where
    there is no span.
    """

    inner: Objective = field(repr=False)
    centre: Array | None = None
    centred: int = 0
    samples: Any = field(default=None, repr=False)
    weights: Array | None = field(default=None, repr=False)

    @classmethod
    def of(cls, objective: Objective, centred: int | None = None) -> Coordinates:
        """For the samples of ``objective``; the centre is that of the first ``centred`` of them.

        None: of all, if they are far from the origin. The fits of a run keep to the first's.
        """
        n, D = objective.X.shape
        centre = centre_of(objective.X, n if centred is None else centred)
        if centred is None:
            centred = n if centre is not None else 0
        inner = objective
        if centre is not None:
            X = objective.X.copy()
            X[:, :-1] -= centre
            inner = replace(objective, X=X, centre=centre)
        if n > _SAMPLES or _FEWER * n > D:
            return cls(inner, centre, centred)
        return cls._in_span(inner, centred)

    @classmethod
    def _in_span(cls, inner: Objective, centred: int) -> Coordinates:
        centre, samples, n = inner.centre, inner.X[:, :-1], len(inner.y)
        if centre is not None and inner.penalize_intercept:  # where the penalty looks, too
            samples = np.concatenate([samples, centre[None]])
        V, S = spectrum(samples)
        weights = V.T / S[:, None]
        Z = np.ones((n, len(S) + 1))
        Z[:, :-1] = (V * S)[:n]
        along = None if centre is None else weights @ (samples @ centre)
        reduced = replace(inner, X=Z, centre=along)
        return cls(reduced, centre, centred, samples, weights)

    def theta(self, phi: Array) -> Array:
        """Parameters (K, D) from phi (m,) of ``inner``."""
        theta = self.inner.theta(phi)
        if self.weights is not None:
            W = (theta[:, :-1] @ self.weights) @ self.samples
            theta = np.concatenate([W, theta[:, -1:]], axis=1)
        return self._uncentred(theta)

    def phi(self, theta: Array) -> Array:
        """phi (m,) of ``inner`` from parameters (K, D); what is off the span is left out."""
        if self.centre is not None:
            theta = theta.copy()
            theta[:, -1] += theta[:, :-1] @ self.centre
        return self.inner.phi(self._within(theta))

    def gradient(self, g: Array) -> tuple[Array, Array | None]:
        """A gradient (K, D) as that of phi (m,), and what of it is off the span (K, d) or None."""
        if self.centre is not None:
            g = g.copy()
            g[:, :-1] -= np.outer(g[:, -1], self.centre)
        within = self._within(g)
        if self.weights is None:
            return self.inner.phi(within), None
        off = g[:, :-1] - (within[:, :-1] @ self.weights) @ self.samples
        return self.inner.phi(within), off - off.mean(axis=0)

    def solved(self, phi: Array, off: Array | None) -> Array:
        """H^-1 g (K, D), from its coordinates in ``inner`` and what of g is off the span."""
        x = self.theta(phi)
        if off is not None:
            more = off / self.inner.l2
            x[:, :-1] += more
            if self.centre is not None:
                x[:, -1] -= more @ self.centre
        return x

    def _uncentred(self, theta: Array) -> Array:
        if self.centre is not None:
            theta[:, -1] -= theta[:, :-1] @ self.centre
        return theta

    def _within(self, rows: Array) -> Array:
        """R' of the features' part of rows (K, D)."""
        if self.weights is None:
            return rows
        inside = (self.samples @ rows[:, :-1].T).T @ self.weights.T
        return np.concatenate([inside, rows[:, -1:]], axis=1)


def centre_of(X: Any, rows: int) -> Array | None:
    """Mean of the first rows of X (n, D), constant column apart; None where it is near the origin.

    Sparse features are where they are: most of them at the origin.
    """
    if issparse(X) or rows == 0:
        return None
    first = X[:rows, :-1]
    centre = first.mean(axis=0)
    spread: NDArray[np.float64] = first.std(axis=0)
    return centre if (np.abs(centre) > _FAR * spread).any() else None


def spectrum(samples: Any) -> tuple[Array, Array]:
    """V (n, r) and S (r,) > 0 of the singular value decomposition of samples (n, d)."""
    gram = samples @ samples.T
    values, V = np.linalg.eigh(gram.toarray() if issparse(gram) else gram)
    noise = len(values) * float(np.finfo(np.float64).eps)
    kept = values > noise * values[-1]
    if not issparse(samples) and (values[kept] < _RESOLVED * values[-1]).any():
        V, S, _ = np.linalg.svd(samples, full_matrices=False)
        kept = noise * S[0] < S
        return V[:, kept], S[kept]
    return V[:, kept], np.sqrt(values[kept])

"""Softmax as a family in K-1 contrasts s = Q'eta: its mean, its curvature, its log normaliser.

The loss of a sample under label y is A(s) - s'Q'e_y with A(s) = log sum exp Q s; its residual is
mean(s) - Q'e_y. For two classes, Q = (q, -q), all three are elementary: A' is q tanh(q s).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..inverse.curvature import fisher
from ..linear_solve import Array


def log_softmax(logits: Array) -> Array:
    """Over the last axis, class by class: numpy reduces a short axis many times slower."""
    shifted: Array = logits - _highest(logits)[..., None]
    total = np.exp(shifted[..., 0])
    for k in range(1, logits.shape[-1]):
        total += np.exp(shifted[..., k])
    shifted -= np.log(total)[..., None]
    return shifted


def _highest(logits: Array) -> Array:
    highest = logits[..., 0].copy()
    for k in range(1, logits.shape[-1]):
        np.maximum(highest, logits[..., k], out=highest)
    return highest


@dataclass(frozen=True)
class Link:
    """Of contrasts s (..., K-1), for the contrasts Q (K, K-1)."""

    Q: Array

    def mean(self, s: Array) -> Array:
        """A'(s) = Q'p (..., K-1)."""
        if s.shape[-1] == 1:
            q = self.Q[0, 0]
            mean: Array = q * s
            np.tanh(mean, out=mean)
            mean *= q
        else:
            mean = (self._P(s) @ self.Q).reshape(s.shape)
        return mean

    def curvature(self, s: Array) -> Array:
        """A''(s) = Q'(diag p - p p')Q (..., K-1, K-1)."""
        if s.shape[-1] == 1:
            curvature: Array = (self.Q[0, 0] ** 2 - self.mean(s) ** 2)[..., None]
            return curvature
        return fisher(self._P(s), self.Q).reshape(*s.shape, -1)

    def normaliser(self, s: Array) -> Array:
        """A(s) (...)."""
        logits = s @ self.Q.T
        highest = _highest(logits)
        value: Array = highest + np.log(np.exp(logits - highest[..., None]).sum(axis=-1))
        return value

    def _P(self, s: Array) -> Array:
        """Softmax of Q s, all in one long column of samples: (N, K)."""
        return np.exp(log_softmax(s.reshape(-1, s.shape[-1]) @ self.Q.T))

"""A label made up: the model as one more sample would leave it, without a refit.

Inserting (x, y) into a fit takes the *proximal step* (`implicit`) in phi and adds the sample's own
curvature Lambda, at the new prediction, to A. With B = A^-1, U = I (x) x and S = U'BU that is a
change of rank K-1 (Woodbury):

    phi <- phi + d,      B <- B - B U (I + Lambda S)^-1 Lambda U'B.

The curvature of what was labelled before stays as it was, so that theta is off by O(|d|^2) from a
refit. What comes out answers as a fit does and takes the next sample: a batch is built up so.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from ..inverse.curvature import fisher, with_constant
from ..linear_solve import Array, Solution
from ..predictions import Floats
from . import implicit
from .expansion import Expansion


class Insertable(Protocol):
    """What a sample can be inserted into: a fit, or a fit with samples inserted before."""

    @property
    def n_labelled(self) -> int: ...

    @property
    def n_classes(self) -> int: ...

    @property
    def noise(self) -> float: ...

    @property
    def decay(self) -> Array:
        """(D,): the penalty's weight on each coordinate of the mean objective."""

    def log_proba(self, X: Floats) -> Floats: ...

    def pullback(self, X: Floats, G: Floats) -> Array: ...

    def pushforward(self, X: Floats, v: Array) -> Floats: ...

    def expansion(self, regime: str, n_new: int = 1) -> Expansion: ...

    def retrained(
        self, X_new: NDArray[np.floating], y_new: NDArray[np.int64], regime: str
    ) -> Array: ...


@dataclass(frozen=True)
class Fantasy:
    """A fit with one sample more; all that a fit is asked but a checkpoint, for it is never kept.

    ``x`` (d,) under ``label``, or without a label: then its curvature joins and theta stays, as if
    labels came as predicted. ``phi`` (m,) and ``information`` (K-1, K-1), the sample's Lambda.
    """

    before: Insertable = field(repr=False)
    x: NDArray[np.floating]
    label: int | None
    regime: str
    phi: Array
    information: Array

    @classmethod
    def of(
        cls, before: Insertable, x: NDArray[np.floating], label: int | None, regime: str
    ) -> Fantasy:
        """Insert x (d,) under a label in 0..K-1 or None; ``regime`` as in `goralx.Model`."""
        around, X = before.expansion(regime, 1), x[None]
        Q, log_P = around.Q, before.log_proba(X)
        if label is None:
            return cls(before, x, label, regime, around.phi, fisher(np.exp(log_P), Q)[0])
        S = around.leverage(X)
        residual = implicit.proximal_residual(around.shifted(X, log_P), S, Q)[0, label]
        pull = np.outer(residual @ Q, with_constant(X)[0]).ravel()
        P = residual + np.eye(len(Q))[label]
        phi = around.phi + around.shift - around.times_B(pull[None])[0]
        return cls(before, x, label, regime, phi, fisher(P[None], Q)[0])

    def inserted(self, x: NDArray[np.floating], label: int | None, regime: str) -> Fantasy:
        """With one sample more; see `of`."""
        return Fantasy.of(self, x, label, regime)

    @cached_property
    def theta(self) -> Array:
        """(K, D); rows sum to zero."""
        return self._theta(self.phi)

    @property
    def n_labelled(self) -> int:
        return self.before.n_labelled + 1

    @property
    def n_classes(self) -> int:
        return self.before.n_classes

    @property
    def decay(self) -> Array:
        """(D,): under ``fixed_C`` l2 = 1/(nC) shrinks."""
        shrinks = self.regime == "fixed_C"
        return self.before.decay * (self.before.n_labelled / self.n_labelled if shrinks else 1.0)

    @property
    def noise(self) -> float:
        """What the fit's own error makes of a utility."""
        return self.before.noise

    @property
    def penalty_gradient(self) -> Array:
        return self.theta * self.decay

    def log_proba(self, X: Floats) -> Floats:
        """log P(y | x): (N, K)."""
        log_P: Floats = log_softmax(self.before.pushforward(X, self.theta), axis=1)
        return log_P

    def pullback(self, X: Floats, G: Floats) -> Array:
        return self.before.pullback(X, G)

    def pushforward(self, X: Floats, v: Array) -> Floats:
        return self.before.pushforward(X, v)

    def solve(self, g: Array) -> Solution:
        """H^-1 g = n B g for g (K, D), B being at hand."""
        around = self.expansion(self.regime, 0)
        solved = self.n_labelled * around.times_B((around.Q.T @ g).reshape(1, -1))[0]
        return Solution(self._theta(solved), 0.0, 0)

    def logit_variance(self, X: NDArray[np.floating]) -> Array:
        """Posterior variance of each class-centred logit, by Laplace's approximation: (N, K)."""
        around = self.expansion(self.regime, 0)
        return around.B.variance(X, around.Q)

    def expansion(self, regime: str, n_new: int = 1) -> Expansion:
        """The labelled set and what was inserted, as ``n_new`` samples join it."""
        shares = n_new if regime == "fixed_lambda" else 0
        if shares not in self._expansions:
            around = self.before.expansion(self.regime, 1 + shares)
            B = around.B.with_sample(with_constant(self.x[None])[0], self.information)
            X = np.concatenate([around.X, with_constant(self.x[None])])
            log_P: Array = log_softmax(
                (X @ self.phi.reshape(-1, X.shape[1]).T) @ around.Q.T, axis=1
            )
            pull = shares * np.tile(self.decay, around.Q.shape[1]) * self.phi
            moved = replace(around, X=X, log_P=log_P, phi=self.phi, B=B)
            shift = -moved.times_B(pull[None])[0] if shares else np.zeros_like(pull)
            self._expansions[shares] = replace(moved, shift=shift)
        return self._expansions[shares]

    def retrained(
        self, X_new: NDArray[np.floating], y_new: NDArray[np.int64], regime: str
    ) -> Array:
        """Change of phi (T, m) to the exact refit on everything: what was labelled, what was
        inserted, and X_new (T, b, d) under y_new (T, b). Without a label it was never inserted.
        """
        if self.label is not None:
            own = np.broadcast_to(self.x, (len(X_new), 1, len(self.x)))
            X_new = np.concatenate([own, X_new], axis=1)
            y_new = np.column_stack([np.full(len(y_new), self.label), y_new])
        before = self.before.expansion(self.regime, 1).phi
        return self.before.retrained(X_new, y_new, regime) - (self.phi - before)

    def _theta(self, phi: Array) -> Array:
        Q = self.before.expansion(self.regime, 1).Q
        return Q @ phi.reshape(Q.shape[1], -1)

    @cached_property
    def _expansions(self) -> dict[int, Expansion]:
        return {}

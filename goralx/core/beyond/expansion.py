"""The curvature of what was labelled: what a new sample runs up against.

Adding b samples to the n that were labelled, their objective (summed, not averaged) around the old
optimum is, to second order, 1/2 (d - d0)' A (d - d0) in the change d of the parameters. A is its
Hessian and d0 the pull of the penalty that new samples bring along: zero under ``fixed_C``. Under
``fixed_lambda`` each brings l2/2 |theta_pen|^2, in A as well. Everything is in contrast coordinates
phi, m = (K-1) D, and for a sample x, U = I (x) x maps phi to its K-1 logit contrasts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ..inverse.curvature import InverseCurvature, with_constant
from ..linear_solve import Array


@dataclass(frozen=True)
class Expansion:
    """The labelled set around its optimum.

    ``Q`` (K, K-1) contrasts; ``X`` (n, D) labelled samples with the constant; ``log_P`` (n, K)
    their log predictions; ``phi`` (m,) the optimum; ``B`` the inverse of A, which may be no matrix;
    ``shift`` (m,) is d0; ``decay`` (D,) the summed penalty's share in A, of each row of contrasts.
    """

    Q: Array
    X: Array
    log_P: Array
    phi: Array
    B: InverseCurvature
    shift: Array
    decay: Array

    @cached_property
    def logit_shift(self) -> bool:
        """Whether d0 moves anything."""
        return bool(self.shift.any())

    def leverage(self, X: NDArray[np.floating]) -> Array:
        """S(x) = U' B U for every row of X (N, d): (N, K-1, K-1)."""
        return self.B.leverage(X)

    def times_B(self, V: Array) -> Array:
        """B v for every row of V (t, m)."""
        return self.B.times(V.reshape(len(V), self.Q.shape[1], -1)).reshape(V.shape)

    def draws(self, size: int, rng: np.random.Generator) -> Array:
        """Changes of the parameters (size, C, D), normal around 0 with covariance B.

        The posterior, by Laplace's approximation. Draws of what A sums, whose covariance is A, and
        B times them (Papandreou and Yuille 2010, "Gaussian sampling by local perturbations"): no
        root of B is needed. Exact for a fit; of one with labels made up as exact as its ``B``.
        """
        P = np.exp(self.log_P)
        e = np.sqrt(P) * rng.standard_normal((size, *P.shape))
        e -= P * e.sum(axis=2, keepdims=True)  # covariance diag p - p p'
        pulls = np.swapaxes(e @ self.Q, 1, 2) @ self.X
        pulls += np.sqrt(self.decay) * rng.standard_normal(pulls.shape)
        return self.B.times(pulls)

    def shifted(self, X: NDArray[np.floating], log_P: NDArray[np.floating]) -> Array:
        """Logits of X (N, d) after d0, from its log predictions (N, K); in double precision."""
        logits = log_P.astype(np.float64, copy=False)
        if not self.logit_shift:
            return logits
        rows = self.shift.reshape(-1, X.shape[1] + 1)
        return logits + (with_constant(X) @ rows.T) @ self.Q.T


@runtime_checkable
class Levered(Protocol):
    """A fit with leverages at hand, about right and at no cost: what kappa is worked out from."""

    @property
    def n_labelled(self) -> int: ...

    def log_proba(self, X: NDArray[np.floating]) -> NDArray[np.floating]:
        """log predictions (N, K) of X (N, d)."""

    def leverage(self, X: NDArray[np.floating]) -> tuple[Array, Array] | None:
        """About S(x) (N, K-1, K-1) of X (N, d), and the contrasts Q (K, K-1) it is in.

        None where nothing is at hand.
        """

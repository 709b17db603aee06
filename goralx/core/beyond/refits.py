"""Exact retraining in any number of classes: Newton's method for a block of problems at once.

Each problem is the labelled set plus b samples of its own. Their Hessians are that of the labelled
set, whose inverse B is at hand, and something of rank b (K-1): steps by conjugate gradients that
lean on B take a handful of products, each a few large ones for all problems. Where
`retraining` has one small dense system a problem, this has none.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..fit.objective import Objective
from ..inverse.curvature import parts, with_constant
from ..linear_solve import ENOUGH, Array, NotConverged
from ..predictions import log_softmax
from .expansion import Expansion
from .implicit import proximal_residual

MAX_ITER = 100
_CG_ITER = 200
_DECREMENT = 1e-9  # Newton's, which sees what a gradient does not where curvature is slight
_START = 1e-3  # error of the proximal step, which is only where to start


def refitted(
    objective: Objective,
    around: Expansion,
    X_new: NDArray[np.floating],
    y_new: NDArray[np.int64],
    *,
    penalty: Array,
    tolerance: float = 1e-10,
) -> Array:
    """Change of phi (T, m), optimal for ``objective``, as X_new[t] (b, d) join under y_new[t] (b,).

    X_new (1, b, d) are the same samples in every problem; ``around`` is the labelled set as they
    join it, ``penalty`` (D,) the summed penalty then. To a mean gradient of ``tolerance`` and a
    Newton decrement of 1e-9, or `NotConverged`.
    """
    T, b = y_new.shape
    C, D = objective.Q.shape[1], objective.X.shape[1]
    changes = np.empty((T, C * D))
    n = len(objective.y)
    for part in parts(T, 8 * (C * D + (C + 1) * (n + b))):
        rows = X_new if len(X_new) == 1 else X_new[part]
        new = with_constant(rows.reshape(-1, D - 1)).reshape(len(rows), b, D)
        problems = _Problems(objective, around, new, y_new[part], penalty)
        phi = problems.solve(problems.start(), tolerance * (n + b))
        changes[part] = phi.reshape(len(phi), -1) - around.phi
    return changes


@dataclass(frozen=True)
class _Problems:
    """t problems: the labelled samples of ``objective``, and ``new`` (t or 1, b, D), y (t, b)."""

    objective: Objective = field(repr=False)
    around: Expansion = field(repr=False)
    new: Array
    y: NDArray[np.int64]
    penalty: Array

    def start(self) -> Array:
        """phi + d0 (t, C, D), and where one sample joins its proximal step (`implicit`)."""
        around, Q = self.around, self.objective.Q
        phi = (around.phi + around.shift).reshape(Q.shape[1], -1)
        if self.y.shape[1] > 1:
            return np.tile(phi, (len(self.y), 1, 1))
        rows = self.new[:, 0]
        S, logits = around.leverage(rows[:, :-1]), (rows @ phi.T) @ Q.T
        if len(rows) < len(self.y):
            S, logits = np.tile(S, (len(self.y), 1, 1)), np.tile(logits, (len(self.y), 1))
        residual = proximal_residual(log_softmax(logits), S, Q, self.y, tolerance=_START)[:, 0]
        return phi - around.B.times((residual @ Q)[:, :, None] * rows[:, None, :])

    def solve(self, phi: Array, tolerance: float) -> Array:
        """From phi (t, C, D) to where no gradient is larger than ``tolerance``."""
        found, left, going = np.empty_like(phi), np.arange(len(phi)), self
        here = going.at(phi)
        for _ in range(MAX_ITER):
            reach = going.around.B.times(here.gradient)
            size = np.abs(here.gradient).max(axis=(1, 2))
            far = _dot(here.gradient, reach)
            open_ = ~((size <= tolerance) & (far <= _DECREMENT**2))
            if not open_.all():
                found[left[~open_]] = here.phi[~open_]
                left, going, here = left[open_], going.only(open_), here.only(open_)
                reach, size, far = reach[open_], size[open_], far[open_]
            if len(left) == 0:
                return found
            near = np.maximum(tolerance / size, _DECREMENT / np.sqrt(far))
            here = going._damped(here, going._step(here, -reach, near))
        raise NotConverged(
            f"retraining: {len(left)} of {len(phi)} problems open after {MAX_ITER} steps; "
            "standardise the features or lower C"
        )

    def only(self, mask: NDArray[np.bool_]) -> _Problems:
        return replace(self, y=self.y[mask], new=self.new if len(self.new) == 1 else self.new[mask])

    def at(self, phi: Array) -> _Place:
        """Values and gradients at phi (t, C, D)."""
        n = len(self.objective.y)
        z = np.einsum("kc,tcn->tkn", self.objective.Q, self._along(phi), optimize=True)
        z -= z.max(axis=1, keepdims=True)
        z -= np.log(np.exp(z).sum(axis=1, keepdims=True))
        at = np.arange(len(phi))[:, None]
        known = z[:, self.objective.y, np.arange(n)].sum(axis=1)
        known += z[at, self.y, np.arange(n, z.shape[2])].sum(axis=1)
        value = 0.5 * ((phi * phi) @ self.penalty).sum(axis=1) - known
        P = np.exp(z, out=z)
        residual = P.copy()
        residual[:, self.objective.y, np.arange(n)] -= 1.0
        residual[at, self.y, np.arange(n, z.shape[2])] -= 1.0
        return _Place(phi, P, value, self._pulled(residual) + phi * self.penalty)

    def _along(self, V: Array) -> Array:
        """Contrasts of every sample along V (t, C, D): (t, C, n + b)."""
        old = (V.reshape(-1, V.shape[2]) @ self.objective.dense.T).reshape(*V.shape[:2], -1)
        return np.concatenate([old, V @ self.new.transpose(0, 2, 1)], axis=2)

    def _pulled(self, G: Array) -> Array:
        """Its transpose, of G (t, K, n + b) in the logits: (t, C, D)."""
        n = len(self.objective.y)
        G = np.einsum("kc,tkn->tcn", self.objective.Q, G, optimize=True)
        pulled: Array = G[:, :, :n] @ self.objective.dense + G[:, :, n:] @ self.new
        return pulled

    def _curved(self, P: Array, V: Array) -> Array:
        """Each Hessian times its V (t, C, D)."""
        S = np.einsum("kc,tcn->tkn", self.objective.Q, self._along(V), optimize=True)
        S -= (P * S).sum(axis=1, keepdims=True)
        S *= P
        return self._pulled(S) + V * self.penalty

    def _step(self, here: _Place, z: Array, near: Array) -> Array:
        """About Newton's step (t, C, D), as exactly as it deserves, by conjugate gradients.

        ``z`` is -B times the gradients, ``near`` (t,) the share of them that may be left in the
        end. Errors are measured in the metric of B. A problem that is done rests.
        """
        residual, step = -here.gradient, np.zeros_like(here.gradient)
        direction, rho = z, _dot(residual, z)
        aim = rho * np.maximum(np.minimum(0.1, np.sqrt(rho)), 0.1 * np.minimum(1.0, near)) ** 2
        for _ in range(_CG_ITER):
            going = rho > aim
            if not going.any():
                break
            image = self._curved(here.P, direction)
            curvature = _dot(direction, image)
            alpha = np.where(going, rho / np.where(curvature > 0.0, curvature, np.inf), 0.0)
            step += alpha[:, None, None] * direction
            residual = residual - alpha[:, None, None] * image
            z = self.around.B.times(residual)
            after = _dot(residual, z)
            beta = np.where(going, after / np.where(rho > 0.0, rho, 1.0), 0.0)
            direction = z + beta[:, None, None] * direction
            rho = np.where(going, after, rho)
        return step

    def _damped(self, here: _Place, step: Array) -> _Place:
        """The step of each problem, halved until its value falls (Armijo)."""
        slope = _dot(here.gradient, step)
        noise, length = 1e-13 * (1.0 + np.abs(here.value)), np.ones(len(step))
        while length.min() > 1e-10:
            there = self.at(here.phi + length[:, None, None] * step)
            worse = ~(there.value <= here.value + ENOUGH * length * slope + noise)
            if not worse.any():
                return there
            length[worse] *= 0.5
        raise NotConverged("retraining: no step lowers the objective; lower C")


@dataclass(frozen=True)
class _Place:
    """phi (t, C, D), predictions P (t, K, n + b), value (t,) and gradient (t, C, D) there."""

    phi: Array
    P: Array
    value: Array
    gradient: Array

    def only(self, mask: NDArray[np.bool_]) -> _Place:
        return _Place(self.phi[mask], self.P[mask], self.value[mask], self.gradient[mask])


def _dot(a: Array, b: Array) -> Array:
    """Of each problem: (t,)."""
    product: Array = np.einsum("tcd,tcd->t", a, b)
    return product

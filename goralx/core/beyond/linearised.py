"""One more sample, of a model whose curvature is known only by solving with it.

What `implicit.steps` does in closed form, for any model that can pull back, push forward and solve:
the new sample's loss is kept exact (the proximal step), the labelled set is taken to the next
order, and the leverages and the reach of a sample come from a solve for each contrast, the
correction from one for each label. The logits are taken as linear in the parameters: of a linear
model it is the same to round-off, of a network it is the linearised network around theta (Jacot et
al. 2018, arXiv:1806.07572).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from ..fit.contrasts import contrasts
from ..inverse.curvature import fisher
from ..linear_solve import Array, Solution
from . import implicit


class Linearisable(Protocol):
    """What is asked of a fitted model."""

    @property
    def n_labelled(self) -> int: ...

    @property
    def n_classes(self) -> int: ...

    @property
    def penalty_gradient(self) -> Array: ...

    def log_proba(self, X: Any) -> Any: ...

    def pullback(self, X: Any, G: Any) -> Array: ...

    def pushforward(self, X: Any, v: Array) -> Any: ...

    def solve(self, g: Array) -> Solution: ...


@dataclass(frozen=True)
class Linearised:
    """A fit around its optimum, with the samples X (n, d) that it was fit on.

    ``regime``: under "fixed_lambda" one more sample brings its share of the penalty along, and
    theta drifts whatever its label.
    """

    model: Linearisable
    X: Any = field(repr=False)
    regime: str

    def steps(self, x: Any, log_p: Array) -> tuple[list[Array], float]:
        """Change of theta by the sample x (1, d) under every label, and its kappa.

        log_p (1, K) are the model's log predictions of x. K steps in theta's shape, as
        `implicit.steps`; kappa as `implicit.trust`.
        """
        model, Q = self.model, self.Q
        logits = np.asarray(log_p, dtype=np.float64) + self._pushed(x, self.drift)
        reach = [model.solve(model.pullback(x, q[None])).x / model.n_labelled for q in Q.T]
        S = np.concatenate([self._pushed(x, step) @ Q for step in reach])
        S = 0.5 * (S + S.T)
        residual = implicit.proximal_residual(logits, S[None], Q)
        kappa = float(implicit.trust(residual, S[None], Q)[0])
        steps = []
        for y, r in enumerate(residual[0]):
            step = self.drift - combined(Q.T @ r, reach)
            information = fisher((r + np.eye(len(r))[y])[None], Q)[0]
            rest = self._correction(step)
            moved = Q.T @ self._pushed(x, rest)[0]
            held = information @ np.linalg.solve(np.eye(len(S)) + S @ information, moved)
            steps.append(step + rest - combined(held, reach))
        return steps, kappa

    @cached_property
    def Q(self) -> Array:
        return contrasts(self.model.n_classes)

    @cached_property
    def drift(self) -> Array:
        """Where theta goes as a sample joins, whatever its label."""
        slope = self.model.penalty_gradient
        if self.regime == "fixed_C":
            return np.zeros_like(slope)
        return self.model.solve(slope).x / -self.model.n_labelled

    @cached_property
    def _P(self) -> Array:
        P: Array = np.exp(self.model.log_proba(self.X)).astype(np.float64, copy=False)
        return P

    def _correction(self, step: Array) -> Array:
        """-(1/n) H^-1 F'''[d, d] / 2 of the labelled set's summed loss, at d = ``step``."""
        s, P = self._pushed(self.X, step), self._P
        s -= (P * s).sum(axis=1, keepdims=True)
        bend = P * (s * s - (P * s * s).sum(axis=1, keepdims=True))
        return self.model.solve(self.model.pullback(self.X, -0.5 * bend)).x / self.model.n_labelled

    def _pushed(self, X: Any, step: Array) -> Array:
        """Moves of logits (N, K), less their mean over classes."""
        moves: Array = np.asarray(self.model.pushforward(X, step), dtype=np.float64)
        moves -= moves.mean(axis=1, keepdims=True)
        return moves


def combined(weights: Array, steps: list[Array]) -> Array:
    """Sum of the steps, each by its weight."""
    return sum((w * step for w, step in zip(weights, steps)), start=np.zeros_like(steps[0]))

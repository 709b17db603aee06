"""What conjugate gradients lean on: a product with the inverse of a matrix near the Hessian."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..linear_solve import Factor, NotConverged
from .contrasts import contrasted, expanded
from .objective import Point

Floats = NDArray[np.floating]

_RIDGES = (0.0, 1e-15, 1e-13, 1e-11)  # shares of the trace, where round-off leaves it singular


class Preconditioner(Protocol):
    """M^-1 for some symmetric positive definite M near H."""

    def __call__(self, residual: Floats) -> Floats:
        """M^-1 r (m,), in the precision of r."""


@dataclass(frozen=True)
class Jacobi:
    """The diagonal of H over all K classes: each class sees each feature at its own scale.

    Costs half a product with H. ``inverse`` (K, D) are the inverse entries, (1, D) for two classes;
    in contrasts it is Q' inverse Q.
    """

    inverse: Floats = field(repr=False)
    Q: Floats

    @classmethod
    def at(cls, point: Point) -> Jacobi:
        diagonal = point.objective.diagonal_of(point.objective.weights(point.P))
        return cls((1.0 / diagonal).astype(np.float32), point.objective.Q.astype(np.float32))

    def __call__(self, residual: Floats) -> Floats:
        made = self if residual.dtype == np.float32 else self._double
        if len(made.inverse) == 1:
            applied: Floats = residual * made.inverse[0]
        else:
            rows = expanded(made.Q, residual.reshape(len(made.Q) - 1, -1))
            rows *= made.inverse
            applied = contrasted(made.Q, rows).ravel()
        return applied

    @cached_property
    def _double(self) -> Jacobi:
        return Jacobi(self.inverse.astype(np.float64), self.Q.astype(np.float64))


@dataclass(frozen=True)
class Cholesky:
    """H itself, here and now: conjugate gradients only mend what round-off left."""

    factor: Factor

    @classmethod
    def at(cls, point: Point) -> Cholesky:
        """`NotConverged` where the curvature is not finite."""
        H = point.objective.hessian(point.P)
        trace = float(np.trace(H))
        for ridge in _RIDGES:
            raised = H.copy()
            raised[np.diag_indices(len(H))] += ridge * trace
            try:
                return cls(Factor.of(raised))
            except NotConverged:
                continue
        raise NotConverged(
            "softmax regression: the curvature is not positive definite to working precision; "
            "standardise the features or lower C"
        )

    def __call__(self, residual: Floats) -> Floats:
        applied: Floats = self.factor.solve(residual.astype(np.float64, copy=False))
        return applied.astype(residual.dtype, copy=False)

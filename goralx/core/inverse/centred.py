"""The inverse curvature of samples far from the origin, worked out about their centre.

With intercepts that are not penalised, x - mu and c = b + W mu are the same problem in coordinates
that lose no digits to mu. What is asked, and answered, is in those of x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..linear_solve import Array
from .curvature import InverseCurvature, parts


@dataclass(frozen=True)
class Centred:
    """``inner`` is B of samples less their ``centre`` (d,); the change of coordinates has
    determinant 1.
    """

    inner: InverseCurvature = field(repr=False)
    centre: Array

    @property
    def log_det(self) -> float:
        return self.inner.log_det

    def times(self, V: Array) -> Array:
        pulled = V.copy()
        pulled[..., :-1] -= V[..., -1:] * self.centre
        product = self.inner.times(pulled)
        product[..., -1] -= product[..., :-1] @ self.centre
        return product

    def leverage(self, X: NDArray[np.floating]) -> Array:
        return self._of_parts(X, self.inner.leverage)

    def variance(self, X: NDArray[np.floating], Q: Array) -> Array:
        return self._of_parts(X, lambda rows: self.inner.variance(rows, Q))

    def with_sample(self, x: Array, information: Array) -> Centred:
        moved = np.append(x[:-1] - self.centre, x[-1])
        return Centred(self.inner.with_sample(moved, information), self.centre)

    def _of_parts(
        self, X: NDArray[np.floating], asked: Callable[[NDArray[np.floating]], Array]
    ) -> Array:
        found = [asked(X[part] - self.centre) for part in parts(X.shape[0], 2 * X.shape[1])]
        return np.concatenate(found)

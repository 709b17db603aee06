"""The fit: Newton's method with inexact steps, damped, that leans on the curvature of earlier fits.

Each step is solved by conjugate gradients preconditioned with the inverse of an earlier Hessian,
refreshed when it no longer helps, and halved until the objective falls. The fits of a run follow
one another with a few samples more each, so that an inverse serves many of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import ssymv

from .linear_solve import (
    ENOUGH,
    Array,
    Factor,
    NotConverged,
    approximate_inverse,
    conjugate_gradients,
)
from .objective import Objective, Point

_STALE = 8  # conjugate-gradient iterations beyond which a fresh inverse is cheaper
_SINGLE = 1e-4  # relative residual down to which single precision carries conjugate gradients


@dataclass(frozen=True)
class Preconditioner:
    """Inverse of the Hessian as it stood at ``theta``, over the first ``rows`` samples, at ``l2``.

    It outlives several fits: conjugate gradients need a few iterations more, and no fresh one is
    paid for. These three say which it is, so that an interrupted run rebuilds the same.
    """

    theta: Array
    rows: int
    l2: float
    inverse: NDArray[np.float32] = field(repr=False)

    @classmethod
    def of(cls, objective: Objective, theta: Array, rows: int, l2: float) -> Preconditioner:
        part = replace(objective, X=objective.X[:rows], y=objective.y[:rows], l2=l2)
        hessian = part.hessian(np.exp(part.log_proba(part.phi(theta))))
        return cls(theta, rows, l2, approximate_inverse(hessian))

    @classmethod
    def at(cls, point: Point) -> Preconditioner:
        """Of all samples, here and now."""
        objective = point.objective
        return cls.of(objective, objective.theta(point.phi), len(objective.y), objective.l2)

    def __call__(self, residual: NDArray[np.floating]) -> NDArray[np.floating]:
        single = residual.astype(np.float32, copy=False)
        applied: NDArray[np.float32] = ssymv(1.0, self.inverse.T, single)  # reads half of it
        return applied.astype(residual.dtype, copy=False)


def minimise(
    objective: Objective,
    phi: Array,
    preconditioner: Preconditioner,
    tolerance: float,
    max_iter: int,
) -> tuple[Point, Preconditioner, int]:
    """From phi (m,) to max |grad F| <= ``tolerance``: the optimum, the next preconditioner, steps.

    Raises `NotConverged` at ``max_iter``.
    """
    here, single = objective.at(phi), True
    for n_iter in range(max_iter + 1):
        if here.norm <= tolerance:
            return here, preconditioner, n_iter
        step, preconditioner = _newton_step(here, preconditioner, tolerance, single)
        there = _damped(here, step)
        single = there.norm < 0.5 * here.norm  # else single precision may be what is in the way
        here = there
    raise NotConverged(
        f"softmax regression: gradient {here.norm:.1e} after {max_iter} Newton steps, "
        f"{tolerance:.0e} asked for; standardise the features or lower C"
    )


def _newton_step(
    here: Point, preconditioner: Preconditioner, tolerance: float, single: bool
) -> tuple[Array, Preconditioner]:
    """-H^-1 grad F as exactly as this step deserves, and the preconditioner for the next one."""
    rtol = max(min(0.3, here.norm**0.5), 0.3 * tolerance / here.norm)
    dtype = np.float32 if single and rtol >= _SINGLE else np.float64
    product = here.objective.curvature(here.P, dtype)
    scale = float(np.linalg.norm(here.gradient))
    b = (here.gradient / -scale).astype(dtype, copy=False)
    try:
        solution = conjugate_gradients(
            product, b, precondition=preconditioner, rtol=rtol, max_iter=4 * _STALE
        )
    except NotConverged:  # the inverse is of elsewhere, or single precision sees a singular H
        step = Factor.of(here.objective.hessian(here.P)).solve(-here.gradient)
        return step, Preconditioner.at(here)
    if solution.n_iter > _STALE:
        preconditioner = Preconditioner.at(here)
    return scale * solution.x.astype(np.float64, copy=False), preconditioner


def _damped(here: Point, step: Array) -> Point:
    """The first of the whole step, its half, quarter, ... that lowers F enough (Armijo).

    Undamped Newton diverges from afar.
    """
    slope = float(here.gradient @ step)
    noise = 1e-14 * max(1.0, abs(here.value))  # F's own round-off decides nothing
    length = 1.0
    while length > 1e-10:
        there = here.objective.at(here.phi + length * step)
        if there.value <= here.value + ENOUGH * length * slope + noise:
            return there
        length *= 0.5
    raise NotConverged(
        "softmax regression: no step lowers the objective; standardise the features or lower C"
    )

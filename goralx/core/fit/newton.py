"""The fit: Newton's method with inexact steps, damped, to a relative error of theta.

Each step is solved by conjugate gradients as exactly as it deserves, leaning on what `road` has for
it, and halved until the objective falls. How far the optimum is, is read off the gradient g in the
metric of the Hessian: the Newton decrement sqrt(g'H^-1 g) is |theta - optimum| in the norm of H, to
the order that counts, and at least sqrt(l2) times the Euclidean distance of what is penalised. So
the decrement over sqrt(l2) |theta_pen| bounds the relative error, at any scale of the features and
any l2; the gradient alone bounds nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..linear_solve import ENOUGH, USELESS, Array, NotConverged, Solution, conjugate_gradients
from .coordinates import Coordinates
from .objective import Point
from .preconditioner import Cholesky, Preconditioner
from .road import Road

_SINGLE = 1e-4  # relative error down to which single precision carries conjugate gradients
_NEAR = 1.0  # change of a sample's logits within which H is known by what it was
_SAFE = 0.5  # change of a sample's logits within which F surely falls
_FORCING = 0.3  # relative error of a step from afar
_NOTHING = 1e-7  # sqrt(l2) |theta|, below which it counts as this
_PATIENCE = 3  # steps that do not halve the error, before round-off is taken to be in the way


@dataclass(frozen=True)
class Optimum:
    """Where `minimise` ended, the ``relative_error`` that is left in theta, and for what follows
    the ``road`` and the number of Newton steps.
    """

    point: Point
    relative_error: float
    road: Road
    n_iter: int


def minimise(
    coordinates: Coordinates, phi: Array, road: Road, tolerance: float, max_iter: int
) -> Optimum:
    """From phi (m,) to a relative error of at most ``tolerance``, or of what round-off leaves.

    Raises `NotConverged` at ``max_iter``, and where more than `USELESS` is left.
    """
    here = coordinates.inner.at(phi)
    single, stuck, before = True, 0, math.inf
    n_iter, smallest = 0, math.inf
    while True:
        rtol = max(min(_FORCING, before), 0.3 * tolerance / max(before, tolerance))
        solution, preconditioner, road = newton_step(here, coordinates, road, rtol, single)
        error = relative_error(solution, here)
        if error <= tolerance:
            return Optimum(here, error, road, n_iter)
        if n_iter == max_iter:
            break
        there, moved = damped(here, solution.x)
        n_iter += 1
        left = math.inf
        if moved <= _NEAR:  # then H is at least exp(-moved) times what it was
            smallest = min(smallest, solution.smallest)
            left = decrement(there, preconditioner, smallest)
            left *= math.exp(0.5 * moved) / max(there.length, _NOTHING)
            if left <= tolerance:
                return Optimum(there, left, road, n_iter)
            stuck = stuck + 1 if left > 0.5 * error else 0
            if stuck >= _PATIENCE and left <= USELESS:
                return Optimum(there, left, road, n_iter)
        single = left < 0.5 * error or moved > _NEAR  # else single precision may be in the way
        here, before = there, min(left, 1.0)
    raise NotConverged(
        f"softmax regression: relative error {error:.1e} after {max_iter} Newton steps, "
        f"{tolerance:.0e} asked for; standardise the features or lower C"
    )


def newton_step(
    here: Point, coordinates: Coordinates, road: Road, rtol: float, single: bool
) -> tuple[Solution, Preconditioner, Road]:
    """-H^-1 grad F to ``rtol``, what it was preconditioned with, and the road from here."""
    objective = here.objective
    scale = float(np.linalg.norm(here.gradient))
    preconditioner = road.preconditioner(here, rtol)
    if scale == 0.0:
        return Solution(np.zeros_like(here.phi), 0.0, 0), preconditioner, road
    b = here.gradient / -scale
    dtype = np.float32 if single and rtol >= _SINGLE else np.float64
    if isinstance(preconditioner, Cholesky):
        dtype = np.float64
    found = conjugate_gradients(
        objective.curvature(here.P, dtype), b.astype(dtype, copy=False),
        precondition=preconditioner, rtol=rtol, max_iter=road.patience(),
    )  # fmt: skip
    road = road.after(found.n_iter, rtol, coordinates, here)
    if found.relative_error > rtol:  # too long, or single precision sees a singular H
        if dtype == np.float64:
            road = road.stuck(objective)
        preconditioner = road.preconditioner(here, rtol)
        again = conjugate_gradients(
            objective.curvature(here.P), b, precondition=preconditioner, rtol=rtol,
            max_iter=road.patience(),
        )  # fmt: skip
        found = again if again.energy > 0.0 else found
    if not found.energy > 0.0:
        raise NotConverged(
            "softmax regression: the curvature is singular to the last bit; standardise the "
            "features or lower C"
        )
    x = scale * found.x.astype(np.float64, copy=False)
    energy = scale * scale * found.energy
    step = Solution(x, found.relative_error, found.n_iter, energy, found.smallest)
    return step, preconditioner, road


def relative_error(step: Solution, point: Point) -> float:
    """Of theta, from Newton's step there."""
    return math.sqrt(step.energy) / max(point.length, _NOTHING)


def decrement(point: Point, preconditioner: Preconditioner, smallest: float) -> float:
    """A bound on sqrt(g'H^-1 g), from M^-1 and the smallest eigenvalue of M^-1 H."""
    g = point.gradient
    rho = float(g @ preconditioner(g))
    return math.sqrt(rho / smallest) if rho >= 0.0 else math.inf


def damped(here: Point, step: Array) -> tuple[Point, float]:
    """The first of the whole step, its half, quarter, ... that lowers F enough (Armijo), and by how
    much it moves the logits of a sample at most.

    Undamped Newton diverges from afar. Near the optimum F's round-off hides what a step brings, but
    one that moves no sample's logits by more than a half is sure to lower it: the third derivative
    is at most the second times that (Bach 2010, doi:10.1214/09-EJS521).
    """
    slope = float(here.gradient @ step)
    noise = 1e-14 * abs(here.value)  # F's own round-off decides nothing
    length = 1.0
    while length > 1e-10:
        there = here.objective.at(here.phi + length * step)
        moved = float(np.ptp(there.log_P - here.log_P, axis=1).max())
        if moved <= _SAFE or there.value <= here.value + ENOUGH * length * slope + noise:
            return there, moved
        length *= 0.5
    raise NotConverged(
        "softmax regression: no step lowers the objective; standardise the features or lower C"
    )

"""Multinomial logistic regression (Sec. 8), fitted: everything that a utility asks of a model.

`predictions` has the passes over many samples, `objective` what is minimised and its derivatives,
`newton` how; their names are at home here too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, issparse, vstack

from ..errors import BadInput
from .beyond import refits, retraining
from .beyond.expansion import Expansion
from .beyond.fantasy import Fantasy
from .fit.contrasts import contrasts
from .fit.coordinates import Coordinates
from .fit.newton import minimise, newton_step, relative_error
from .fit.objective import Objective, Point
from .fit.preconditioner import Preconditioner
from .fit.road import LONG, Kept, Road, kept_over_fits
from .inverse import cost
from .inverse.curvature import quadratic_form
from .inverse.inverse_curvature import inverse_curvature
from .linear_solve import Array, Solution, refined
from .predictions import Predictor, log_proba, log_softmax, logits, pullback

__all__ = [
    "Objective", "Predictor", "SoftmaxFit", "at_optimum", "contrasts", "fit", "log_proba",
    "log_softmax", "logits", "pullback", "restore",
]  # fmt: skip

_SOLVED = 1e-8  # relative error of `SoftmaxFit.solve`
_BY_THE_WAY = 3e8  # operations of an inverse that is made for the leverages of a few samples
_SPAN = 600  # coefficients of a retraining problem up to which one small system each is cheaper


@dataclass(frozen=True)
class SoftmaxFit(Predictor):
    """A fitted softmax regression: everything that a utility asks of a model.

    ``theta`` (K, D); ``objective`` is what it minimises and holds the labelled samples, and
    ``coordinates`` what it was minimised in. ``relative_error`` bounds the distance of theta from
    the optimum, over its length: that of what is penalised, Euclidean, and of all of it in the
    metric of the Hessian. ``gradient_norm`` is max |grad F|, after ``n_iter`` Newton steps.
    ``held``: its intercepts are penalised only because a class has no label, and no longer once
    each has one.
    """

    objective: Objective = field(repr=False)
    coordinates: Coordinates = field(repr=False)
    road: Road = field(repr=False)
    relative_error: float
    n_iter: int
    held: bool = False

    @property
    def n_labelled(self) -> int:
        return len(self.objective.y)

    @property
    def predictor(self) -> Predictor:
        """The same predictions without the labelled samples."""
        return Predictor(self.theta)

    @property
    def l2(self) -> float:
        return self.objective.l2

    @property
    def decay(self) -> Array:
        """(D,): l2 on the penalised coordinates."""
        return self.objective.decay

    @property
    def penalty_gradient(self) -> Array:
        """Gradient (K, D) of the penalty folded into each sample's loss: l2 theta_pen."""
        return self.theta * self.decay

    @cached_property
    def noise(self) -> float:
        """What the error in theta makes of a utility, relative to the largest.

        A logit z moves by at most ``relative_error`` |z|, and p, 1 - p and all that is made of them
        by that times themselves: once in the goal's slope, once in the curvature, and once in the
        candidate's own share. z is taken from the labelled samples.
        """
        reach = float(np.ptp(np.maximum(self._point.log_P, math.log(1e-300)), axis=1).max())
        return self.relative_error * (1.0 + 3.0 * reach)

    @property
    def preconditioner(self) -> Kept | None:
        """What later fits will lean on, if anything was worth making."""
        return self.road.kept

    @cached_property
    def gradient_norm(self) -> float:
        phi = self.objective.phi(self.theta)
        return float(np.abs(self.objective.gradient(phi, self._point.P)).max())

    def solve(self, g: Array) -> Solution:
        """H^-1 g for g (K, D), to 1e-8 of itself in the metric of the Hessian; x is (K, D).

        ``relative_error`` of the solution is measured at x: on a nearly singular system round-off
        leaves more than the recurrence of conjugate gradients knows of.
        """
        coordinates, inner = self.coordinates, self.coordinates.inner
        b, off = coordinates.gradient(g)
        quick = inner.curvature(self._point.P, np.float32) if self.road.quick(inner) else None
        solution = refined(
            inner.curvature(self._point.P),
            quick,
            b,
            precondition=self._leaning_on,
            rtol=_SOLVED,
            max_iter=LONG,
        )
        return replace(solution, x=coordinates.solved(solution.x, off))

    def logit_variance(self, X: NDArray[np.floating]) -> Array:
        """Posterior variance of each class-centred logit, by Laplace's approximation: (N, K)."""
        return self.expansion("fixed_C").B.variance(X, self.objective.Q)

    def leverage(self, X: NDArray[np.floating]) -> tuple[Array, Array] | None:
        """About the leverages S(x) (N, K-1, K-1) of X (N, d), and the contrasts Q they are in.

        None where they are not at hand. With what is kept for preconditioning they are free: the
        summed curvature of the samples that it was made from, in an earlier round. They are fewer,
        so that S is over- rather than understated.
        """
        kept, centre, Q = self.road.kept, self.coordinates.centre, self.objective.Q
        if kept is not None:
            shift = 0.0 if centre is None else centre
            return quadratic_form(X - shift, kept.apply.inverse) / kept.rows, Q
        if cost.inverse(self.n_labelled, self.objective.X.shape[1], self.n_classes) <= _BY_THE_WAY:
            return self.expansion("fixed_C").leverage(X), Q
        return None

    def expansion(self, regime: str, n_new: int = 1) -> Expansion:
        """The labelled set's summed objective around its optimum, as ``n_new`` samples join it.

        Under ``fixed_C`` the summed penalty stays; under ``fixed_lambda`` each brings its share.
        What `implicit`, lookahead and `retraining` start from; made once and kept.
        """
        n_shares = n_new if regime == "fixed_lambda" else 0
        if n_shares not in self._expansions:
            self._expansions[n_shares] = self._expand(n_shares)
        return self._expansions[n_shares]

    def retrained(
        self, X_new: NDArray[np.floating], y_new: NDArray[np.int64], regime: str
    ) -> Array:
        """Exact change of phi (T, m) as X_new[t] (b, d) with labels y_new[t] (b,) join, for each t.

        X_new (1, b, d) are the same samples in every problem. By one small system for each where
        there are more features than coefficients, else by `refits`; to a gradient of 1e-10.
        """
        if self.held:
            release = np.array([self._releases(labels) for labels in y_new])
            if release.any():
                return self._retrained_released(X_new, y_new, regime, release)
        objective, n, b = self.objective, self.n_labelled, y_new.shape[1]
        n_shares = b if regime == "fixed_lambda" else 0
        if (n + b) * (self.n_classes - 1) <= min(_SPAN, objective.X.shape[1]):
            phi = objective.phi(self.theta)
            return retraining.retrained(objective, phi, X_new, y_new, n_shares=n_shares)
        penalty = (n + n_shares) * objective.decay
        return refits.refitted(objective, self.expansion(regime, b), X_new, y_new, penalty=penalty)

    def _releases(self, labels: NDArray[np.int64]) -> bool:
        """Whether these labels are of all the classes that have none."""
        return len(np.union1d(self.objective.y, labels)) == self.n_classes

    def _retrained_released(
        self,
        X_new: NDArray[np.floating],
        y_new: NDArray[np.int64],
        regime: str,
        release: NDArray[np.bool_],
    ) -> Array:
        """The same, where some problems (T,) are of another objective, and fits of their own."""
        shared = len(X_new) == 1
        phi, n, b = self.objective.phi(self.theta), self.n_labelled, y_new.shape[1]
        change = np.empty((len(y_new), self.objective.size))
        held = np.flatnonzero(~release)
        if len(held):
            samples = X_new if shared else X_new[held]
            change[held] = self.retrained(samples, y_new[held], regime)
        l2 = self.l2 * (n + b if regime == "fixed_lambda" else n) / (n + b)
        X = self.objective.X[:, :-1]
        for t in np.flatnonzero(release):
            joined = _joined(X, X_new[0 if shared else t])
            y = np.concatenate([self.objective.y, y_new[t]])
            after = fit(joined, y, self.n_classes, l2=l2)
            change[t] = after.objective.phi(after.theta) - phi
        return change

    def inserted(self, x: NDArray[np.floating], label: int | None, regime: str) -> Fantasy:
        """The model as x (d,) under a label (or none) would leave it, without a refit."""
        return Fantasy.of(self, x, label, regime)

    def _expand(self, n_shares: int) -> Expansion:
        objective, n = self.objective, self.n_labelled
        phi, P, X = objective.phi(self.theta), self._point.P, objective.dense
        decay = (n + n_shares) * objective.decay
        centre = None if objective.penalize_intercept else self.coordinates.centre
        B = inverse_curvature(objective.Q, X, P, decay, centre)
        log_P, still = self._point.log_P, np.zeros(objective.size)
        around = Expansion(objective.Q, X, log_P, phi, B, still, decay)
        if n_shares == 0:
            return around
        pull = n_shares * np.tile(objective.decay, self.n_classes - 1) * phi
        return replace(around, shift=-around.times_B(pull[None])[0])

    @cached_property
    def _expansions(self) -> dict[int, Expansion]:
        return {}

    def checkpoint(self) -> dict[str, Array]:
        """Arrays from which `restore` makes this fit again, bit for bit."""
        kept, road = self.road.kept, self.road
        arrays = {
            "theta": self.theta,
            "l2": np.array(self.l2),
            "relative_error": np.array(self.relative_error),
            "centred": np.array(float(self.coordinates.centred)),
            "spent": np.array(road.spent),
            "direct": np.array(float(road.direct)),
        }
        if kept is not None:
            arrays["preconditioner_theta"] = kept.theta
            arrays["preconditioner_rows"] = np.array(float(kept.rows))
            arrays["preconditioner_l2"] = np.array(kept.l2)
        return arrays

    @cached_property
    def _point(self) -> Point:
        """Where theta is, in the coordinates of the fit."""
        return self.coordinates.inner.at(self.coordinates.phi(self.theta))

    @cached_property
    def _leaning_on(self) -> Preconditioner:
        return self.road.preconditioner(self._point)


def fit(
    X: ArrayLike,
    y: ArrayLike,
    n_classes: int,
    *,
    l2: float,
    penalize_intercept: bool = False,
    previous: SoftmaxFit | None = None,
    tolerance: float = 1e-8,
    max_iter: int = 100,
) -> SoftmaxFit:
    """Minimise F until theta is at most ``tolerance`` of itself from the optimum.

    X (n, d), dense or sparse; ``previous`` is the last round's fit, whose samples are the first
    rows of X: where to start. Raises `NotConverged` at ``max_iter``, for an influence away from the
    optimum is biased, and `BadInput` where there is no optimum.
    """
    objective = Objective.of(X, y, n_classes, l2, penalize_intercept)
    check(objective)
    if previous is None:
        coordinates, road = Coordinates.of(objective), Road()
        phi = np.zeros(coordinates.inner.size)
    else:
        coordinates = Coordinates.of(objective, previous.coordinates.centred)
        road = previous.road.into(coordinates)
        phi = coordinates.phi(previous.theta)
    found = minimise(coordinates, phi, road, tolerance, max_iter)
    theta = coordinates.theta(found.point.phi)
    return SoftmaxFit(theta, objective, coordinates, found.road, found.relative_error, found.n_iter)


def _joined(X: Any, more: NDArray[np.floating]) -> Any:
    """The rows of X (n, d), dense or CSR, then more (b, d)."""
    return vstack([X, csr_array(more)], format="csr") if issparse(X) else np.vstack([X, more])


def check(objective: Objective) -> None:
    """A problem without a finite optimum is refused."""
    missing = np.flatnonzero(np.bincount(objective.y, minlength=objective.n_classes) == 0)
    if len(missing) and not objective.penalize_intercept:
        raise BadInput(
            f"softmax regression has no finite optimum: no labelled sample of class {missing[0]} "
            f"(of 0 to {objective.n_classes - 1}), whose intercept is not penalised; label one, or "
            "set model.penalize_intercept=true"
        )
    if not (objective.l2 > 0.0 and np.isfinite(objective.l2) and np.isfinite(objective.scale)):
        raise BadInput(
            f"softmax regression has no finite optimum: lambda = {objective.l2:g} must be positive "
            "and finite, as must all features be finite; give a finite C"
        )


def restore(
    X: ArrayLike,
    y: ArrayLike,
    n_classes: int,
    arrays: Mapping[str, Array],
    *,
    penalize_intercept: bool,
) -> SoftmaxFit:
    """The fit whose `SoftmaxFit.checkpoint` these arrays are, with its labelled samples.

    Checkpoints of before there were roads hold a preconditioner and say no error.
    """
    objective = Objective.of(X, y, n_classes, float(arrays["l2"]), penalize_intercept)
    coordinates = Coordinates.of(objective, int(arrays.get("centred", np.array(0.0))))
    spent, direct = (float(arrays.get(name, np.array(0.0))) for name in ("spent", "direct"))
    kept = None
    if "preconditioner_theta" in arrays and kept_over_fits(coordinates):
        kept = Kept.of(
            coordinates,
            arrays["preconditioner_theta"],
            int(arrays["preconditioner_rows"]),
            float(arrays["preconditioner_l2"]),
        )
    road = Road(kept, spent, bool(direct))
    theta = np.asarray(arrays["theta"])
    if "relative_error" in arrays:
        error = float(arrays["relative_error"])
        return SoftmaxFit(theta, objective, coordinates, road, error, 0)
    return SoftmaxFit(theta, objective, coordinates, *away(coordinates, theta, road), 0)


def at_optimum(
    X: ArrayLike, y: ArrayLike, theta: Array, *, l2: float, penalize_intercept: bool
) -> SoftmaxFit:
    """Parameters that another solver found (K, D), with this module's derivatives around them, and
    the error that is really in them.
    """
    theta = theta - theta.mean(axis=0)
    objective = Objective.of(X, y, len(theta), l2, penalize_intercept)
    check(objective)
    coordinates = Coordinates.of(objective)
    return SoftmaxFit(theta, objective, coordinates, *away(coordinates, theta, Road()), 0)


def away(coordinates: Coordinates, theta: Array, road: Road) -> tuple[Road, float]:
    """The road from theta (K, D) on, and the relative error of theta: the step to the optimum."""
    point = coordinates.inner.at(coordinates.phi(theta))
    step, _, road = newton_step(point, coordinates, road, 0.1, single=False)
    return road, relative_error(step, point)

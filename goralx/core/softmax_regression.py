"""Multinomial logistic regression (Sec. 8), fitted: everything that a utility asks of a model.

`predictions` has the passes over many samples, `objective` what is minimised and its derivatives,
`newton` how; their names are at home here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import refits, retraining
from .curvature import Expansion, quadratic_form
from .fantasy import Fantasy
from .inverse_curvature import inverse_curvature
from .linear_solve import Array, Solution, refined
from .newton import Preconditioner, minimise
from .objective import Objective, contrasts
from .predictions import Predictor, log_proba, log_softmax, logits, pullback

__all__ = [
    "Objective", "Preconditioner", "Predictor", "SoftmaxFit", "at_optimum", "contrasts", "fit",
    "log_proba", "log_softmax", "logits", "pullback", "restore",
]  # fmt: skip

_SPAN = 600  # coefficients of a retraining problem up to which one small system each is cheaper


@dataclass(frozen=True)
class SoftmaxFit(Predictor):
    """A fitted softmax regression: everything that a utility asks of a model.

    ``theta`` (K, D); ``objective`` is what it minimises and holds the labelled samples;
    ``gradient_norm`` is max |grad F| there, after ``n_iter`` Newton steps.
    """

    objective: Objective = field(repr=False)
    preconditioner: Preconditioner = field(repr=False)
    gradient_norm: float
    n_iter: int

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

    def solve(self, g: Array) -> Solution:
        """H^-1 g for g (K, D), to a relative residual of 1e-8; x has shape (K, D).

        The residual that is reported is measured at x: on a nearly singular system round-off leaves
        more than the recurrence of conjugate gradients knows of.
        """
        objective = self.objective
        solution = refined(
            objective.curvature(self._P),
            objective.curvature(self._P, np.float32),
            objective.phi(g),
            precondition=self.preconditioner,
            rtol=1e-8,
        )
        return replace(solution, x=objective.theta(solution.x))

    def logit_variance(self, X: NDArray[np.floating]) -> Array:
        """Posterior variance of each class-centred logit, by Laplace's approximation: (N, K)."""
        return self.expansion("fixed_C").B.variance(X, self.objective.Q)

    def leverage(self, X: NDArray[np.floating]) -> tuple[Array, Array]:
        """About the leverages S(x) (N, K-1, K-1) of X (N, d), and the contrasts Q they are in.

        With the preconditioner's inverse, for free: the summed curvature of the samples that it was
        made from, in an earlier round. They are fewer, so that S is over- rather than understated.
        """
        made = self.preconditioner
        return quadratic_form(X, made.inverse) / made.rows, self.objective.Q

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
        objective, n, b = self.objective, self.n_labelled, y_new.shape[1]
        n_shares = b if regime == "fixed_lambda" else 0
        if (n + b) * (self.n_classes - 1) <= min(_SPAN, objective.X.shape[1]):
            phi = objective.phi(self.theta)
            return retraining.retrained(objective, phi, X_new, y_new, n_shares=n_shares)
        penalty = (n + n_shares) * objective.decay
        return refits.refitted(objective, self.expansion(regime, b), X_new, y_new, penalty=penalty)

    def inserted(self, x: NDArray[np.floating], label: int | None, regime: str) -> Fantasy:
        """The model as x (d,) under a label (or none) would leave it, without a refit."""
        return Fantasy.of(self, x, label, regime)

    def _expand(self, n_shares: int) -> Expansion:
        objective, n = self.objective, self.n_labelled
        phi, P = objective.phi(self.theta), self._P
        B = inverse_curvature(objective.Q, objective.X, P, (n + n_shares) * objective.decay)
        log_P, still = objective.log_proba(phi), np.zeros(objective.size)
        around = Expansion(objective.Q, objective.X, log_P, phi, B, still)
        if n_shares == 0:
            return around
        pull = n_shares * np.tile(objective.decay, self.n_classes - 1) * phi
        return replace(around, shift=-around.times_B(pull[None])[0])

    @cached_property
    def _expansions(self) -> dict[int, Expansion]:
        return {}

    def checkpoint(self) -> dict[str, Array]:
        """Arrays from which `restore` makes this fit again, bit for bit."""
        return {
            "theta": self.theta,
            "l2": np.array(self.l2),
            "preconditioner_theta": self.preconditioner.theta,
            "preconditioner_rows": np.array(float(self.preconditioner.rows)),
            "preconditioner_l2": np.array(self.preconditioner.l2),
        }

    @cached_property
    def _P(self) -> Array:
        return np.exp(self.objective.log_proba(self.objective.phi(self.theta)))


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
    """Minimise F until max |grad F| <= ``tolerance`` (of the mean: 1e-8 n of the sum's gradient).

    ``previous`` is the last round's fit, whose samples are the first rows of X: where to start.
    Raises `NotConverged` at ``max_iter``: an influence away from the optimum is biased.
    """
    objective = Objective.of(X, y, n_classes, l2, penalize_intercept)
    if previous is None:
        phi = np.zeros(objective.size)
        preconditioner = Preconditioner.of(objective, objective.theta(phi), len(objective.y), l2)
    else:
        phi = objective.phi(previous.theta)
        preconditioner = previous.preconditioner
    there, preconditioner, n_iter = minimise(objective, phi, preconditioner, tolerance, max_iter)
    if previous is None:  # the way was long; what comes next starts from here
        preconditioner = Preconditioner.at(there)
    theta = objective.theta(there.phi)
    return SoftmaxFit(theta, objective, preconditioner, there.norm, n_iter)


def restore(
    X: ArrayLike,
    y: ArrayLike,
    n_classes: int,
    arrays: Mapping[str, Array],
    *,
    penalize_intercept: bool,
) -> SoftmaxFit:
    """The fit whose `SoftmaxFit.checkpoint` these arrays are, with its labelled samples."""
    objective = Objective.of(X, y, n_classes, float(arrays["l2"]), penalize_intercept)
    preconditioner = Preconditioner.of(
        objective,
        arrays["preconditioner_theta"],
        int(arrays["preconditioner_rows"]),
        float(arrays["preconditioner_l2"]),
    )
    return _around(objective, arrays["theta"], preconditioner)


def at_optimum(
    X: ArrayLike, y: ArrayLike, theta: Array, *, l2: float, penalize_intercept: bool
) -> SoftmaxFit:
    """Parameters that another solver found (K, D), with this module's derivatives around them."""
    theta = theta - theta.mean(axis=0)
    objective = Objective.of(X, y, len(theta), l2, penalize_intercept)
    preconditioner = Preconditioner.of(objective, theta, len(objective.y), l2)
    return _around(objective, theta, preconditioner)


def _around(objective: Objective, theta: Array, preconditioner: Preconditioner) -> SoftmaxFit:
    norm = objective.at(objective.phi(theta)).norm
    return SoftmaxFit(theta, objective, preconditioner, norm, 0)

"""What a model must say: its predictions; and what it may: derivatives, and curvature.

=====================  =========================================  ==================================
a fit that is a        says                                       and is enough for
=====================  =========================================  ==================================
`FittedModel`          its predictions                            ``retrain``, audits, batches,
                                                                  every strategy
`DifferentiableModel`  how they move with its parameters, both    ``influence``, ``lookahead``,
                       ways, and the inverse Hessian times a      ``kmeanspp``
                       vector
`CurvedModel`          its inverse Hessian in closed form         ``implicit``, ``laplace``, design
                                                                  goals; the others, faster
=====================  =========================================  ==================================

Every model can refit: that is `Model.fit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, cast, runtime_checkable

from goralx.core import Array, Expansion, Floats, Solution
from goralx.data import Features, Labelled, Labels

from .passes import Predictor


class FittedModel(Protocol):
    """Predictions, of whatever kind of model.

    What it says of samples may have the precision of their features.
    """

    @property
    def n_labelled(self) -> int: ...

    @property
    def n_classes(self) -> int: ...

    @property
    def noise(self) -> float:
        """What the fit's own error makes of a utility, relative to the largest; 0: nothing."""

    def log_proba(self, X: Features) -> Floats:
        """log P(y | x): (N, K), finite."""

    def checkpoint(self) -> dict[str, Array]:
        """Arrays from which `Model.restore` makes this very fit again, bit for bit."""


class DifferentiableModel(FittedModel, Protocol):
    """What a fit adds where its model has the capability "derivatives": it is at an optimum.

    Linear in nothing: a network may answer with vjp, jvp and conjugate gradients. Parameters are
    float64.
    """

    @property
    def theta(self) -> Array:
        """Parameters; (K, D) for softmax regression."""

    @property
    def penalty_gradient(self) -> Array:
        """Gradient of the penalty that one more sample brings along, in the shape of theta."""

    def pullback(self, X: Features, G: Floats) -> Array:
        """Jacobian of the logits, transposed, times G (N, K), summed over samples: as theta."""

    def pushforward(self, X: Features, v: Array) -> Floats:
        """Derivative of the logits along v, up to a constant per row: (N, K)."""

    def solve(self, g: Array) -> Solution:
        """H^-1 g, H the mean Hessian of the training objective.

        g is a pullback of logit gradients that sum to zero over classes, up to the round-off of
        the features: along what no prediction sees, H is singular, and g is to be cleared of it.
        """


class CurvedModel(DifferentiableModel, Protocol):
    """What a fit adds where its model has the capabilities "logit_variance" and "expansion"."""

    def logit_variance(self, X: Features) -> Array:
        """Posterior variance of each class-centred logit: (N, K)."""

    def expansion(self, regime: str, n_new: int = 1) -> Expansion:
        """The labelled set around its optimum, as ``n_new`` samples join it."""

    def retrained(self, X_new: Features, y_new: Labels, regime: str) -> Array:
        """Exact change of phi (T, m) as X_new (T, b, d) with y_new (T, b) join, for each of T."""

    def inserted(self, x: Features, label: int | None, regime: str) -> CurvedModel:
        """The fit as x (d,) under this label would leave it, without a refit or a checkpoint.

        Without a label its curvature joins and theta stays, as if labels came as predicted.
        """


class TravellingModel(FittedModel, Protocol):
    """What a fit adds where its model has the capability "predictor"."""

    @property
    def predictor(self) -> Predictor:
        """Its predictions without its labelled samples: small enough to be sent elsewhere."""


def parameters(fitted: FittedModel, model: Model) -> Array | None:
    """theta, of a model that has any to show."""
    differentiable = "derivatives" in model.capabilities
    return cast(DifferentiableModel, fitted).theta if differentiable else None


@runtime_checkable
class Model(Protocol):
    """Fits. ``capabilities`` names what its fits can do beyond `FittedModel`: "derivatives" (see
    `DifferentiableModel`), "expansion" and "logit_variance" (`CurvedModel`), "predictor"
    (`TravellingModel`).

    ``regime`` says what one more sample does to the penalty: under ``fixed_C`` lambda = 1/(nC)
    shrinks as n grows, under ``fixed_lambda`` it stays and every sample brings its share (Eq. 6).
    """

    @property
    def capabilities(self) -> frozenset[str]: ...

    @property
    def regime(self) -> str: ...

    def fit(
        self, labelled: Labelled, n_classes: int, previous: FittedModel | None = None
    ) -> FittedModel:
        """Fit to all labelled samples; ``previous`` was fit to the first of them."""

    def restore(
        self, labelled: Labelled, n_classes: int, arrays: Mapping[str, Array]
    ) -> FittedModel: ...

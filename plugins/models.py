"""Models: softmax regression by our own Newton method, and the same model fit by scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

import goralx
from goralx import Array, BadInput, Incompatible, Labelled
from goralx.core import NotConverged, SoftmaxFit, softmax_regression

CAPABILITIES = frozenset({"logit_variance", "expansion", "predictor"})


@dataclass(frozen=True)
class SoftmaxRegression:
    """Multinomial logistic regression, all K classes free, L2 penalty 1/(2 n C) |theta|^2 (Sec. 8).

    ``C`` as in scikit-learn, except that for two classes this model at C is scikit-learn's at 2C.
    ``regime``: "fixed_C" (C stays, lambda = 1/(nC) shrinks as labels come) or "fixed_lambda"
    (lambda = 1/(nC) of the init set, kept; Eqs 2 and 6 to the letter). ``tolerance`` is theta's
    relative error; where round-off leaves more, the fit's ``relative_error`` says how much.
    While a class has no label, intercepts are penalised whatever ``penalize_intercept`` says: that
    of the class would run off to minus infinity.
    """

    C: float = 1.0
    regime: str = "fixed_C"
    penalize_intercept: bool = False
    tolerance: float = 1e-8

    capabilities: ClassVar[frozenset[str]] = CAPABILITIES

    def __post_init__(self) -> None:
        check_options(self.C, self.regime)
        if not 0 < self.tolerance < 1:
            raise BadInput(f"model.tolerance={self.tolerance}; allowed: above 0, below 1")

    def fit(
        self, labelled: Labelled, n_classes: int, previous: SoftmaxFit | None = None
    ) -> SoftmaxFit:
        return softmax_regression.fit(
            labelled.X,
            labelled.y,
            n_classes,
            l2=penalty(self.C, self.regime, len(labelled), previous),
            penalize_intercept=self._penalizes(labelled, n_classes),
            previous=previous,
            tolerance=self.tolerance,
        )

    def restore(
        self, labelled: Labelled, n_classes: int, arrays: Mapping[str, Array]
    ) -> SoftmaxFit:
        penalized = self._penalizes(labelled, n_classes)
        return softmax_regression.restore(
            labelled.X, labelled.y, n_classes, arrays, penalize_intercept=penalized
        )

    def _penalizes(self, labelled: Labelled, n_classes: int) -> bool:
        """Eq. 6 to the letter has an optimum where a class has no label, and only that has."""
        return self.penalize_intercept or bool(absent_classes(labelled.y, n_classes).any())


@dataclass(frozen=True)
class SklearnLogisticRegression:
    """The same model fit by scikit-learn's lbfgs: a second opinion, slower and less exact.

    Takes goralx's C: for two classes scikit-learn is given 2C. Intercepts are never penalised. Its
    ``tolerance`` is of the gradient, which says little where the penalty is weak; how far theta is
    from the optimum is worked out afterwards, and is the fit's ``relative_error``.
    """

    C: float = 1.0
    regime: str = "fixed_C"
    tolerance: float = 1e-8
    max_iter: int = 10000

    capabilities: ClassVar[frozenset[str]] = CAPABILITIES

    def __post_init__(self) -> None:
        check_options(self.C, self.regime)
        if not 0 < self.tolerance < 1:
            raise BadInput(f"model.tolerance={self.tolerance}; allowed: above 0, below 1")
        if self.max_iter < 1:
            raise BadInput(f"model.max_iter={self.max_iter}; allowed: at least 1")

    def fit(
        self, labelled: Labelled, n_classes: int, previous: SoftmaxFit | None = None
    ) -> SoftmaxFit:
        from sklearn.linear_model import LogisticRegression

        if absent_classes(labelled.y, n_classes).any():
            raise Incompatible(
                "model=sklearn: a class has no label, and without a penalty its intercept has no "
                "optimum; label one of each, or use model=softmax"
            )
        l2 = penalty(self.C, self.regime, len(labelled), previous)
        C = 1.0 / (l2 * len(labelled))
        solver = LogisticRegression(
            C=2.0 * C if n_classes == 2 else C, tol=self.tolerance, max_iter=self.max_iter
        )
        solver.fit(labelled.X.astype(np.float64, copy=False), labelled.y)  # float32 stops early
        if solver.n_iter_.max() >= self.max_iter:  # of which scikit-learn only warns
            raise NotConverged(
                f"scikit-learn's lbfgs: not converged after {self.max_iter} iterations; raise "
                "model.max_iter, standardise the features or lower C"
            )
        theta = np.column_stack([solver.coef_, solver.intercept_])
        if n_classes == 2:
            theta = np.concatenate([-0.5 * theta, 0.5 * theta])
        return softmax_regression.at_optimum(
            labelled.X, labelled.y, theta, l2=l2, penalize_intercept=False
        )

    def restore(
        self, labelled: Labelled, n_classes: int, arrays: Mapping[str, Array]
    ) -> SoftmaxFit:
        return softmax_regression.restore(
            labelled.X, labelled.y, n_classes, arrays, penalize_intercept=False
        )


def absent_classes(y: NDArray[np.int64], n_classes: int) -> NDArray[np.bool_]:
    """(K,): the classes that have no label."""
    absent: NDArray[np.bool_] = np.bincount(y, minlength=n_classes) == 0
    return absent


def penalty(C: float, regime: str, n: int, previous: SoftmaxFit | None) -> float:
    """lambda: 1/(nC), or under ``fixed_lambda`` what it was when the run began."""
    if regime == "fixed_lambda" and previous is not None:
        return previous.l2
    return 1.0 / (n * C)


def check_options(C: float, regime: str) -> None:
    if not (C > 0 and np.isfinite(C)):
        raise BadInput(f"model.C={C}; C is a positive, finite number (larger: less penalty)")
    if regime not in ("fixed_C", "fixed_lambda"):
        raise BadInput(f"model.regime={regime}; allowed: fixed_C, fixed_lambda")


@goralx.hookimpl
def register_models(register):
    register("softmax", SoftmaxRegression)
    register("sklearn", SklearnLogisticRegression)

"""Models: softmax regression by our own Newton method, and any classifier of scikit-learn's."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

import goralx
from goralx import Array, BadInput, Features, Incompatible, Labelled
from goralx.core import Floats, NotConverged, SoftmaxFit, softmax_regression

CAPABILITIES = frozenset({"derivatives", "expansion", "logit_variance", "predictor"})
LOGISTIC = "sklearn.linear_model.LogisticRegression"
PACKAGES = ("sklearn", "xgboost", "lightgbm", "catboost")


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
class SklearnClassifier:
    """Any scikit-learn classifier by its path; logistic regression is `SoftmaxRegression`'s twin.

    Of `LogisticRegression`, the default, goralx knows the derivatives: it is the same model as
    "softmax", fit by lbfgs, a second opinion that is slower and less exact. It takes goralx's C
    (scikit-learn is given 2C for two classes), its intercepts are never penalised, and its
    ``tolerance`` is of the gradient, which says little where the penalty is weak; how far theta is
    from the optimum is worked out afterwards, and is the fit's ``relative_error``. ``C``,
    ``regime``, ``tolerance`` and ``max_iter`` are of it alone.

    Any other ``estimator``, "sklearn.ensemble.RandomForestClassifier" say, is asked for its
    predictions and no more: goal-oriented utilities then come of ``utility=retrain``. ``options``
    are its own, ``seed`` its random state. Probabilities are at least ``floor``, for a forest can
    be certain of what is wrong, and classes it has not seen are not impossible.
    """

    estimator: str = LOGISTIC
    options: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    floor: float = 1e-6
    C: float = 1.0
    regime: str = "fixed_C"
    tolerance: float = 1e-8
    max_iter: int = 10000

    def __post_init__(self) -> None:
        check_options(self.C, self.regime)
        if not 0 < self.tolerance < 1:
            raise BadInput(f"model.tolerance={self.tolerance}; allowed: above 0, below 1")
        if self.max_iter < 1:
            raise BadInput(f"model.max_iter={self.max_iter}; allowed: at least 1")
        if not 0 < self.floor < 0.1:
            raise BadInput(f"model.floor={self.floor}; allowed: above 0, below 0.1")
        if not self._logistic:
            self._unfitted()
        elif self.options:
            raise BadInput(
                "model.options are for other estimators; logistic regression has model.C, "
                "model.tolerance and model.max_iter"
            )

    @property
    def capabilities(self) -> frozenset[str]:
        return CAPABILITIES if self._logistic else frozenset()

    @property
    def _logistic(self) -> bool:
        return self.estimator == LOGISTIC

    def fit(
        self, labelled: Labelled, n_classes: int, previous: Any = None
    ) -> SoftmaxFit | ClassifierFit:
        if self._logistic:
            return self._logistic_fit(labelled, n_classes, previous)
        return ClassifierFit.of(self._unfitted(), labelled, n_classes, self.floor)

    def restore(
        self, labelled: Labelled, n_classes: int, arrays: Mapping[str, Array]
    ) -> SoftmaxFit | ClassifierFit:
        if not self._logistic:  # the same samples in the same order, and the same seed
            return self.fit(labelled, n_classes)
        return softmax_regression.restore(
            labelled.X, labelled.y, n_classes, arrays, penalize_intercept=False
        )

    def _logistic_fit(
        self, labelled: Labelled, n_classes: int, previous: SoftmaxFit | None
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

    def _unfitted(self) -> Any:
        """The classifier with its options; `BadInput` for what is none, or cannot say how sure."""
        from sklearn.base import is_classifier

        package, (module, _, name) = self.estimator.split(".")[0], self.estimator.rpartition(".")
        if package not in PACKAGES or not module:
            raise BadInput(
                f"model.estimator={self.estimator}; allowed: a classifier of "
                f"{', '.join(PACKAGES)} by its path, e.g. sklearn.ensemble.RandomForestClassifier"
            )
        try:
            cls = getattr(importlib.import_module(module), name)
        except ImportError as error:
            raise BadInput(f"model.estimator={self.estimator}: {error}") from None
        except AttributeError:
            raise BadInput(f"model.estimator={self.estimator}: {module} has no {name}") from None
        try:
            made = cls(**self.options)
            if "random_state" not in self.options and "random_state" in made.get_params():
                made.set_params(random_state=self.seed)
            sound = is_classifier(made) and hasattr(made, "predict_proba")
        except (AttributeError, TypeError, ValueError) as error:
            options = f" with model.options={self.options}" if self.options else ""
            raise BadInput(f"model.estimator={self.estimator}{options}: {error}") from None
        if not sound:
            raise BadInput(
                f"model.estimator={self.estimator} is no classifier with predict_proba; choose "
                "another, or switch its probabilities on in model.options"
            )
        return made


@dataclass(frozen=True)
class ClassifierFit:
    """A fitted classifier, asked for its predictions; classes it has not seen have the floor."""

    classifier: Any = field(repr=False)
    n_labelled: int
    n_classes: int
    floor: float

    noise: ClassVar[float] = 0.0

    @classmethod
    def of(cls, classifier: Any, labelled: Labelled, n_classes: int, floor: float) -> ClassifierFit:
        name, X = type(classifier).__name__, labelled.X[:]
        try:
            classifier.fit(X, labelled.y)
        except (TypeError, ValueError) as error:
            said = " ".join(str(error).split())
            raise BadInput(
                f"model.estimator: {name} cannot fit {len(labelled)} samples: {said}"
            ) from None
        return cls(classifier, len(labelled), n_classes, floor)

    def log_proba(self, X: Features) -> Floats:
        P = np.zeros((X.shape[0], self.n_classes))
        P[:, self.classifier.classes_] = self.classifier.predict_proba(X)
        P = np.maximum(P, self.floor)
        log_P: Floats = np.log(P / P.sum(axis=1, keepdims=True)).astype(X.dtype, copy=False)
        return log_P

    def checkpoint(self) -> dict[str, Array]:
        return {}


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
    register("sklearn", SklearnClassifier)

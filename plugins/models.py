"""Models: softmax regression by our own Newton method, and any classifier of scikit-learn's."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

import goralx
from goralx import Array, BadInput, Features, Labelled, Labels
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
    of the class would run off to minus infinity. A refit that brings the last such class its first
    label is judged without that penalty, as the next fit will be.
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
        held = not self.penalize_intercept and lacks_a_class(labelled, n_classes)
        fit = softmax_regression.fit(
            labelled.X,
            labelled.y,
            n_classes,
            l2=penalty(self.C, self.regime, len(labelled), previous),
            penalize_intercept=self.penalize_intercept or held,
            previous=previous,
            tolerance=self.tolerance,
        )
        return replace(fit, held=True) if held else fit

    def restore(
        self, labelled: Labelled, n_classes: int, arrays: Mapping[str, Array]
    ) -> SoftmaxFit:
        held = not self.penalize_intercept and lacks_a_class(labelled, n_classes)
        penalized = self.penalize_intercept or held
        fit = softmax_regression.restore(
            labelled.X, labelled.y, n_classes, arrays, penalize_intercept=penalized
        )
        return replace(fit, held=True) if held else fit


@dataclass(frozen=True)
class SklearnClassifier:
    """Any scikit-learn classifier by its path; logistic regression is `SoftmaxRegression`'s twin.

    Of `LogisticRegression`, the default, goralx knows the derivatives: it is the same model as
    "softmax", fit by lbfgs, a second opinion that is slower and less exact. It takes goralx's C
    (scikit-learn is given 2C for two classes), its intercepts are penalised only while a class has
    no label, and its ``tolerance`` is of the gradient, which says little where the penalty is weak;
    how far theta is from the optimum is worked out afterwards, and is the fit's ``relative_error``.
    ``C``, ``regime``, ``tolerance`` and ``max_iter`` are of it alone.

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
        held = lacks_a_class(labelled, n_classes)
        fit = softmax_regression.restore(
            labelled.X, labelled.y, n_classes, arrays, penalize_intercept=held
        )
        return replace(fit, held=True) if held else fit

    def _logistic_fit(
        self, labelled: Labelled, n_classes: int, previous: SoftmaxFit | None
    ) -> SoftmaxFit:
        from sklearn.linear_model import LogisticRegression

        l2 = penalty(self.C, self.regime, len(labelled), previous)
        C = 1.0 / (l2 * len(labelled))
        held = lacks_a_class(labelled, n_classes)
        solver = LogisticRegression(
            C=2.0 * C if n_classes == 2 else C,
            tol=self.tolerance,
            max_iter=self.max_iter,
            fit_intercept=not held,
        )
        X, y, weight = labelled.X.astype(np.float64, copy=False), labelled.y, None
        if held:
            X, y, weight = weightless(X, y, n_classes)
        solver.fit(X, y, weight)  # in double precision: in single it stops early
        if solver.n_iter_.max() >= self.max_iter:  # of which scikit-learn only warns
            raise NotConverged(
                f"scikit-learn's lbfgs: not converged after {self.max_iter} iterations; raise "
                "model.max_iter, standardise the features or lower C"
            )
        theta = solver.coef_ if held else np.column_stack([solver.coef_, solver.intercept_])
        if n_classes == 2:
            theta = np.concatenate([-0.5 * theta, 0.5 * theta])
        fit = softmax_regression.at_optimum(
            labelled.X, labelled.y, theta, l2=l2, penalize_intercept=held
        )
        return replace(fit, held=True) if held else fit

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
    """A fitted classifier, asked for its predictions; classes it has not seen have the floor.

    Where there is but one class, ``seen``, there is but one answer, and no classifier.
    """

    classifier: Any = field(repr=False)
    seen: Labels = field(repr=False)
    n_labelled: int
    n_classes: int
    floor: float

    noise: ClassVar[float] = 0.0

    @classmethod
    def of(cls, classifier: Any, labelled: Labelled, n_classes: int, floor: float) -> ClassifierFit:
        name, X = type(classifier).__name__, labelled.X[:]
        seen, numbers = np.unique(labelled.y, return_inverse=True)
        if len(seen) == 1:
            return cls(None, seen, len(labelled), n_classes, floor)
        theirs = not type(classifier).__module__.startswith("sklearn.")
        try:  # XGBoost takes no numbers with gaps; of scikit-learn's, options may name classes
            classifier.fit(X, numbers if theirs else labelled.y)
        except (TypeError, ValueError) as error:
            said = " ".join(str(error).split())
            raise BadInput(
                f"model.estimator: {name} cannot fit {len(labelled)} samples: {said}"
            ) from None
        return cls(classifier, seen, len(labelled), n_classes, floor)

    def log_proba(self, X: Features) -> Floats:
        P = np.zeros((X.shape[0], self.n_classes))
        P[:, self.seen] = 1.0 if self.classifier is None else self.classifier.predict_proba(X)
        P = np.maximum(P, self.floor)
        log_P: Floats = np.log(P / P.sum(axis=1, keepdims=True)).astype(X.dtype, copy=False)
        return log_P

    def checkpoint(self) -> dict[str, Array]:
        return {}


def weightless(X: Any, y: Labels, n_classes: int) -> tuple[Any, Labels, Array]:
    """Features (n + K, d + 1) with the constant 1, labels and weights: scikit-learn's classes are
    those of its labels, so that a sample of each is there that weighs nothing.
    """
    K, weight = n_classes, np.concatenate([np.ones(len(y)), np.zeros(n_classes)])
    y = np.concatenate([y, np.arange(K)])
    if sparse.issparse(X):
        none, ones = sparse.csr_array((K, X.shape[1])), np.ones((len(y), 1))
        return sparse.hstack([sparse.vstack([X, none]), ones], format="csr"), y, weight
    X = np.vstack([X, np.zeros((K, X.shape[1]))])
    return np.column_stack([X, np.ones(len(y))]), y, weight


def lacks_a_class(labelled: Labelled, n_classes: int) -> bool:
    """Whether a class has no label: without a penalty its intercept has no optimum."""
    return bool((np.bincount(labelled.y, minlength=n_classes) == 0).any())


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

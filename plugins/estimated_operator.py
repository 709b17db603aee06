"""A label operator that asks another classifier what the label might be."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

import goralx
from goralx import Array, BadInput, Candidates, Features, Labelled, Labels

FOLDS = 5
TREES = 50
IMPOSSIBLE = 1e-12  # what a probability of 0 counts as while the temperature is found


@dataclass(frozen=True)
class Estimated(goralx.LabelOperator):
    """Expectation under P(y) from a separate, calibrated classifier (Evans et al. 2015).

    The model's own P(y) makes the utility judge in its own cause (arXiv:1502.01664; under
    influence, Remark 1). ``classifier`` is "random_forest" or "neighbors" (scikit-learn), fit to
    the labelled samples in each round and mixed with a uniform share ``smoothing``, so that no
    label is impossible. ``calibration`` is learnt from predictions for samples left out of the fit
    (5 folds): "temperature" divides the log probabilities by one T, "isotonic" bends each class's
    by a monotone step function and takes hundreds of labels, "none" trusts the classifier.

    With a handful of labels it knows no more than the model; a forest costs six fits a round.
    """

    classifier: str = "random_forest"
    calibration: str = "temperature"
    smoothing: float = 0.1

    def __post_init__(self) -> None:
        for option, allowed in (
            ("classifier", ("random_forest", "neighbors")),
            ("calibration", ("temperature", "isotonic", "none")),
        ):
            if getattr(self, option) not in allowed:
                given = getattr(self, option)
                raise BadInput(f"operator.{option}={given}; allowed: {', '.join(allowed)}")
        if not 0 <= self.smoothing <= 1:
            raise BadInput(f"operator.smoothing={self.smoothing}; allowed: 0 to 1")

    def beliefs(self, candidates: Candidates) -> Array:
        K, seed = candidates.model.n_classes, candidates.random_state
        labelled = candidates.labelled
        P = self._predicted(labelled, candidates.X[:], K, seed)
        if self.calibration != "none" and len(labelled) > 1:
            left_out = self._left_out(labelled, K, seed)
            if self.calibration == "temperature":
                P = tempered(P, temperature(left_out, labelled.y))
            else:
                P = self._mixed(isotonic(P, left_out, labelled.y))
        with np.errstate(divide="ignore"):  # smoothing=0 leaves impossible labels, log P = -inf
            return np.log(P)

    def __call__(self, U: Array, log_P: Array, y_true: Labels | None, progress: float) -> Array:
        return (np.exp(log_P) * U).sum(axis=1)

    def _predicted(self, labelled: Labelled, X: Features, K: int, seed: int) -> Array:
        """P (N, K) of X by a classifier fit to these samples; 0 for a class without any."""
        model = self._classifier(len(labelled), seed)
        with warnings.catch_warnings():  # few labels of many classes are no regression target
            warnings.filterwarnings("ignore", "The number of unique classes")
            model.fit(labelled.X, labelled.y)
        P = np.zeros((X.shape[0], K))
        P[:, model.classes_] = model.predict_proba(X)
        return self._mixed(P)

    def _left_out(self, labelled: Labelled, K: int, seed: int) -> Array:
        """P (n, K) of the labelled samples, each by a classifier that never saw it."""
        fold, P = folds(labelled.y, seed), np.empty((len(labelled), K))
        for f in np.unique(fold):
            out = fold == f
            rest = Labelled(labelled.X[~out], labelled.y[~out])
            P[out] = self._predicted(rest, labelled.X[out], K, seed)
        return P

    def _mixed(self, P: Array) -> Array:
        return (1.0 - self.smoothing) * P + self.smoothing / P.shape[1]

    def _classifier(self, n: int, seed: int) -> Any:
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.neighbors import KNeighborsClassifier

        if self.classifier == "random_forest":
            return RandomForestClassifier(TREES, random_state=seed)
        return KNeighborsClassifier(n_neighbors=min(5, n), weights="distance")


def folds(y: Labels, seed: int) -> Labels:
    """A fold for each sample (n,), every class spread over as many folds as it has samples."""
    order = np.random.default_rng(seed).permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    fold = np.empty(len(y), dtype=np.int64)
    fold[order] = np.arange(len(y)) % min(FOLDS, len(y))
    return fold


def tempered(P: Array, T: float) -> Array:
    """P^(1/T), normalised (N, K); what is impossible stays so."""
    with np.errstate(divide="ignore"):
        logits = np.log(P) / T
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def temperature(P: Array, y: Labels) -> float:
    """T that makes the log loss of P (n, K) on y least, under a prior log T ~ N(0, 1).

    The prior speaks where few samples do: without it ten predicted well would make T zero.
    """
    from scipy.optimize import minimize_scalar

    possible = np.maximum(P, IMPOSSIBLE)
    rows = np.arange(len(y))

    def penalised_loss(log_T: float) -> float:
        return 0.5 * log_T**2 - float(np.log(tempered(possible, np.exp(log_T))[rows, y]).sum())

    return float(np.exp(minimize_scalar(penalised_loss, bounds=(-4.0, 4.0), method="bounded").x))


def isotonic(P: Array, left_out: Array, y: Labels) -> Array:
    """P (N, K), each column through the monotone fit of [y = k] on that of ``left_out``."""
    from sklearn.isotonic import IsotonicRegression

    bent = np.empty_like(P)
    for k in range(P.shape[1]):
        fit = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
        bent[:, k] = fit.fit(left_out[:, k], y == k).predict(P[:, k])
    total = bent.sum(axis=1, keepdims=True)
    return np.where(total > 0.0, bent / np.where(total > 0.0, total, 1.0), 1.0 / P.shape[1])


@goralx.hookimpl
def register_label_operators(register):
    register("estimated", Estimated)

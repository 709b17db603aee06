"""Metrics: how good predictions on the test set are.

P (M, K) are the predictions, y (M,) the labels; a sample is predicted to be in its likeliest class,
the first of those that tie. Averages over classes are over the C classes that are in the test set,
the same in every round: a class that is not there has no recall.

======================  ======================================  ============  ====================
metric                  is                                      from, to      use it when
======================  ======================================  ============  ====================
``accuracy``            share of samples that are right         0, 1          classes are alike
``log_loss``            mean of -log P(y | x), in nats          0, no end *   probabilities are used
``balanced_accuracy``   mean over classes of their recall       0, 1          some classes are rare
``macro_f1``            mean over classes of F1                 0, 1          and false alarms cost
``worst_class_recall``  smallest recall of a class              0, 1          none may be missed
``roc_auc``             chance that one of a class is ranked    0, 1          a threshold comes last
                        above one of another, mean over them
``brier``               mean of sum_k (p_k - [y = k])^2         0, 2 *        probabilities are used
``ece``                 mean gap of confidence and accuracy     0, 1 *        confidence is shown
======================  ======================================  ============  ====================

* A loss: the lower the better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.stats import rankdata

import goralx
from goralx import Array, BadInput, Labels


@dataclass(frozen=True)
class Accuracy(goralx.Metric):
    """Share of test samples whose likeliest class is their own.

    Of a class of 3 % it says little: never predicting it is right in 97 % of samples.
    """

    def __call__(self, log_P: Array, y: Labels, classes: tuple[str, ...]) -> float:
        return float((log_P.argmax(axis=1) == y).mean())


@dataclass(frozen=True)
class LogLoss(goralx.Metric):
    """Mean of -log P(y | x), in nats: proper, and unbounded, so that one sample can dominate it."""

    higher_is_better: ClassVar[bool] = False

    def __call__(self, log_P: Array, y: Labels, classes: tuple[str, ...]) -> float:
        return float(-log_P[np.arange(len(y)), y].mean())


@dataclass(frozen=True)
class BalancedAccuracy(goralx.Metric):
    """Mean over classes of their recall, the share of their samples that is right.

    What accuracy would be if all classes were as common; 1/C for whoever always says the same.
    """

    def __call__(self, log_P: Array, y: Labels, classes: tuple[str, ...]) -> float:
        right, there, _ = _counts(log_P, y)
        return float((right / there).mean())


@dataclass(frozen=True)
class WorstClassRecall(goralx.Metric):
    """The recall of the class that fares worst: the share of its samples that is right."""

    def __call__(self, log_P: Array, y: Labels, classes: tuple[str, ...]) -> float:
        right, there, _ = _counts(log_P, y)
        return float((right / there).min())


@dataclass(frozen=True)
class MacroF1(goralx.Metric):
    """Mean over classes of F1, the harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN).

    0 for a class of which nothing is right, predicted or not.
    """

    def __call__(self, log_P: Array, y: Labels, classes: tuple[str, ...]) -> float:
        right, there, predicted = _counts(log_P, y)
        return float((2.0 * right / (there + predicted)).mean())


@dataclass(frozen=True)
class AreaUnderROC(goralx.Metric):
    """Area under the ROC curve of each class against the rest, mean over classes; ties count half.

    The chance that P ranks a sample of the class above one of another (Hanley and McNeil 1982,
    doi:10.1148/radiology.143.1.7063747). .5 is a ranking at random. For two classes both areas are
    the same, the usual one. NaN where the test set has one class only: nothing to rank it above.
    """

    def __call__(self, log_P: Array, y: Labels, classes: tuple[str, ...]) -> float:
        there = np.unique(y)
        if len(there) < 2:
            return float("nan")
        areas = [_area(log_P[:, k], y == k) for k in there]
        return float(np.mean(areas))


@dataclass(frozen=True)
class Brier(goralx.Metric):
    """Mean of sum_k (p_k - [y = k])^2 over all classes: proper, from 0 to 2 (Brier 1950).

    For two classes it is twice what counts one of them only, as scikit-learn does.
    """

    higher_is_better: ClassVar[bool] = False

    def __call__(self, log_P: Array, y: Labels, classes: tuple[str, ...]) -> float:
        error = np.exp(log_P)
        error[np.arange(len(y)), y] -= 1.0
        return float(np.vecdot(error, error).mean())


@dataclass(frozen=True)
class ExpectedCalibrationError(goralx.Metric):
    """How far confidence (the largest p) is from accuracy, mean over samples in bins of confidence.

    ``bins`` of equal width, each closed above (Naeini et al. 2015; Guo et al. 2017,
    arXiv:1706.04599). Of few samples a bin it is too large: noise is a gap as well.
    """

    higher_is_better: ClassVar[bool] = False

    bins: int = 15

    def __post_init__(self) -> None:
        if self.bins < 1:
            raise BadInput(f"metrics.ece.bins={self.bins}; allowed: at least 1")

    def __call__(self, log_P: Array, y: Labels, classes: tuple[str, ...]) -> float:
        confidence = np.exp(log_P.max(axis=1).astype(np.float64))
        right = log_P.argmax(axis=1) == y
        inside = np.clip(np.ceil(confidence * self.bins).astype(np.int64) - 1, 0, self.bins - 1)
        gaps = np.bincount(inside, weights=confidence - right, minlength=self.bins)
        return float(np.abs(gaps).sum() / len(y))


def _counts(log_P: Array, y: Labels) -> tuple[Array, Array, Array]:
    """Of each class in the test set (C,): how many are right, there, and predicted to be in it."""
    K, predicted = log_P.shape[1], log_P.argmax(axis=1)
    right, there, said = (
        np.bincount(of, minlength=K) for of in (y[predicted == y], y, predicted)
    )  # fmt: skip
    return right[there > 0], there[there > 0], said[there > 0]


def _area(score: Array, positive: Array) -> float:
    """Mann and Whitney's U over the number of pairs: ``score`` (M,) of those ``positive`` (M,)."""
    n = int(positive.sum())
    ranks = rankdata(score)
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(score) - n)))


@goralx.hookimpl
def register_metrics(register):
    register("accuracy", Accuracy)
    register("log_loss", LogLoss)
    register("balanced_accuracy", BalancedAccuracy)
    register("macro_f1", MacroF1)
    register("worst_class_recall", WorstClassRecall)
    register("roc_auc", AreaUnderROC)
    register("brier", Brier)
    register("ece", ExpectedCalibrationError)

"""Goals on a dev set beside the paper's: how right the model is, in other currencies than log loss.

All are measured on the dev set, so that all cost labels. p are a sample's predicted probabilities,
y its label, Lambda = diag(p) - p p'.

============  ==================  ===========================================  =================
goal          a sample adds       use it when                                  is
============  ==================  ===========================================  =================
``eacc``      p_y                 accuracy is what counts                      a sum
``gce``       (p_y^q - 1) / q     some dev labels are wrong                    a sum
``brier``     -|p - e_y|^2        calibrated probabilities count               a sum
``cost``      -cost[y] . p        mistakes cost unequally                      a sum
``weighted``  w_y log p_y         classes will be met in other proportions     a sum
``accuracy``  1 if p_y is top     accuracy itself; not differentiable          a mean
============  ==================  ===========================================  =================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

import goralx
from goralx import Array, BadInput, Features, Labels
from goralx.core import fisher


@dataclass(frozen=True)
class ExpectedAccuracy(goralx.LogitGoal):
    """tau_eacc: the sum over the dev set of P(y | x), the hits of a classifier that draws labels.

    A smooth stand-in for 0-1 accuracy, bounded, so that no mislabelled dev sample dominates it
    (Ghosh, Kumar & Sastry 2017, arXiv:1712.09482). Its gradient fades where p_y is near 0: samples
    that the model gets confidently wrong are given up.
    """

    unit: ClassVar[str] = "expected hits"
    reference: ClassVar[Literal["pool", "dev"]] = "dev"
    separable: ClassVar[bool] = True

    def value_and_logit_gradient(
        self, log_P: Array, X: Features, y: Labels | None
    ) -> tuple[float, Array]:
        p_y, residual = of_label(log_P, y)
        return float(p_y.sum()), p_y * residual

    def logit_hessian(self, log_P: Array, X: Features, y: Labels | None) -> Array:
        return power_hessian(log_P, y, 1.0)


@dataclass(frozen=True)
class GeneralisedCrossEntropy(goralx.LogitGoal):
    """tau_gce: the sum over the dev set of (P(y | x)^q - 1) / q; between -1/q a sample and 0.

    From the log-likelihood dev (q -> 0) to eacc - 1 (q = 1): the larger q, the less a mislabelled
    dev sample counts, and the less a hard one (Zhang & Sabuncu 2018, arXiv:1805.07836, who take
    q = 0.7).
    """

    reference: ClassVar[Literal["pool", "dev"]] = "dev"
    separable: ClassVar[bool] = True

    q: float = 0.7

    def __post_init__(self) -> None:
        if not 0.0 < self.q <= 1.0:
            raise BadInput(f"goal.q={self.q}; allowed: above 0 (log-likelihood: goal=dev), up to 1")

    def value_and_logit_gradient(
        self, log_P: Array, X: Features, y: Labels | None
    ) -> tuple[float, Array]:
        p_y, residual = of_label(log_P, y)
        log_p = log_P[np.arange(len(log_P)), y]
        return float(np.expm1(self.q * log_p).sum()) / self.q, p_y**self.q * residual

    def logit_hessian(self, log_P: Array, X: Features, y: Labels | None) -> Array:
        return power_hessian(log_P, y, self.q)


@dataclass(frozen=True)
class NegativeBrierScore(goralx.LogitGoal):
    """tau_brier: minus the sum over the dev set of |p - e_y|^2, K classes; at least -2 a sample.

    A proper score like the log-likelihood (honest probabilities maximise it), but bounded
    (Brier 1950). Nearly blind to how small a small probability is.
    """

    reference: ClassVar[Literal["pool", "dev"]] = "dev"
    separable: ClassVar[bool] = True

    def value_and_logit_gradient(
        self, log_P: Array, X: Features, y: Labels | None
    ) -> tuple[float, Array]:
        P, (_, residual) = np.exp(log_P), of_label(log_P, y)
        pull = P * (residual - (P * residual).sum(axis=1, keepdims=True))
        return -float((residual * residual).sum()), 2.0 * pull

    def logit_hessian(self, log_P: Array, X: Features, y: Labels | None) -> Array:
        P = np.exp(log_P)
        nu = (P * P).sum(axis=1)[:, None, None]
        row, column = P[:, :, None], P[:, None, :]
        of_nu = 2.0 * row * column * (3.0 * nu - 2.0 * (row + column))  # of |p|^2
        of_nu += diagonal(2.0 * P * (2.0 * P - nu[:, :, 0]))
        return 2.0 * power_hessian(log_P, y, 1.0) - of_nu


@dataclass(frozen=True)
class NegativeExpectedCost(goralx.LogitGoal):
    """tau_cost: minus the sum over the dev set of sum_k cost[y][k] P(k | x).

    The expected cost of drawing labels from the predictions (cost-sensitive learning: Elkan 2001).
    ``cost``: a row a true class, a column a predicted one, in the order of the data set's classes;
    null is 0 on the diagonal and 1 elsewhere, eacc up to a constant. With a cost that singles a
    class out, the model is pushed towards or away from it rather than made better.
    """

    unit: ClassVar[str] = "cost"
    reference: ClassVar[Literal["pool", "dev"]] = "dev"
    separable: ClassVar[bool] = True

    cost: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        if self.cost is not None and not is_square(self.cost):
            raise BadInput(
                f"goal.cost={self.cost}; allowed: null, or finite numbers, as many rows (true "
                "class) as columns (predicted class), e.g. goal.cost=[[0,1],[5,0]]"
            )

    def value_and_logit_gradient(
        self, log_P: Array, X: Features, y: Labels | None
    ) -> tuple[float, Array]:
        expected, pull = self._pull(log_P, y)
        return -float(expected.sum()), -pull

    def logit_hessian(self, log_P: Array, X: Features, y: Labels | None) -> Array:
        P, (_, pull) = np.exp(log_P), self._pull(log_P, y)
        cross = pull[:, :, None] * P[:, None, :]
        return cross + cross.transpose(0, 2, 1) - diagonal(pull)

    def _pull(self, log_P: Array, y: Labels | None) -> tuple[Array, Array]:
        """Expected costs (M, 1) and their logit gradients (M, K)."""
        P = np.exp(log_P)
        of_label = self._matrix(P.shape[1])[y]
        expected = (P * of_label).sum(axis=1, keepdims=True)
        return expected, P * (of_label - expected)

    def _matrix(self, K: int) -> Array:
        if self.cost is None:
            return 1.0 - np.eye(K)
        if len(self.cost) != K:
            raise BadInput(
                f"goal.cost is {len(self.cost)} x {len(self.cost)}, but there are {K} classes; "
                "give a row and a column each, in their order"
            )
        return np.array(self.cost, dtype=np.float64)


@dataclass(frozen=True)
class WeightedDevLikelihood(goralx.LogitGoal):
    """tau_weighted: the sum over the dev set of w_y log P(y | x), w averaging 1.

    w_k is ``prior[k]`` over the share of class k in the dev set: the importance weights for a world
    where classes come in these proportions (label shift: Lipton, Wang & Smola 2018,
    arXiv:1802.03916). ``prior`` null: every class counts the same, the "balanced" class weights.
    A class with few dev samples weighs heavily, mislabelled ones above all.
    """

    unit: ClassVar[str] = "nats"
    reference: ClassVar[Literal["pool", "dev"]] = "dev"

    prior: list[float] | None = None

    def __post_init__(self) -> None:
        if self.prior is not None and not (
            len(self.prior) > 1 and all(np.isfinite(p) and p > 0 for p in self.prior)
        ):
            raise BadInput(
                f"goal.prior={self.prior}; allowed: null (all alike), or a positive number a class,"
                " e.g. goal.prior=[0.9,0.1]"
            )

    def value_and_logit_gradient(
        self, log_P: Array, X: Features, y: Labels | None
    ) -> tuple[float, Array]:
        w, log_p = self._weights(y, log_P.shape[1]), log_P[np.arange(len(log_P)), y]
        return float(w @ log_p), w[:, None] * of_label(log_P, y)[1]

    def logit_hessian(self, log_P: Array, X: Features, y: Labels | None) -> Array:
        w = self._weights(y, log_P.shape[1])
        return -w[:, None, None] * fisher(np.exp(log_P), np.eye(log_P.shape[1]))

    def _weights(self, y: Labels | None, K: int) -> Array:
        """A weight a sample (M,)."""
        if self.prior is not None and len(self.prior) != K:
            raise BadInput(
                f"goal.prior has {len(self.prior)} numbers, but there are {K} classes; give one "
                "each, in their order"
            )
        prior = np.ones(K) if self.prior is None else np.array(self.prior, dtype=np.float64)
        w = (prior / np.maximum(np.bincount(y, minlength=K), 1))[y]
        return w / w.mean()


@dataclass(frozen=True)
class Accuracy(goralx.PredictionGoal):
    """tau_accuracy: the share of the dev set whose label is the likeliest, between 0 and 1.

    What one is after, and no gradient leads there: only ``utility=lookahead`` and
    ``utility=retrain`` can use it. In steps of 1/M, so that most candidates change nothing and tie;
    eacc is its smooth stand-in.
    """

    unit: ClassVar[str] = "share of samples"
    reference: ClassVar[Literal["pool", "dev"]] = "dev"
    reduction: ClassVar[Literal["sum", "mean"]] = "mean"
    separable: ClassVar[bool] = True

    def value(self, log_P: Array, X: Features, y: Labels | None) -> float:
        return float((log_P.argmax(axis=1) == y).mean())


def of_label(log_P: Array, y: Labels | None) -> tuple[Array, Array]:
    """p_y (M, 1) and e_y - p (M, K), the gradient of log p_y."""
    rows = np.arange(len(log_P))
    residual = -np.exp(log_P)
    residual[rows, y] += 1.0
    return np.exp(log_P[rows, y])[:, None], residual


def power_hessian(log_P: Array, y: Labels | None, q: float) -> Array:
    """Second derivative of p_y^q / q: p_y^q (q r r' - Lambda), r = e_y - p: (M, K, K)."""
    p_y, r = of_label(log_P, y)
    bend = q * (r[:, :, None] * r[:, None, :]) - fisher(np.exp(log_P), np.eye(log_P.shape[1]))
    return (p_y**q)[:, :, None] * bend


def is_square(rows: Sequence[Sequence[float]]) -> bool:
    """Whether these are the rows of a square matrix of finite numbers, 2 x 2 or larger."""
    try:
        matrix = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError):  # ragged, or words
        return False
    square = matrix.ndim == 2 and len(matrix) == matrix.shape[1] > 1
    return square and bool(np.isfinite(matrix).all())


def diagonal(values: Array) -> Array:
    """Diagonal matrices (M, K, K) of values (M, K)."""
    return np.eye(values.shape[1]) * values[:, :, None]


@goralx.hookimpl
def register_goals(register):
    register("eacc", ExpectedAccuracy)
    register("gce", GeneralisedCrossEntropy)
    register("brier", NegativeBrierScore)
    register("cost", NegativeExpectedCost)
    register("weighted", WeightedDevLikelihood)
    register("accuracy", Accuracy)

"""Label operators l_y (Sec. 2.1): what to make of a utility whose label is not known yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import log_expit, log_softmax

import goralx
from goralx import Array, BadInput, Candidates, Labels


@dataclass(frozen=True)
class Oracle(goralx.LabelOperator):
    """The true label: an upper bound for the goal, only where labels are known (simulation).

    The truth itself, whatever ``oracle=`` would say of it.
    """

    needs_ground_truth: ClassVar[bool] = True
    separable: ClassVar[bool] = True

    def __call__(self, U: Array, log_P: Array, y_true: Labels | None, progress: float) -> Array:
        return U[np.arange(len(U)), y_true]


@dataclass(frozen=True)
class Maximum(goralx.LabelOperator):
    """The most favourable label: optimistic (Guo and Greiner, IJCAI 2007)."""

    separable: ClassVar[bool] = True

    def __call__(self, U: Array, log_P: Array, y_true: Labels | None, progress: float) -> Array:
        return U.max(axis=1)


@dataclass(frozen=True)
class Minimum(goralx.LabelOperator):
    """The least favourable label: pessimistic (Hoi et al. 2009, doi:10.1145/1508850.1508854)."""

    separable: ClassVar[bool] = True

    def __call__(self, U: Array, log_P: Array, y_true: Labels | None, progress: float) -> Array:
        return U.min(axis=1)


@dataclass(frozen=True)
class Average(goralx.LabelOperator):
    """Expectation under a uniform label. With many classes most of it is absurd labels."""

    separable: ClassVar[bool] = True

    def __call__(self, U: Array, log_P: Array, y_true: Labels | None, progress: float) -> Array:
        return U.mean(axis=1)


@dataclass(frozen=True)
class Expected(goralx.LabelOperator):
    """Expectation under the model's own prediction.

    Under the first-order utility this is the same constant for every sample (Remark 1): the run
    says so and selects at random. It is here as a control.
    """

    separable: ClassVar[bool] = True

    def __call__(self, U: Array, log_P: Array, y_true: Labels | None, progress: float) -> Array:
        return expectation(U, log_P)


@dataclass(frozen=True)
class Annealed(goralx.LabelOperator):
    """Expectation under P(y) ~ exp(log P / T), with T falling as the budget is spent (Sec. 5).

    T goes from ``start`` to ``end``, ``schedule`` "exponential" (by equal factors) or "linear" in
    progress. T = infinity is average, T = 1 is expected (vacuous, so stay above), T = 0 the
    predicted label.
    """

    separable: ClassVar[bool] = True
    uses_progress: ClassVar[bool] = True

    start: float = 5.0
    end: float = 1.2
    schedule: str = "exponential"

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            if not getattr(self, name) > 0:
                raise BadInput(f"operator.{name}={getattr(self, name)}; a temperature is above 0")
        if self.schedule not in ("exponential", "linear"):
            raise BadInput(f"operator.schedule={self.schedule}; allowed: exponential, linear")

    def temperature(self, progress: float) -> float:
        """T at ``progress`` in [0, 1]."""
        if self.schedule == "linear":
            return self.start + (self.end - self.start) * progress
        return float(self.start * (self.end / self.start) ** progress)

    def __call__(self, U: Array, log_P: Array, y_true: Labels | None, progress: float) -> Array:
        return expectation(U, log_softmax(log_P / self.temperature(progress), axis=1))


@dataclass(frozen=True)
class Laplace(goralx.LabelOperator):
    """Expectation under the prediction moderated by what the model does not know of its logits.

    Each logit is divided by sqrt(1 + pi s^2 / 8), s^2 its posterior variance (MacKay 1992,
    doi:10.1162/neco.1992.4.5.720): a temperature of each sample's own that falls to 1 as labels
    accumulate. For two classes s^2 is the variance of the logits' difference, else of each
    class-centred logit.
    """

    needs_model: ClassVar[frozenset[str]] = frozenset({"logit_variance"})

    def beliefs(self, candidates: Candidates) -> Array:
        variance = candidates.model.logit_variance(candidates.X)
        log_P = candidates.log_P
        if log_P.shape[1] == 2:
            difference = (log_P[:, 1] - log_P[:, 0]) / np.sqrt(1.0 + np.pi / 2.0 * variance[:, 0])
            return np.stack([log_expit(-difference), log_expit(difference)], axis=1)
        centred = log_P - log_P.mean(axis=1, keepdims=True)
        return log_softmax(centred / np.sqrt(1.0 + np.pi / 8.0 * variance), axis=1)

    def __call__(self, U: Array, log_P: Array, y_true: Labels | None, progress: float) -> Array:
        return expectation(U, log_P)


def expectation(U: Array, log_Q: Array) -> Array:
    """sum_y q(y) U[x, y]: (N,)."""
    return (np.exp(log_Q) * U).sum(axis=1)


@goralx.hookimpl
def register_label_operators(register):
    register("oracle", Oracle)
    register("max", Maximum)
    register("min", Minimum)
    register("average", Average)
    register("expected", Expected)
    register("annealed", Annealed)
    register("laplace", Laplace)

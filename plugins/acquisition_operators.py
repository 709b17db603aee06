"""Label operators as acquisition functions: the unknown label is a gamble, and these price it.

Under the model's own prediction the expected first-order utility is a constant (Remark 1), so that
``expected`` ranks nothing; what is at stake is not. Spread, improvement and optimism are about how
far the labels' utilities lie apart, and stay informative under that same prediction.

==============  ============================  ==================  =============================
operator        l_y[u]                        sums over a batch?  limits
==============  ============================  ==================  =============================
``entropic``    log(E exp(beta u)) / beta     yes (labels         beta to -inf, 0, inf: min,
                                              independent)        E u, max
``hurwicz``     alpha max + (1 - alpha) min   yes                 alpha 0, 1: min, max
``std``         sd u                          no, variances do    --
``ucb``         E u + c sd u                  no                  deviations 0, inf: E u, sd u
``ei``          E (u - u0)+                   no                  u0 to -inf: E u
==============  ============================  ==================  =============================

E and sd are over the label, under ``belief``: "model" (its prediction) or "uniform".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import logsumexp

import goralx
from goralx import Array, BadInput, Labels


@dataclass(frozen=True)
class Entropic(goralx.LabelOperator):
    """The certainty equivalent under exponential utility: log(E exp(beta u)) / beta.

    One family from pessimist to optimist (the entropic risk measure, Follmer and Schied 2002,
    doi:10.1007/s007800200072). About E u + (beta/2) var u while beta u is small. ``beta`` is in one
    over the goal's unit: as utilities shrink over a run it turns towards the expectation.
    """

    separable: ClassVar[bool] = True

    beta: float = 1.0
    belief: str = "model"

    def __post_init__(self) -> None:
        if not (np.isfinite(self.beta) and self.beta != 0.0):
            raise BadInput(
                f"operator.beta={self.beta}; allowed: a finite number but 0, "
                "which is operator=expected or average"
            )
        check_belief(self.belief)

    def __call__(self, U: Array, log_P: Array, y_true: Labels | None, progress: float) -> Array:
        log_Q = believed(log_P, self.belief)
        return logsumexp(log_Q + self.beta * U, axis=1) / self.beta


@dataclass(frozen=True)
class Hurwicz(goralx.LabelOperator):
    """alpha times the most favourable label's utility plus 1 - alpha times the least's.

    Hurwicz (1951): no probability is needed. Two labels of many decide, however absurd they are.
    """

    separable: ClassVar[bool] = True

    alpha: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.alpha <= 1:
            raise BadInput(f"operator.alpha={self.alpha}; allowed: 0 (min) to 1 (max)")

    def __call__(self, U: Array, log_P: Array, y_true: Labels | None, progress: float) -> Array:
        return self.alpha * U.max(axis=1) + (1.0 - self.alpha) * U.min(axis=1)


@dataclass(frozen=True)
class StandardDeviation(goralx.LabelOperator):
    """How far the labels' utilities lie apart: uncertainty sampling that asks what for.

    For two classes, first order and the model's prediction it is sqrt(p (1 - p)) times the change
    of their logit difference along the goal. A spread is no gain: labels that all hurt count, too.
    """

    decomposable: ClassVar[bool] = False
    separable: ClassVar[bool] = True

    belief: str = "model"

    def __post_init__(self) -> None:
        check_belief(self.belief)

    def __call__(self, U: Array, log_P: Array, y_true: Labels | None, progress: float) -> Array:
        return moments(U, believed(log_P, self.belief))[1]


@dataclass(frozen=True)
class UpperConfidenceBound(goralx.LabelOperator):
    """The expectation and so many ``deviations`` (Cox and John 1992; Srinivas et al. 2010).

    doi:10.1109/ICSMC.1992.271617, arXiv:0912.3995. The deviation is over the label alone, not over
    what the model does not know: it does not vanish as labels come. A negative number is
    cautious.
    """

    decomposable: ClassVar[bool] = False
    separable: ClassVar[bool] = True

    deviations: float = 1.0
    belief: str = "model"

    def __post_init__(self) -> None:
        if not np.isfinite(self.deviations):
            raise BadInput(f"operator.deviations={self.deviations}; allowed: a finite number")
        check_belief(self.belief)

    def __call__(self, U: Array, log_P: Array, y_true: Labels | None, progress: float) -> Array:
        mean, deviation = moments(U, believed(log_P, self.belief))
        return mean + self.deviations * deviation


@dataclass(frozen=True)
class ExpectedImprovement(goralx.LabelOperator):
    """E (u - u0)+: labels that help count by how much, labels that do not are free (Mockus 1975).

    doi:10.1007/3-540-07165-2_55. ``u0`` is "zero", or "median", that of the candidates' E u: a
    sample has to beat what a typical one brings. For two classes, first order, the model's
    prediction and u0 = 0 it is p (1 - p) times the change of their logit difference along the goal.
    Where every label hurts it is 0 and ties are random.
    """

    decomposable: ClassVar[bool] = False

    u0: str = "zero"
    belief: str = "model"

    @property
    def separable(self) -> bool:  # type: ignore[override]
        return self.u0 == "zero"

    def __post_init__(self) -> None:
        if self.u0 not in ("zero", "median"):
            raise BadInput(f"operator.u0={self.u0}; allowed: zero, median")
        check_belief(self.belief)

    def __call__(self, U: Array, log_P: Array, y_true: Labels | None, progress: float) -> Array:
        Q = np.exp(believed(log_P, self.belief))
        u0 = float(np.median((Q * U).sum(axis=1))) if self.u0 == "median" else 0.0
        return (Q * np.maximum(U - u0, 0.0)).sum(axis=1)


def check_belief(belief: str) -> None:
    if belief not in ("model", "uniform"):
        raise BadInput(f"operator.belief={belief}; allowed: model, uniform")


def believed(log_P: Array, belief: str) -> Array:
    """log q(y) (N, K)."""
    return log_P if belief == "model" else np.full(log_P.shape, -np.log(log_P.shape[1]))


def moments(U: Array, log_Q: Array) -> tuple[Array, Array]:
    """Mean and standard deviation (N,) of U (N, K) over the label."""
    Q = np.exp(log_Q)
    mean = (Q * U).sum(axis=1)
    return mean, np.sqrt((Q * (U - mean[:, None]) ** 2).sum(axis=1))


@goralx.hookimpl
def register_label_operators(register):
    register("entropic", Entropic)
    register("hurwicz", Hurwicz)
    register("std", StandardDeviation)
    register("ucb", UpperConfidenceBound)
    register("ei", ExpectedImprovement)

"""Design criteria: how much is known of the parameters, where it matters. They ask no label.

A new sample x adds Lambda(x) (x) x x' to the curvature A of the labelled set, whatever its label.
With B = A^-1, U = I (x) x, the leverage S = U'BU and Lambda in contrast coordinates (`goralx.core`)
the criterion after x, theta held, is known exactly:

=============  ====================  ===================================  ======================
goal           tau                   gain(x)                              F
=============  ====================  ===================================  ======================
``firatio``    -tr(F B)              tr(W (I + Lambda S)^-1 Lambda)       mean of Lambda (x) x x'
``aopt``       -tr(F B)              the same                             of Lambda^2 (x) x x'
``dopt``       log det A             log det(I + Lambda S)                --
=============  ====================  ===================================  ======================

F runs over the initial pool, W = U'BFBU. As no label is unknown, no label operator and no estimator
of utilities is asked: whatever ``operator`` and ``utility`` say changes nothing. A and F are those
at the current theta: a model that is wrong of what it knows little is wrong of where to look, too.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import goralx
from goralx import Array, Candidates, Features, Reference
from goralx.core import cost
from goralx.core.curvature import Expansion, fisher, parts
from goralx.core.second_order import SampleSum, sandwich


class VarianceReduction(goralx.DesignGoal):
    """tau = -tr(F B): minus the variance left in theta, weighted by what F says matters."""

    @abstractmethod
    def weight(self, information: Array) -> Array:
        """What a reference sample adds to F, from its Lambda: (M, K-1, K-1)."""

    def measure(self, reference: Reference) -> float:
        return -self._trace(reference, reference.model.expansion("fixed_C"))

    def gains(self, candidates: Candidates, reference: Reference, *, regime: str) -> Array:
        now, then = candidates.model.expansion("fixed_C"), candidates.model.expansion(regime)
        M, n, (N, d), K = len(reference.X), len(then.X), candidates.X.shape, len(then.Q)
        cost.announce(
            min(f(M, n, d + 1, K, N) for f in (cost.square, cost.passes)),
            f"{type(self).__name__}: {N} candidates, {M} reference samples and {K} classes",
            "goal=dopt asks no reference",
        )
        W = sandwich(then, self._F(reference, then.Q), N)
        gains = np.zeros(N)
        if then is not now:  # the penalty's share
            gains += self._trace(reference, now) - self._trace(reference, then)
        for part, X, information in in_parts(candidates, then):
            S = then.leverage(X)
            damped = np.linalg.solve(np.eye(S.shape[1]) + information @ S, information)
            gains[part] += np.einsum("nij,nji->n", W.form(X), damped)
        return gains

    def _F(self, reference: Reference, Q: Array) -> SampleSum:
        """The mean over the reference."""
        M = len(reference.X)

        def weights(part: slice) -> Array:
            return self.weight(fisher(np.exp(reference.log_P[part]), Q)) / M

        return SampleSum(((reference.X, weights),), Q.shape[1])

    def _trace(self, reference: Reference, expansion: Expansion) -> float:
        """tr(F B): the mean over the reference of its weights times its leverages."""
        total, C = 0.0, expansion.Q.shape[1]
        for part in parts(len(reference.X), 6 * (C + 1) ** 2 + 2 * reference.X.shape[1]):
            information = fisher(np.exp(reference.log_P[part]), expansion.Q)
            S = expansion.leverage(reference.X[part])
            total += float((self.weight(information) * S).sum())
        return total / len(reference.X)


@dataclass(frozen=True)
class FisherInformationRatio(VarianceReduction):
    """tau_firatio: -tr(F B), F the mean Fisher information over the initial pool, B = (nH)^-1.

    Minus twice the expected excess log loss over the pool, asymptotically: the ratio that Sec. 7
    starts from (Zhang & Oles 2000; Sourati et al. 2017; BAIT: Ash et al. 2021, arXiv:2106.09675)
    and bounds by a trace in which no candidate appears any more; here it is kept. The expectation
    is under the model's own predictions: with a poor model it is no guide.
    """

    def weight(self, information: Array) -> Array:
        return information


@dataclass(frozen=True)
class AOptimality(VarianceReduction):
    """tau_aopt: minus the variance of the predicted probabilities, a mean over the initial pool.

    -tr(F B) with F = mean of Lambda^2 (x) x x', as sum_k grad p_k grad p_k' = Lambda^2 (x) x x'
    (Schein & Ungar 2007, doi:10.1007/s10994-007-5019-5: variance reduction). Blind to bias, which
    early on is most of the error.
    """

    def weight(self, information: Array) -> Array:
        return information @ information


@dataclass(frozen=True)
class DOptimality(goralx.DesignGoal):
    """tau_dopt: log det A, twice the information about theta in nats, by Laplace's approximation.

    A's factors are the contrasts' (K - 1) D coordinates (MacKay 1992,
    doi:10.1162/neco.1992.4.4.590). It knows no pool: outliers, on which no prediction depends,
    attract it.
    """

    def measure(self, reference: Reference) -> float:
        return reference.model.expansion("fixed_C").B.log_det

    def gains(self, candidates: Candidates, reference: Reference, *, regime: str) -> Array:
        now, then = candidates.model.expansion("fixed_C"), candidates.model.expansion(regime)
        gains = np.full(len(candidates), then.B.log_det - now.B.log_det)  # the penalty's share
        for part, X, information in in_parts(candidates, then):
            S = then.leverage(X)
            gains[part] += np.linalg.slogdet(np.eye(S.shape[1]) + information @ S)[1]
        return gains


def in_parts(
    candidates: Candidates, expansion: Expansion
) -> Iterator[tuple[slice, Features, Array]]:
    """Blocks of candidates that fit in memory: their places, X and Lambda (n, K-1, K-1)."""
    K, X = candidates.model.n_classes, candidates.X
    for part in parts(len(candidates), 6 * K * K + 2 * X.shape[1]):
        yield part, X[part], fisher(np.exp(candidates.log_P[part]), expansion.Q)


@goralx.hookimpl
def register_goals(register):
    register("firatio", FisherInformationRatio)
    register("aopt", AOptimality)
    register("dopt", DOptimality)

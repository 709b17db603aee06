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
from goralx import Array, BadInput, Candidates, Features, Reference
from goralx.core import Expansion, Probes, SampleSum, Sandwich, cost, fisher, parts, sandwich

_PROBES = 100  # random vectors that rank candidates


@dataclass(frozen=True)
class VarianceReduction(goralx.DesignGoal):
    """tau = -tr(F B): minus the variance left in theta, weighted by what F says matters.

    ``screen``: W is asked of that many candidates only, the best by a W from random vectors. Null:
    of all where that is a minute's work of one core, else of as many as a minute pays for, at least
    20.
    """

    screen: int | None = None

    def __post_init__(self) -> None:
        if self.screen is not None and self.screen < 1:
            raise BadInput(f"goal.screen={self.screen}; allowed: null (a minute's) or at least 1")

    @abstractmethod
    def weight(self, information: Array) -> Array:
        """What a reference sample adds to F, from its Lambda: (M, K-1, K-1)."""

    def measure(self, reference: Reference) -> float:
        return -self._trace(reference, reference.model.expansion("fixed_C"))

    def gains(self, candidates: Candidates, reference: Reference, *, regime: str) -> Array:
        now, then = candidates.model.expansion("fixed_C"), candidates.model.expansion(regime)
        F, N = self._F(reference, then.Q), len(candidates)
        sizes = len(reference.X), len(then.X), candidates.X.shape[1] + 1, len(then.Q)
        count = min(N, self.screen or self._affordable(sizes, N))
        best = np.arange(N)
        if count < N:
            probes = Probes.of(then, F, _PROBES)
            best = np.sort(np.argsort(-traces(candidates, then, probes), kind="stable")[:count])
        cost.announce(
            self._operations(sizes, N, count),
            f"{type(self).__name__} of {N} candidates in {len(then.Q)} classes on {len(F)} "
            "reference samples",
            "goal.screen=20 looks closer at fewer, goal=dopt asks no reference",
        )
        gains = np.full(N, np.nan)
        gains[best] = traces(candidates.subset(best), then, sandwich(then, F, count))
        if then is not now:  # the penalty's share
            gains += self._trace(reference, now) - self._trace(reference, then)
        return gains

    def _affordable(self, sizes: tuple[int, int, int, int], N: int) -> int:
        """Candidates that a minute pays for."""
        if self._operations(sizes, N, N) <= cost.MINUTE:
            return N
        few = self._operations(sizes, N, cost.FEWEST)
        each = cost.passes(*sizes, 1)
        return cost.affordable(few - cost.FEWEST * each, each)

    def _operations(self, sizes: tuple[int, int, int, int], N: int, count: int) -> float:
        """Of ``count`` of N candidates, the best of them by probes."""
        exact = min(f(*sizes, count) for f in (cost.square, cost.passes))
        leverages = cost.inverse(*sizes[1:]) + (N + count) * cost.leverage(*sizes[1:])
        if count == N:
            return exact + leverages
        once, each = cost.probes(*sizes, _PROBES)
        return exact + leverages + once + N * each

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


def traces(candidates: Candidates, expansion: Expansion, W: Sandwich) -> Array:
    """tr(W (I + Lambda S)^-1 Lambda) of each candidate: (N,)."""
    found = np.empty(len(candidates))
    for part, X, information in in_parts(candidates, expansion):
        S = expansion.leverage(X)
        damped = np.linalg.solve(np.eye(S.shape[1]) + information @ S, information)
        found[part] = np.einsum("nij,nji->n", W.form(X), damped)
    return found


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

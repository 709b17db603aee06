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
from goralx.core import Expansion, fisher, parts, quadratic_form, weighted_gram


class VarianceReduction(goralx.DesignGoal):
    """tau = -tr(F B): minus the variance left in theta, weighted by what F says matters."""

    @abstractmethod
    def weight(self, information: Array) -> Array:
        """What a reference sample adds to F, from its Lambda: (M, K-1, K-1)."""

    def measure(self, reference: Reference) -> float:
        now = reference.model.expansion("fixed_C")
        return -trace(self._F(reference, now.Q), now.B)

    def gains(self, candidates: Candidates, reference: Reference, *, regime: str) -> Array:
        now, then = candidates.model.expansion("fixed_C"), candidates.model.expansion(regime)
        F = self._F(reference, then.Q)
        BFB = then.B @ F @ then.B
        gains = np.full(len(candidates), trace(F, now.B) - trace(F, then.B))  # the penalty's share
        for part, X, information in in_parts(candidates, then):
            S, W = quadratic_form(X, then.B), quadratic_form(X, BFB)
            damped = np.linalg.solve(np.eye(S.shape[1]) + information @ S, information)
            gains[part] += np.einsum("nij,nji->n", W, damped)
        return gains

    def _F(self, reference: Reference, Q: Array) -> Array:
        """The mean over the reference (m, m)."""
        M, (K, contrasts) = len(reference.X), Q.shape
        m = contrasts * (reference.X.shape[1] + 1)
        F = np.zeros((m, m))
        for part in parts(M, 4 * K * K + 2 * reference.X.shape[1]):
            information = fisher(np.exp(reference.log_P[part]), Q)
            F += weighted_gram(reference.X[part], self.weight(information))
        return F / M


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
        return -log_det(reference.model.expansion("fixed_C").B)

    def gains(self, candidates: Candidates, reference: Reference, *, regime: str) -> Array:
        now, then = candidates.model.expansion("fixed_C"), candidates.model.expansion(regime)
        gains = np.full(len(candidates), log_det(now.B) - log_det(then.B))  # the penalty's share
        for part, X, information in in_parts(candidates, then):
            S = quadratic_form(X, then.B)
            gains[part] += np.linalg.slogdet(np.eye(S.shape[1]) + information @ S)[1]
        return gains


def in_parts(
    candidates: Candidates, expansion: Expansion
) -> Iterator[tuple[slice, Features, Array]]:
    """Blocks of candidates that fit in memory: their places, X and Lambda (n, K-1, K-1)."""
    K, X = candidates.model.n_classes, candidates.X
    for part in parts(len(candidates), 6 * K * K + 2 * X.shape[1]):
        yield part, X[part], fisher(np.exp(candidates.log_P[part]), expansion.Q)


def trace(F: Array, B: Array) -> float:
    """tr(F B) of symmetric matrices."""
    return float((F * B).sum())


def log_det(B: Array) -> float:
    return float(np.linalg.slogdet(B)[1])


@goralx.hookimpl
def register_goals(register):
    register("firatio", FisherInformationRatio)
    register("aopt", AOptimality)
    register("dopt", DOptimality)

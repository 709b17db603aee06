"""Estimators of what one more labelled sample does to the goal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import goralx
from goralx import Candidates, LogitGoal, Reference, Utilities
from goralx.core import influence


@dataclass(frozen=True)
class Influence(goralx.UtilityEstimator):
    """First order, the paper's (Eqs 2-3): one solve, then one matrix product for every label.

    Ranks well and overstates, the more so the fewer labels there are and the weaker the penalty.
    """

    def utilities(
        self, candidates: Candidates, goal: LogitGoal, reference: Reference, *, regime: str
    ) -> Utilities:
        model = candidates.model
        _, G = goal.value_and_logit_gradient(reference.log_P, reference.X, reference.y)
        solution = model.solve(model.pullback(reference.X, G))
        v = influence.direction(solution.x, model.n_labelled)
        penalty = float((v * model.penalty_gradient).sum()) if regime == "fixed_lambda" else 0.0
        U = influence.utilities(np.exp(candidates.log_P), candidates.pushforward(v), penalty)
        return Utilities(U, solution.relative_residual)


@goralx.hookimpl
def register_utilities(register):
    register("influence", Influence)

"""Estimators of what one more labelled sample does to the goal, from cheap to exact.

=============  ==========================  ===================================================
utility        a candidate costs           believe it
=============  ==========================  ===================================================
``influence``  one product with v          ranks at low leverage (kappa < 0.05); overstates
``implicit``   K proximal problems         ranks and values while kappa < about 1; with many
                                           features ranks far beyond
``lookahead``  those, and the goal anew    as implicit and, where kappa is larger, better, for any
                                           goal; not of a dev goal on classes that are far apart
``retrain``    K exact refits              always
=============  ==========================  ===================================================

``influence`` and ``lookahead`` ask derivatives of the model, ``implicit`` its curvature,
``retrain`` no more than another fit. The first is here, the others are in `beyond_first_order`.
"""

from __future__ import annotations

from dataclasses import dataclass

import goralx
from goralx import Array, BadInput, Candidates, Direction, LogitGoal, Reference
from goralx.core import influence
from goralx.scoring import JUDGED, drawn_kappa


@dataclass(frozen=True)
class Influence(goralx.FirstOrderEstimator):
    """First order, the paper's (Eqs 2-3): one solve, then one matrix product for every label.

    Ranks well and overstates, the more so the fewer labels there are and the weaker the penalty:
    on 384-dimensional text with 50 labels and C = 0.1 errors are 1 to 5 standard deviations of the
    exact utilities at rank correlations of .4 to .98, on 26 letters with 300 labels 1 to 5 at .6 to
    .9. ``judged`` candidates, drawn in each round, say how far it may be believed (0: none).
    """

    judged: int = JUDGED

    def __post_init__(self) -> None:
        if self.judged < 0:
            raise BadInput(f"utility.judged={self.judged}; allowed: 0 (none) or more candidates")

    def trust(self, candidates: Candidates) -> Array | None:
        """Of some candidates, with the curvature that the fit has at hand."""
        return drawn_kappa(candidates, self.judged)

    def direction(self, goal: LogitGoal, reference: Reference, *, regime: str) -> Direction:
        model = reference.model
        solution = model.solve(reference.pulled(goal))
        v = influence.direction(solution.x, model.n_labelled)
        penalty = float((v * model.penalty_gradient).sum()) if regime == "fixed_lambda" else 0.0
        return Direction(v, penalty, solution.relative_error)


@goralx.hookimpl
def register_utilities(register):
    register("influence", Influence)

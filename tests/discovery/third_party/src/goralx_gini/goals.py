"""A goal: certainty as the Gini impurity measures it."""

from dataclasses import dataclass

import numpy as np

import goralx


@dataclass(frozen=True)
class NegativeGini(goralx.LogitGoal):
    """tau(theta) = weight * sum_i (|p_i|^2 - 1) over the pool; at most 0."""

    weight: float = 1.0

    def __post_init__(self):
        if not self.weight > 0:
            raise goralx.BadInput(f"goal.weight={self.weight}; a weight is above 0")

    def value_and_logit_gradient(self, log_P, X, y):
        P = np.exp(log_P)
        nu = (P * P).sum(axis=1, keepdims=True)
        return self.weight * float((nu - 1).sum()), self.weight * 2 * P * (P - nu)

"""A strategy that keeps a batch from asking the same thing twice."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import goralx


@dataclass(frozen=True)
class Spread(goralx.Strategy):
    """The best candidate, then farthest-first among the ``screen`` * batch_size best."""

    screen: int = 5

    uses_goal: ClassVar[bool] = True

    def __post_init__(self):
        if self.screen < 1:
            raise goralx.BadInput(f"strategy.screen={self.screen}; allowed: at least 1")

    def select(self, query):
        utility = query.scores.utility
        best = goralx.top_b(utility, self.screen * query.batch_size, query.rng)
        X = query.X[best].astype(float)
        chosen = [0]
        distance = np.full(len(X), np.inf)
        while len(chosen) < query.batch_size:
            newest = X[chosen[-1]]
            distance = np.minimum(distance, ((X - newest) ** 2).sum(axis=1))
            distance[chosen] = -1.0
            chosen.append(int(distance.argmax()))
        return goralx.Selection(best[chosen], utility)

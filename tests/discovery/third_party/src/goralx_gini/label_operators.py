"""A label operator between the optimist's and the indifferent's."""

from dataclasses import dataclass

import goralx


@dataclass(frozen=True)
class Hopeful(goralx.LabelOperator):
    """alpha times the best label's utility plus 1 - alpha times the mean over labels."""

    alpha: float = 0.5

    def __post_init__(self):
        if not 0 <= self.alpha <= 1:
            raise goralx.BadInput(f"operator.alpha={self.alpha}; allowed: 0 to 1")

    def __call__(self, U, log_P, y_true, progress):
        return self.alpha * U.max(axis=1) + (1 - self.alpha) * U.mean(axis=1)

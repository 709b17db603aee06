"""The contract of a metric: how good predictions are, told by a test set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from goralx.data import Array, Labels


class Metric(ABC):
    """How good predictions on the test set are. Measured each round, it changes no selection.

    A component as the others: a frozen dataclass, its fields its options, pure.
    """

    _kind: ClassVar[str] = "metric"
    higher_is_better: ClassVar[bool] = True
    """False of a loss: what is lower is then the better, for whoever compares runs."""

    @abstractmethod
    def __call__(self, log_P: Array, y: Labels, classes: tuple[str, ...]) -> float:
        """From log predictions (M, K), labels (M,) in 0..K-1, and the names of the K classes.

        NaN where this test set cannot tell, because a class that is needed is not in it. The order
        of the samples does not matter, nor that of the classes, beyond ties.
        """

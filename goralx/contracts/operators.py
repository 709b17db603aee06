"""The contract of a label operator: what to make of a label that nobody knows yet (Sec. 2.1)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from goralx.data import Array, Labels

from .samples import Candidates


class LabelOperator(ABC):
    """l_y (Sec. 2.1): what to make of a utility that depends on a label nobody knows yet."""

    _kind: ClassVar[str] = "operator"
    needs_ground_truth: ClassVar[bool] = False
    """True labels reach an operator only if it says so, and such a run is tagged."""
    separable: ClassVar[bool] = False
    """Whether a candidate's utility depends on its own row of U, log P and y alone, and `beliefs`
    is not overridden: only then may blocks of the pool be resolved in other processes."""
    decomposable: ClassVar[bool] = True
    """Whether it commutes with sums over a batch, as Remark 2 asks."""
    uses_progress: ClassVar[bool] = False
    """Whether it goes by the share of the budget that is spent: with another budget its run is
    another from the first query on, so that a raised one cannot continue it."""
    needs_model: ClassVar[frozenset[str]] = frozenset()
    """Capabilities that it asks of the model."""

    @abstractmethod
    def __call__(self, U: Array, log_P: Array, y_true: Labels | None, progress: float) -> Array:
        """Utility (N,) from the utilities under every label U (N, K).

        ``log_P`` (N, K) is what `beliefs` returned, ``y_true`` (N,) the hidden labels or None.
        """

    def beliefs(self, candidates: Candidates) -> Array:
        """log P(y) (N, K) under which the label is resolved; the model's own unless overridden."""
        return candidates.log_P

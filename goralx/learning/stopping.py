"""When a run ends before its budget is spent."""

from __future__ import annotations

from dataclasses import dataclass

from goralx.errors import BadInput


@dataclass(frozen=True)
class Stop:
    """When to stop before the budget is spent.

    Stops once the batch's predicted gain has been below ``min_gain`` times |tau| for ``patience``
    rounds in a row; None never does.
    """

    min_gain: float | None = None
    patience: int = 3

    def __post_init__(self) -> None:
        if self.min_gain is not None and self.min_gain < 0:
            raise BadInput(f"stop.min_gain={self.min_gain}; allowed: null or a number >= 0")
        if self.patience < 1:
            raise BadInput(f"stop.patience={self.patience}; allowed: at least 1")

"""Between two rounds: everything that the next one depends on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from goralx.contracts import Checkpoint, FittedModel, History
from goralx.data import Labels, Rows


@dataclass(frozen=True)
class State:
    """Between two rounds: everything that the next one depends on; see `Checkpoint`."""

    rows: Rows
    labels: Labels
    rng: np.random.Generator
    history: History
    index: int = 0
    model: FittedModel | None = None
    predicted: float = float("nan")
    tau: float = float("nan")
    done: bool = False
    warned: frozenset[str] = frozenset()
    cost: float = 0.0

    def checkpoint(self) -> Checkpoint:
        assert self.model is not None
        return Checkpoint(
            round=self.index - 1,
            rows=self.rows,
            labels=self.labels,
            n_fitted=self.model.n_labelled,
            model=self.model.checkpoint(),
            rng_state=self.rng.bit_generator.state,
            predicted=self.predicted,
            tau=self.tau,
            done=self.done,
            warned=self.warned,
            cost=self.cost,
        )

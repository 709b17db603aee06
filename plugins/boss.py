"""A ceiling: the best of what an ensemble of strategies proposes, told by the labels themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

import goralx
from goralx import BadInput, Incompatible, Labelled, Labels, Query, Reference, Rows, Selection


@dataclass(frozen=True)
class BestOfStrategies(goralx.Strategy):
    """BoSS: of batches that several strategies propose, the one that the model is best after.

    The best-of-strategy-selector oracle (arXiv:2603.13109): each of ``strategies`` proposes
    ``proposals`` batches, the first out of all candidates, the others out of a random half each;
    for each the model is retrained, exactly, with the true labels, and measured on all candidates
    under theirs: ``measure`` is "accuracy" or "log_loss". They are drawn as the test set is, which
    nobody looks at. It needs the labels that are to be found: a ceiling for other strategies, and
    no strategy to label by. A round costs ``strategies`` x ``proposals`` refits.
    """

    needs_ground_truth: ClassVar[bool] = True

    strategies: tuple[str, ...] = (
        "random", "uncertainty", "density", "kcenter", "badge", "typiclust", "maxherding",
    )  # fmt: skip
    proposals: int = 4
    measure: str = "accuracy"

    def __post_init__(self) -> None:
        if self.proposals < 1:
            raise BadInput(f"strategy.proposals={self.proposals}; allowed: at least 1")
        if self.measure not in ("accuracy", "log_loss"):
            raise BadInput(f"strategy.measure={self.measure}; allowed: accuracy, log_loss")
        if not self.strategies:
            raise BadInput("strategy.strategies=[]; give one or more, e.g. [random,badge]")
        for name, strategy in zip(self.strategies, self.members()):
            if strategy.uses_goal or strategy.needs_ground_truth:
                raise BadInput(
                    f"strategy.strategies has '{name}', which asks for a goal or true labels; "
                    "give others, such as badge"
                )

    def members(self) -> list[goralx.Strategy]:
        """The strategies, by their names and with their defaults."""
        return [goralx.build("strategy", name) for name in self.strategies]

    def select(self, query: Query) -> Selection:
        y_true = query.y_true
        if y_true is None:
            raise Incompatible("strategy=boss needs true labels, which are not known")
        batches = list(self.batches(replace(query, y_true=None)))
        values = [self.value(query, batch, y_true) for batch in batches]
        return Selection(batches[int(goralx.top_b(np.array(values), 1, query.rng)[0])])

    def batches(self, query: Query) -> Iterator[Rows]:
        """What is proposed, as places among the candidates."""
        candidates, N = query.candidates, len(query.candidates)
        least = min(N, query.batch_size)
        for strategy in self.members():
            for proposal in range(self.proposals):
                some = np.arange(N)
                if proposal:
                    some = np.sort(query.rng.choice(N, max(least, -(-N // 2)), replace=False))
                asked = replace(query, candidates=candidates.subset(some))
                yield some[strategy.select(asked).rows]

    def value(self, query: Query, batch: Rows, y_true: Labels) -> float:
        """What all candidates say of the model once this batch is labelled; more is better."""
        fitted = query.candidates.refit(Labelled(query.X[batch], y_true[batch]))
        log_P = Reference(fitted, query.X).log_P
        if self.measure == "accuracy":
            return float((log_P.argmax(axis=1) == y_true).mean())
        return float(log_P[np.arange(len(y_true)), y_true].mean(dtype=np.float64))


@goralx.hookimpl
def register_strategies(register):
    register("boss", BestOfStrategies)

"""How long a run goes on: its budget, its rounds, and when its stopping rule is heard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from goralx.contracts import Budget, FittedModel, Halt, History, Reference, StoppingRule, asking
from goralx.data import Array, Features, Instance, Labelled
from goralx.errors import BadInput, Incompatible

from .stopping import as_asked, readable, stability, stop_set


@dataclass(frozen=True)
class Course:
    """``n_queries`` labels of this instance, ``batch_size`` a round, unless ``stop`` ends it.

    ``goal`` is whose course the rule may go by, ``dev`` what else it may be measured on, and
    ``seed`` draws the samples on which predictions are compared.
    """

    instance: Instance
    dev: Labelled | None
    goal: str
    batch_size: int
    n_queries: int
    seed: int
    stop: StoppingRule

    def check(self) -> None:
        """`BadInput` where it is none, `Incompatible` where the rule cannot be heard."""
        if self.batch_size < 1:
            raise BadInput(f"batch_size={self.batch_size}; allowed: at least 1")
        if self.n_queries < 1:
            raise BadInput(f"n_queries={self.n_queries}; allowed: at least 1")
        if "dev" in self.stop.needs and self.dev is None:
            raise Incompatible(
                f"{type(self.stop).__name__} is measured on a dev set and there is none; give dev "
                "labels (dev.fraction=0.1), or take stop=stable_predictions"
            )

    @property
    def budget(self) -> int:
        """Queries that will be made: n_queries, or the whole pool if that is smaller."""
        return min(self.n_queries, len(self.instance.pool))

    @property
    def n_rounds(self) -> int:
        return -(-self.budget // self.batch_size) + 1

    def left(self, n_labelled: int) -> int:
        """Labels still to be had."""
        return self.budget - (n_labelled - len(self.instance.init))

    def progress(self, left: int) -> float:
        """From 0 at the first selection to 1 at the last, with ``left`` labels still to be had."""
        before_last = (self.n_rounds - 2) * self.batch_size
        return min(1.0, (self.budget - left) / before_last) if before_last else 1.0

    def halted(self, history: History) -> Halt | None:
        """Why the run ends in the last of these rounds, or None where it goes on."""
        if self.left(int(history["n_labelled"][-1])) <= 0:
            whole = self.budget < self.n_queries
            return Halt(
                "the whole pool is labelled" if whole else f"{self.budget} queries are made"
            )
        with asking(self.stop, "stopping rule", "halt"):
            return self.stop.halt(history)

    def taken_up(self, past: Mapping[str, Array], n_rounds: int) -> History:
        """The history (R,) of a run that goes on after ``n_rounds`` of them.

        Raises `BadInput` where a rule goes by rounds that are not given.
        """
        history = History(readable(past), self.goal)
        if len(history) != n_rounds and not isinstance(self.stop, Budget):
            raise BadInput(
                f"{type(self.stop).__name__} goes by the rounds so far: {n_rounds} "
                f"were made, {len(history)} are given · give them as past="
            )
        return history

    def check_past(self, past: Mapping[str, Array], n_rounds: int) -> None:
        """Refuse to go on from rounds that this course would not have come to.

        ``past`` are metrics (R,), of which the first ``n_rounds`` are gone on from.
        """
        history = History(readable(past), self.goal)
        for i in range(n_rounds):
            halt = self.halted(as_asked(history, i))
            if halt is not None:
                n = int(history["n_labelled"][i])
                raise BadInput(
                    f"with these options the run would have ended in round {i}, at {n} labels "
                    f"({halt.why}), and it has gone further · run anew"
                )

    def facts(self, model: FittedModel, before: FittedModel | None) -> dict[str, float]:
        """What the stopping rule needs beyond what is measured anyway."""
        found = {}
        if "dev" in self.stop.needs and self.dev is not None:
            log_P = Reference(model, self.dev.X).log_P
            found["dev/accuracy"] = float((log_P.argmax(axis=1) == self.dev.y).mean())
        if "predictions" in self.stop.needs:
            found["stop/agreement"] = stability(model, before, self._stop_set)
        return found

    def bound_from(self, index: int, n_labelled: int, n_queried: int, done: bool) -> int | None:
        """The first round, this one (``index``) included, that a larger budget would have made
        otherwise.
        """
        if not done:
            return index if n_queried < self.batch_size else None
        whole = (n_labelled - len(self.instance.init)) % self.batch_size == 0
        return index if whole else index - 1

    @cached_property
    def _stop_set(self) -> Features:
        return stop_set(self.instance, self.seed)

"""The contract of a stopping rule: whether a run has learnt enough before its budget is spent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from goralx.data import Array
from goralx.errors import Incompatible


@dataclass(frozen=True)
class Halt:
    """A run's end before its budget is spent, and why, in words that follow "stopped:".

    ``censored``: what ended it has nothing to do with what was learnt, so that whatever had not
    been reached by then might have been.
    """

    why: str
    censored: bool = False


@dataclass(frozen=True)
class History:
    """The rounds so far, oldest first; the last is at hand: fitted and measured, nothing queried.

    ``columns`` (R,) are metrics by name as in ``rounds.csv``; of the round at hand only those
    that are measured before the query. ``goal`` names the run's own. No test metric is among them.
    """

    columns: Mapping[str, Array]
    goal: str

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, name: str) -> Array:
        """A metric (R,), NaN where there was none; `Incompatible` if it is not measured."""
        if name not in self.columns:
            known = ", ".join(sorted(self.columns))
            raise Incompatible(f"a stopping rule asks for {name}; measured are: {known}")
        return self.columns[name]

    @property
    def tau(self) -> Array:
        """The run's own goal (R,)."""
        return self[f"goal/{self.goal}"]

    @property
    def spent(self) -> Array:
        """What labels have taken so far (R,): one each of init, and what the oracle asked."""
        n = self["n_labelled"]
        return n[0] + self.columns["cost"] if "cost" in self.columns else n

    def with_round(self, metrics: Mapping[str, float]) -> History:
        """The same with one round more."""
        names = [*self.columns, *(name for name in metrics if name not in self.columns)]
        n = len(self)
        columns = {
            name: np.append(
                self.columns.get(name, np.full(n, np.nan)), float(metrics.get(name, np.nan))
            )
            for name in names
        }
        return History(columns, self.goal)

    def up_to(self, n_rounds: int) -> History:
        """Its first rounds."""
        return History({name: c[:n_rounds] for name, c in self.columns.items()}, self.goal)


class StoppingRule(ABC):
    """Ends a run early; a pure function of its history, so that a resumed run ends where it would.

    ``needs`` names what is to be measured for it: "goal" (the run's own is read), "utility" (what
    batches promise is), "dev" (``dev/accuracy``, on a dev set that is drawn for it and whose labels
    count), "predictions" (``stop/agreement`` of this round's predictions with the last one's).
    """

    NEEDS: ClassVar[frozenset[str]] = frozenset({"goal", "utility", "dev", "predictions"})
    needs: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def halt(self, history: History) -> Halt | None:
        """Why to stop now, or None to go on."""


@dataclass(frozen=True)
class Budget(StoppingRule):
    """The budget alone: n_queries labels, or the whole pool."""

    def halt(self, history: History) -> Halt | None:
        return None

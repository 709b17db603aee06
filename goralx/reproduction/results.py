"""Finished runs as arrays: curves and queries of an arm, seed by seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from goralx.comparison import aulc, labels_needed
from goralx.data import Array, Rows
from goralx.records import read_queries, read_rounds

from .arms import Arm, Plan
from .running import complete, read_json

ACCURACY = "test/accuracy"


@dataclass(frozen=True)
class Run:
    """One finished run: its columns (R,), its ceiling and how many dev labels it had to pay."""

    folder: Path
    rounds: Mapping[str, Array]
    ceiling: float
    n_dev: int

    @property
    def n_queries(self) -> Array:
        """Queries before each round (R,)."""
        n: Array = self.rounds["n_labelled"] - self.rounds["n_labelled"][0]
        return n

    @cached_property
    def queries(self) -> tuple[Rows, Rows]:
        """Round and source row of every query."""
        return read_queries(self.folder)

    def aulc(self, n_queries: int) -> float:
        """Mean accuracy over the first so many queries."""
        within = self.n_queries <= n_queries
        return aulc(self.rounds["n_labelled"][within], self.rounds[ACCURACY][within])

    def after(self, column: str, n_queries: int) -> float:
        """A column at the last round of at most so many queries."""
        return float(self.rounds[column][self.n_queries <= n_queries][-1])

    def needed(self, target: float) -> float:
        """Queries from which the accuracy is there to stay; infinite if it never is."""
        found = labels_needed(self.n_queries, self.rounds[ACCURACY], target)
        return np.inf if found is None else float(found)


@dataclass(frozen=True)
class Results:
    """The runs of a plan that are there, each read once."""

    runs: Path
    plan: Plan
    _read: dict[tuple[str, int], Run | None] = field(default_factory=dict, repr=False)

    @cached_property
    def arms(self) -> dict[str, Arm]:
        return {arm.name: arm for arm in self.plan.arms}

    def run(self, arm: str, seed: int) -> Run | None:
        """The run, or None where it is not there."""
        key = arm, seed
        if key not in self._read:
            folder = self.arms[arm].folder(self.runs, seed)
            self._read[key] = None
            if complete(self.arms[arm], seed, folder):
                said = read_json(folder / "run.json")
                self._read[key] = Run(
                    folder, read_rounds(folder), float(said["ceiling"]), int(said["n_dev"])
                )
        return self._read[key]

    def of(self, arm: str) -> list[Run]:
        """Its runs, by seed."""
        return [run for seed in range(self.plan.n_seeds) if (run := self.run(arm, seed))]

    def paired(self, *arms: str) -> list[tuple[Run, ...]]:
        """Runs of these arms, seed by seed, where all of them are there."""
        found = (tuple(self.run(arm, s) for arm in arms) for s in range(self.plan.n_seeds))
        return [tuple(run for run in runs if run) for runs in found if all(runs)]

    def curves(self, arm: str, column: str) -> tuple[Array, Array]:
        """Queries (R,) and a column of every seed (seeds, R)."""
        runs = self.of(arm)
        length = min(len(run.n_queries) for run in runs)
        return runs[0].n_queries[:length], np.stack([run.rounds[column][:length] for run in runs])

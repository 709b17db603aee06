"""Figs 2-4: utilities against exact retraining on rt-polarity, over several draws."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from goralx.approximation import Study, StudyRun, draw
from goralx.approximation import run as run_study
from goralx.contracts import RunInfo, drawn
from goralx.data import Array, streams
from goralx.discovery import build
from goralx.records import fingerprint, inputs, read_summary

from .evidence import Evidence, mean


@dataclass(frozen=True)
class Quality:
    """The study behind one figure: which utilities are compared, and how many draws.

    The first draw is the figure's; the others have ``n_windows`` batches of each size, enough for
    a correlation.
    """

    name: str
    batch_sizes: tuple[int, ...]
    operators: tuple[str, ...]
    goals: tuple[str, ...]
    figure: str
    n_seeds: int
    n_windows: int = 50
    first_windows: int | None = None
    dataset: str = "rt_polarity"
    n_labelled: int = 50
    n_pool: int = 500
    n_dev: int = 200

    def smaller(self) -> Quality:
        """In seconds: few samples, and batches of at most three."""
        sizes = tuple(sorted({min(b, 3) for b in self.batch_sizes}))
        return replace(
            self, batch_sizes=sizes, n_seeds=1, first_windows=10, n_windows=10, n_pool=40, n_dev=20
        )

    def identity(self, seed: int) -> dict[str, Any]:
        """All that determines a draw, as JSON knows it."""
        return {
            "job": "approximation",
            "name": self.name,
            "dataset": self.dataset,
            "batch_sizes": list(self.batch_sizes),
            "operators": list(self.operators),
            "goals": list(self.goals),
            "n_windows": self.windows(seed),
            "sizes": [self.n_labelled, self.n_pool, self.n_dev],
            "seed": seed,
        }

    def windows(self, seed: int) -> int | None:
        return self.first_windows if seed == 0 else self.n_windows

    def folder(self, runs: Path, seed: int) -> Path:
        return runs / "approximation" / self.name / f"seed-{seed:03d}"

    def made(self, seed: int, runs: Path, progress: bool) -> StudyRun:
        """The study of one draw, as ``goralx experiment=fig2`` and its like build it."""
        dataset = build("dataset", self.dataset)
        whole = drawn(dataset, streams(seed, "instance"), seed)
        n_dev = self.n_dev if "dev" in self.goals else 0
        samples = draw(whole, self.n_labelled, self.n_pool, n_dev, streams(seed, "approximation"))
        study = Study(
            instance=samples,
            model=build("model", "softmax", {"C": dataset.C}),
            goals={name: build("goal", name) for name in self.goals},
            operators={name: build("operator", name) for name in self.operators},
            estimator=build("utility", "influence"),
            batch_sizes=self.batch_sizes,
            n_windows=self.windows(seed),
            seed=seed,
        )
        identity = self.identity(seed)
        data = inputs(identity, samples)
        tags = {"goralx.fingerprint": fingerprint(data, {}), "goralx.job": "approximation"}
        info = RunInfo(self.folder(runs, seed), f"{self.name}, draw {seed}", identity, tags, data)
        kinds = (self.figure,) if seed == 0 else ()
        return StudyRun(study, kinds, info, build("tracker", "csv"), progress)


LINEAR, EXTREME = ("average", "oracle"), ("min", "max")
SHOWN = ("average", "min", "max", "oracle")

STUDIES = {
    "fig2": Quality("fig2", (1,), SHOWN, ("ent",), "scatter", 10),
    "fig3": Quality("fig3", (1, 10), SHOWN, ("ent",), "scatter", 6),
    "fig4": Quality(
        "fig4", (1, 2, 5, 10), ("expected", *SHOWN), ("ent", "dev"), "distribution", 6, 30, 100
    ),
}
"""Fig. 3's first draw has the paper's 491 windows, Fig. 4's has a hundred of each size."""


def run_missing(studies: Iterable[Quality], runs: Path, progress: bool) -> int:
    """Run the draws that are not finished, and say how many those were."""
    n_run = 0
    for study in studies:
        for seed in range(study.n_seeds):
            folder = study.folder(runs, seed)
            if _finished(folder):
                if seed > 0 or (folder / "figures").is_dir():
                    continue
                (folder / "summary.json").unlink()  # ended before its figure: it is drawn anew
            begun = (folder / ".hydra").is_dir()
            run_study(study.made(seed, runs, progress), None if begun else {})
            n_run += 1
    return n_run


def _finished(folder: Path) -> bool:
    return (folder / "summary.json").is_file() and read_summary(folder)["status"] == "finished"


def rows(study: Quality, runs: Path) -> Iterator[list[dict[str, Any]]]:
    """The tables of the draws that are finished (`goralx.approximation.numbers`)."""
    for seed in range(study.n_seeds):
        folder = study.folder(runs, seed)
        if _finished(folder):
            yield read_summary(folder)["numbers"]


def number(study: Quality, runs: Path, column: str, **where: Any) -> list[float]:
    """A column of the row that has these values, over draws."""
    return [float(_row(table, where)[column]) for table in rows(study, runs)]


def _row(table: list[dict[str, Any]], where: dict[str, Any]) -> dict[str, Any]:
    [found] = [row for row in table if all(row[key] == value for key, value in where.items())]
    return found


def of_batches(study: Quality, runs: Path, operator: str) -> Evidence:
    """Pearson correlation of the largest batches."""
    largest = max(study.batch_sizes)
    return mean(number(study, runs, "pearson", operator=operator, batch_size=largest))


def _degraded(study: Quality, runs: Path, operator: str) -> Array:
    largest = max(study.batch_sizes)
    large, single = (
        np.array(number(study, runs, "pearson", operator=operator, batch_size=b))
        for b in (largest, 1)
    )
    found: Array = large - single
    return found


def degradation(study: Quality, runs: Path, operator: str) -> Evidence:
    """Pearson correlation of the largest batches minus that of single samples."""
    return mean(_degraded(study, runs, operator))


def more_degradation(study: Quality, runs: Path, operator: str, other: str) -> Evidence:
    """The same, beyond that of another operator."""
    return mean(_degraded(study, runs, operator) - _degraded(study, runs, other))


def concentration(study: Quality, runs: Path, column: str, goal: str) -> Evidence:
    """A spread of single samples under the model's own expectation, over that under average."""
    own, average = (
        np.array(number(study, runs, column, goal=goal, operator=operator, batch_size=1))
        for operator in ("expected", "average")
    )
    return mean(own / average)

"""The report's numbers as CSV, exact, a file a question; NaN is an empty cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from goralx.comparison import (
    AULC,
    Arm,
    Arms,
    Comparison,
    Needed,
    Said,
    Savings,
    mean_curve,
)
from goralx.escaping import for_csv
from goralx.records import number, write_csv

CURVES = ("data set", "arm", "metric", "n_labelled", "mean", "low", "high", "n_seeds",
          "cost")  # fmt: skip
COMPARISONS = (
    "data set", "metric", "a", "b", "n_pairs", "mean_difference", "low", "high", "p", "p_holm",
    "wins", "ties", "losses", "verdict",
)  # fmt: skip
ANSWERS = ("data set", "arm", "annotator", "true_label", "answer", "n")
NEEDED = ("data set", "arm", "share", "median", "low", "high", "n_reached", "n_seeds")
SAVED = (
    "data set", "arm", "baseline", "share", "n_pairs", "n_censored", "mean_saved", "low", "high",
    "p_logrank",
)  # fmt: skip


def write_runs(folder: Path, arms: Arms) -> None:
    """``runs.csv``: a row a run, with every final number."""
    goals = [f"goal/{goal}" for goal in arms.goals]
    measured = dict.fromkeys(m for run in arms.all_runs for m in run.metrics)
    finals = [AULC, *measured, *goals]
    extra = ["full_pool", "n_init", "n_labelled", "dev_labels", "seconds", "uses_truth"]
    rows = [
        [
            dataset, arm.label, run.seed, run.fingerprint, *(run.number(name) for name in finals),
            np.nan if run.full_pool is None else run.full_pool, run.n_init,
            int(run.n_labelled[-1]), run.dev_labels,
            float((run.summary.get("seconds") or {}).get("total") or "nan"),
            str(run.uses_truth).lower(), run.directory.name,
        ]
        for (dataset, arm), runs in arms.runs.items()
        for run in runs
    ]  # fmt: skip
    head = ["data set", "arm", "seed", "fingerprint", *finals, *extra, "folder"]
    write(folder / "runs.csv", head, rows)


def write_curves(folder: Path, arms: Arms) -> None:
    """``curves.csv``: means and bands of every metric and goal."""
    metrics = dict.fromkeys(m for run in arms.all_runs for m in run.metrics)
    columns = {m: f"test/{m}" for m in metrics} | {f"goal/{g}": f"goal/{g}" for g in arms.goals}
    rows = []
    for (dataset, arm), runs in arms.runs.items():
        for name, column in columns.items():
            c = mean_curve(runs, column)
            lines = zip(c.n_labelled, c.mean, c.low, c.high, c.n_seeds, c.cost)
            rows += [
                [dataset, arm.label, name, int(n), mean, low, high, int(k), cost]
                for n, mean, low, high, k, cost in lines
            ]
    write(folder / "curves.csv", CURVES, rows)


def write_comparisons(folder: Path, found: Sequence[Comparison]) -> None:
    rows = [
        [c.dataset, c.metric, c.a.label, c.b.label, c.n_pairs, c.mean_difference, c.low, c.high,
         c.p, c.p_holm, c.wins, c.ties, c.losses, c.verdict]
        for c in found
    ]  # fmt: skip
    write(folder / "comparisons.csv", COMPARISONS, rows)


def write_needed(folder: Path, found: Sequence[Needed], saved: Sequence[Savings]) -> None:
    rows = [
        [n.dataset, n.arm.label, n.share, n.median, n.low, n.high, n.n_reached, n.n_seeds]
        for n in found
    ]
    write(folder / "labels_needed.csv", NEEDED, rows)
    lines = [
        [s.dataset, s.arm.label, s.baseline.label, s.share, s.n_pairs, s.n_censored, s.mean, s.low,
         s.high, s.p]
        for s in saved
    ]  # fmt: skip
    write(folder / "label_savings.csv", SAVED, lines)


def write_answers(folder: Path, found: Mapping[tuple[str, Arm], Sequence[Said]]) -> None:
    """``answers.csv``: how often each true class was called each, "" where no label was given."""
    rows = [
        [dataset, arm.label, one.who, truth, (*one.classes, "")[j], int(count)]
        for (dataset, arm), whole in found.items()
        for one in whole
        for truth, counts in zip(one.classes, one.counts)
        for j, count in enumerate(counts)
        if count
    ]
    if rows:
        write(folder / "answers.csv", ANSWERS, rows)


def write(path: Path, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table whose text is escaped and whose numbers read back exactly."""
    lines = [[_cell(value) for value in row] for row in rows]
    write_csv(path, [[for_csv(name) for name in head], *lines])


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return for_csv(value)
    return number(int(value) if isinstance(value, int | np.integer) else float(value))

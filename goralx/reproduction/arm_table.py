"""``arms.csv``: what every arm reached, the paper's and those beside, and how far from random."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from goralx.records import number, write_csv

from .evidence import Evidence
from .measures import aulc, difference, final, of_arm
from .results import Results

COLUMNS = (
    "data_set", "arm", "n_seeds", "aulc", "aulc_low", "aulc_high", "accuracy", "accuracy_low",
    "accuracy_high", "aulc_minus_random", "minus_random_low", "minus_random_high",
)  # fmt: skip
BASELINE = "random"


def measured(results: Results) -> Iterator[tuple[str, int, tuple[Evidence, ...]]]:
    """Each arm that was run, its seeds; mean accuracy over the queries, the last, and the first
    less that of random sampling, paired by seed. Intervals are of the bootstrap mean, 95 %.
    """
    for arm in results.plan.arms:
        runs = results.of(arm.name)
        if runs:
            found = of_arm(results, arm.name, aulc), of_arm(results, arm.name, final())
            yield arm.name, len(runs), (*found, difference(results, aulc, arm.name, BASELINE))


def write(path: Path, results: Mapping[str, Results]) -> None:
    """A row a data set and arm; numbers so that they read back exactly."""
    lines = [
        [name, arm, n, *(number(v) for e in found for v in (e.number, e.low, e.high))]
        for name, each in results.items()
        for arm, n, found in measured(each)
    ]
    write_csv(path, [COLUMNS, *lines])


def shown(results: Results) -> Sequence[Sequence[str]]:
    """The same as rows of text with a head, the best first."""
    found = sorted(measured(results), key=lambda row: -row[2][0].number)
    rows = [[arm, str(n), *(_told(e) for e in evidence)] for arm, n, evidence in found]
    head = ["arm", "seeds", "mean accuracy over queries", "final accuracy", "first less random's"]
    return [head, *rows] if rows else []


def _told(evidence: Evidence) -> str:
    return f"{evidence.number:.4f} [{evidence.low:.4f}, {evidence.high:.4f}]"

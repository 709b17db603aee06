"""Classes that had no label when a run began, and when each of them had its first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from goralx.contracts import Checkpoint, Round
from goralx.learning import Experiment


def lines(experiment: Experiment, round: Round) -> Iterator[str]:
    """A line for each class that this round's answers are the first of."""
    if not len(experiment.lacking):
        return
    before = round.checkpoint.labels[: len(round.checkpoint.labels) - len(round.labels)]
    for k in np.intersect1d(experiment.lacking, np.setdiff1d(round.labels, before)):
        first = round.queried[int(np.argmax(round.labels == k))]
        name = experiment.instance.classes[k]
        yield f"class {name!r} has its first label: sample {first}, asked in round {round.index}"


def found(experiment: Experiment, checkpoint: Checkpoint | None) -> dict[str, Any]:
    """For the summary: of each class without a label at the start, how many labels there were in
    all when it had its first, null where it never had; nothing where each had one.
    """
    if checkpoint is None or not len(experiment.lacking):
        return {}
    names = experiment.instance.classes
    places = {k: np.flatnonzero(checkpoint.labels == k) for k in experiment.lacking.tolist()}
    return {
        "discovered": {names[k]: int(at[0]) + 1 if len(at) else None for k, at in places.items()}
    }


def closing_line(summary: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Of the closing table; None where each class had a label at the start."""
    discovered = summary.get("discovered")
    if not discovered:
        return None
    there = {name: n for name, n in discovered.items() if n is not None}
    said = [f"{name} at {n} labels" for name, n in sorted(there.items(), key=lambda one: one[1])]
    never = [name for name in discovered if name not in there]
    said += [f"never: {', '.join(never[:5])}{', ...' if len(never) > 5 else ''}"] if never else []
    return "classes found", f"{len(there)} of {len(discovered)}", "; ".join(said)

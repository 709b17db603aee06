"""Why these samples? One round of a recorded run, taken up again and explained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from goralx.contracts import Candidates, FittedModel, Reference, RunInfo
from goralx.data import Array, Labelled, Rows
from goralx.errors import BadInput, Incompatible
from goralx.learning import Experiment, learned
from goralx.records import (
    Record,
    check_origin,
    check_whole,
    read_csv,
    read_npz,
    read_stacked,
    read_summary,
    versions,
)
from goralx.tracking import plain_warnings

from .explanation import Explanation, explain, operators_beside

N_SAMPLES = 10
"""Samples of a batch that are explained unless others are asked for."""

REPRODUCED = 1e-4
"""Of the largest utility: further than that the recorded utilities are not those of the fit."""


@dataclass(frozen=True)
class ExplainedRound:
    """A round of a run, and what its choice rests on.

    ``pool_ids`` (n,) and ``reference_ids`` (M,) are row numbers in the source data set; ``batch``
    (b,) are all ids that the round queried. ``refit`` says that theta was not in the record,
    ``difference`` how far the recorded utilities are from those worked out now, as a share of the
    largest utility under any label (NaN where none are recorded).
    """

    info: RunInfo
    round: int
    n_labelled: int
    batch: Rows
    pool_ids: Rows
    reference: str
    reference_ids: Rows
    refit: bool
    difference: float
    explanation: Explanation

    @property
    def reproduced(self) -> bool:
        return self.difference <= REPRODUCED

    @property
    def folder(self) -> Path:
        return self.info.directory / "explanations" / f"round_{self.round}"


def explain_round(
    experiment: Experiment, info: RunInfo, round: int | None = None, samples: str | None = None
) -> ExplainedRound:
    """Explain a round (the last with queries) of the run whose record ``info.directory`` holds.

    ``samples``: "5" are the first five of the batch, "17,203" (one: "17,") pool ids of it; at most
    `N_SAMPLES` unless asked. Raises `BadInput` for what is not there, `Incompatible` for a strategy
    that asks no goal.
    """
    instance, utility = experiment.instance, experiment.utility
    check_whole(info.directory)
    summary = read_summary(info.directory)
    now = {"inputs": info.inputs, "sources": info.sources, "versions": versions()}
    with plain_warnings():
        check_origin(info.directory, summary, now, force=True)
    checkpoint = Record(info.directory, instance).checkpoint()
    if checkpoint is None:
        raise BadInput(f"{info.directory} has no whole round yet")
    n_init = len(instance.init)
    lines = read_csv(info.directory / "queries.csv", len(checkpoint.rows) - n_init)[1:]
    asked_in, queried = np.array([int(line[0]) for line in lines]), checkpoint.rows[n_init:]
    round = _round(round, asked_in, checkpoint.round)
    batch = queried[asked_in == round]
    if utility is None or not experiment.strategy.uses_goal:
        own = [
            f"{line[1]}: {float(line[3]):.4g}"
            for line in lines
            if int(line[0]) == round and line[3]
        ]
        by = f" · its own scores: {', '.join(own[:N_SAMPLES])}" if own else ""
        raise Incompatible(
            f"strategy {info.tags['goralx.strategy']} asks no goal: no label and no reference "
            f"sample has a part in what it chose in round {round}{by} · explain a run of "
            "strategy=goral"
        )
    n = n_init + int((asked_in < round).sum())
    rows = checkpoint.rows[:n]
    labelled = learned(instance, rows, checkpoint.labels[:n])
    refit = len(labelled) != checkpoint.n_fitted
    model = (
        _refit(experiment, labelled, n_init)
        if refit
        else experiment.model.restore(labelled, instance.n_classes, checkpoint.model)
    )
    unlabelled = np.flatnonzero(~np.isin(instance.pool, rows))
    progress = experiment.course.progress(experiment.course.left(len(rows)))
    pool = Reference(model, instance.pool_X)
    candidates = Candidates(pool, unlabelled, labelled, progress, experiment.seed, experiment.model)
    scores = utility(candidates, per_label=True)
    pool_ids = _samples(samples, batch, round)
    ids = dict(zip(instance.pool[unlabelled].tolist(), range(len(unlabelled))))
    kind = utility.goal.reference
    reference_ids = instance.pool if kind == "pool" else instance.dev
    operator = info.tags["goralx.operator"]
    explanation = explain(
        utility,
        candidates,
        scores,
        np.array([ids[i] for i in pool_ids.tolist()]),
        classes=np.array(instance.classes),
        operator=operator,
        operators=operators_beside(operator, experiment.model, ground_truth=True),
        labels=instance.y[pool_ids],
        reference_y=instance.y[reference_ids],
    )
    recorded = _recorded_utility(info.directory, round)
    largest = float(np.abs(scores.U).max())
    difference = float("nan")
    if recorded is not None:
        gap = np.abs(recorded[unlabelled] - scores.utility)
        difference = float(np.nanmax(gap)) / largest if largest > 0.0 else float(np.nanmax(gap))
    return ExplainedRound(
        info, round, len(rows), batch, pool_ids, kind, reference_ids, refit, difference, explanation
    )


def _round(asked: int | None, asked_in: Rows, last: int) -> int:
    """The round meant, or what there is."""
    if len(asked_in) == 0:
        raise BadInput("the run has queried nothing yet: there is no choice to explain")
    there = f"rounds with queries: {asked_in.min()} to {asked_in.max()}"
    if asked is None:
        return int(asked_in.max())
    if not 0 <= asked <= last:
        raise BadInput(f"--round {asked}: the run has rounds 0 to {last} · {there}")
    if asked not in asked_in:
        raise BadInput(f"--round {asked}: that round only measured, it queried nothing · {there}")
    return asked


def _samples(asked: str | None, batch: Rows, round: int) -> Rows:
    """Ids to explain, of those that the round queried."""
    if asked is None:
        return batch[:N_SAMPLES]
    words = [word.strip() for word in asked.split(",") if word.strip()]
    if not words or not all(word.isdecimal() for word in words):
        raise BadInput(f"--samples {asked} · give a number, or pool ids with commas: 17,203")
    if "," not in asked:
        if not 1 <= int(asked) <= len(batch):
            raise BadInput(
                f"--samples {asked}: round {round} queried {len(batch)} samples · give 1 to "
                f"{len(batch)}, or a pool id with a comma: {asked},"
            )
        return batch[: int(asked)]
    ids = np.array(list(dict.fromkeys(int(word) for word in words)))
    others = [str(i) for i in ids if i not in batch]
    if others:
        queried = ", ".join(str(i) for i in batch)
        raise BadInput(
            f"--samples: round {round} did not query {', '.join(others)} · it queried {queried}"
        )
    return ids


def _refit(experiment: Experiment, labelled: Labelled, n_init: int) -> FittedModel:
    """The model on the labels of that round, begun from init as the run did."""
    K = experiment.instance.n_classes
    begun = experiment.model.fit(Labelled(labelled.X[:n_init], labelled.y[:n_init]), K)
    if len(labelled) == n_init:
        return begun
    return experiment.model.fit(labelled, K, previous=begun)


def _recorded_utility(directory: Path, round: int) -> Array | None:
    """Utilities (M,) of the initial pool in that round, NaN where there is none; None without."""
    part, path = directory / "utilities" / f"{round:05d}.npy", directory / "utilities.npz"
    if part.exists():
        return np.asarray(np.load(part, allow_pickle=False), dtype=np.float64)
    if not path.exists():
        return None
    rows = np.flatnonzero(read_npz(path, "round")["round"] == round).tolist()
    return np.asarray(read_stacked(path, "utility", rows)[0], np.float64) if rows else None

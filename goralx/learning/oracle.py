"""Who answers for the labels that a round asks for, and what there is to say of the answers."""

from __future__ import annotations

import numpy as np

from goralx.contracts import ABSTAINED, Answers, Asked, Checkpoint, Oracle, answered
from goralx.data import Instance, Labelled, Labels, Rows

from .stopping import COST

ERROR = "oracle/error"
SILENT = "oracle/abstained"


def reveal(oracle: Oracle, instance: Instance, rows: Rows, seed: int) -> Answers:
    """What the oracle says of these source rows; nobody is asked about none."""
    if not len(rows):
        none = np.empty(0, dtype=np.int64)
        return Answers(none, np.empty(0), none.reshape(0, 0), ())
    return answered(oracle, Asked(instance, rows, seed))


def learned(instance: Instance, rows: Rows, labels: Labels) -> Labelled:
    """Samples with the labels that they were given; those that got none are left out."""
    known = labels != ABSTAINED
    return Labelled(instance.X[rows[known]], labels[known])


def fitted_on(instance: Instance, checkpoint: Checkpoint) -> Labelled:
    """The samples that a checkpoint's model was fit on."""
    known, n = checkpoint.labels != ABSTAINED, checkpoint.n_fitted
    rows, labels = checkpoint.rows[known][:n], checkpoint.labels[known][:n]
    return learned(instance, rows, labels)


def answer_metrics(labels: Labels, truth: Labels, cost: float) -> dict[str, float]:
    """Of all that was asked for so far: what it took, how much of it is wrong, and is missing.

    ``oracle/error`` is the share of wrong ones among the labels, NaN while there is none.
    """
    known = labels != ABSTAINED
    wrong = float((labels[known] != truth[known]).mean()) if known.any() else float("nan")
    return {COST: cost, ERROR: wrong, SILENT: float((~known).sum())}

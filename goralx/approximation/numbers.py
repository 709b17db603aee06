"""What a study finds: utilities of the same batches, actual and approximate, how they agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from goralx.data import Array
from goralx.learning import agreement, correlation

TOP = 10
VACUOUS = 1e-9  # relative spread below which an estimate is a constant (Remark 1)


@dataclass(frozen=True)
class Comparison:
    """Utilities of W batches as one operator resolves them, (W,) each.

    ``true`` is the actual utility under the true labels, whatever the operator; ``additive`` the
    sum of the members' own actual utilities, or None where those are not known.
    """

    goal: str
    operator: str
    batch_size: int
    actual: Array
    approximate: Array
    true: Array
    additive: Array | None = None


def numbers(comparison: Comparison) -> dict[str, Any]:
    """How far an estimate agrees with the actual utilities: a row of the table.

    ``slope``: least squares of actual on approximate, below 1 where the estimate overstates.
    ``rmse_over_sd``: their root mean square difference over the standard deviation of the actual.
    ``overlap``: the share of the `TOP` best (at most a quarter) that they have in common.
    ``additive_pearson``: of the actual with the sum of the members' own actual utilities, what
    Remark 2 alone leaves. NaN where there is nothing to correlate.
    """
    actual, approximate = comparison.actual, comparison.approximate
    size = max(float(np.abs(actual).max()), float(np.abs(approximate).max()))
    constant = np.ptp(approximate) <= VACUOUS * size
    estimate = np.full_like(approximate, approximate.mean()) if constant else approximate
    found = agreement(estimate, actual, max(1, min(TOP, len(actual) // 4)))
    additive = comparison.additive
    return {
        "goal": comparison.goal,
        "operator": comparison.operator,
        "batch_size": comparison.batch_size,
        "n": len(actual),
        "pearson": found["pearson"],
        "spearman": found["spearman"],
        "slope": found["slope"],
        "rmse_over_sd": found["rmse"],
        "overlap": float("nan") if constant else found["overlap"],
        "additive_pearson": float("nan") if additive is None else correlation(additive, actual),
        "actual_mean": float(actual.mean()),
        "actual_sd": float(actual.std()),
        "actual_q05": float(np.quantile(actual, 0.05)),
        "actual_q95": float(np.quantile(actual, 0.95)),
        "approximate_mean": float(approximate.mean()),
        "approximate_sd": float(approximate.std()),
    }

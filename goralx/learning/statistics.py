"""How estimated utilities agree with exact ones: in order, in size, and in who comes first."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from goralx.data import Array


def agreement(estimate: Array, exact: Array, top: int) -> dict[str, float]:
    """How an estimate (n,) agrees with the exact utilities (n,); NaN where one of them is constant.

    ``slope`` is that of exact on estimate: below 1 the estimate overstates. ``rmse`` is over the
    exact standard deviation, an offset included.
    """
    spread = float(exact.std())
    best = [set(np.argsort(-u, kind="stable")[:top]) for u in (estimate, exact)]
    nan = float("nan")
    return {
        "pearson": correlation(estimate, exact),
        "spearman": correlation(rankdata(estimate), rankdata(exact)),
        "slope": float(np.cov(estimate, exact)[0, 1] / estimate.var(ddof=1))
        if np.ptp(estimate) > 0
        else nan,
        "rmse": float(np.sqrt(np.mean((estimate - exact) ** 2)) / spread) if spread > 0 else nan,
        "overlap": len(best[0] & best[1]) / top,
    }


def correlation(a: Array, b: Array) -> float:
    """Pearson's, NaN where one of them is constant."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])

"""What is measured every round beside the goals: of predictions, and of utilities."""

from __future__ import annotations

import numpy as np

from goralx.contracts import FittedModel, Reference, Scores
from goralx.data import Array, Labelled

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
TRUST_QUANTILES = (0.5, 0.95, 1.0)


def test_metrics(model: FittedModel, test: Labelled) -> dict[str, float]:
    """Accuracy and mean log loss (nats) on the test set."""
    log_P = Reference(model, test.X).log_P
    return {
        "test/accuracy": float((log_P.argmax(axis=1) == test.y).mean()),
        "test/log_loss": float(-log_P[np.arange(len(test)), test.y].mean()),
    }


def utility_metrics(utility: Array | None, scores: Scores | None) -> dict[str, float]:
    """Quantiles of the utility over the candidates, its spread, the noise in it, and its trust."""
    values = np.full(len(QUANTILES), np.nan)
    if utility is not None:
        values = np.nanquantile(utility, QUANTILES)
    named = {
        f"utility/q{round(100 * q):03d}": float(v) for q, v in zip(QUANTILES, values, strict=True)
    }
    nothing = float("nan")
    kappa = [nothing] * len(TRUST_QUANTILES)
    if scores is not None and scores.trust is not None and not np.isnan(scores.trust).all():
        kappa = np.nanquantile(scores.trust, TRUST_QUANTILES).tolist()
    return {
        **named,
        "utility/spread": scores.spread if scores is not None else nothing,
        "utility/noise": scores.noise if scores is not None else nothing,
        **{f"trust/kappa_q{round(100 * q):03d}": k for q, k in zip(TRUST_QUANTILES, kappa)},
    }

"""What is measured every round beside the goals: of predictions, and of utilities."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from goralx.contracts import FittedModel, Metric, Reference, Scores, asking
from goralx.data import Array, Labelled
from goralx.discovery import build
from goralx.errors import Incompatible, RunWarning

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
TRUST_QUANTILES = (0.5, 0.95, 1.0)
USUAL = ("accuracy", "log_loss", "balanced_accuracy", "macro_f1")


class Undefined(RunWarning):
    """A metric that the test set says nothing of."""


def usual_metrics() -> dict[str, Metric]:
    """What is measured unless somebody chooses: accuracy first."""
    return {name: build("metric", name) for name in USUAL}


def measured(
    metrics: Mapping[str, Metric], model: FittedModel, test: Labelled, classes: tuple[str, ...]
) -> dict[str, float]:
    """Each metric on the test set, by its name; an error in one of them is raised with it."""
    log_P = Reference(model, test.X).log_P
    values: dict[str, float] = {}
    for name, metric in metrics.items():
        with asking(metric, "metric", "__call__"):
            values[name] = float(metric(log_P, test.y, classes))
    return values


def check_defined(values: Mapping[str, float]) -> None:
    """Refuse a first metric that is NaN on this test set, and warn of the others that are."""
    first, *others = values
    if np.isnan(values[first]):
        raise Incompatible(
            f"metric {first} is undefined on this test set, which lacks a class that it needs, and "
            "the first metric is what the learning curve is of · put another first, as in "
            f"metrics=[accuracy,{first}], or draw a larger test set"
        )
    for name in others:
        if np.isnan(values[name]):
            warnings.warn(
                f"metric {name} is undefined on this test set, which lacks a class that it needs: "
                f"test/{name} stays empty",
                Undefined,
                stacklevel=2,
            )


def utility_metrics(utility: Array | None, scores: Scores | None) -> dict[str, float]:
    """Quantiles of the utility over the candidates, its spread, the noise in it, and its trust.

    The spread is a range, the largest less the smallest, as is the noise: not a deviation.
    """
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

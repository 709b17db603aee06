"""What a metric promises: a number of predictions and labels, the same however they are listed."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from goralx.contracts import Metric

from .common import Check, global_generators_unused, raises_nothing, untouched

EVERY = ("otter", "heron", "mink", "stoat", "vole")
NAMES = EVERY[:3]
"""Of the classes; permuted with them, for a metric that asks for one by name."""


def check_is_metric(metric: Metric) -> None:
    """A metric extends goralx.Metric, and says whether more of it is better."""
    assert isinstance(metric, Metric), f"let {type(metric).__name__} extend goralx.Metric"
    better = metric.higher_is_better
    assert isinstance(better, bool), f"higher_is_better = {better!r}; allowed: True, False"


def check_value(metric: Metric) -> None:
    """A finite number of a test set that has every class, in either precision, and with ties."""
    for K in (2, 3, 5):
        log_P, y = _predictions(K)
        for dtype in (np.float32, np.float64):
            for given in (log_P, np.full(log_P.shape, -np.log(K))):
                value = metric(given.astype(dtype), y, EVERY[:K])
                assert isinstance(value, float) and math.isfinite(value), (
                    f"K={K}, {np.dtype(dtype).name}: {value!r}; return a finite float"
                )


def check_better(metric: Metric) -> None:
    """Whoever is surely right is better off than whoever is surely wrong."""
    for K in (2, 3):
        y = _predictions(K)[1]
        right, wrong = (_certain(of, K) for of in (y, (y + 1) % K))
        best, worst = (metric(log_P, y, NAMES[:K]) for log_P in (right, wrong))
        better = best > worst if metric.higher_is_better else best < worst
        said = "higher" if metric.higher_is_better else "lower"
        assert better, (
            f"K={K}: {best:.6g} where all are right, {worst:.6g} where all are wrong, and {said} "
            "is said to be better; set higher_is_better"
        )


def check_sample_order(metric: Metric) -> None:
    """The order of the samples does not matter."""
    log_P, y = _predictions(3)
    order = np.random.default_rng(1).permutation(len(y))
    _same(metric, (log_P, y, NAMES), (log_P[order], y[order], NAMES), "samples in another order")


def check_class_order(metric: Metric) -> None:
    """Classes that are numbered otherwise, names along with them, do not matter."""
    log_P, y = _predictions(3)
    order = np.array([2, 0, 1])
    named = tuple(NAMES[k] for k in order)
    other = log_P[:, order], np.argsort(order)[y], named
    _same(metric, (log_P, y, NAMES), other, "classes in another order")


def check_absent_class(metric: Metric) -> None:
    """A class that is not in the test set, or all but one, give a number or NaN, not an error."""
    for there in ((0, 1), (2,)):
        log_P, y = _predictions(3)
        rows = np.isin(y, there)
        where = f"with only the classes {there} in the test set"
        with raises_nothing(where, "return NaN where it is needed"):
            value = metric(log_P[rows], y[rows], NAMES)
        assert isinstance(value, float) and not math.isinf(value), (
            f"{where}: {value!r}; return a number, or NaN"
        )


def check_certain(metric: Metric) -> None:
    """Predictions of which one is as good as certain give no NaN."""
    log_P = _certain(_predictions(2)[1], 2)
    y = 1 - log_P.argmax(axis=1)
    value = metric(log_P, y, NAMES[:2])
    assert not math.isnan(value), "NaN of certain predictions; work with log P where P is 0"


def check_same_value_again(metric: Metric) -> None:
    """The same predictions give the same value; no generator is used and nothing is kept."""
    log_P, y = _predictions(3)
    with global_generators_unused():
        values = {metric(log_P, y, NAMES) for _ in range(3)}
    assert len(values) == 1, f"the same predictions gave {sorted(values)}; keep no state"


def check_inputs_untouched(metric: Metric) -> None:
    """A metric does not write into predictions or labels."""
    log_P, y = _predictions(3)
    with untouched(log_P=log_P, y=y):
        metric(log_P, y, NAMES)


Given = tuple[NDArray[np.float64], NDArray[np.int64], tuple[str, ...]]


def _predictions(K: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """log P (40, K) that leans towards y (40,); every class is there."""
    rng = np.random.default_rng(K)
    y = rng.permutation(np.arange(40) % K)
    return log_softmax(rng.normal(size=(40, K)) + np.eye(K)[y], axis=1), y


def _certain(y: NDArray[np.int64], K: int) -> NDArray[np.float64]:
    """log P (M, K) of predictions that are y, with a probability of 1 in double precision."""
    logits: NDArray[np.float64] = 800.0 * np.eye(K)[y]
    return logits - 800.0


def _same(metric: Metric, one: Given, other: Given, what: str) -> None:
    before, after = metric(*one), metric(*other)
    assert math.isclose(before, after, rel_tol=1e-9, abs_tol=1e-12), (
        f"{before:.10g}, and {after:.10g} with {what}"
    )


CHECKS: tuple[Check, ...] = (
    check_is_metric,
    check_value,
    check_better,
    check_sample_order,
    check_class_order,
    check_absent_class,
    check_certain,
    check_same_value_again,
    check_inputs_untouched,
)

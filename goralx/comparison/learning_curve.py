"""Numbers that sum up a learning curve: test accuracy against the number of labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

SUSTAINED = 3
"""Rounds for which an accuracy must hold: a first crossing alone rewards noise."""

ROUND_OFF = 1e-12
"""0.8 * 0.9 is 0.7200000000000001: a threshold met exactly is met."""


def aulc(n_labelled: ArrayLike, accuracy: ArrayLike) -> float:
    """Area under the learning curve (R,), (R,) by trapezoids over its range: the mean accuracy.

    In [0, 1] if the accuracy is; a curve of one point is its accuracy.
    """
    n, a = np.asarray(n_labelled, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    widths = np.diff(n)
    if len(a) == 1 or widths.sum() == 0:
        return float(a[-1])
    return float((widths * (a[1:] + a[:-1]) / 2.0).sum() / (n[-1] - n[0]))


def labels_needed(n_labelled: ArrayLike, accuracy: ArrayLike, target: float) -> int | None:
    """Labels from which the accuracy is at least ``target`` and stays there, or None.

    It stays if it holds for `SUSTAINED` rounds in a row, or to the curve's end. Counts the init
    set; dev labels come on top.
    """
    n, reached = np.asarray(n_labelled), np.asarray(accuracy) >= target - ROUND_OFF
    for start in np.flatnonzero(reached):
        if reached[start : start + SUSTAINED].all():
            return int(n[start])
    return None

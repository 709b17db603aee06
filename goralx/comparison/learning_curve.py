"""Numbers that sum up a learning curve: a test metric against the number of labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

SUSTAINED = 3
"""Rounds for which a value must hold: a first crossing alone rewards noise."""

ROUND_OFF = 1e-12
"""0.8 * 0.9 is 0.7200000000000001: a threshold met exactly is met."""


def aulc(n_labelled: ArrayLike, values: ArrayLike) -> float:
    """Area under the learning curve (R,), (R,) by trapezoids over its range: the mean value.

    In [0, 1] if the values are; a curve of one point is its value. NaN if one of them is.
    """
    n, a = np.asarray(n_labelled, dtype=np.float64), np.asarray(values, dtype=np.float64)
    widths = np.diff(n)
    if len(a) == 1 or widths.sum() == 0:
        return float(a[-1])
    return float((widths * (a[1:] + a[:-1]) / 2.0).sum() / (n[-1] - n[0]))


def target(full: float, share: float, higher_is_better: bool) -> float:
    """What is ``share`` as good as ``full``, the full pool's: share times it, a loss over share.

    NaN of a negative value, of which there are no shares.
    """
    if full < 0.0:
        return float("nan")
    return share * full if higher_is_better else full / share


def labels_needed(
    n_labelled: ArrayLike, values: ArrayLike, target: float, higher_is_better: bool = True
) -> int | None:
    """Labels from which the value is at least ``target``, a loss at most, and stays there, or None.

    It stays if it holds for `SUSTAINED` rounds in a row, or to the curve's end. Counts the init
    set; dev labels come on top.
    """
    start = _sustained(values, target, higher_is_better)
    return None if start is None else int(np.asarray(n_labelled)[start])


def cost_needed(
    spent: ArrayLike, values: ArrayLike, target: float, higher_is_better: bool = True
) -> float | None:
    """What the answers took by then, as `labels_needed` counts them; the init set took nothing."""
    start = _sustained(values, target, higher_is_better)
    return None if start is None else float(np.asarray(spent)[start])


def _sustained(values: ArrayLike, target: float, higher_is_better: bool) -> int | None:
    """The round from which the value is as good as the target, and stays so."""
    sign = 1.0 if higher_is_better else -1.0
    reached = sign * np.asarray(values) >= sign * target - ROUND_OFF
    for start in np.flatnonzero(reached):
        if reached[start : start + SUSTAINED].all():
            return int(start)
    return None

"""What one more labelled sample would do to a goal, without retraining (Sec. 3).

Adding z = (x, y) with weight epsilon = 1/n moves the optimum by -(1/n) H^-1 grad R(z), and the goal
by its gradient times that. The factor v does not depend on z, so that a whole pool under every
label is one matrix product.
"""

from __future__ import annotations

import numpy as np

from .linear_solve import Array
from .predictions import Floats


def direction(solved_goal_gradient: Array, n_labelled: int) -> Array:
    """v = -(1/n) H^-1 grad tau (K, D), from H^-1 grad tau."""
    return solved_goal_gradient / -n_labelled


def utilities(P: Floats, S: Floats, penalty: float = 0.0, out: Floats | None = None) -> Floats:
    """U[x, y] = (1/n) I((x, y)) = v' grad R(z) for every sample and label: (N, K)  (Eqs 2-3).

    P (N, K) are the predictions and S = X v' (N, K) the derivative of the logits along v; a
    constant added to a row of S changes nothing. ``penalty`` is v' grad Omega, where a new sample
    brings its own share of the penalty (``fixed_lambda``, Eq. 6); under ``fixed_C`` it does not.
    """
    change: Floats = np.empty_like(S) if out is None else out
    if S.shape[1] == 2:  # the other label's p is no difference of two numbers that are nearly one
        apart = S[:, 1] - S[:, 0]
        np.multiply(P[:, 1], apart, out=change[:, 0])
        np.multiply(-P[:, 0], apart, out=change[:, 1])
        change += penalty
    else:
        expected = np.einsum("nk,nk->n", P, S) + penalty
        np.subtract(expected[:, None], S, out=change)
    return change

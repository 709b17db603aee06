"""kappa, how far a candidate's own label would move its logits: whether to believe first order."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from goralx.contracts import Candidates
from goralx.core import Levered, implicit, in_double, with_constant
from goralx.data import Array
from goralx.errors import GoralxError

JUDGED = 8
"""Candidates that kappa is worked out for where nothing depends on it."""
LABELS = 3
"""Of a candidate, that it looks at: the largest move is nearly always among them."""


def drawn_kappa(candidates: Candidates, size: int = JUDGED) -> Array | None:
    """kappa (N,) of ``size`` candidates, drawn anew as labels come; NaN for all others.

    From the curvature that the fit has at hand and the candidates' boldest labels; None where none
    are asked for, or the model has no curvature. NaN where it would cost more than the utilities,
    or cannot be had: a diagnostic ends no run.
    """
    model = candidates.model
    if size == 0 or not isinstance(model, Levered):
        return None
    rng = np.random.default_rng([candidates.random_state, model.n_labelled])
    size = min(size, len(candidates))
    drawn = np.sort(rng.choice(len(candidates), size=size, replace=False, shuffle=False))
    kappa = np.full(len(candidates), np.nan)
    with suppress(GoralxError, ArithmeticError, MemoryError, np.linalg.LinAlgError):
        X = with_constant(candidates.subset(drawn).X)[:, :-1]
        levered = model.leverage(X)
        if levered is None:
            return kappa
        S, Q = levered
        log_P = in_double(model.log_proba(X))  # of these alone: the pool may be elsewhere
        labels = implicit.boldest(log_P, S, Q, LABELS)
        residual = implicit.proximal_residual(log_P, S, Q, labels, tolerance=1e-2)
        kappa[drawn] = implicit.trust(residual, S, Q)
    return kappa

"""Whether a batch brought what its utilities promised: a check that every run has for nothing."""

from __future__ import annotations

import warnings

from goralx.errors import RunWarning

FAR = 30.0
"""Times the realised change that a promise must be to count as broken..."""
LARGE = 0.5
"""... and share of the whole goal that it must be, for small changes are realised by chance."""


class Overstated(RunWarning):
    """Utilities promise far more than is realised."""


def broken(predicted: float, realised: float, tau: float) -> bool:
    """Whether a promised change of the goal was nowhere near what came. NaN is no promise."""
    return predicted > FAR * abs(realised) and predicted > LARGE * abs(tau)


def warn(predicted: float, realised: float) -> None:
    warnings.warn(
        f"utilities promised a change of {predicted:.3g} of the goal and {realised:.3g} came; they "
        "may rank as they overstate: utility=lookahead or retrain promises less, and a model of "
        "one's own is put to the test by goralx.testing.check_model",
        Overstated,
        stacklevel=5,
    )

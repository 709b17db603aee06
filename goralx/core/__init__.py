"""The mathematics of goal-oriented active learning, on numpy and scipy alone.

In come arrays; out go fits, utilities, leverages, retrained parameters. Knows no plugin, no
configuration and no file, and asks nobody; whoever has a formula to work out asks here.

Read in this order: ``predictions`` and ``linear_solve``; ``fit`` (``contrasts`` and ``objective``,
Eqs 6-7; ``coordinates`` and ``newton``; ``road``, which chooses what that leans on);
``softmax_regression`` (the fitted model, as utilities ask it) and ``influence`` (what a label would
be worth, Eqs 2-3). Then beyond first order: ``inverse`` (``curvature``, and ``inverse_curvature``,
which chooses the road to its inverse; what each costs) and ``beyond`` (``expansion``, ``implicit``
and ``second_order``; ``retraining`` with ``dual_newton`` or, where these are too large, ``refits``;
``fantasy``, a model with one more sample; ``linearised``, the same for models that can only solve).

Notation, the same in every module:

======  =============  ==================================================================
symbol  shape          meaning
======  =============  ==================================================================
K, d    scalar         classes; features
D       scalar         d + 1: the constant 1 is the last coordinate of x
n, N    scalar         labelled samples; candidates
M       scalar         reference samples of a goal
theta   (K, D)         parameters, one row a class; ``theta.ravel()`` is the paper's vec
Q       (K, K-1)       orthonormal contrasts: Q'Q = I, Q'1 = 0
phi     (K-1, D)       the same parameters without their gauge: theta = Q phi
log_P   (N, K)         log predictions; P their exponential
l2      scalar         lambda = 1 / (n C), the paper's Sec. 8
H       (m, m)         mean of the per-sample Hessians plus l2, m = (K-1) D, in phi
v       (K, D)         -(1/n) H^-1 grad tau
U       (N, K)         (1/n) I((x, y)): the utility of every sample under every label
======  =============  ==================================================================

**Gauge.** Adding one vector to every row of theta changes no prediction. With a penalty the
optimum has rows that sum to zero; an unpenalised intercept leaves its own constant undetermined
and the Hessian of Eq. 7 singular. Everything here is solved for phi, in which that direction does
not exist: H is positive definite, the answer is the pseudo-inverse's, and K = 2 costs one column
instead of two (its phi is the sigmoid's weight vector divided by the square root of 2, which is
why softmax regression at C is the sigmoid at 2C).
"""

from . import influence, softmax_regression
from .beyond import implicit
from .beyond.expansion import Expansion, Levered
from .beyond.linearised import Linearised
from .beyond.retraining import predictions as predictions_after
from .beyond.second_order import Probes, SampleSum, Sandwich, sandwich, unit_steps
from .fit.objective import appended
from .inverse import cost
from .inverse.curvature import fisher, parts, with_constant
from .linear_solve import Array, NotConverged, Solution
from .predictions import Floats, blocks, in_double, log_softmax, squares
from .softmax_regression import SoftmaxFit

__all__ = [
    "Array",
    "Expansion",
    "Floats",
    "Levered",
    "Linearised",
    "NotConverged",
    "Probes",
    "SampleSum",
    "Sandwich",
    "SoftmaxFit",
    "Solution",
    "appended",
    "blocks",
    "cost",
    "fisher",
    "implicit",
    "in_double",
    "influence",
    "log_softmax",
    "parts",
    "predictions_after",
    "sandwich",
    "softmax_regression",
    "squares",
    "unit_steps",
    "with_constant",
]

"""Which preconditioner a fit leans on: the one place where sizes decide.

===================  ================================  ============================================
road                 where                             why there
===================  ================================  ============================================
`Cholesky`           m <= `FEW` parameters             a step costs less than its overheads
`Jacobi`             everywhere else, from afar        next to nothing to be made
`Woodbury`           everywhere else, close by         15 to 50 iterations, in place of 40 to 80
`ExplicitInverse`    m <= `EXPLICIT`, once it pays     4 to 8 iterations, for many rounds
`Cholesky`           m <= `DIRECT`, where the others   nearly singular systems: weak penalties,
                     get nowhere                       dependent features
===================  ================================  ============================================

*Once it pays*: when conjugate gradients without it have cost as much as making it would, over
all fits of a run so far. That is at most twice what one would pay who knew how many fits there
will be (the ski rental problem). A single fit makes none at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..linear_solve import Array
from .coordinates import Coordinates
from .explicit_inverse import ExplicitInverse
from .objective import Objective, Point
from .preconditioner import Cholesky, Jacobi, Preconditioner
from .woodbury import Woodbury, rank

FEW = 150
EXPLICIT = 1200
DIRECT = 2500
"""Parameters up to which a Cholesky factor (50 MB) helps where conjugate gradients are stuck."""
STALE = 8
"""Iterations with an explicit inverse beyond which a fresh one is cheaper."""
LONG = 2000
"""Iterations at most."""
SET_UP = 4
"""Iterations that setting up for a step costs as much as."""
LOOSE = 0.1
"""Relative error that is reached before more than a diagonal pays."""

# Seconds on one thread, measured: of a product with H, for each n D K and each call;
_PRODUCT, _CALL = 2.0e-10, 4e-5
# of an explicit inverse, for each m^3, for each n m^2 of the Hessian, and for any.
_CUBE, _GRAM, _ANY = 5e-11, 1e-10, 3e-3


@dataclass(frozen=True)
class Kept:
    """An inverse that outlives fits, of H as it stood at ``theta``, over the first ``rows``
    samples, at ``l2``. These three say which it is, so that an interrupted run makes the same.
    """

    theta: Array
    rows: int
    l2: float
    apply: ExplicitInverse = field(repr=False)

    @classmethod
    def of(cls, coordinates: Coordinates, theta: Array, rows: int, l2: float) -> Kept:
        """Made anew; what was made at the same place before is the same, bit for bit."""
        inner = coordinates.inner
        part = replace(inner, X=inner.X[:rows], y=inner.y[:rows], l2=l2)
        return cls(theta, rows, l2, ExplicitInverse.at(part.at(coordinates.phi(theta))))


@dataclass(frozen=True)
class Road:
    """The state of the choice, handed on from fit to fit.

    What is ``kept``, the seconds ``spent``, as if measured, on iterations without it, and whether
    they were in vain, so that ``direct`` it is; ``warm`` once a fit has come before.
    """

    kept: Kept | None = None
    spent: float = 0.0
    direct: bool = False
    warm: bool = False

    def preconditioner(self, point: Point, rtol: float = 0.0) -> Preconditioner:
        """For a system with the Hessian at a point, that is to be solved to ``rtol``."""
        if self.direct or point.objective.size <= FEW:
            return Cholesky.at(point)
        if self.kept is not None:
            return self.kept.apply
        far = rtol >= LOOSE or rank(point.objective) == 0
        return Jacobi.at(point) if far else Woodbury.at(point)

    def into(self, coordinates: Coordinates) -> Road:
        """For another fit: what was kept for other coordinates is left behind."""
        kept = self.kept if kept_over_fits(coordinates) else None
        return replace(self, kept=kept, warm=True)

    def quick(self, objective: Objective) -> bool:
        """Whether products are worth doing in single precision."""
        return not self.direct and objective.size > FEW

    def after(self, n_iter: int, rtol: float, coordinates: Coordinates, point: Point) -> Road:
        """After ``n_iter`` iterations to ``rtol`` at a point; an inverse is made there if it pays.

        Close by, for it is to last; from afar only where the old one is of no use any more.
        """
        if self.direct or not kept_over_fits(coordinates):
            return self
        spent = self.spent
        if self.kept is None:
            spent += (n_iter + SET_UP) * iteration(point.objective)
            due = self.warm and spent >= price(point.objective)
        else:
            due = n_iter > STALE
        due = due and (rtol < LOOSE or n_iter >= self.patience())
        if not due:
            return replace(self, spent=spent)
        theta, objective = coordinates.theta(point.phi), point.objective
        kept = Kept.of(coordinates, theta, len(objective.y), objective.l2)
        return replace(self, kept=kept, spent=spent)

    def patience(self) -> int:
        """Iterations after which something else is tried."""
        return LONG if self.kept is None or self.direct else 4 * STALE

    def stuck(self, objective: Objective) -> Road:
        """Where conjugate gradients got nowhere: directly, if the Hessian is small enough."""
        return replace(self, direct=self.direct or objective.size <= DIRECT)


def kept_over_fits(coordinates: Coordinates) -> bool:
    """Whether an inverse is worth keeping: of moderate size, in coordinates that stay."""
    return FEW < coordinates.inner.size <= EXPLICIT and coordinates.weights is None


def iteration(objective: Objective) -> float:
    """Seconds that a product with H takes, about."""
    samples, features = len(objective.y), int(objective.X.shape[1])
    return _PRODUCT * samples * features * objective.n_classes + _CALL


def price(objective: Objective) -> float:
    """Seconds that an explicit inverse takes, about."""
    m = objective.size
    return _CUBE * m**3 + _GRAM * len(objective.y) * m * m + _ANY

"""How far the utilities in use may be believed: a few candidates, retrained exactly, in a run."""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from goralx.contracts import Candidates, CurvedModel, DesignGoal, Scores, UtilityEstimator
from goralx.core import implicit
from goralx.errors import BadInput, GoralxError, Incompatible, RunWarning
from goralx.scoring import GoalOrientedUtility

from .statistics import agreement

METRICS = ("pearson", "spearman", "slope", "rmse", "overlap", "kappa")
AUDIT_REFERENCE = 1 << 13  # samples of a goal's reference; of a larger one an audit draws that many
SHARE = 0.1  # of a run's time that audits may take unless asked for more
BATCHED = 20  # refits that cost as much as one fit while a batch of them is solved at once
SPAN = 300  # coefficients of a retraining problem up to which that is so


class Untrusted(RunWarning):
    """The utilities in use rank candidates unlike exact retraining does."""


@dataclass(frozen=True)
class Audit:
    """Every ``every`` rounds, exact retraining of ``size`` random candidates under every label.

    ``every`` None: as often as about a tenth of the run's time pays for, which for many classes is
    never; 0: never. Below a rank correlation of ``threshold`` the run warns, once, and names the
    estimator that would do better. Audits draw from a stream of their own and change no selection.
    """

    every: int | None = None
    size: int = 20
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 0:
            raise BadInput(f"audit.every={self.every}; allowed: null (a tenth of the time) or >= 0")
        if self.size < 5:
            raise BadInput(f"audit.size={self.size}; at least 5 candidates make a correlation")
        if not -1 <= self.threshold <= 1:
            raise BadInput(f"audit.threshold={self.threshold}; a correlation: -1 to 1")

    def period(self, n_labelled: int, n_classes: int, *, in_batches: bool = True) -> int:
        """Rounds from one audit to the next, 0 for none; counted in fits, so the same anywhere.

        A round costs about two fits, an audit ``size`` K of them, or a twentieth while retraining
        problems are small enough to be solved in batches, by a model that can.
        """
        if self.every is not None:
            return self.every
        batched = in_batches and (n_labelled + 1) * (n_classes - 1) <= SPAN
        fits = self.size * n_classes / (BATCHED if batched else 1)
        period = int(np.ceil(fits / (2.0 * SHARE)))
        return period if period <= 50 else 0


@dataclass(frozen=True)
class Auditor:
    """Holds a goal-oriented utility against ``exact``, an estimator that retrains.

    Raises `Incompatible` where an audit was asked for and there is nothing to hold it against.
    """

    audit: Audit
    utility: GoalOrientedUtility
    exact: UtilityEstimator

    def __post_init__(self) -> None:
        if self.audit.every and not self.possible:
            raise Incompatible(
                f"audit.every={self.audit.every}: the gains of {type(self.utility.goal).__name__} "
                "ask no label and are exact, there is nothing to audit; leave audit.every out"
            )

    @property
    def possible(self) -> bool:
        """Label-free criteria are exact already."""
        return not isinstance(self.utility.goal, DesignGoal)

    def due(self, round: int, n_labelled: int, n_classes: int) -> bool:
        in_batches = "expansion" in self.utility.model.capabilities
        period = self.audit.period(n_labelled, n_classes, in_batches=in_batches)
        return self.possible and period > 0 and round % period == 0

    def agreement(
        self, candidates: Candidates, scores: Scores, rng: np.random.Generator, batch_size: int
    ) -> dict[str, float]:
        """Pearson, Spearman, slope, RMSE over the exact standard deviation, overlap of the best.

        ``overlap`` is the share that the ``batch_size`` best (at most a quarter) of the audited
        candidates have in common, ``kappa`` the median of how far labelling one would move its own
        logits (`goralx.Utilities`).
        """
        n = min(self.audit.size, len(scores.looked_at))
        audited = np.sort(rng.choice(scores.looked_at, size=n, replace=False))
        exactly = replace(self.utility, estimator=self.exact)
        part = candidates.subset(audited)
        found = agreement(
            scores.utility[audited], exactly(part).utility, max(1, min(batch_size, n // 4))
        )
        return {**found, "kappa": self._kappa(part)}

    def _kappa(self, part: Candidates) -> float:
        """Its median, NaN where it cannot be had."""
        if not part.can("expansion"):
            return float("nan")
        with suppress(GoralxError, ArithmeticError, MemoryError, np.linalg.LinAlgError):
            expansion = cast(CurvedModel, part.model).expansion(self.utility.model.regime)
            S, logits = expansion.leverage(part.X), expansion.shifted(part.X, part.log_P)
            residual = implicit.proximal_residual(logits, S, expansion.Q)
            return float(np.median(implicit.trust(residual, S, expansion.Q)))
        return float("nan")

    def warn(self, found: dict[str, float]) -> bool:
        """Say that the ranking is not to be believed, if so, and what would do better."""
        if not found["spearman"] < self.audit.threshold:
            return False
        name = type(self.utility.estimator).__name__
        closer = name == "Influence" and found["kappa"] < 2.0
        better = "utility=implicit or lookahead" if closer else "utility=retrain"
        warnings.warn(
            f"audit: {name}'s utilities rank {self.audit.size} candidates unlike exact retraining "
            f"does: Spearman {found['spearman']:.2f}, slope {found['slope']:.2g}, kappa "
            f"{found['kappa']:.2g}; {better} would do better, as would more labels or a smaller C",
            Untrusted,
            stacklevel=2,
        )
        return True

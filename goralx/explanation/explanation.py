"""What a choice rests on: each label's utility, how the operators differ, who gains and who loses.

A sample is chosen for its utility, and that is three things put together: what each label would do
to the goal (the estimator), what to make of not knowing the label (the operator), and how it
compares to all other candidates. Here each is laid open again for a few samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from goralx.contracts import Candidates, DesignGoal, LabelOperator, Model, PredictionGoal, Scores
from goralx.data import Array, Labels, Rows
from goralx.discovery import registry
from goralx.errors import Incompatible
from goralx.learning import correlation
from goralx.scoring import GoalOrientedUtility

from .decomposition import contributions

Classes = NDArray[Any]


@dataclass(frozen=True)
class Explanation:
    """What n chosen samples were worth, K labels, M reference samples of the goal, O operators.

    ``chosen`` (n,) are rows of the initial pool (of X_pool), ``classes`` (K,) name the labels, and
    ``labels`` (n,) are the answers as places in ``classes``, None where nobody asked yet.

    Worth: ``P`` (n, K) predicted probabilities; ``U`` (n, K) utility under each label, in the
    goal's unit; ``utility`` (n,) as the operator in use resolves it; ``rank`` (n,) of it among the
    ``n_ranked`` that were looked at, of ``n_candidates``: 1 the best, 0 where none is told apart;
    ``trust`` (n,) the estimator's kappa, or None. All are worth the same, and the choice was made
    at random, where ``spread`` (over the candidates) is no larger than ``noise``.

    Operators: ``operators`` are O names, ``operator`` the one in use; ``resolved`` (O, n) and
    ``ranks`` (O, n) say what each makes of the samples, and
    ``agreement`` (O,) is the rank correlation over all candidates of its utilities with those in
    use (NaN where one of them is constant). No operators for a label-free design criterion.

    Reference: ``contributions`` (n, K, M) is what each reference sample adds to each utility, and
    U less their sum over M is ``unexplained`` (n, K): the error of a sampled reference, else
    round-off. ``reference_P`` (M, K) are the predictions there and ``reference_y`` (M,) labels, or
    None. Empty (M = 0) for a goal that is no sum over samples: ``indivisible`` says why.
    """

    chosen: Rows
    classes: Classes
    labels: Labels | None
    P: Array
    U: Array
    utility: Array
    rank: Rows
    n_ranked: int
    n_candidates: int
    trust: Array | None
    spread: float
    noise: float
    operator: str
    operators: tuple[str, ...]
    resolved: Array
    ranks: NDArray[np.int64]
    agreement: Array
    contributions: Array = field(repr=False)
    reference_P: Array = field(repr=False)
    reference_y: Labels | None = field(repr=False)
    indivisible: str = ""

    @property
    def vacuous(self) -> bool:
        """Whether all candidates were worth the same."""
        return self.spread <= self.noise

    @property
    def unexplained(self) -> Array:
        """Utility that the contributions do not add up to (n, K); NaN where there are none."""
        if self.indivisible:
            return np.full(self.U.shape, np.nan)
        left: Array = self.U - self.contributions.sum(axis=2)
        return left

    @property
    def shown(self) -> Labels:
        """The label (n,) to look at first: the answer, else the one of the highest utility."""
        return self.U.argmax(axis=1) if self.labels is None else self.labels

    def movers(self, sample: int, label: int, size: int = 3) -> tuple[Rows, Rows]:
        """Reference samples that gain most and that lose most under a label, most first.

        At most ``size`` each, as rows of the reference; fewer where fewer gain or lose.
        """
        share = self.contributions[sample, label]
        order = np.argsort(-share, kind="stable")
        gaining, losing = order[:size], order[::-1][:size]
        return gaining[share[gaining] > 0.0], losing[share[losing] < 0.0]

    def moved(self, sample: int, label: int) -> tuple[float, float]:
        """All gains and all losses under a label, added up; NaN where there are no shares."""
        if self.indivisible:
            return float("nan"), float("nan")
        share = self.contributions[sample, label]
        return float(share[share > 0.0].sum()), float(share[share < 0.0].sum())


def explain(
    utility: GoalOrientedUtility,
    candidates: Candidates,
    scores: Scores,
    chosen: Rows,
    *,
    classes: Classes,
    operator: str,
    operators: Mapping[str, LabelOperator],
    labels: Labels | None = None,
    reference_y: Labels | None = None,
) -> Explanation:
    """Explain the candidates at the positions ``chosen`` (n,) from the scores of all of them.

    ``operators`` are the others to compare with ``operator``, the name of the one in use (see
    `operators_beside`); ``reference_y`` are labels of reference samples that the goal is not told.
    """
    ranked = scores.looked_at
    if not np.isin(chosen, ranked).all():  # screened, and chosen at random
        ranked = np.union1d(ranked, chosen)
        seen = replace(utility, first_order=None)(candidates.subset(ranked))
    else:
        seen = replace(scores, utility=scores.utility[ranked], looked_at=np.arange(len(ranked)))
    asked, places = candidates.subset(ranked), np.searchsorted(ranked, chosen)
    reference = utility.reference(candidates.pool)
    design = isinstance(utility.goal, DesignGoal)
    compared = {} if design else {operator: utility.operator, **operators}
    resolved = np.empty((len(compared), len(ranked)))
    for o, each in enumerate(compared.values()):
        resolved[o] = replace(utility, operator=each).resolve(seen.U, asked)
    ranks = np.array([_ranks(r, seen.noise, places) for r in resolved], dtype=np.int64)
    shares, why = _shares(utility, candidates.subset(chosen))
    return Explanation(
        chosen=candidates.rows[chosen],
        classes=classes,
        labels=labels,
        P=np.exp(asked.log_P[places]),
        U=seen.U[places],
        utility=seen.utility[places],
        rank=_ranks(seen.utility, seen.noise, places),
        n_ranked=len(ranked),
        n_candidates=len(candidates),
        trust=_known(seen.trust, places),
        spread=seen.spread,
        noise=seen.noise,
        operator="" if design else operator,
        operators=tuple(compared),
        resolved=resolved[:, places],
        ranks=ranks.reshape(len(compared), len(chosen)),
        agreement=np.array([_agreement(r, resolved[0], seen.noise) for r in resolved]),
        contributions=shares,
        reference_P=np.exp(reference.log_P),
        reference_y=reference.y if reference.y is not None else reference_y,
        indivisible=why,
    )


def operators_beside(in_use: str, model: Model, *, ground_truth: bool) -> dict[str, LabelOperator]:
    """The other registered operators that can be asked here, with their default options."""
    found = registry()
    named = {name: found.component("operator", name) for name in found.names("operator")}
    return {
        name: found.build("operator", name)
        for name, component in named.items()
        if name != in_use
        and not _required(component.cls)
        and component.cls.needs_model <= model.capabilities  # type: ignore[attr-defined]
        and (ground_truth or not component.cls.needs_ground_truth)  # type: ignore[attr-defined]
    }


def _required(cls: type) -> list[str]:
    """Options without a default."""
    return [
        f.name
        for f in fields(cls)
        if f.init and f.default is MISSING and f.default_factory is MISSING
    ]


def _shares(utility: GoalOrientedUtility, chosen: Candidates) -> tuple[Array, str]:
    """Contributions (n, K, M), or none at all and the reason."""
    reference, goal = utility.reference(chosen.pool), utility.goal
    if not isinstance(goal, PredictionGoal):
        why = f"goal {type(goal).__name__} is about the parameters: no reference sample has a share"
    else:
        try:
            found = contributions(utility.estimator, chosen, goal, reference, regime=utility.regime)
            return found, ""
        except Incompatible as error:
            why = str(error)
    return np.empty((*chosen.log_P.shape, 0)), why


def _ranks(utility: Array, noise: float, places: Rows) -> Rows:
    """1 + how many are worth more, (n,); 0 where all (N,) differ by the noise only."""
    if len(utility) > 1 and np.ptp(utility) <= noise:
        return np.zeros(len(places), dtype=np.int64)
    better: Rows = (utility[None, :] > utility[places, None]).sum(axis=1).astype(np.int64)
    return better + 1


def _agreement(utility: Array, in_use: Array, noise: float) -> float:
    if min(np.ptp(utility), np.ptp(in_use)) <= noise:
        return float("nan")
    return correlation(rankdata(utility), rankdata(in_use))


def _known(trust: Array | None, places: Rows) -> Array | None:
    """kappa at these places, None where it was worked out for none of them."""
    if trust is None or np.isnan(trust[places]).all():
        return None
    return trust[places]

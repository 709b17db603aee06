"""scikit-activeml's pool strategies for classification, as ``strategy=skactiveml_<class>``.

They see X and y as there, labelled samples first, and the run's own fit: no model is fit but
where a strategy is about refits, or about a kind of classifier (a Parzen window's counts, a
mixture's densities) that the run's model is not; it then fits one of theirs, and says so. Seeds are
drawn from the run's generator. What they keep from query to query (ProbCover's radius) is found
anew each round, so that a run can be resumed.

Left out: `ExpectedErrorReduction`, a base class; `SubSamplingWrapper` and
`ParallelUtilityEstimationWrapper`, which are strategies around others; `GreedySamplingX` and
whatever else is for regression, or for several annotators.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np

import goralx
from goralx import BadInput, Incompatible, Labelled, Query, Rows, Selection


@dataclass(frozen=True)
class Bridge(goralx.Strategy):
    """A strategy of scikit-activeml's by the name of its class; fields are its options."""

    given: ClassVar[str] = ""
    """What its query takes beside X and y: the argument's name."""
    clusters: ClassVar[bool] = False
    """Whether it clusters without passing its seed on."""
    told_classes: ClassVar[bool] = False
    regressor: ClassVar[bool] = False
    """Whether its own regressor draws from numpy's global generator."""
    refits: ClassVar[bool] = False
    """Whether it fits the run's model itself."""
    own: ClassVar[str] = ""
    """The classifier of theirs that it takes in place of the run's model."""

    def __post_init__(self) -> None:
        if find_spec("skactiveml") is None:
            raise BadInput(
                f"strategy={chosen_by(type(self))} needs scikit-activeml · "
                "pip install 'goralx[skactiveml]'"
            )

    def select(self, query: Query) -> Selection:
        known = query.candidates.known
        order = query.rng.permutation(len(query.candidates))  # some take the first of equals
        X = stacked(query, order, type(self))
        y = np.concatenate([known.y.astype(float), np.full(len(query.candidates), np.nan)])
        seed = query.seed
        size = min(query.batch_size, len(query.candidates))
        try:
            strategy = self._theirs(seed, query.log_P.shape[1])
            places, utilities = strategy.query(
                X, y, batch_size=size, return_utilities=True, **self._models(query, X, y, seed)
            )
        except (TypeError, ValueError) as error:
            said = " ".join(str(error).split())
            raise Incompatible(f"strategy={chosen_by(type(self))}: {said}") from error
        rows = order[np.asarray(places, dtype=np.intp) - len(known)]
        utility = np.empty(len(order))
        utility[order] = utilities[0][len(known) :]
        return Selection(rows, utility if np.isfinite(utility).all() else None)

    def _theirs(self, seed: int, n_classes: int) -> Any:
        from skactiveml import pool

        options = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "members"}
        if self.clusters:
            options["cluster_algo_dict"] = {"random_state": seed}
        if self.told_classes:
            options["classes"] = list(range(n_classes))
        if self.regressor:
            options["base_regressor"] = regressor()
        return getattr(pool, type(self).__name__)(random_state=seed, **options)

    def _models(self, query: Query, X: Any, y: Any, seed: int) -> dict[str, Any]:
        if not self.given:
            return {}
        learner, model = query.candidates.learner, query.candidates.model
        classes = list(range(model.n_classes))
        if self.own:
            from skactiveml import classifier as theirs

            return {self.given: getattr(theirs, self.own)(classes=classes, random_state=seed)}
        make = classifier()
        if self.refits:
            return {self.given: make(learner, classes=classes, random_state=seed)}
        if self.given == "discriminator":  # of two classes, labelled or not, and fit by them
            return {self.given: make(learner, classes=[0, 1], random_state=seed)}
        fit = {f"fit_{self.given}": False}
        if self.given == "ensemble":
            committee: Any = goralx.build("strategy", "qbc", {"members": self.members})
            models = list(committee.fits(query))
        else:
            models = [model]
        fitted = [
            make(learner, classes=classes, random_state=seed).seen(X, y, each) for each in models
        ]
        return fit | {self.given: fitted if self.given == "ensemble" else fitted[0]}


@cache
def classifier() -> Any:
    """A classifier of theirs whose predictions are a model's of ours."""
    from skactiveml.base import SkactivemlClassifier

    class Learner(SkactivemlClassifier):
        def __init__(
            self, learner, classes=None, missing_label=np.nan, cost_matrix=None, random_state=None
        ):
            super().__init__(classes, missing_label, cost_matrix, random_state)
            self.learner = learner

        def fit(self, X, y, sample_weight=None):
            X, y, _ = self._validate_data(X, y)
            known = Labelled(X[y >= 0], y[y >= 0])
            self.model_ = self.learner.fit(known, len(self.classes_))
            return self

        def seen(self, X, y, model):
            """Itself, with a model that is fit already."""
            self._validate_data(X, y)
            self.model_ = model
            return self

        def predict_proba(self, X):
            P = np.exp(self.model_.log_proba(np.asarray(X)).astype(np.float64))
            return P / P.sum(axis=1, keepdims=True)

    return Learner


@cache
def regressor() -> Any:
    """Their default, a support vector machine, with a seed that it draws and has no use for."""
    from sklearn.svm import SVR

    class Seeded(SVR):
        def fit(self, X, y, sample_weight=None):
            self.random_state = 0  # no parameter, so that a clone would lose it
            return super().fit(X, y, sample_weight)

    return Seeded()


def stacked(query: Query, order: Rows, cls: type) -> Any:
    """Features of labelled samples, then of candidates in this order: (n + N, d), in memory."""
    known, X = query.candidates.known.X, query.X
    if not (isinstance(X, np.ndarray) and isinstance(known, np.ndarray)):
        raise Incompatible(
            f"strategy={chosen_by(cls)} takes features as an array in memory, and these are sparse "
            "or read from disk; the strategies of goralx itself take them"
        )
    return np.concatenate([known, X[order]])


def chosen_by(cls: type) -> str:
    return f"skactiveml_{cls.__name__.lower()}"


@dataclass(frozen=True)
class RandomSampling(Bridge):
    """A uniform draw, by scikit-activeml."""


@dataclass(frozen=True)
class UncertaintySampling(Bridge):
    """Uncertainty sampling, by scikit-activeml."""

    given: ClassVar[str] = "clf"
    method: str = "least_confident"


@dataclass(frozen=True)
class MonteCarloEER(Bridge):
    """Expected error reduction, a refit for every candidate and label, by scikit-activeml."""

    given: ClassVar[str] = "clf"
    refits: ClassVar[bool] = True
    method: str = "misclassification_loss"
    subtract_current: bool = False


@dataclass(frozen=True)
class ValueOfInformationEER(Bridge):
    """Value of information, a refit for every candidate and label, by scikit-activeml."""

    given: ClassVar[str] = "clf"
    refits: ClassVar[bool] = True
    consider_unlabeled: bool = True
    consider_labeled: bool = True
    candidate_to_labeled: bool = True
    subtract_current: bool = False
    normalize: bool = False


@dataclass(frozen=True)
class QueryByCommittee(Bridge):
    """Query by committee, of fits to bootstrap samples as in ``qbc``, by scikit-activeml."""

    given: ClassVar[str] = "ensemble"
    members: int = 5
    method: str = "KL_divergence"


@dataclass(frozen=True)
class GreedyBALD(Bridge):
    """BALD of a committee, as in ``qbc``, the best of each, by scikit-activeml."""

    given: ClassVar[str] = "ensemble"
    members: int = 5


@dataclass(frozen=True)
class BatchBALD(Bridge):
    """BatchBALD of a committee, as in ``qbc``, by scikit-activeml."""

    given: ClassVar[str] = "ensemble"
    members: int = 5


@dataclass(frozen=True)
class Quire(Bridge):
    """Querying informative and representative examples, by scikit-activeml."""

    told_classes: ClassVar[bool] = True
    lmbda: float = 1.0


@dataclass(frozen=True)
class DiscriminativeAL(Bridge):
    """Those least like what is labelled, as the run's own learner tells, by scikit-activeml."""

    given: ClassVar[str] = "discriminator"
    greedy_selection: bool = False


@dataclass(frozen=True)
class Clue(Bridge):
    """Clustering weighted by uncertainty, by scikit-activeml."""

    given: ClassVar[str] = "estimator"
    clusters: ClassVar[bool] = True
    method: str = "entropy"


@dataclass(frozen=True)
class DropQuery(Bridge):
    """Clusters of those whose label changes as features are dropped, by scikit-activeml."""

    given: ClassVar[str] = "clf"
    clusters: ClassVar[bool] = True
    dropout_rate: float = 0.75
    n_dropout_samples: int = 5


@dataclass(frozen=True)
class CostEmbeddingAL(Bridge):
    """Active learning with cost embedding, by scikit-activeml: fits a regression, not the model."""

    told_classes: ClassVar[bool] = True
    regressor: ClassVar[bool] = True
    embed_dim: int | None = None


@dataclass(frozen=True)
class EpistemicUncertaintySampling(Bridge):
    """Epistemic uncertainty, two classes, by scikit-activeml: of a Parzen window, whose counts it
    needs, not of the run's model.
    """

    given: ClassVar[str] = "clf"
    own: ClassVar[str] = "ParzenWindowClassifier"


@dataclass(frozen=True)
class FourDs(Bridge):
    """4DS: distance, density, distribution, diversity, by scikit-activeml: of a mixture model,
    whose densities it needs, not of the run's model.
    """

    given: ClassVar[str] = "clf"
    own: ClassVar[str] = "MixtureModelClassifier"
    lmbda: float | None = None


@dataclass(frozen=True)
class ProbabilisticAL(Bridge):
    """Multi-class probabilistic active learning, by scikit-activeml: of a Parzen window, whose
    counts it needs, not of the run's model.
    """

    given: ClassVar[str] = "clf"
    own: ClassVar[str] = "ParzenWindowClassifier"
    prior: float = 1.0
    m_max: int = 1


@dataclass(frozen=True)
class CoreSet(Bridge):
    """Core-set, by scikit-activeml; holds a distance for each pair."""


@dataclass(frozen=True)
class TypiClust(Bridge):
    """TypiClust, by scikit-activeml."""

    clusters: ClassVar[bool] = True
    k: int = 5


@dataclass(frozen=True)
class Badge(Bridge):
    """BADGE on features weighted by certainty, by scikit-activeml."""

    given: ClassVar[str] = "clf"


@dataclass(frozen=True)
class ProbCover(Bridge):
    """ProbCover, its radius found anew each round, by scikit-activeml."""

    alpha: float = 0.95


@dataclass(frozen=True)
class ContrastiveAL(Bridge):
    """Contrastive active learning, by scikit-activeml."""

    given: ClassVar[str] = "clf"


@dataclass(frozen=True)
class Falcun(Bridge):
    """FALCUN, by scikit-activeml."""

    given: ClassVar[str] = "clf"
    gamma: float = 10.0


@dataclass(frozen=True)
class MaxHerding(Bridge):
    """MaxHerding, by scikit-activeml; holds a kernel for each pair."""

    normalize_samples: bool = True


STRATEGIES = (
    Badge,
    BatchBALD,
    Clue,
    ContrastiveAL,
    CoreSet,
    CostEmbeddingAL,
    DiscriminativeAL,
    DropQuery,
    EpistemicUncertaintySampling,
    Falcun,
    FourDs,
    GreedyBALD,
    MaxHerding,
    MonteCarloEER,
    ProbCover,
    ProbabilisticAL,
    QueryByCommittee,
    Quire,
    RandomSampling,
    TypiClust,
    UncertaintySampling,
    ValueOfInformationEER,
)


@goralx.hookimpl
def register_strategies(register):
    for strategy in STRATEGIES:
        register(chosen_by(strategy), strategy)

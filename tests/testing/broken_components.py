"""One broken component for every check in goralx.testing: proof that each check can fail.

At module level, because one of the checks looks for the class in another process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from scipy.special import log_softmax

import goralx
from goralx import Candidates, Labelled, Query, Selection, Utilities
from goralx.discovery import registry

from .broken_followers import ALSO, ENGINES, TRACKERS

# --- options ---------------------------------------------------------------------------------


@dataclass
class Thawed:
    """Not frozen."""


@dataclass(frozen=True)
class CallableOption:
    """A function is no option."""

    f: Callable[[float], float] = abs


@dataclass(frozen=True)
class Undocumented:
    weight: float = 1.0


COMMON = {
    "check_is_frozen_dataclass": Thawed(),
    "check_options_are_plain": CallableOption(),
    "check_is_documented": Undocumented(),
}

# --- goals -----------------------------------------------------------------------------------


def gini(log_P):
    P = np.exp(log_P)
    nu = (P * P).sum(axis=1, keepdims=True)
    return float((nu - 1).sum()), 2 * P * (P - nu)


@dataclass(frozen=True)
class OnTheTestSet(goralx.LogitGoal):
    """A reference that does not exist."""

    reference = "test"

    def value_and_logit_gradient(self, log_P, X, y):
        return gini(log_P)


@dataclass(frozen=True)
class PerSample(goralx.LogitGoal):
    """Forgets to sum over samples."""

    def value_and_logit_gradient(self, log_P, X, y):
        _, G = gini(log_P)
        return (np.exp(log_P) ** 2).sum(axis=1), G


@dataclass(frozen=True)
class HalfGradient(goralx.LogitGoal):
    """A factor of two is missing."""

    def value_and_logit_gradient(self, log_P, X, y):
        value, G = gini(log_P)
        return value, 0.5 * G


@dataclass(frozen=True)
class ProbabilityGradient(goralx.LogitGoal):
    """Differentiated with respect to the probabilities."""

    def value_and_logit_gradient(self, log_P, X, y):
        return gini(log_P)[0], 2 * np.exp(log_P)


@dataclass(frozen=True)
class TwoValues(goralx.LogitGoal):
    """value() is the mean where the other is the sum."""

    def value_and_logit_gradient(self, log_P, X, y):
        return gini(log_P)

    def value(self, log_P, X, y):
        return gini(log_P)[0] / len(log_P)


@dataclass(frozen=True)
class FirstCounts(goralx.LogitGoal):
    """Only the first sample counts."""

    def value_and_logit_gradient(self, log_P, X, y):
        G = np.zeros_like(log_P)
        value, G[:1] = gini(log_P[:1])
        return value, G


@dataclass(frozen=True)
class ClassZero(goralx.LogitGoal):
    """Wants everything in class 0."""

    def value_and_logit_gradient(self, log_P, X, y):
        G = -np.exp(log_P)
        G[:, 0] += 1
        return float(log_P[:, 0].sum()), G


@dataclass(frozen=True)
class LogOfZero(goralx.LogitGoal):
    """0 log 0 is NaN."""

    def value_and_logit_gradient(self, log_P, X, y):
        P = np.exp(log_P)
        with np.errstate(all="ignore"):
            h = (P * np.log(P)).sum(axis=1, keepdims=True)
            return float(h.sum()), P * (np.log(P) - h)


@dataclass(frozen=True)
class MeanOverBytes(goralx.LogitGoal):
    """Divides by bytes, not by entries."""

    def value_and_logit_gradient(self, log_P, X, y):
        value, G = gini(log_P)
        return value / X.nbytes, G / X.nbytes


@dataclass(frozen=True)
class GoalInPlace(goralx.LogitGoal):
    """Turns the caller's log_P into P."""

    def value_and_logit_gradient(self, log_P, X, y):
        np.exp(log_P, out=log_P)
        return gini(np.log(log_P))


@dataclass(frozen=True)
class Subsampled(goralx.LogitGoal):
    """Draws a subsample from the global generator."""

    def value_and_logit_gradient(self, log_P, X, y):
        row = np.random.randint(len(log_P))  # noqa: NPY002
        G = np.zeros_like(log_P)
        value, G[row : row + 1] = gini(log_P[row : row + 1])
        return value, G


@dataclass(frozen=True)
class WrongCurvature(goralx.LogitGoal):
    """The Hessian of another goal."""

    def value_and_logit_gradient(self, log_P, X, y):
        return gini(log_P)

    def logit_hessian(self, log_P, X, y):
        P = np.exp(log_P)
        return P[:, :, None] * (np.eye(P.shape[1]) - P[:, None, :])


@dataclass(frozen=True)
class UndeclaredMean(goralx.PredictionGoal):
    """A mean that is declared a sum."""

    def value(self, log_P, X, y):
        return float(log_P.max(axis=1).mean())


@dataclass(frozen=True)
class RelativeGains(goralx.DesignGoal):
    """Gains relative to the other candidates'."""

    def measure(self, reference):
        return 0.0

    def gains(self, candidates, reference, *, regime):
        norms = (candidates.X**2).sum(axis=1)
        return norms / norms.sum()


@dataclass(frozen=True)
class TimesTheSize(goralx.LogitGoal):
    """Every sample counts as often as there are samples."""

    separable: ClassVar[bool] = True

    def value_and_logit_gradient(self, log_P, X, y):
        value, gradient = gini(log_P)
        return value * len(X), gradient * len(X)


@dataclass(frozen=True)
class MeanOfEachClass(goralx.LogitGoal):
    """The mean log-probability of each class's own samples: of none, NaN."""

    reference = "dev"

    def value_and_logit_gradient(self, log_P, X, y):
        own = np.eye(log_P.shape[1])[y]
        G = (own - np.exp(log_P)) / (own.sum(axis=0) @ own.T)[:, None]
        total = (log_P * own).sum(axis=0) / own.sum(axis=0)
        return float(total.sum()), G


GOALS = {
    "check_is_goal": OnTheTestSet(),
    "check_shapes": PerSample(),
    "check_gradient": HalfGradient(),
    "check_gradient_rows_sum_to_zero": ProbabilityGradient(),
    "check_logit_hessian": WrongCurvature(),
    "check_value_alone": TwoValues(),
    "check_reduction": UndeclaredMean(),
    "check_sample_order": FirstCounts(),
    "check_separable": TimesTheSize(),
    "check_class_order": ClassZero(),
    "check_saturated_predictions": LogOfZero(),
    "check_class_without_labels": MeanOfEachClass(),
    "check_float32_features": MeanOverBytes(),
    "check_inputs_untouched": GoalInPlace(),
    "check_deterministic": Subsampled(),
    "check_gains": RelativeGains(),
}

# --- label operators -------------------------------------------------------------------------


@dataclass(frozen=True)
class NeedsAString(goralx.LabelOperator):
    """needs_model is a string, whose letters look like names."""

    needs_model = "logit_variance"

    def __call__(self, U, log_P, y_true, progress):
        return U.max(axis=1)


@dataclass(frozen=True)
class KeepsDimensions(goralx.LabelOperator):
    """(N, 1) instead of (N,)."""

    def __call__(self, U, log_P, y_true, progress):
        return U.max(axis=1, keepdims=True)


@dataclass(frozen=True)
class Cumulative(goralx.LabelOperator):
    """Accumulates over samples."""

    def __call__(self, U, log_P, y_true, progress):
        return U.max(axis=1).cumsum()


@dataclass(frozen=True)
class FirstLabel(goralx.LabelOperator):
    """Always class 0."""

    def __call__(self, U, log_P, y_true, progress):
        return U[:, 0].copy()


@dataclass(frozen=True)
class PerByte(goralx.LabelOperator):
    """Divides by bytes, not by labels."""

    def __call__(self, U, log_P, y_true, progress):
        return U.sum(axis=1) / U[0].nbytes


@dataclass(frozen=True)
class SecretOracle(goralx.LabelOperator):
    """Uses the true label when it can get it."""

    def __call__(self, U, log_P, y_true, progress):
        return U.max(axis=1) if y_true is None else U[np.arange(len(U)), y_true]


@dataclass(frozen=True)
class OpenOracle(goralx.LabelOperator):
    """Cannot do without the true label and does not say so."""

    def __call__(self, U, log_P, y_true, progress):
        return U[np.arange(len(U)), y_true.astype(int)]


@dataclass(frozen=True)
class Spread(goralx.LabelOperator):
    """Standard deviations do not add up, variances do."""

    def __call__(self, U, log_P, y_true, progress):
        return U.std(axis=1)


@dataclass(frozen=True)
class ImportanceWeighted(goralx.LabelOperator):
    """Divides by probabilities that may be 0."""

    def __call__(self, U, log_P, y_true, progress):
        with np.errstate(all="ignore"):
            return (U / np.exp(log_P)).mean(axis=1)


@dataclass(frozen=True)
class Exponential(goralx.LabelOperator):
    """exp of a utility overflows where the goal's unit is small."""

    def __call__(self, U, log_P, y_true, progress):
        with np.errstate(all="ignore"):
            return np.log((np.exp(log_P) * np.exp(U)).sum(axis=1))


@dataclass(frozen=True)
class ClassFrequencies(goralx.LabelOperator):
    """Frequencies of the classes there are, of which there may be fewer."""

    def beliefs(self, candidates):
        _, counts = np.unique(candidates.labelled.y, return_counts=True)
        return np.tile(np.log(counts / counts.sum()), (len(candidates), 1))

    def __call__(self, U, log_P, y_true, progress):
        return (np.exp(log_P) * U).sum(axis=1)


@dataclass(frozen=True)
class Unnormalised(goralx.LabelOperator):
    """Tempered beliefs that do not sum to one."""

    def beliefs(self, candidates):
        return candidates.log_P / 2

    def __call__(self, U, log_P, y_true, progress):
        return (np.exp(log_P) * U).sum(axis=1)


@dataclass(frozen=True)
class SortsInPlace(goralx.LabelOperator):
    """Sorts the caller's U."""

    def __call__(self, U, log_P, y_true, progress):
        U.sort(axis=1)
        return U[:, -1].copy()


@dataclass(frozen=True)
class DrawsALabel(goralx.LabelOperator):
    """A label from the global generator."""

    def __call__(self, U, log_P, y_true, progress):
        return U[np.arange(len(U)), np.random.randint(U.shape[1], size=len(U))]  # noqa: NPY002


@dataclass(frozen=True)
class AboveTheMean(goralx.LabelOperator):
    """The best label's utility, beyond that of the average sample."""

    separable: ClassVar[bool] = True

    def __call__(self, U, log_P, y_true, progress):
        best = U.max(axis=1)
        return best - best.mean()


@dataclass(frozen=True)
class Bolder(goralx.LabelOperator):
    """From the worst label's utility to the best one's, and does not declare it."""

    def __call__(self, U, log_P, y_true, progress):
        return (1 - progress) * U.min(axis=1) + progress * U.max(axis=1)


OPERATORS = {
    "check_is_label_operator": NeedsAString(),
    "check_shapes": KeepsDimensions(),
    "check_progress_declared": Bolder(),
    "check_sample_order": Cumulative(),
    "check_separable": AboveTheMean(),
    "check_single_precision": PerByte(),
    "check_class_order": FirstLabel(),
    "check_ground_truth_declared": SecretOracle(),
    "check_decomposable": Spread(),
    "check_saturated_predictions": ImportanceWeighted(),
    "check_any_magnitude": Exponential(),
    "check_beliefs": Unnormalised(),
    "check_few_labels": ClassFrequencies(),
    "check_inputs_untouched": SortsInPlace(),
    "check_deterministic": DrawsALabel(),
}

# --- strategies ------------------------------------------------------------------------------


@dataclass(frozen=True)
class GoalByName(goralx.Strategy):
    """uses_goal names a goal."""

    uses_goal = "ent"

    def select(self, query: Query) -> Selection:
        return query.top(query.scores.utility)


@dataclass(frozen=True)
class Peeks(goralx.Strategy):
    """Reads true labels it did not ask for."""

    def select(self, query: Query) -> Selection:
        return query.top(query.y_true.astype(float))


@dataclass(frozen=True)
class HiddenGoal(goralx.Strategy):
    """Reads the scores and does not declare it."""

    def select(self, query: Query) -> Selection:
        return query.top(query.scores.utility)


@dataclass(frozen=True)
class IdleGoal(goralx.Strategy):
    """Declares a goal and selects at random."""

    uses_goal: ClassVar[bool] = True

    def select(self, query: Query) -> Selection:
        return Selection(query.rng.permutation(len(query.candidates))[: query.batch_size])


@dataclass(frozen=True)
class PoolRows(goralx.Strategy):
    """Rows of the pool instead of positions among the candidates."""

    def select(self, query: Query) -> Selection:
        return Selection(query.rng.permutation(query.candidates.rows)[: query.batch_size])


@dataclass(frozen=True)
class UtilityOfTheChosen(goralx.Strategy):
    """A utility for the chosen alone."""

    def select(self, query: Query) -> Selection:
        rows = query.rng.permutation(len(query.candidates))[: query.batch_size]
        return Selection(rows, query.log_P.max(axis=1)[rows])


_calls = [0]


@dataclass(frozen=True)
class Rotates(goralx.Strategy):
    """Remembers how often it was asked."""

    def select(self, query: Query) -> Selection:
        _calls[0] += 1
        order = query.rng.permutation(len(query.candidates))
        return Selection(np.roll(order, _calls[0])[: query.batch_size])


@dataclass(frozen=True)
class ByHash(goralx.Strategy):
    """Ranks by the hash of a string, which differs between processes."""

    def select(self, query: Query) -> Selection:
        worth = [float(hash(f"sample {row}") % 1000) for row in query.candidates.rows]
        return query.top(np.array(worth))


@dataclass(frozen=True)
class GlobalShuffle(goralx.Strategy):
    """The global generator."""

    def select(self, query: Query) -> Selection:
        return Selection(np.random.permutation(len(query.candidates))[: query.batch_size])  # noqa: NPY002


@dataclass(frozen=True)
class FirstOfTheTied(goralx.Strategy):
    """argsort alone prefers the first of equals."""

    def select(self, query: Query) -> Selection:
        return Selection(np.argsort(query.log_P.max(axis=1), kind="stable")[: query.batch_size])


@dataclass(frozen=True)
class ScalesInPlace(goralx.Strategy):
    """Normalises the pool's own features."""

    def select(self, query: Query) -> Selection:
        X = query.candidates.pool.X
        X -= X.mean(axis=0)
        return query.top(query.log_P.max(axis=1))


@dataclass(frozen=True)
class WritesInto(goralx.Strategy):
    """Centres somebody else's array, guarded or not."""

    what: str = "theta"

    def select(self, query: Query) -> Selection:
        known = query.candidates.labelled
        array = {"labelled.X": known.X, "theta": query.candidates.model.theta}[self.what]
        array -= array.mean(axis=0)
        return query.top(query.log_P.max(axis=1))


@dataclass(frozen=True)
class ByBytes(goralx.Strategy):
    """Divides by bytes, not by entries."""

    def select(self, query: Query) -> Selection:
        return query.top(query.log_P.max(axis=1) / query.X.nbytes)


@dataclass(frozen=True)
class ThreeColours(goralx.Strategy):
    """A colour for each class, of which there are three; the others are never chosen."""

    def select(self, query: Query) -> Selection:
        coloured = np.flatnonzero(query.log_P.argmax(axis=1) < 3)
        return Selection(query.rng.permutation(coloured)[: query.batch_size])


@dataclass(frozen=True)
class Settles(goralx.Strategy):
    """Explores at first and exploits at last, and does not declare it."""

    def select(self, query: Query) -> Selection:
        least = query.log_P.max(axis=1)
        return query.top(-least if query.candidates.progress < 0.5 else least)


@dataclass(frozen=True)
class Retunes(goralx.Strategy):
    """Fits the run's own learner with another penalty, by force or not."""

    by_force: bool = True

    def select(self, query: Query) -> Selection:
        learner = query.learner
        if self.by_force:
            object.__setattr__(learner, "l2", 1.0)
        else:
            learner.l2 = 1.0  # type: ignore[misc]
        return query.top(learner.fit(query.candidates.labelled, 3).log_proba(query.X).max(axis=1))


@dataclass(frozen=True)
class NearestToEachMean(goralx.Strategy):
    """Takes it that every class has a label: a mean of none, or an error."""

    stumble: bool = True

    def select(self, query: Query) -> Selection:
        known = query.candidates.labelled
        counts = np.bincount(known.y, minlength=len(query.classes))
        if self.stumble:
            rarest = int(known.y[known.y == counts.argmin()][0])
        else:
            rarest = 1 if counts.min() else 0
        b = query.batch_size if counts.min() else 1
        return Selection(query.top(query.log_P[:, rarest]).rows[:b])


STRATEGIES = {
    "check_is_strategy": GoalByName(),
    "check_ground_truth_declared": Peeks(),
    "check_goal_declared": HiddenGoal(),
    "check_rows": PoolRows(),
    "check_utility": UtilityOfTheChosen(),
    "check_same_generator_same_rows": Rotates(),
    "check_same_rows_in_another_process": ByHash(),
    "check_global_generators_unused": GlobalShuffle(),
    "check_ties_at_random": FirstOfTheTied(),
    "check_progress_declared": Settles(),
    "check_inputs_untouched": ScalesInPlace(),
    "check_learner_untouched": Retunes(),
    "check_class_without_labels": NearestToEachMean(),
    "check_float32_features": ByBytes(),
}

# --- batch rules -----------------------------------------------------------------------------


@dataclass(frozen=True)
class NeedsAWord(goralx.BatchRule):
    """needs_model is a string."""

    needs_model = "expansion"

    def choose(self, query: Query):
        return query.top(query.scores.utility).rows


@dataclass(frozen=True)
class Scripted(goralx.BatchRule):
    """Chooses in the way called ``how``."""

    how: str = "pool rows"

    def choose(self, query: Query):
        return HOW[self.how](query)[: query.batch_size]


def calls(query):
    _calls[0] += 1
    return np.roll(query.rng.permutation(len(query.candidates)), _calls[0])


def by_hash(query):
    rows = np.arange(len(query.candidates))
    return np.array(sorted(rows, key=lambda row: hash(f"sample {row}")))


def in_place(query):
    query.scores.utility[:] = np.nan_to_num(-query.scores.utility)
    return np.argsort(query.scores.utility)


def retuned(query):
    object.__setattr__(query.learner, "l2", 1.0)
    return query.top(query.scores.utility).rows


def of_the_rarest(query):
    known = query.candidates.labelled.y
    rarest = known[known == np.bincount(known, minlength=len(query.classes)).argmin()][0]
    return query.top(query.log_P[:, rarest]).rows


HOW: dict[str, Callable[[Query], np.ndarray]] = {
    "pool rows": lambda query: query.rng.permutation(query.candidates.rows),
    "whole pool": lambda query: query.rng.permutation(len(query.candidates)),
    "with state": calls,
    "by hash": by_hash,
    "the first": lambda query: np.argsort(-query.scores.utility, kind="stable"),
    "in place": in_place,
    "retuned": retuned,
    "of the rarest": of_the_rarest,
}


@dataclass(frozen=True)
class GainsOfAll(goralx.BatchRule):
    """The best, with the gains of whoever was there."""

    def choose(self, query: Query):
        return goralx.top_b(query.scores.utility, query.batch_size, query.rng)

    def select(self, query: Query):
        return Selection(self.choose(query), None, query.scores.utility)


BATCH_RULES = {
    "check_is_batch_rule": NeedsAWord(),
    "check_rows": Scripted("pool rows"),
    "check_not_looked_at": Scripted("whole pool"),
    "check_gains": GainsOfAll(),
    "check_same_generator_same_rows": Scripted("with state"),
    "check_same_rows_in_another_process": Scripted("by hash"),
    "check_ties_at_random": Scripted("the first"),
    "check_inputs_untouched": Scripted("in place"),
    "check_learner_untouched": Scripted("retuned"),
    "check_class_without_labels": Scripted("of the rarest"),
}

# --- models ----------------------------------------------------------------------------------

Softmax = registry().component("model", "softmax").cls


class FaultyFit:
    """A softmax fit with one method replaced."""

    def __init__(self, fit: Any, faults: dict[str, Any]) -> None:
        self.fit, self.faults = fit, faults

    def __getattr__(self, name: str) -> Any:
        if name not in self.faults:
            return getattr(self.fit, name)
        fault = self.faults[name]
        if not callable(fault):
            return fault
        return lambda *arguments: fault(self.fit, *arguments)


def pulled_as_it_comes(fit: Any, X: Any, G: Any) -> np.ndarray:
    """What a first head does: rows of G in single precision do not quite sum to zero."""
    rows = np.column_stack([X, np.ones(len(X), X.dtype)])
    return (G.T @ rows).astype(np.float64)


def solved_along_everything(fit: Any, g: np.ndarray) -> Any:
    """Conjugate gradients in all K rows: nothing holds the intercepts' common constant."""
    objective, P = fit.objective, np.exp(fit.log_proba(fit.objective.X[:, :-1]))

    def product(v: np.ndarray) -> np.ndarray:
        S = P * (objective.X @ v.T)
        S -= P * S.sum(axis=1, keepdims=True)
        return S.T @ objective.X / len(P) + objective.decay * v

    x, r = np.zeros_like(g), g.copy()
    step = r.copy()
    for _ in range(400):
        image = product(step)
        alpha = (r * r).sum() / (step * image).sum()
        x, new = x + alpha * step, r - alpha * image
        step = new + (new * new).sum() / (r * r).sum() * step
        r = new
        if np.abs(r).max() < 1e-10 * np.abs(g).max():
            break
    return goralx.Solution(x, 1e-10, 1)


FAULTS: dict[str, dict[str, Any]] = {
    "": {},
    "as it comes": {"pullback": pulled_as_it_comes, "solve": solved_along_everything},
    "forgets": {"n_labelled": 29},
    "unnormalised": {"log_proba": lambda fit, X: fit.log_proba(X) + 0.1},
    "pushes twice": {"pushforward": lambda fit, X, v: 2 * fit.pushforward(X, v)},
    "pulls twice": {"pullback": lambda fit, X, G: 2 * fit.pullback(X, G)},
    "sign": {"solve": lambda fit, g: replace(fit.solve(g), x=-fit.solve(g).x)},
    "sum for mean": {"solve": lambda fit, g: replace(fit.solve(g), x=fit.solve(g).x / 10)},
    "rounds": {
        "checkpoint": lambda fit: {
            name: a.astype(np.float32).astype(np.float64) for name, a in fit.checkpoint().items()
        }
    },
    "half precision": {
        "log_proba": lambda fit, X: log_softmax(
            fit.log_proba(X if X.dtype == np.float64 else X.astype(np.float16).astype(float)),
            axis=1,
        )
    },
    "uncentred": {"logit_variance": lambda fit, X: fit.logit_variance(X) * len(X)},
}


@dataclass(frozen=True)
class FaultyModel:
    """Softmax regression with a fault of this name."""

    fault: str = ""
    regime: str = "fixed_C"
    tolerance: float = 1e-8
    standardise: bool = False
    seen_only: bool = False

    capabilities: ClassVar[frozenset[str]] = frozenset({"derivatives", "logit_variance"})

    def fit(self, labelled: Labelled, n_classes: int, previous: Any = None) -> Any:
        if self.seen_only:
            n_classes = max(2, len(np.unique(labelled.y)))
        if self.standardise:
            labelled.X[:] = labelled.X / labelled.X.std(axis=0)
        before = previous.fit if previous is not None else None
        model = Softmax(tolerance=self.tolerance)
        return FaultyFit(model.fit(labelled, n_classes, before), FAULTS[self.fault])

    def restore(self, labelled: Labelled, n_classes: int, arrays: Any) -> Any:
        return FaultyFit(Softmax().restore(labelled, n_classes, arrays), FAULTS[self.fault])


@dataclass(frozen=True)
class PenaltyThatStays(FaultyModel):
    """Says fixed_C, and keeps lambda as it was when the run began."""

    def fit(self, labelled: Labelled, n_classes: int, previous: Any = None) -> Any:
        before = previous.fit if previous is not None else None
        return FaultyFit(Softmax(regime="fixed_lambda").fit(labelled, n_classes, before), {})


MODELS = {
    "check_is_model": FaultyModel(regime="fixed"),
    "check_fit_describes_itself": FaultyModel("forgets"),
    "check_predictions": FaultyModel("unnormalised"),
    "check_class_without_labels": FaultyModel(seen_only=True),
    "check_pushforward": FaultyModel("pushes twice"),
    "check_pullback_is_transpose": FaultyModel("pulls twice"),
    "check_solve": FaultyModel("sign"),
    "check_one_more_sample": FaultyModel("sum for mean"),
    "check_warm_start": FaultyModel(tolerance=0.05),
    "check_regime": FaultyModel(regime="fixed_lambda"),
    "check_restore": FaultyModel("rounds"),
    "check_float32_features": FaultyModel("half precision"),
    "check_float32_solve": FaultyModel("as it comes"),
    "check_logit_variance": FaultyModel("uncentred"),
    "check_inputs_untouched": FaultyModel(standardise=True),
}

# --- data sets -------------------------------------------------------------------------------


def small_instance(rng: np.random.Generator) -> goralx.Instance:
    base = np.random.default_rng(0)
    y = np.arange(60) % 3
    X = base.normal(size=(60, 2)) + y[:, None]
    return goralx.make_instance("small", X, y, rng=rng, n_init=6, n_test=12, source="made up")


@dataclass(frozen=True)
class SoundDataset:
    """Nothing wrong with it."""

    def instance(self, rng):
        return small_instance(rng)


@dataclass(frozen=True)
class Anonymous:
    """Does not say where it comes from."""

    def instance(self, rng):
        return replace(small_instance(rng), source="")


@dataclass(frozen=True)
class Tampered:
    """An instance whose ``part`` was changed after its own checks."""

    part: str = "X"

    def instance(self, rng):
        instance = small_instance(rng)
        value = {"X": instance.X.astype(int), "y": instance.y + 1, "dev": instance.test[:3]}
        object.__setattr__(instance, self.part, value[self.part])
        return instance


@dataclass(frozen=True)
class OwnGenerator:
    """Ignores the generator it is given."""

    def instance(self, rng):
        return small_instance(np.random.default_rng())


@dataclass(frozen=True)
class FixedSplit:
    """One split for every seed."""

    def instance(self, rng):
        return small_instance(np.random.default_rng(42))


DATASETS = {
    "check_instance": Anonymous(),
    "check_features": Tampered("X"),
    "check_labels": Tampered("y"),
    "check_parts": Tampered("dev"),
    "check_same_generator_same_instance": OwnGenerator(),
    "check_other_generator_other_instance": FixedSplit(),
}

# --- utilities -------------------------------------------------------------------------------

Influence = registry().component("utility", "influence").cls

ALTERED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "half precision": lambda U: U.astype(np.float16) if U.dtype == np.float32 else U,
    "transposed": lambda U: U.T,
    "relative": lambda U: U - U.mean(axis=0),
    "offset": lambda U: U + 1.0,
    "per sample": lambda U: 30 * U,
    "noisy": lambda U: U + 1e-9 * np.random.normal(size=U.shape),  # noqa: NPY002
}


@dataclass(frozen=True)
class AlteredInfluence(goralx.UtilityEstimator):
    """Influence with its result changed in the way called ``how``."""

    how: str = "offset"

    def utilities(self, candidates: Candidates, goal, reference, *, regime) -> Utilities:
        estimate = Influence().utilities(candidates, goal, reference, regime=regime)
        return replace(estimate, U=ALTERED[self.how](estimate.U))


@dataclass(frozen=True)
class PerLabelled(goralx.UtilityEstimator):
    """Influence by how many labels a class has."""

    def utilities(self, candidates: Candidates, goal, reference, *, regime) -> Utilities:
        estimate = Influence().utilities(candidates, goal, reference, regime=regime)
        counts = np.bincount(candidates.labelled.y, minlength=estimate.U.shape[1])
        with np.errstate(divide="ignore", invalid="ignore"):
            return replace(estimate, U=estimate.U / counts)


@dataclass(frozen=True)
class NeedsAList(AlteredInfluence):
    """needs_model is a list."""

    needs_model = ["logit_variance"]  # noqa: RUF012


UTILITIES = {
    "check_is_utility": NeedsAList(),
    "check_shapes": AlteredInfluence("transposed"),
    "check_class_without_labels": PerLabelled(),
    "check_candidate_order": AlteredInfluence("relative"),
    "check_unit": AlteredInfluence("offset"),
    "check_float32_features": AlteredInfluence("half precision"),
    "check_against_refit": AlteredInfluence("per sample"),
    "check_deterministic": AlteredInfluence("noisy"),
}

# --- metrics ---------------------------------------------------------------------------------


def right(log_P, y):
    return float((log_P.argmax(axis=1) == y).mean())


@dataclass(frozen=True)
class NoMetric:
    """Says nothing of whether more is better."""

    higher_is_better: ClassVar[str] = "yes"


@dataclass(frozen=True)
class WholePercent(goralx.Metric):
    """Accuracy in whole per cent, an int."""

    def __call__(self, log_P, y, classes):
        return round(100 * right(log_P, y))


@dataclass(frozen=True)
class ErrorSaidToBeGood(goralx.Metric):
    """The share of errors, the more the better."""

    def __call__(self, log_P, y, classes):
        return 1.0 - right(log_P, y)


@dataclass(frozen=True)
class FirstHalf(goralx.Metric):
    """Accuracy of the first half of the test set."""

    def __call__(self, log_P, y, classes):
        half = (len(y) + 1) // 2
        return right(log_P[:half], y[:half])


@dataclass(frozen=True)
class RecallOfTheFirst(goralx.Metric):
    """Recall of the class that happens to be the first; 1 without any."""

    def __call__(self, log_P, y, classes):
        return right(log_P[y == 0], y[y == 0]) if (y == 0).any() else 1.0


@dataclass(frozen=True)
class Crowded(goralx.Metric):
    """Accuracy, where every class is there."""

    def __call__(self, log_P, y, classes):
        if len(np.unique(y)) < len(classes):
            raise ValueError("a class is missing")
        return right(log_P, y)


@dataclass(frozen=True)
class EntropyByP(goralx.Metric):
    """Accuracy less the prediction entropy by P log P, which is NaN where P is 0."""

    def __call__(self, log_P, y, classes):
        P = np.exp(log_P)
        with np.errstate(all="ignore"):
            return right(log_P, y) + float((P * np.log(P)).sum(axis=1).mean())


SEEN: list[int] = []


@dataclass(frozen=True)
class Counting(goralx.Metric):
    """Accuracy, and a little more each time."""

    def __call__(self, log_P, y, classes):
        SEEN.append(1)
        return right(log_P, y) + 1e-6 * len(SEEN)


@dataclass(frozen=True)
class InPlace(goralx.Metric):
    """Mean probability of the true class; it exponentiates where it was given log P."""

    def __call__(self, log_P, y, classes):
        np.exp(log_P, out=log_P)
        return float(log_P[np.arange(len(y)), y].mean())


METRICS = {
    "check_is_metric": NoMetric(),
    "check_value": WholePercent(),
    "check_better": ErrorSaidToBeGood(),
    "check_sample_order": FirstHalf(),
    "check_class_order": RecallOfTheFirst(),
    "check_absent_class": Crowded(),
    "check_certain": EntropyByP(),
    "check_same_value_again": Counting(),
    "check_inputs_untouched": InPlace(),
}

# --- stopping rules --------------------------------------------------------------------------


@dataclass(frozen=True)
class NoRule:
    """Not a rule, though it answers like one."""

    needs: ClassVar[frozenset[str]] = frozenset()

    def halt(self, history):
        return None


@dataclass(frozen=True)
class Yes(goralx.StoppingRule):
    """Says so without a reason."""

    def halt(self, history):
        return True


@dataclass(frozen=True)
class Forgetful(goralx.StoppingRule):
    """Goes by how often it was asked."""

    asked: list[int] = field(default_factory=list)

    def halt(self, history):
        self.asked.append(1)
        return goralx.Halt("asked often") if len(self.asked) > 4 else None


@dataclass(frozen=True)
class Undeclared(goralx.StoppingRule):
    """Reads what is measured only for those who declare it."""

    def halt(self, history):
        accuracy = history.columns.get("dev/accuracy", [0.0])
        return goralx.Halt("accurate") if accuracy[-1] > 0.5 else None


STOPPING = {
    "check_is_stopping_rule": NoRule(),
    "check_answers": Yes(),
    "check_is_pure": Forgetful(),
    "check_needs_are_declared": Undeclared(),
}


@dataclass(frozen=True)
class NoOracle:
    """Answers, but extends nothing."""

    def prepared(self, instance):
        return self

    def digest(self):
        return ""

    def answer(self, asked):
        return goralx.Answers.of_one(asked.y)


@dataclass(frozen=True)
class OffByOne(goralx.Oracle):
    """Counts classes from 1."""

    def answer(self, asked):
        return goralx.Answers.of_one(asked.y + 1)


@dataclass(frozen=True)
class Streaming(goralx.Oracle):
    """Draws as it goes along, so that it matters who is asked with whom."""

    def answer(self, asked):
        wrong = np.random.default_rng(0).random(len(asked)) < 0.5
        return goralx.Answers.of_one(np.where(wrong, (asked.y + 1) % 4, asked.y))


@dataclass(frozen=True)
class SmallSeeds(goralx.Oracle):
    """Knows small seeds only."""

    def answer(self, asked):
        return goralx.Answers.of_one(asked.y, np.full(len(asked), 10.0 - asked.seed))


@dataclass(frozen=True)
class Relabels(goralx.Oracle):
    """Writes its answer into the truth."""

    def answer(self, asked):
        asked.instance.y[asked.rows] = 0
        return goralx.Answers.of_one(asked.y)


@dataclass(frozen=True)
class AnswersByHash(goralx.Oracle):
    """Goes by the hash of a text, which is another one in each process."""

    def answer(self, asked):
        odd = np.array([hash(f"row {row}") % 2 for row in asked.rows], dtype=np.int64)
        return goralx.Answers.of_one(np.where(odd, goralx.ABSTAINED, asked.y))


ORACLES = {
    "check_is_oracle": NoOracle(),
    "check_answers": OffByOne(),
    "check_answers_are_of_the_row_alone": Streaming(),
    "check_seed": SmallSeeds(),
    "check_leaves_what_it_is_given": Relabels(),
    "check_another_process": AnswersByHash(),
}


# --- initial sets ---------------------------------------------------------------------------


@dataclass(frozen=True)
class First(goralx.InitialSet):
    """The first ones: sound, and of little use."""

    def choose(self, asked):
        return np.arange(asked.size)


@dataclass(frozen=True)
class NoInitialSet:
    """It does not extend the base."""

    needs_labels: ClassVar[bool] = False

    def choose(self, asked):
        return np.arange(asked.size)


@dataclass(frozen=True)
class Peeping(goralx.InitialSet):
    """It looks at labels without a word."""

    def choose(self, asked):
        return asked.y.argsort(kind="stable")[: asked.size]


@dataclass(frozen=True)
class OneOfEach(goralx.InitialSet):
    """As many as there are classes, whatever was asked."""

    def choose(self, asked):
        return np.arange(len(asked.classes))


@dataclass(frozen=True)
class AnyDraw(goralx.InitialSet):
    """A generator of its own."""

    def choose(self, asked):
        return np.random.default_rng().permutation(len(asked))[: asked.size]


@dataclass(frozen=True)
class HashedSet(goralx.InitialSet):
    """In the order of hashes, which differs from process to process."""

    def choose(self, asked):
        order = sorted(range(len(asked)), key=lambda i: hash(f"sample {i}"))
        return np.array(order[: asked.size])


@dataclass(frozen=True)
class Scales(goralx.InitialSet):
    """It centres its argument in place."""

    def choose(self, asked):
        asked.X[:] = asked.X - asked.X.mean(axis=0)
        return np.arange(asked.size)


@dataclass(frozen=True)
class DenseOnly(goralx.InitialSet):
    """It stumbles over sparse features."""

    def choose(self, asked):
        return np.argsort(np.linalg.norm(asked.X[:], axis=1), kind="stable")[: asked.size]


INITIAL_SETS = {
    "check_is_initial_set": NoInitialSet(),
    "check_labels_declared": Peeping(),
    "check_places": OneOfEach(),
    "check_same_generator_same_places": AnyDraw(),
    "check_same_places_in_another_process": HashedSet(),
    "check_inputs_untouched": Scales(),
    "check_kinds_of_features": DenseOnly(),
}


BROKEN: dict[str, dict[str, Any]] = {
    "goal": COMMON | GOALS,
    "operator": COMMON | OPERATORS,
    "strategy": COMMON | STRATEGIES,
    "batch": COMMON | BATCH_RULES,
    "model": COMMON | MODELS,
    "dataset": COMMON | DATASETS,
    "initial": COMMON | INITIAL_SETS,
    "metric": COMMON | METRICS,
    "utility": COMMON | UTILITIES,
    "tracker": COMMON | TRACKERS,
    "engine": COMMON | ENGINES,
    "stop": COMMON | STOPPING,
    "oracle": COMMON | ORACLES,
}

ALSO_BROKEN: list[tuple[str, str, Any]] = [
    ("operator", "check_ground_truth_declared", OpenOracle()),
    ("strategy", "check_goal_declared", IdleGoal()),
    ("strategy", "check_rows", ThreeColours()),
    ("strategy", "check_inputs_untouched", WritesInto("theta")),
    ("strategy", "check_learner_untouched", Retunes(by_force=False)),
    ("strategy", "check_class_without_labels", NearestToEachMean(stumble=False)),
    ("strategy", "check_inputs_untouched", WritesInto("labelled.X")),
    ("model", "check_regime", PenaltyThatStays()),
    *ALSO,
]

__all__ = ["ALSO_BROKEN", "BROKEN", "SoundDataset"]

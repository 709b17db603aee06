"""The loop: fit, score, query, reveal; a generator of facts that tells nobody of them.

    for round in experiment.rounds():
        ...                       # record it, track it, draw it, or stop

is the whole coupling between learning and everything that watches it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from goralx.contracts import (
    HERE,
    Answers,
    BatchRule,
    Budget,
    Candidates,
    Checkpoint,
    Engine,
    FittedModel,
    Goal,
    Halt,
    History,
    Metric,
    Model,
    Oracle,
    Perfect,
    Query,
    Reference,
    Round,
    Scores,
    Selection,
    StoppingRule,
    Strategy,
    asking,
    keep_freed_memory,
    parameters,
)
from goralx.data import Array, Features, Instance, Labelled, Rows, streams
from goralx.errors import BadInput, Incompatible, in_words, reading
from goralx.scoring import (
    GoalOrientedUtility,
    VacuousUtility,
    check_engine,
    check_goal_reference,
    check_model,
    selected,
)

from .audit import METRICS, Auditor
from .bench import Bench
from .measures import check_defined, usual_metrics, utility_metrics
from .oracle import answer_metrics, fitted_on, learned, reveal
from .promises import broken, warn
from .state import State
from .stopping import as_asked, readable, stability, stop_set

CEILING = 20_000_000
"""Feature values of a pool (samples times features) up to which it is fit as a whole."""


@dataclass(frozen=True)
class Experiment:
    """An instance, a model, a strategy, and the goal-oriented utility that the strategy may ask.

    ``monitors`` are goals whose values are measured every round, whatever the strategy, and
    ``metrics`` what is measured on the test set, the first of them first in every table. The budget
    is ``n_queries`` labels, ``batch_size`` a round. ``guard`` says what a vacuous utility does:
    "warn" selects openly at random, "error" ends the run. ``rule`` puts the batches together.
    ``engine`` goes over the pool. ``ceiling`` says whether the whole pool is fit in the end; None:
    where it has at most `CEILING` values. What is learned of the pool is what ``oracle`` says;
    operators and strategies that need the ground truth have the truth itself, as has the ceiling.
    """

    instance: Instance
    model: Model
    strategy: Strategy
    utility: GoalOrientedUtility | None
    monitors: Mapping[str, Goal]
    goal: str
    batch_size: int = 10
    n_queries: int = 1000
    seed: int = 0
    guard: str = "warn"
    stop: StoppingRule = field(default_factory=Budget)
    auditor: Auditor | None = None
    rule: BatchRule | None = None
    engine: Engine = HERE
    ceiling: bool | None = None
    metrics: Mapping[str, Metric] = field(default_factory=usual_metrics)
    oracle: Oracle = field(default_factory=Perfect)

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise BadInput(f"batch_size={self.batch_size}; allowed: at least 1")
        if self.n_queries < 1:
            raise BadInput(f"n_queries={self.n_queries}; allowed: at least 1")
        if self.guard not in ("warn", "error"):
            raise BadInput(f"guard={self.guard}; allowed: warn, error")
        if self.strategy.uses_goal and self.utility is None:
            raise Incompatible(f"strategy {type(self.strategy).__name__} needs a goal")
        if self.strategy.uses_goal and self.utility is not None:
            self.utility.check_batch(self.rule, self.batch_size)
        if not self.metrics:
            raise BadInput("no metric is given; give at least one, e.g. accuracy")
        if self.goal not in self.monitors:
            raise Incompatible(
                f"goal '{self.goal}' is not measured; monitors: {', '.join(sorted(self.monitors))}"
            )
        if "dev" in self.stop.needs and self.dev is None:
            raise Incompatible(
                f"{type(self.stop).__name__} is measured on a dev set and there is none; give dev "
                "labels (dev.fraction=0.1), or take stop=stable_predictions"
            )
        for goal in self.monitors.values():
            check_goal_reference(goal, self.dev)
            check_model(goal, self.model)
        if self.engine.remote:
            asked = self.utility if self.strategy.uses_goal else None
            check_engine(self.instance, self.model, self.monitors, asked, self.rule)
        _ = self._oracle

    @cached_property
    def _oracle(self) -> Oracle:
        """Ready for this instance."""
        with asking(self.oracle, "oracle", "prepared"):
            return self.oracle.prepared(self.instance)

    def answers(self, rows: Rows) -> Answers:
        """What the oracle says of these source rows, whenever it is asked."""
        return reveal(self._oracle, self.instance, rows, self.seed)

    @property
    def trusts(self) -> bool:
        """Whether labels are the truth and cost one each, so that nothing is to be said of them."""
        return isinstance(self.oracle, Perfect)

    @cached_property
    def bench(self) -> Bench:
        """What fits its model and measures it, whoever chose the samples."""
        utility = self.utility if self.strategy.uses_goal else None
        slope_of = None if utility is None else utility.slope_of
        return Bench(self.instance, self.model, self.monitors, self.metrics, self.engine, slope_of)

    @property
    def dev(self) -> Labelled | None:
        return self.bench.dev

    @cached_property
    def lacking(self) -> Rows:
        """Classes that have no label at the start."""
        known = np.unique(self.instance.y[self.instance.init])
        return np.setdiff1d(np.arange(self.instance.n_classes), known)

    @property
    def metric(self) -> str:
        """The metric that the learning curve is of: the first."""
        return next(iter(self.metrics))

    @property
    def budget(self) -> int:
        """Queries that will be made: n_queries, or the whole pool if that is smaller."""
        return min(self.n_queries, len(self.instance.pool))

    @property
    def n_rounds(self) -> int:
        return -(-self.budget // self.batch_size) + 1

    @property
    def uses_progress(self) -> bool:
        """Whether a selection depends on the budget that is still to be spent."""
        operator = self.utility is not None and self.utility.operator.uses_progress
        return self.strategy.uses_progress or (self.strategy.uses_goal and operator)

    @property
    def uses_ground_truth(self) -> bool:
        """Whether hidden labels reach the selection: an upper bound, not a practical strategy."""
        operator = self.utility is not None and self.utility.operator.needs_ground_truth
        return self.strategy.needs_ground_truth or (self.strategy.uses_goal and operator)

    def rounds(
        self,
        resume: Checkpoint | None = None,
        past: Mapping[str, Array] | None = None,
        clock: Callable[[], float] | None = None,
    ) -> Iterator[Round]:
        """Run to its end, or go on from a checkpoint, bit for bit as if never stopped.

        ``past`` are the metrics (R,) of the rounds up to the checkpoint, which a stopping rule may
        read; ``clock`` says how many seconds the run has taken.
        """
        keep_freed_memory()
        state = self._begin() if resume is None else self._resume(resume, past or {})
        began = time.perf_counter()
        seconds = clock or (lambda: time.perf_counter() - began)
        while not state.done:
            with in_words(f"round {state.index}"):
                round, state = self._round(state, seconds)
                self.instance.check_unchanged()  # or some of what the round read was another file's
            yield round

    def _begin(self) -> State:
        init = self.instance.init
        rng, history = streams(self.seed, "strategy"), History({}, self.goal)
        return State(init, self.instance.y[init], rng, history)

    def _resume(self, checkpoint: Checkpoint, past: Mapping[str, Array]) -> State:
        history = History(readable(past), self.goal)
        if len(history) != checkpoint.round + 1 and not isinstance(self.stop, Budget):
            raise BadInput(
                f"{type(self.stop).__name__} goes by the rounds so far: {checkpoint.round + 1} "
                f"were made, {len(history)} are given · give them as past="
            )
        rng = streams(self.seed, "strategy")
        with reading("the checkpoint", "the record is damaged; start the run anew"):
            rng.bit_generator.state = dict(checkpoint.rng_state)
            samples = fitted_on(self.instance, checkpoint)
            model = self.model.restore(samples, self.instance.n_classes, checkpoint.model)
        return State(
            rows=checkpoint.rows,
            labels=checkpoint.labels,
            rng=rng,
            history=history,
            index=checkpoint.round + 1,
            model=model,
            predicted=checkpoint.predicted,
            tau=checkpoint.tau,
            done=checkpoint.done,
            warned=checkpoint.warned,
            cost=checkpoint.cost,
        )

    def halted(self, history: History) -> Halt | None:
        """Why the run ends in the last of these rounds, or None where it goes on."""
        n_queried = int(history["n_labelled"][-1]) - len(self.instance.init)
        if n_queried >= self.budget:
            whole = self.budget < self.n_queries
            return Halt(
                "the whole pool is labelled" if whole else f"{self.budget} queries are made"
            )
        with asking(self.stop, "stopping rule", "halt"):
            return self.stop.halt(history)

    def check_course(self, past: Mapping[str, Array], n_rounds: int) -> None:
        """Refuse to go on from rounds that this experiment would not have come to.

        ``past`` are metrics (R,) as in `rounds`, of which the first ``n_rounds`` are gone on from.
        """
        history = History(readable(past), self.goal)
        for i in range(n_rounds):
            halt = self.halted(as_asked(history, i))
            if halt is not None:
                n = int(history["n_labelled"][i])
                raise BadInput(
                    f"with these options the run would have ended in round {i}, at {n} labels "
                    f"({halt.why}), and it has gone further · run anew"
                )

    @cached_property
    def _stop_set(self) -> Features:
        return stop_set(self.instance, self.seed)

    def _round(self, state: State, seconds: Callable[[], float]) -> tuple[Round, State]:
        """Fit, measure, score, query, reveal: one row of the table in the package's design."""
        instance, bench, n_init = self.instance, self.bench, len(self.instance.init)
        labelled = learned(instance, state.rows, state.labels)
        started = time.perf_counter()
        model = bench.fit(labelled, state.model)
        fitted = time.perf_counter()

        pool = bench.pool(model)
        goals = bench.goals(pool)
        tau = goals[self.goal]
        facts = {
            **{f"goal/{name}": value for name, value in goals.items()},
            **self._for_the_rule(model, state.model),
            "change/predicted": state.predicted,
            "change/realised": tau - state.tau if self.strategy.uses_goal else float("nan"),
        }
        if not self.trusts:
            asked = state.labels[n_init:], instance.y[state.rows[n_init:]]
            facts |= answer_metrics(*asked, state.cost)
        if len(self.lacking):
            facts["n_classes_seen"] = float(len(np.unique(labelled.y)))
        now = {**readable(facts), "n_labelled": len(state.rows), "seconds/total": seconds()}
        done = self.halted(state.history.with_round(now)) is not None
        left = self.budget - (len(state.rows) - n_init)
        unlabelled = np.flatnonzero(~np.isin(instance.pool, state.rows))
        candidates = Candidates(
            pool, unlabelled, labelled, self.progress(left), self.seed, self.model
        )
        selection, scores, vacuous = Selection(np.empty(0, dtype=np.int64)), None, False
        if not done:
            b = min(self.batch_size, left)
            selection, scores, vacuous = self._select(state, candidates, b)
        scored = time.perf_counter()
        audited = self._audit(state, candidates, None if vacuous else scores)
        finished = time.perf_counter()
        tested = bench.tested(model)
        if state.index == 0:
            check_defined(tested)
        warned = state.warned | {"vacuous"} if vacuous else state.warned
        if audited and "untrusted" not in warned and self.auditor and self.auditor.warn(audited):
            warned |= {"untrusted"}
        tau = goals[self.goal]
        promised = self.trusts and "overstated" not in warned
        if promised and broken(state.predicted, tau - state.tau, state.tau):
            warn(state.predicted, tau - state.tau)
            warned |= {"overstated"}

        ids = instance.pool[unlabelled]
        queried, utility = ids[selection.rows], selection.utility
        predicted = _predicted(selection, scores)
        metrics = {
            **{f"test/{name}": value for name, value in tested.items()},
            **facts,
            **utility_metrics(utility, scores),
            **{f"audit/{name}": audited.get(name, float("nan")) for name in METRICS},
            "seconds/fit": fitted - started,
            "seconds/score": scored - fitted,
            "seconds/audit": finished - scored,
        }
        answers = self.answers(queried)
        following = State(
            rows=np.concatenate([state.rows, queried]),
            labels=np.concatenate([state.labels, answers.labels]),
            rng=state.rng,
            history=state.history.with_round({**readable(metrics), **now}),
            index=state.index + 1,
            model=model,
            predicted=predicted,
            tau=tau,
            done=done,
            warned=warned,
            cost=state.cost + float(answers.cost.sum()),
        )
        nothing = np.full(len(queried), np.nan)
        round = Round(
            index=state.index,
            n_labelled=len(state.rows),
            metrics=metrics,
            pool_ids=ids,
            utility=utility,
            queried=queried,
            labels=answers.labels,
            queried_utility=nothing if utility is None else utility[selection.rows],
            theta=parameters(model, self.model),
            last=done,
            checkpoint=following.checkpoint(),
            answers=None if self.trusts else answers,
            bound_from=self._bound_from(state, len(queried), done),
        )
        return round, following

    def _bound_from(self, state: State, n_queried: int, done: bool) -> int | None:
        """The first round, this one included, that a larger budget would have made otherwise."""
        if not done:
            return state.index if n_queried < self.batch_size else None
        whole = (len(state.rows) - len(self.instance.init)) % self.batch_size == 0
        return state.index if whole else state.index - 1

    def progress(self, left: int) -> float:
        """From 0 at the first selection to 1 at the last, with ``left`` labels still to be had."""
        before_last = (self.n_rounds - 2) * self.batch_size
        return min(1.0, (self.budget - left) / before_last) if before_last else 1.0

    def _for_the_rule(self, model: FittedModel, before: FittedModel | None) -> dict[str, float]:
        """What the stopping rule needs beyond what is measured anyway."""
        found = {}
        if "dev" in self.stop.needs and self.dev is not None:
            log_P = Reference(model, self.dev.X).log_P
            found["dev/accuracy"] = float((log_P.argmax(axis=1) == self.dev.y).mean())
        if "predictions" in self.stop.needs:
            found["stop/agreement"] = stability(model, before, self._stop_set)
        return found

    @property
    def fits_pool(self) -> bool:
        """Whether the whole pool is fit in the end."""
        values = len(self.instance.pool) * self.instance.X.shape[1]
        return values <= CEILING if self.ceiling is None else self.ceiling

    def full_pool(self) -> dict[str, float] | None:
        """Each metric of the model fit on init and the whole pool: what there is to reach.

        None where it is not to be worked out (``ceiling``): that takes the pool into memory.
        """
        return self.bench.full_pool() if self.fits_pool else None

    def _select(
        self, state: State, candidates: Candidates, b: int
    ) -> tuple[Selection, Scores | None, bool]:
        """What the strategy selects, and by which scores; whether they were vacuous.

        Then the selection is openly at random.
        """
        ids = self.instance.pool[candidates.rows]
        y_true = self.instance.y[ids] if self.strategy.needs_ground_truth else None
        utility = self.utility if self.strategy.uses_goal else None
        query = Query(candidates, b, state.rng, y_true, utility, self.rule, self.instance.classes)
        selection, vacuous = selected(self.strategy, query, utility)
        if vacuous and self.guard == "error":
            raise Incompatible(vacuous)
        if vacuous and "vacuous" not in state.warned:
            warnings.warn(f"{vacuous}; selecting at random", VacuousUtility, stacklevel=4)
        return selection, None if utility is None else query.scores, vacuous is not None

    def _audit(
        self, state: State, candidates: Candidates, scores: Scores | None
    ) -> dict[str, float]:
        """The round's audit, if one is due; what it finds never changes a selection."""
        auditor, n = self.auditor, len(candidates.labelled)
        if auditor is None or scores is None or len(scores.looked_at) < 5:
            return {}
        if not auditor.due(state.index, n, self.instance.n_classes):
            return {}
        rng = streams(self.seed, f"audit {state.index}")
        return auditor.agreement(candidates, scores, rng, self.batch_size)


def _predicted(selection: Selection, scores: Scores | None) -> float:
    """What the batch is predicted to add to the goal: a sum over its samples, in their order."""
    if scores is None:
        return float("nan")
    gains = scores.utility[selection.rows] if selection.gains is None else selection.gains
    return float(gains.sum())

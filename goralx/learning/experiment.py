"""The loop: fit, score, query, reveal; a generator of facts that tells nobody of them.

    for round in experiment.rounds():
        ...                       # record it, track it, draw it, or stop

is the whole coupling between learning and everything that watches it.
"""

from __future__ import annotations

import time
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
    History,
    Metric,
    Model,
    Oracle,
    Perfect,
    Query,
    Round,
    StoppingRule,
    Strategy,
    asking,
    keep_freed_memory,
    parameters,
)
from goralx.data import Array, Instance, Labelled, Rows, streams
from goralx.errors import BadInput, Incompatible, in_words, reading
from goralx.scoring import (
    GoalOrientedUtility,
    check_engine,
    check_goal_reference,
    check_model,
)

from .audit import METRICS, Auditor
from .bench import Bench
from .choice import Choice, choose
from .course import Course
from .measures import check_defined, usual_metrics, utility_metrics
from .oracle import answer_metrics, fitted_on, learned, reveal
from .promises import broken, warn
from .state import State
from .stopping import readable

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
        self.course.check()
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

    @cached_property
    def course(self) -> Course:
        """How long it goes on."""
        return Course(
            self.instance,
            self.dev,
            self.goal,
            self.batch_size,
            self.n_queries,
            self.seed,
            self.stop,
        )

    @property
    def budget(self) -> int:
        """Queries that will be made: n_queries, or the whole pool if that is smaller."""
        return self.course.budget

    @property
    def n_rounds(self) -> int:
        return self.course.n_rounds

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
        history = self.course.taken_up(past, checkpoint.round + 1)
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

    def _round(self, state: State, seconds: Callable[[], float]) -> tuple[Round, State]:
        """Fit, measure, score, query, reveal: one row of the table in the package's design."""
        instance, bench, course = self.instance, self.bench, self.course
        labelled = learned(instance, state.rows, state.labels)
        started = time.perf_counter()
        model = bench.fit(labelled, state.model)
        fitted = time.perf_counter()

        pool = bench.pool(model)
        goals = bench.goals(pool)
        tau, left = goals[self.goal], course.left(len(state.rows))
        facts = self._facts(state, model, labelled, goals)
        now = {**readable(facts), "n_labelled": len(state.rows), "seconds/total": seconds()}
        done = course.halted(state.history.with_round(now)) is not None
        unlabelled = np.flatnonzero(~np.isin(instance.pool, state.rows))
        candidates = Candidates(
            pool, unlabelled, labelled, course.progress(left), self.seed, self.model
        )
        choice = Choice.nothing()
        if not done:
            choice = self._choose(state, candidates, min(self.batch_size, left))
        scored = time.perf_counter()
        audited = self._audit(state, candidates, choice)
        finished = time.perf_counter()
        tested = bench.tested(model)
        if state.index == 0:
            check_defined(tested)

        ids, selection = instance.pool[unlabelled], choice.selection
        queried = ids[selection.rows]
        metrics = {
            **{f"test/{name}": value for name, value in tested.items()},
            **facts,
            **utility_metrics(selection.utility, choice.scores),
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
            predicted=choice.predicted,
            tau=tau,
            done=done,
            warned=self._warned(state, choice, audited, tau),
            cost=state.cost + float(answers.cost.sum()),
        )
        round = Round(
            index=state.index,
            n_labelled=len(state.rows),
            metrics=metrics,
            pool_ids=ids,
            utility=selection.utility,
            queried=queried,
            labels=answers.labels,
            queried_utility=choice.queried_utility,
            theta=parameters(model, self.model),
            last=done,
            checkpoint=following.checkpoint(),
            answers=None if self.trusts else answers,
            bound_from=course.bound_from(state.index, len(state.rows), len(queried), done),
        )
        return round, following

    def _facts(
        self, state: State, model: FittedModel, labelled: Labelled, goals: Mapping[str, float]
    ) -> dict[str, float]:
        """What is known of a round before anything is chosen, nothing of it from the test set."""
        change, n_init = goals[self.goal] - state.tau, len(self.instance.init)
        facts = {
            **{f"goal/{name}": value for name, value in goals.items()},
            **self.course.facts(model, state.model),
            "change/predicted": state.predicted,
            "change/realised": change if self.strategy.uses_goal else float("nan"),
        }
        if not self.trusts:
            truth = self.instance.y[state.rows[n_init:]]
            facts |= answer_metrics(state.labels[n_init:], truth, state.cost)
        if len(self.lacking):
            facts["n_classes_seen"] = float(len(np.unique(labelled.y)))
        return facts

    def _choose(self, state: State, candidates: Candidates, b: int) -> Choice:
        instance, strategy = self.instance, self.strategy
        y_true = None
        if strategy.needs_ground_truth:
            y_true = instance.y[instance.pool[candidates.rows]]
        utility = self.utility if strategy.uses_goal else None
        query = Query(candidates, b, state.rng, y_true, utility, self.rule, instance.classes)
        return choose(strategy, query, utility, self.guard, state.warned)

    def _audit(self, state: State, candidates: Candidates, choice: Choice) -> dict[str, float]:
        """The round's audit, if one is due; what it finds never changes a selection."""
        auditor, scores, n = self.auditor, choice.scores, len(candidates.labelled)
        if auditor is None or scores is None or choice.vacuous or len(scores.looked_at) < 5:
            return {}
        if not auditor.due(state.index, n, self.instance.n_classes):
            return {}
        rng = streams(self.seed, f"audit {state.index}")
        return auditor.agreement(candidates, scores, rng, self.batch_size)

    def _warned(
        self, state: State, choice: Choice, audited: dict[str, float], tau: float
    ) -> frozenset[str]:
        """What the run has warned of by the end of this round: of each thing once."""
        warned = state.warned | {"vacuous"} if choice.vacuous else state.warned
        if audited and "untrusted" not in warned and self.auditor and self.auditor.warn(audited):
            warned |= {"untrusted"}
        change = tau - state.tau
        promised = self.trusts and "overstated" not in warned
        if promised and broken(state.predicted, change, state.tau):
            warn(state.predicted, change)
            warned |= {"overstated"}
        return warned

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

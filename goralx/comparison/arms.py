"""Which runs repeat one another: an arm is a way of asking, its runs differ in their seeds.

Runs are told apart by the fields that the caller names; where runs of one arm differ in any other
option that counts, that option is added to the arm's name, so that nothing unlike is averaged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from goralx.errors import BadInput, unknown_name

from .runs import LeftOut, RecordedRun

FIELDS = ("strategy", "goal", "operator", "utility", "batch")
"""What arms are told apart by unless the caller says otherwise."""

GOAL_FIELDS = frozenset(("goal", "operator", "utility", "batch", "stop"))
"""What a strategy that asks no goal does not depend on."""

FLAGS = {"dev.use": "train", "dev.remove_from_pool": "True"}
"""Options of the dev set that count where they have this value, and make an arm of it."""

HOW = "audit ceiling engine figures guard job metrics monitors objective on_existing precision"
HOW += " progress record report threads tracker"
INDIFFERENT = frozenset((*HOW.split(), "approximation", "dataset", "seed"))
"""Options of a run that make no arm of it: the data set has its own place, the rest is how."""


@dataclass(frozen=True, order=True)
class Arm:
    """A way of asking; ``key`` says it in full, ``label`` what tells it from the others here."""

    label: str
    key: str = field(compare=False)
    uses_truth: bool = field(compare=False)
    asks_goal: bool = field(compare=False)
    goal: str = field(compare=False)
    strategy: str = field(compare=False)

    def __hash__(self) -> int:
        return hash(self.label)


@dataclass(frozen=True)
class Arms:
    """Runs by data set and arm, each sorted by seed; a seed is there once."""

    runs: Mapping[tuple[str, Arm], tuple[RecordedRun, ...]]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(dataset for dataset, _ in self.runs))

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Baselines first, then those that ask a goal, then those that use the truth."""
        return tuple(
            sorted({arm for _, arm in self.runs}, key=lambda a: (a.uses_truth, a.asks_goal, a))
        )

    @property
    def ranked(self) -> tuple[Arm, ...]:
        """Arms that a person could run: those that use the truth are never ranked."""
        return tuple(arm for arm in self.arms if not arm.uses_truth)

    def of(self, dataset: str, arm: Arm) -> tuple[RecordedRun, ...]:
        return self.runs.get((dataset, arm), ())

    def in_dataset(self, dataset: str) -> tuple[Arm, ...]:
        return tuple(arm for arm in self.arms if (dataset, arm) in self.runs)

    @property
    def all_runs(self) -> tuple[RecordedRun, ...]:
        return tuple(run for runs in self.runs.values() for run in runs)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Measured in every run; the first is the first of the most runs."""
        firsts = [run.metrics[0] for run in self.all_runs]
        common = set.intersection(*(set(run.metrics) for run in self.all_runs))
        if not common:
            raise BadInput("the runs share no metric · report runs with the same metrics=")
        order = dict.fromkeys(m for run in self.all_runs for m in run.metrics if m in common)
        first = max(order, key=firsts.count)
        return (first, *(m for m in order if m != first))

    @property
    def goals(self) -> tuple[str, ...]:
        return tuple(sorted({goal for run in self.all_runs for goal in run.goals}))

    def higher_is_better(self, metric: str) -> bool:
        return self.all_runs[0].higher_is_better(metric)

    def values(self, dataset: str, arm: Arm, number: str) -> dict[int, float]:
        """A final number by seed, where it is known."""
        found = {run.seed: run.number(number) for run in self.of(dataset, arm)}
        return {seed: value for seed, value in found.items() if np.isfinite(value)}

    def pairs(self, dataset: str, a: Arm, b: Arm) -> list[tuple[RecordedRun, RecordedRun]]:
        """Runs of one seed that had the same instance: what a paired test may hold together."""
        other = {run.seed: run for run in self.of(dataset, b)}
        matched = [(run, other[run.seed]) for run in self.of(dataset, a) if run.seed in other]
        return [(x, y) for x, y in matched if x.pairs_with(y)]

    def find(self, name: str) -> Arm:
        """The arm called so, by its label or, if that is one arm, its strategy."""
        exact = [arm for arm in self.arms if arm.label == name]
        near = exact or [arm for arm in self.arms if arm.strategy == name]
        if len(near) != 1:
            raise unknown_name("arm", name, [arm.label for arm in self.arms])
        return near[0]


def group(
    runs: Sequence[RecordedRun], left_out: Iterable[LeftOut] = (), by: Sequence[str] = FIELDS
) -> Arms:
    """Runs by data set and arm. Raises `BadInput` without runs, or for a field that none has.

    Of runs that repeat one another the newest is kept; a baseline's runs that differ only in the
    goals they measured are joined.
    """
    if not runs:
        raise BadInput("no finished run is among these records · see what was left out, and why")
    for name in by:
        if not any(name in _options(run) or name in run.config for run in runs):
            known = {key.partition(".")[0] for run in runs for key in _options(run)} - INDIFFERENT
            raise unknown_name("field to compare by:", name, known)
    names = _dataset_names(runs)
    told: dict[tuple[str, ...], list[RecordedRun]] = {}
    for run in runs:
        told.setdefault(_values(run, by), []).append(run)
    notes: list[str] = []
    keyed: dict[tuple[tuple[str, str], ...], list[RecordedRun]] = {}
    for values, members in told.items():
        extra = _varying(members, names, by)
        if extra:
            notes.append(f"runs of {' '.join(v for v in values if v)} differ in {', '.join(extra)}")
        for run in members:
            key = (*zip(by, values, strict=True), *_pairs(run, extra))
            keyed.setdefault(key, []).append(run)
    labels = _labels(keyed)
    grouped: dict[tuple[str, Arm], list[RecordedRun]] = {}
    dropped = list(left_out)
    for key, members in keyed.items():
        first = members[0]
        arm = Arm(
            label=labels[key],
            key=" ".join(f"{name}={value}" for name, value in key if value),
            uses_truth=any(run.uses_truth for run in members),
            asks_goal=first.asks_goal,
            goal=_options(first).get("goal", "") if first.asks_goal else "",
            strategy=str(_options(first).get("strategy", "")),
        )
        for run in members:
            grouped.setdefault((names[run.directory], arm), []).append(run)
    kept = {}
    for (dataset, arm), members in sorted(grouped.items(), key=lambda item: item[0]):
        once, again = _once(members)
        kept[dataset, arm] = once
        dropped += again
    return Arms(kept, tuple(dropped), tuple(notes))


def _once(runs: Sequence[RecordedRun]) -> tuple[tuple[RecordedRun, ...], list[LeftOut]]:
    """Each seed once, the newest; what else was measured in an equal run is taken over."""
    newest: dict[int, RecordedRun] = {}
    dropped = []
    for run in sorted(runs, key=lambda r: str(r.summary.get("started", "")), reverse=True):
        if run.seed not in newest:
            newest[run.seed] = run
            continue
        kept = newest[run.seed]
        if _same_curve(kept, run):
            newest[run.seed] = replace(kept, rounds={**run.rounds, **kept.rounds})
            continue
        dropped.append(
            LeftOut(
                run.directory,
                f"seed {run.seed} of the same options as {kept.directory}, with another result",
                "data or code changed between them, or a generator is not seeded: keep one of them",
            )
        )
    return tuple(newest[seed] for seed in sorted(newest)), dropped


def _same_curve(a: RecordedRun, b: RecordedRun) -> bool:
    columns = ["n_labelled", *(f"test/{m}" for m in a.metrics if m in b.metrics)]
    return a.protocol.instance == b.protocol.instance and all(
        np.array_equal(a.rounds[c], b.rounds[c], equal_nan=True) for c in columns
    )


def _options(run: RecordedRun) -> dict[str, str]:
    """Options flat, a component by its name: ``goal`` is "ent", ``goal.weight`` "2.0"."""
    return {"oracle": "perfect", **dict(_flat({**run.config, "initial": run.initial}))}


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif key == "name" and prefix:
            yield prefix.rstrip("."), str(value)
        else:
            yield f"{prefix}{key}", f"{value:g}" if isinstance(value, float) else str(value)


def _applies(run: RecordedRun, name: str) -> bool:
    """Whether an option counts for this run: a dev set that is only looked at does not."""
    top = name.partition(".")[0]
    if top != "dev":
        return run.asks_goal or top not in GOAL_FIELDS
    given = run.config.get("dev") or {}
    if name in FLAGS:
        return run.protocol.n_dev > 0 and str(given.get(name.partition(".")[2])) == FLAGS[name]
    return run.dev_labels > 0 or given.get("use") == "train"


def _values(run: RecordedRun, by: Sequence[str]) -> tuple[str, ...]:
    options = _options(run)
    return tuple(options.get(name, "") if _applies(run, name) else "" for name in by)


def _pairs(run: RecordedRun, names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    options = _options(run)
    return tuple((n, options.get(n, "")) for n in names if _applies(run, n))


def _varying(runs: Sequence[RecordedRun], names: Mapping[Any, str], by: Sequence[str]) -> list[str]:
    """Options that count and differ between runs of one arm on one data set."""
    found: dict[str, None] = {}
    for dataset in dict.fromkeys(names[run.directory] for run in runs):
        options = [_counting(run, by) for run in runs if names[run.directory] == dataset]
        for key in dict.fromkeys(key for one in options for key in one):
            told = {one[key] for one in options if key in one}
            if len(told) > 1 or (key in FLAGS and any(key not in one for one in options)):
                found[key] = None
    return list(found)


def _counting(run: RecordedRun, by: Sequence[str]) -> dict[str, str]:
    return {
        key: value
        for key, value in _options(run).items()
        if key.partition(".")[0] not in INDIFFERENT and key not in by and _applies(run, key)
    }


def _labels(keys: Iterable[tuple[tuple[str, str], ...]]) -> dict[Any, str]:
    """The shortest names that tell arms apart: "random", "ent max".

    Of those that ask a goal, what all share is left out but for the goal and the operator.
    """
    labels: dict[Any, str] = {}
    keys = list(keys)
    for asking in (True, False):
        peers = [key for key in keys if bool(dict(key).get("goal")) == asking]
        for key in peers:
            words = [
                value if name in FIELDS else f"{name}={value}"
                for name, value in key
                if value
                and (
                    name in ("goal", "operator")
                    or (name == "strategy" and not asking)
                    or len({dict(other).get(name, "") for other in peers}) > 1
                )
            ]
            labels[key] = " ".join(words) or next((v for _, v in key if v), "all runs")
    return labels


def _dataset_names(runs: Sequence[RecordedRun]) -> dict[Any, str]:
    """A data set as its runs are called after it, and by its options too where they differ."""
    nodes = {
        run.directory: dict(_flat({"dataset": run.config.get("dataset") or {}})) for run in runs
    }
    for run in runs:
        nodes[run.directory].setdefault("dataset", "data")
    called = {
        run.directory: run.tags.get("goralx.dataset", nodes[run.directory]["dataset"])
        for run in runs
    }
    names = {}
    for run in runs:
        node, name = nodes[run.directory], called[run.directory]
        others = [nodes[directory] for directory in nodes if called[directory] == name]
        differing = [k for k in node if len({o.get(k) for o in others}) > 1]
        words = [f"{k.removeprefix('dataset.')}={node[k]}" for k in differing]
        names[run.directory] = " ".join([name, *words])
    return names

"""What would make a reviewer doubt a comparison, found in its records, each with its remedy.

A `fault` makes a number wrong or a comparison void; a `warning` weakens it; a `note` says what is
missing beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from .arms import Arm, Arms
from .paired import ALPHA, numbers, smallest_p
from .runs import RecordedRun

ENOUGH = 5
"""Seeds below which nothing is said with confidence."""

MANY_TWINS = 0.05
"""Share of the test set from which twins elsewhere are more than a blemish."""

Level = Literal["fault", "warning", "note"]
LEVELS: tuple[Level, ...] = ("fault", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One doubt: ``what`` was seen, ``where``, and the ``remedy``."""

    level: Level
    check: str
    where: str
    what: str
    remedy: str


Check = Callable[[Arms], Iterator[Finding]]


def lint(arms: Arms) -> list[Finding]:
    """Everything found, faults first, in the order of `CHECKS`."""
    found = [finding for check in CHECKS for finding in check(arms)]
    return sorted(found, key=lambda f: LEVELS.index(f.level))


def overlap(arms: Arms) -> Iterator[Finding]:
    for where, runs in _cells(arms):
        for parts in ("pool and test", "init and test", "init and pool"):
            n = max(run.protocol.overlaps.get(parts, 0) for run in runs)
            if n:
                yield Finding(
                    "fault", f"{parts} overlap", where, f"{n} rows are in both",
                    "test on rows that nobody may ask for: mend the data set's instance",
                )  # fmt: skip


def twins(arms: Arms) -> Iterator[Finding]:
    """Test samples that are in no other part by their row, and are by their numbers."""
    for dataset in arms.datasets:
        runs = [run for arm in arms.in_dataset(dataset) for run in arms.of(dataset, arm)]
        for part in ("init", "pool", "dev"):
            n, of = max((run.twins(part), run.protocol.n_test) for run in runs)
            if n:
                yield Finding(
                    "warning" if n > MANY_TWINS * of else "note",
                    f"identical samples in {part} and test", dataset,
                    f"{n} of {of} have a twin there, the same in every feature",
                    "leave repeated rows out of the data, or say that they are in it",
                )  # fmt: skip


def goal_on_test(arms: Arms) -> Iterator[Finding]:
    for (dataset, arm), runs in arms.runs.items():
        seen = ("dev and test",) if any(r.dev_labels for r in runs) else ("pool and test",)
        n = max(run.protocol.overlaps.get(s, 0) for run in runs for s in (*seen, "dev and test"))
        if arm.asks_goal and n:
            yield Finding(
                "fault", "goal computed on test inputs", f"{dataset}, {arm.label}",
                f"{n} test rows are in what goal {arm.goal} is measured on",
                "keep test rows out of the pool and the dev set",
            )  # fmt: skip


def asked_twice(arms: Arms) -> Iterator[Finding]:
    for where, runs in _cells(arms):
        n = max(run.protocol.asked_twice for run in runs)
        if n:
            yield Finding(
                "fault", "double queries", where, f"{n} labels were asked for that were known",
                "the strategy selects rows that are labelled already: run goralx.testing on it",
            )  # fmt: skip


def one_seed(arms: Arms) -> Iterator[Finding]:
    """The same places of the pool, whatever the seed: a generator that is not the run's own."""
    for where, runs in _cells(arms):
        instances = {run.protocol.instance for run in runs}
        asked = [run.protocol.first_asked for run in runs if run.protocol.first_asked]
        if len(runs) > 1 and len(instances) == 1:
            yield Finding(
                "warning", "one instance over repeats", where,
                f"{len(runs)} seeds have the same init, pool and test set",
                "repeats then show the strategy's own randomness only: draw the split by the seed",
            )  # fmt: skip
        elif len(asked) > 1 and len(set(asked)) == 1:
            yield Finding(
                "fault", "one strategy seed over repeats", where,
                f"the first batch is at the same places of the pool in all {len(asked)} seeds",
                "draw from query.rng, not from a generator of your own",
            )  # fmt: skip


def unpaired(arms: Arms) -> Iterator[Finding]:
    for dataset in arms.datasets:
        present = arms.in_dataset(dataset)
        for a, b in combinations(present, 2):
            seeds = [{run.seed for run in arms.of(dataset, arm)} for arm in (a, b)]
            common, paired = seeds[0] & seeds[1], len(arms.pairs(dataset, a, b))
            if paired < len(common):
                yield Finding(
                    "fault", "unpaired instances", f"{dataset}, {a.label} and {b.label}",
                    f"{len(common) - paired} of {len(common)} seeds had different init, pool, test "
                    "or data; they are left out of their comparison",
                    "run both with the same dataset options and the same data",
                )  # fmt: skip
            if seeds[0] != seeds[1]:
                odd = ", ".join(map(str, sorted(seeds[0] ^ seeds[1])))
                yield Finding(
                    "warning", "unpaired seeds", f"{dataset}, {a.label} and {b.label}",
                    f"seeds {odd} are there for one of the two only",
                    "run the missing seeds: goralx -m ... seed=" + odd.replace(" ", ""),
                )  # fmt: skip


def few_seeds(arms: Arms) -> Iterator[Finding]:
    for (dataset, arm), runs in arms.runs.items():
        if len(runs) < ENOUGH:
            yield Finding(
                "warning", "few seeds", f"{dataset}, {arm.label}", f"{len(runs)} of them",
                f"{ENOUGH} at least, 20 for a claim: seed='range(20)'",
            )  # fmt: skip


def powerless(arms: Arms) -> Iterator[Finding]:
    """Where even winning every pair would not pass the corrected test."""
    for dataset in arms.datasets:
        ranked = [arm for arm in arms.in_dataset(dataset) if not arm.uses_truth]
        pairs = len(ranked) * (len(ranked) - 1) // 2
        n = min((len(arms.of(dataset, arm)) for arm in ranked), default=0)
        if pairs and n >= ENOUGH and pairs * smallest_p(n) >= ALPHA:
            yield Finding(
                "warning", "no difference can be shown", dataset,
                f"{n} seeds and {pairs} pairs of arms: the best that Holm can give first is "
                f"p = {min(1.0, pairs * smallest_p(n)):.2g}",
                "more seeds, fewer arms, or goralx report --baseline-only",
            )  # fmt: skip


def missing_baseline(arms: Arms) -> Iterator[Finding]:
    for dataset in arms.datasets:
        runs = [run for arm in arms.in_dataset(dataset) for run in arms.of(dataset, arm)]
        strategies = [run.config.get("strategy") or {} for run in runs]
        named = {str(s.get("name")) for s in strategies}
        if "random" not in named:
            yield Finding(
                "warning", "missing random baseline", dataset, "no arm asks at random",
                "run strategy=random with the same seeds",
            )  # fmt: skip
        margin = any(
            s.get("name") == "margin"
            or (s.get("name") == "uncertainty" and s.get("measure", "margin") == "margin")
            for s in strategies
        )
        if not margin:
            yield Finding(
                "warning", "missing margin baseline", dataset, "no arm asks by margin",
                "run strategy=uncertainty (measure=margin) with the same seeds",
            )  # fmt: skip


def truth_used(arms: Arms) -> Iterator[Finding]:
    for arm in arms.arms:
        if arm.uses_truth:
            yield Finding(
                "note", "truth used", arm.label, "its selection saw the hidden labels",
                "an upper bound: drawn apart and not ranked",
            )  # fmt: skip


def dev_labels(arms: Arms) -> Iterator[Finding]:
    for (dataset, arm), runs in arms.runs.items():
        own = [run for run in runs if arm.asks_goal and arm.goal.startswith("dev")]
        if any(run.protocol.n_dev and not run.dev_labels for run in own):
            yield Finding(
                "fault", "dev labels uncounted", f"{dataset}, {arm.label}",
                "its goal asks a dev set whose labels its summary does not count",
                "count them: run it anew, dev_labels_used is then in the record",
            )  # fmt: skip
    for dataset in arms.datasets:
        present = arms.in_dataset(dataset)
        asking = [a for a in present if any(r.dev_labels for r in arms.of(dataset, a))]
        if asking and not any(_trains_on_dev(arms, dataset, a) for a in present):
            yield Finding(
                "note", "dev labels in training missing", dataset,
                f"{asking[0].label} is given dev labels; no arm trains on them instead",
                "run a baseline with the dev labels in its training set: dev.use=train",
            )  # fmt: skip


def _trains_on_dev(arms: Arms, dataset: str, arm: Arm) -> bool:
    return any((run.config.get("dev") or {}).get("use") == "train" for run in arms.of(dataset, arm))


def versions(arms: Arms) -> Iterator[Finding]:
    for dataset in arms.datasets:
        runs = [run for arm in arms.in_dataset(dataset) for run in arms.of(dataset, arm)]
        seen: dict[str, set[str]] = {}
        for run in runs:
            for package, version in (run.summary.get("versions") or {}).items():
                seen.setdefault(package, set()).add(str(version))
        mixed = {p: sorted(v) for p, v in seen.items() if len(v) > 1}
        if mixed:
            listed = "; ".join(f"{p} {' and '.join(v)}" for p, v in mixed.items())
            yield Finding(
                "warning", "different code", dataset, listed, "run all arms with one installation"
            )


def unlike_conditions(arms: Arms) -> Iterator[Finding]:
    """Arms that were given different batch sizes, budgets or models on one data set."""
    for dataset in arms.datasets:
        by_option: dict[str, set[str]] = {}
        for arm in arms.in_dataset(dataset):
            for run in arms.of(dataset, arm):
                conditions = {
                    "batch_size": run.config.get("batch_size"),
                    "model": run.config.get("model"),
                }
                conditions["queries"] = int(run.n_labelled[-1]) - run.n_init
                dev = int(run.summary.get("dev_labels_in_init") or 0)
                conditions["initial labels"] = run.n_init - dev
                for key, value in conditions.items():
                    by_option.setdefault(key, set()).add(_shown(value))
        for key, values in by_option.items():
            if len(values) > 1:
                yield Finding(
                    "warning", "unlike conditions", dataset,
                    f"{key} is {' and '.join(sorted(values))}",
                    "compare arms under the same conditions, or look at each by itself",
                )  # fmt: skip


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{k}={v}" for k, v in value.items() if k != "name") or str(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def not_measured(arms: Arms) -> Iterator[Finding]:
    for (dataset, arm), runs in arms.runs.items():
        n = sum(run.full_pool is None for run in runs)
        if n:
            yield Finding(
                "note", "full pool not fit", f"{dataset}, {arm.label}",
                f"{n} of {len(runs)} runs do not know what there is to reach",
                "ceiling=true fits it; without it no labels to a share of it can be told",
            )  # fmt: skip
        for number in numbers(arms):
            missing = len(runs) - len(arms.values(dataset, arm, number))
            if missing:
                yield Finding(
                    "warning", "metric undefined", f"{dataset}, {arm.label}",
                    f"{number} is not a number in {missing} of {len(runs)} runs",
                    "the test set lacks what it needs (a class, say); these seeds are left out",
                )  # fmt: skip


def left_out(arms: Arms) -> Iterator[Finding]:
    for one in arms.left_out:
        yield Finding("warning", "left out", str(one.directory), one.why, one.remedy)
    for note in arms.notes:
        yield Finding(
            "note", "told apart", "arms", note,
            "they are arms of their own; --by names what to compare by",
        )  # fmt: skip


def _cells(arms: Arms) -> Iterator[tuple[str, tuple[RecordedRun, ...]]]:
    for (dataset, arm), runs in arms.runs.items():
        yield f"{dataset}, {arm.label}", runs


CHECKS: tuple[Check, ...] = (
    overlap,
    twins,
    goal_on_test,
    asked_twice,
    one_seed,
    unpaired,
    dev_labels,
    missing_baseline,
    truth_used,
    few_seeds,
    powerless,
    versions,
    unlike_conditions,
    not_measured,
    left_out,
)

"""A finished run as it is compared: its curve, what it was asked, and which instance it had."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from goralx.data import Array, Rows
from goralx.errors import BadInput
from goralx.records import in_use, read_queries, read_rounds, read_summary

from .learning_curve import aulc

LOWER_IS_BETTER = frozenset(("log_loss", "brier", "ece"))
"""Of metrics in records that do not say so themselves."""

AULC = "aulc"
ON_TOP = "labels/dev_on_top"
"""The column that `read_run` adds: dev labels beside what is labelled."""
SPENT = "labels/cost"
"""Another: what the answers took, one each of an oracle that never errs."""

GIVEN = {"name": "given"}

STILL_GOING = "still going"


@dataclass(frozen=True)
class Protocol:
    """What `goralx lint` asks of a run's rows; counts, and where in the pool it asked first.

    ``instance`` names what pairs runs: init, pool and test, a dev set back in the pool that it was
    drawn from, and the data if the record tells; ``data`` is "" where it does not. ``samples``
    leaves out who of init and pool is labelled at the start. ``dev_again`` (Q,) counts dev samples
    among the first queries: labels that are not paid for twice.
    """

    instance: str
    samples: str
    data: str
    n_dev: int
    n_test: int
    overlaps: Mapping[str, int]
    asked_twice: int
    first_asked: tuple[int, ...]
    dev_again: Rows


@dataclass(frozen=True)
class RecordedRun:
    """A run read from its record, ended or not.

    ``rounds`` are the columns of ``rounds.csv``, (R,) each; ``summary`` is ``summary.json``.
    """

    directory: Path
    summary: Mapping[str, Any] = field(repr=False)
    rounds: Mapping[str, Array] = field(repr=False)
    protocol: Protocol = field(repr=False)

    @property
    def name(self) -> str:
        return str(self.summary["name"])

    @property
    def config(self) -> Mapping[str, Any]:
        config: Mapping[str, Any] = self.summary["config"]
        return config

    @property
    def tags(self) -> Mapping[str, str]:
        tags: Mapping[str, str] = self.summary["tags"]
        return tags

    @property
    def fingerprint(self) -> str:
        return str(self.summary["fingerprint"])

    @property
    def seed(self) -> int:
        return int(self.tags["goralx.seed"])

    @property
    def n_labelled(self) -> Array:
        return self.rounds["n_labelled"]

    @property
    def n_init(self) -> int:
        return int(self.n_labelled[0])

    @property
    def initial(self) -> Mapping[str, Any]:
        """Its initial set: that of the data set before there was a choice."""
        node: Mapping[str, Any] = self.config.get("initial") or GIVEN
        return node

    def pairs_with(self, other: RecordedRun) -> bool:
        """Whether both had the same data, test set and samples to begin and go on with.

        Which of these were labelled at the start has to be the same, too, unless that is what they
        were told to do differently.
        """
        if self.initial == other.initial:
            return self.protocol.instance == other.protocol.instance
        return self.protocol.samples == other.protocol.samples

    @property
    def dev_labels(self) -> int:
        """Labels of a dev set that the selection asked: labels like any other."""
        return int(self.summary.get("dev_labels_used") or 0)

    def twins(self, part: str) -> int:
        """Of test samples that are in another part by all their features, if the record tells."""
        return int((self.summary.get("twins") or {}).get(f"{part} and test", 0))

    @property
    def dev_on_top(self) -> Array:
        """Of these, (R,), how many are beside what is labelled: those queried are counted once."""
        n = self.rounds.get("n_labelled", np.zeros(0))
        again = np.append(0, self.protocol.dev_again)
        asked = np.minimum((n - n[:1]).astype(np.int64), len(again) - 1)
        on_top: Array = np.maximum(self.dev_labels - again[asked], 0).astype(np.float64)
        return on_top

    @property
    def total_labels(self) -> Array:
        """Init, dev and queries, (R,): everything somebody was paid for."""
        return self.n_labelled + self.dev_on_top

    @property
    def spent(self) -> Array:
        """What the answers took so far (R,)."""
        n = self.rounds.get("n_labelled", np.zeros(0))
        return self.rounds.get("cost", n - n[:1])

    @property
    def costs_differ(self) -> bool:
        """Whether labels took anything but one each."""
        return not np.allclose(self.spent, self.n_labelled - self.n_init)

    @property
    def uses_truth(self) -> bool:
        return bool(self.summary.get("uses_ground_truth"))

    @cached_property
    def asks_goal(self) -> bool:
        """Whether its strategy asked for utilities at all: baselines do not."""
        predicted = self.rounds.get("change/predicted", np.empty(0))
        return bool(np.isfinite(predicted).any())

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Names of what is measured on the test set; the first is what comparisons speak of."""
        measured = [c.removeprefix("test/") for c in self.rounds if c.startswith("test/")]
        first = self.summary.get("metric")
        chosen = [m for m in (first, *(self.config.get("metrics") or ())) if m in measured]
        return tuple(dict.fromkeys([*chosen, *measured]))

    @property
    def goals(self) -> tuple[str, ...]:
        return tuple(c.removeprefix("goal/") for c in self.rounds if c.startswith("goal/"))

    def higher_is_better(self, metric: str) -> bool:
        said = self.summary.get("higher_is_better") or {}
        return bool(said.get(metric, metric not in LOWER_IS_BETTER))

    def number(self, name: str) -> float:
        """A final number: `AULC` of the first metric, or the last value of a metric or a goal."""
        if name == AULC:
            return aulc(self.n_labelled, self.rounds[f"test/{self.metrics[0]}"])
        column = name if name.startswith("goal/") else f"test/{name}"
        return float(self.rounds[column][-1]) if column in self.rounds else float("nan")

    @property
    def full_pool(self) -> float | None:
        """The first metric of the model fit on the whole pool: what there is to reach."""
        full = (self.summary.get("full_pool") or {}).get(self.metrics[0])
        return None if full is None else float(full)


@dataclass(frozen=True)
class LeftOut:
    """A record that is not compared, why, and what to do."""

    directory: Path
    why: str
    remedy: str


def read_run(directory: Path) -> RecordedRun:
    """Read a record. Raises `BadInput` where it is none, or damaged."""
    summary = read_summary(directory)
    try:
        for key in ("name", "tags", "config", "fingerprint", "status"):
            summary[key]
        rounds = read_rounds(directory)
        protocol = _protocol(directory, summary)
        run = RecordedRun(directory, summary, rounds, protocol)
        run = replace(run, rounds={**rounds, ON_TOP: run.dev_on_top, SPENT: run.spent})
        if summary["status"] == "finished" and not (run.metrics and len(run.n_labelled)):
            raise ValueError("rounds.csv has no rounds")
        lengths = {len(column) for column in rounds.values()}
        if len(lengths) > 1 or run.seed < 0:
            raise ValueError("rounds.csv has columns of several lengths")
    except (KeyError, ValueError, IndexError, OSError, BadZipFile) as error:
        said = f"no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise BadInput(f"{directory} is damaged ({said}) · run it anew, or leave it out") from error
    return run


def gather(directories: Iterable[Path]) -> tuple[list[RecordedRun], list[LeftOut]]:
    """The finished runs among these records, and the rest with what to do about it."""
    runs, left_out = [], []
    for directory in directories:
        try:
            run = read_run(directory)
        except BadInput as error:
            why, _, remedy = str(error).partition(" · ")
            left_out.append(LeftOut(directory, why, remedy))
            continue
        reason = _not_compared(run)
        if reason is None:
            runs.append(run)
        else:
            left_out.append(LeftOut(directory, *reason))
    return runs, left_out


def _not_compared(run: RecordedRun) -> tuple[str, str] | None:
    status = run.summary["status"]
    if run.tags.get("goralx.job", "learn") != "learn":
        return "a study of approximation quality, not a learning run", "look at its own table"
    if status == "finished":
        return None
    again = f"goralx resume {run.directory}"
    if status == "running" and in_use(run.directory):
        return STILL_GOING, "report again when it has ended"
    if status == "running":
        return "cut short by a hard kill", again
    cause = str(run.summary.get("error") or "")
    return (f"failed ({cause})", f"mend the cause, then {again}") if status == "failed" else (
        "interrupted", again
    )  # fmt: skip


def _protocol(directory: Path, summary: Mapping[str, Any]) -> Protocol:
    """Facts on the run's rows; the rows themselves are not kept, pools may be large."""
    if not (directory / "instance.npz").exists() and summary["status"] != "finished":
        return Protocol("", "", "", 0, 0, {}, 0, (), np.zeros(0, dtype=np.int64))
    if summary["tags"].get("goralx.job", "learn") != "learn":
        return Protocol("", "", "", 0, 0, {}, 0, (), np.zeros(0, dtype=np.int64))
    with np.load(directory / "instance.npz", allow_pickle=False) as stored:
        part: dict[str, Rows] = {name: stored[name] for name in ("init", "pool", "test", "dev")}
    data = str(summary["tags"].get("goralx.data", ""))
    digest = hashlib.sha256(data.encode())
    whole = np.union1d(part["pool"], part["dev"])
    init = np.setdiff1d(part["init"], part["dev"])  # a dev set may be trained on
    samples, test = digest.copy(), np.sort(part["test"])
    for hashed, parts in (digest, (init, whole, test)), (samples, (np.union1d(init, whole), test)):
        for rows in parts:
            hashed.update(b"%d:" % len(rows) + rows.astype(np.int64).tobytes())
    pairs = (("init", "pool"), ("init", "test"), ("pool", "test"), ("dev", "test"))
    overlaps = {f"{a} and {b}": len(np.intersect1d(part[a], part[b])) for a, b in pairs}
    rounds, queried = (
        read_queries(directory)
        if (directory / "queries.csv").exists()
        else (np.empty(0, dtype=np.int64),) * 2
    )
    first = tuple(np.flatnonzero(np.isin(part["pool"], queried[rounds == 0])).tolist())
    twice = len(queried) - len(np.unique(queried)) + len(np.intersect1d(queried, part["init"]))
    n_dev, again = len(part["dev"]), np.cumsum(np.isin(queried, part["dev"]).astype(np.int64))
    n_test, names = len(part["test"]), (digest.hexdigest(), samples.hexdigest(), data)
    return Protocol(*names, n_dev, n_test, overlaps, twice, first, again)

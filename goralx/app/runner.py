"""A run from beginning to end: each round is recorded on disk, then tracked, then shown.

    for round in experiment.rounds():
        observe -> record -> tracker -> progress bar

What ends it early (an error, Ctrl-C, SIGTERM) is noted in the record and raised again; `resume`
goes on from there, and from a hard kill too, and ends bit for bit where the whole run would have.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import numpy as np

from goralx import report
from goralx.contracts import Checkpoint, Round, RunInfo, Tracker
from goralx.data import Array, Features
from goralx.errors import RunWarning
from goralx.learning import Experiment, fitted_on
from goralx.records import (
    ORIGIN,
    Inspection,
    Record,
    check_origin,
    extensions,
    fingerprint,
    mixed,
    read_queries,
    read_rounds,
)
from goralx.tracking import (
    Guarded,
    Interruptions,
    Progress,
    plain_warnings,
    progress_bar,
    supersede,
    terminable,
)

from . import discoveries
from .ceiling import full_pool
from .summary import ending, facts, results

Observe = Callable[[Round], Mapping[str, float]]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Extension:
    """A larger budget, or other options of the stopping rule, than a run was begun with.

    ``options`` by name, as they are now and as they were ``before``; ``inputs`` is the hash of
    options and data with those before.
    """

    options: Mapping[str, Any]
    before: Mapping[str, Any]
    inputs: str


def run(
    experiment: Experiment,
    info: RunInfo,
    *,
    hydra_files: Mapping[str, str],
    tracker: Tracker,
    observe: Observe,
    progress: bool = True,
    figures: bool = True,
    all_utilities: bool = True,
) -> dict[str, Any]:
    """Run the experiment into ``info.directory``; returns the summary, which is ``summary.json``.

    ``observe`` gives further metrics of a round (`goralx.discovery.Registry.observe`);
    ``hydra_files`` are the texts of ``.hydra/``. ``figures`` are drawn or not, ``all_utilities``
    kept or only their quantiles. Nothing is written before the first round has come through, so
    that what is refused there leaves nothing behind.
    """
    record, clock = Record(info.directory, experiment.instance, all_utilities), _clock()
    record.check_free()
    with _session(experiment, info, 0, progress) as (bar, asked):
        rows = _rows(experiment.rounds(clock=clock), observe, clock)
        first = next(rows)
        with record.hold():
            identity = facts(experiment, info)
            record.create(hydra_files, {"status": "running", **identity})
            rows = chain([first], rows)
            tracked = Guarded(tracker, info)
            return _follow(experiment, record, rows, tracked, bar, asked, clock, identity, figures)


def resume(
    experiment: Experiment,
    info: RunInfo,
    *,
    tracker: Tracker,
    observe: Observe,
    progress: bool = True,
    figures: bool = True,
    all_utilities: bool = True,
    force: bool = False,
    restart: bool = False,
    extension: Extension | None = None,
) -> dict[str, Any]:
    """Go on with the run whose record ``info.directory`` holds; a finished one is
    drawn and tracked again.

    The record is held against its seals first. What is damaged is said, and the run falls back to
    the last round that is whole; ``restart`` begins at round 0 again. With an ``extension`` the
    experiment has another budget than the record, finished or not, and the run ends where it would
    have with that from the first. Raises `BadInput` if there is no record, or it is of another
    experiment or other data, or, unless ``force``, of other code that can change numbers.
    """
    record = Record(info.directory, experiment.instance, all_utilities)
    identity = facts(experiment, info)
    record.check_begun()
    with record.hold(), plain_warnings():
        found = record.inspect()
        begun = found.begun_with
        as_before = identity if extension is None else _as_before(identity, extension, begun)
        same = check_origin(info.directory, begun, as_before, force)
        tracked, summary = Guarded(tracker, info), found.summary
        complete = summary is not None and summary["status"] == "finished" and not found.damage
        if summary and complete and not restart and extension is None:
            if figures:
                _draw(experiment, record, summary)
            tracked.start()
            tracked.finish("finished", summary)
            return summary
        identity |= _gone_on(begun, info, as_before, same)
        earlier = extensions(found.lines)
        if extension is not None:
            before = {**extension.before, "fingerprint": begun["fingerprint"]}
            earlier.append({"options": extension.options, "before": before})
            found = record.reopen(found, experiment.batch_size, restart)
            experiment.course.check_past(read_rounds(info.directory), found.resumable)
            supersede(info.directory)
        if earlier:
            identity["extended_from"] = [each["before"] for each in earlier]
        resumed = {key: identity[key] for key in ORIGIN if key in identity}
        resumed |= {} if extension is None else {"extended": earlier[-1]}
        checkpoint = record.rewind(found, restart, None if same and not extension else resumed)
        _say_damage(found, checkpoint)
        record.begin({"status": "running", **identity})
        done = 0 if checkpoint is None else len(checkpoint.rows) - len(experiment.instance.init)
        past = read_rounds(info.directory)
        clock = _clock(float(past.get("seconds/total", np.zeros(1))[-1]))
        with _session(experiment, info, done, progress) as (bar, asked):
            rows = _rows(experiment.rounds(checkpoint, past, clock), observe, clock)
            return _follow(experiment, record, rows, tracked, bar, asked, clock, identity, figures)


def _as_before(
    identity: Mapping[str, Any], extension: Extension, begun: Mapping[str, Any]
) -> dict[str, Any]:
    """What determines the result but for the extension: of another stopping rule no source."""
    sources = dict(begun["sources"] or {})
    sources |= {name: s for name, s in identity["sources"].items() if name in sources}
    return {**identity, "inputs": extension.inputs, "sources": sources}


def _gone_on(
    begun: Mapping[str, Any], info: RunInfo, as_before: Mapping[str, Any], same: bool
) -> dict[str, Any]:
    """When a run was begun, and the fingerprint that it has from now on.

    That of no other run where some of its rounds were made by other code.
    """
    now, code = info.tags["goralx.fingerprint"], dict(as_before["sources"])
    code.pop("goralx", None)
    pure = same and begun["fingerprint"] == fingerprint(as_before["inputs"], code)
    unchanged = same and as_before["inputs"] == info.inputs
    kept = begun["fingerprint"] if unchanged else mixed(begun["fingerprint"], now)
    return {"started": begun["started"], "fingerprint": now if pure else kept}


def _say_damage(found: Inspection, checkpoint: Checkpoint | None) -> None:
    """Which files were not what was written, and from where the run goes on."""
    if found.damage:
        on = "round 0" if checkpoint is None else f"round {checkpoint.round + 1}"
        what = "; ".join(map(str, found.damage))
        warnings.warn(f"{what} · going on at {on}", RunWarning, stacklevel=2)


def _clock(elapsed: float = 0.0) -> Clock:
    """Seconds that the run has taken, which go on over an interruption."""
    began = time.perf_counter() - elapsed
    return lambda: time.perf_counter() - began


@contextmanager
def _session(
    experiment: Experiment, info: RunInfo, done: int, shown: bool
) -> Iterator[tuple[Progress, Interruptions]]:
    shows = report.in_words(experiment.metric), experiment.goal
    bar = progress_bar(info.name, *shows, experiment.budget, done, shown)
    with terminable() as asked, plain_warnings(), bar as shown_bar:
        yield shown_bar, asked


def _rows(
    rounds: Iterable[Round], observe: Observe, clock: Clock
) -> Iterator[tuple[Round, dict[str, float]]]:
    """Each round with its row of ``rounds.csv``."""
    for round in rounds:
        extra = observe(round)
        head = {"round": round.index, "n_labelled": round.n_labelled}
        yield round, {**head, **round.metrics, "seconds/total": clock(), **extra}


def _follow(
    experiment: Experiment,
    record: Record,
    rows: Iterable[tuple[Round, Mapping[str, float]]],
    tracked: Guarded,
    bar: Progress,
    asked: Interruptions,
    clock: Clock,
    identity: Mapping[str, Any],
    figures: bool,
) -> dict[str, Any]:
    """Record, track and show every round; put down how it ended, whatever ends it."""
    n_init, goal = len(experiment.instance.init), f"goal/{experiment.goal}"
    metric = f"test/{experiment.metric}"
    with ExitStack() as finishing:
        try:
            bar.note("opening the tracking store")
            tracked.start()
            for round, row in rows:
                record.append(round, row)
                for line in discoveries.lines(experiment, round):
                    bar.tell(line)
                tracked.log_round(dict(row))
                bar.show(round.n_labelled - n_init, row[metric], row[goal])
                if not round.last:
                    asked.between_rounds()
            curve = read_rounds(record.directory)
            record.consolidate()
            bar.note("fitting the whole pool")
            _, queried = read_queries(record.directory)
            numbers = results(curve, queried, experiment, full_pool(experiment))
            numbers |= ending(experiment, curve)
            numbers |= discoveries.found(experiment, record.checkpoint())
            numbers["seconds"]["total"] = clock()
            summary = {"status": "finished", **numbers, "results": record.results(), **identity}
            finishing.enter_context(asked.held())  # from here on it is finished, whatever comes
            summary = record.write_summary(summary)
        except BaseException as error:
            status: Literal["failed", "killed"]
            status = "failed" if isinstance(error, Exception) else "killed"
            cause = " ".join(f"{type(error).__name__}: {error}".split())
            broken = {"status": status, "error": cause, "seconds": {"total": clock()}, **identity}
            with asked.held():
                try:
                    with suppress(OSError):  # a full disk: it says "running", as after a kill
                        record.write_summary(broken)
                finally:
                    tracked.finish(status, broken)
            raise
        try:
            if figures:
                bar.note("drawing")
                _draw(experiment, record, summary)
            bar.show(summary["n_queries"], float(curve[metric][-1]), float(curve[goal][-1]))
        finally:
            tracked.finish("finished", summary)
    return summary


def _draw(experiment: Experiment, record: Record, results: Mapping[str, Any]) -> None:
    """The run's pictures; what cannot be drawn is warned of."""

    def log_proba(X: Features) -> Array:
        checkpoint = record.checkpoint()
        assert checkpoint is not None
        samples = fitted_on(instance, checkpoint)
        model = experiment.model.restore(samples, instance.n_classes, checkpoint.model)
        return model.log_proba(X)

    instance = experiment.instance
    report.draw(record.directory, experiment.goal, results)
    if instance.X.shape[1] == 2:
        report.draw_pool(record.directory, instance, log_proba, report.described(results))

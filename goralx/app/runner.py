"""A run from beginning to end: each round is recorded on disk, then tracked, then shown.

    for round in experiment.rounds():
        observe -> record -> tracker -> progress bar

What ends it early (an error, Ctrl-C, SIGTERM) is noted in the record and raised again; `resume`
goes on from there, and from a hard kill too, and ends bit for bit where the whole run would have.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np

from goralx import report
from goralx.comparison import SHARES, aulc, labels_needed, target
from goralx.contracts import Checkpoint, History, Round, RunInfo, Tracker
from goralx.data import Array, Features, Rows, count_twins
from goralx.errors import RunWarning
from goralx.learning import Experiment, fitted_on, readable
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
    versions,
)
from goralx.tracking import (
    Guarded,
    Interruptions,
    Progress,
    plain_warnings,
    progress_bar,
    supersede,
    terminable,
    tracked_lines,
)

from . import discoveries
from .ceiling import full_pool

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
            identity = _identity(experiment, info)
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
    identity = _identity(experiment, info)
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
            experiment.check_course(read_rounds(info.directory), found.resumable)
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


def closing_table(summary: Mapping[str, Any]) -> str:
    """What a run came to, as a few aligned lines."""
    needed, seconds = summary["labels_needed"], summary["seconds"]
    shares = " / ".join(share.rstrip("%") for share in needed)
    prices = " / ".join("not reached" if n is None else str(n) for n in needed.values())
    metric, full, n_init = summary["metric"], summary["full_pool"], summary["n_init"]
    words = report.in_words(metric)
    if full is None:
        ceiling, prices, of_what = "the whole pool was not fit", "unknown", "ceiling=true fits it"
    else:
        ceiling = f"full pool {_four(full[metric])}"
        better = summary["higher_is_better"][metric]
        share = "of the full-pool" if better else "as good as the full-pool"
        of_what = f"{share} {words}, and staying there"
    reach = f"{n_init} to {n_init + summary['n_queries']} labels"
    parts = f"fit {seconds['fit']:.1f}, score {seconds['score']:.1f}"
    lines = [
        (f"final {words}", _four(summary["test"][metric]), ceiling),
        ("AULC", _four(summary["aulc"]), f"mean {words} over {reach}"),
        (f"labels for {shares} %", prices, of_what),
        ("dev labels used", *_dev_labels(summary)),
        ("time", f"{seconds['total']:.1f} s", parts),
        ("record", summary["directory"], ""),
        *((*line, "") for line in tracked_lines(Path(summary["directory"]))),
    ]
    pictures = sorted(Path(summary["directory"], "figures").glob("*.png"))
    if pictures:
        lines.insert(-1, ("pictures", ", ".join(path.name for path in pictures), ""))
    stopped = summary.get("stopped")  # records from before there were rules have none
    if stopped and summary["n_queries"] < summary["config"].get("n_queries", 0):
        censored = "censored: what was not reached might have been" if stopped["censored"] else ""
        lines.insert(4, ("stopped", stopped["why"], censored))
    if summary.get("tags", {}).get("goralx.oracle"):
        lines.insert(4, _oracle(summary))
    if classes := discoveries.closing_line(summary):
        lines.insert(4, classes)
    if summary["uses_ground_truth"]:
        lines.insert(4, ("ground truth", "used", "an upper bound, not a practical strategy"))
    left, middle = (max(len(line[i]) for line in lines if line[2]) for i in (0, 1))
    table = [f"  {a:<{left}}  {b:<{middle}}  {c}".rstrip() for a, b, c in lines]
    return "\n".join([summary["name"], *table])


def _oracle(summary: Mapping[str, Any]) -> tuple[str, str, str]:
    """What the answers came to."""
    wrong, silent = summary["label_error"], summary["abstained"]
    share = "no label" if wrong is None or np.isnan(wrong) else f"{wrong:.1%} wrong"
    silence = f", {silent} abstained" if silent else ""
    said = f"{share}{silence}"
    return "oracle", said, f"{summary['n_queries']} asked for, at a cost of {summary['cost']:g}"


def _dev_labels(summary: Mapping[str, Any]) -> tuple[str, str]:
    """How many, and how they count."""
    used, trained_on = summary["dev_labels_used"], summary.get("dev_labels_in_init", 0)
    again = summary.get("dev_labels_queried", 0)
    if trained_on:
        return str(trained_on), "trained on, among the initial labels"
    return str(used), f"on top; {again} of them were queried, too" if used and again else "on top"


def _four(value: float | None) -> str:
    """With four decimals; a number that there is not is null in ``summary.json``."""
    return "undefined" if value is None or np.isnan(value) else f"{value:.4f}"


def _peak_memory() -> float | None:
    """Of this process so far, in MB: jobs of a sweep that share a process share it."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


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
            numbers |= _ending(experiment, curve)
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


def results(
    rounds: Mapping[str, Array],
    queried: Rows,
    experiment: Experiment,
    full: Mapping[str, float] | None,
) -> dict[str, Any]:
    """The numbers of ``summary.json`` that a finished run's curve gives."""
    metric, better = experiment.metric, experiment.metrics[experiment.metric].higher_is_better
    n, curve = rounds["n_labelled"], rounds[f"test/{metric}"]
    goals = {name: v for name, v in rounds.items() if name.startswith("goal/")}
    seconds = {name: float(rounds[f"seconds/{name}"].sum()) for name in ("fit", "score")}

    def needed(share: float) -> int | None:
        if full is None:
            return None
        return labels_needed(n, curve, target(full[metric], share, better), better)

    return {
        "metric": metric,
        "higher_is_better": {m: of.higher_is_better for m, of in experiment.metrics.items()},
        "test": {name: float(rounds[f"test/{name}"][-1]) for name in experiment.metrics},
        "full_pool": None if full is None else dict(full),
        "aulc": aulc(n, curve),
        "labels_needed": {f"{share:.0%}": needed(share) for share in SHARES},
        "goals": {name.removeprefix("goal/"): float(v[-1]) for name, v in goals.items()},
        "n_init": int(n[0]),
        "n_queries": int(n[-1] - n[0]),
        **_answers(rounds),
        "dev_labels_queried": int(np.isin(experiment.instance.dev, queried).sum()),
        "seconds": {"total": float("nan"), **seconds},
        "peak_memory_mb": _peak_memory(),
    }


def _answers(rounds: Mapping[str, Array]) -> dict[str, Any]:
    """What became of the labels that were asked for; those of a perfect oracle are true."""
    if "cost" not in rounds:
        asked = float(rounds["n_labelled"][-1] - rounds["n_labelled"][0])
        return {"cost": asked, "label_error": 0.0, "abstained": 0}
    return {
        "cost": float(rounds["cost"][-1]),
        "label_error": float(rounds["oracle/error"][-1]),
        "abstained": int(rounds["oracle/abstained"][-1]),
    }


def _ending(experiment: Experiment, rounds: Mapping[str, Array]) -> dict[str, Any]:
    """Why the run ended where it did."""
    halt = experiment.halted(History(readable(rounds), experiment.goal))
    assert halt is not None
    return {"stopped": {"why": halt.why, "censored": halt.censored}}


def _identity(experiment: Experiment, info: RunInfo) -> dict[str, Any]:
    """What ``summary.json`` says of a run however it ends.

    Labels in all are those of init (with ``dev_labels_in_init``) and queries, and on top
    ``dev_labels_used``, where the goal or the stopping rule asked for them, less
    ``dev_labels_queried``, counted twice.
    """
    instance, utility = experiment.instance, experiment.utility
    asks_dev = "dev" in experiment.stop.needs or (
        experiment.strategy.uses_goal and utility is not None and utility.goal.reference == "dev"
    )
    return {
        "name": info.name,
        "directory": str(info.directory),
        "started": datetime.now(UTC).isoformat(),
        "fingerprint": info.tags["goralx.fingerprint"],
        "inputs": info.inputs or info.tags["goralx.fingerprint"],
        "sources": dict(info.sources),
        "dev_labels_used": len(instance.dev) if asks_dev else 0,
        "dev_labels_in_init": int(np.isin(instance.dev, instance.init).sum()),
        "twins": count_twins(instance),
        "uses_ground_truth": experiment.uses_ground_truth,
        "versions": versions(),
        "tags": dict(info.tags),
        "config": dict(info.config),
    }


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

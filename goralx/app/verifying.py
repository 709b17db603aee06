"""``goralx verify``: is a record what was written, and do record and data give its numbers again?

Files are held against their seals; then some rounds' models are fit anew to the samples that the
record says were labelled, the fits' metrics and goals held against ``rounds.csv``, labels against
the data, and the summary against the tables.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import chdir, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from goralx import escaping
from goralx.contracts import ABSTAINED
from goralx.errors import BadInput, GoralxError
from goralx.learning import Experiment
from goralx.records import (
    differences,
    inspect,
    read_answers,
    read_labels,
    read_queries,
    read_rounds,
    read_summary,
    versions,
)

from .configuration import recorded
from .job import prepare_job
from .shared import FAILED, FINISHED, Parser, short, threads
from .summary import results

CLOSE = 1e-4
"""Of a number, or of 1 where that is more: what fits begun elsewhere may differ by."""


def verify(words: list[str]) -> int:
    """Exit status 0 where nothing differs, 1 where something does."""
    parser = Parser(
        prog="goralx verify",
        description="Hold records against their seals, and numbers of sampled rounds against data.",
    )
    parser.add_argument("directory", type=Path, metavar="RUN_DIR | SWEEP_DIR")
    parser.add_argument("--rounds", type=int, default=3, help="to fit anew in each run; 0: none")
    asked = parser.parse_args(words)
    if asked.rounds < 0:
        raise BadInput(f"--rounds {asked.rounds}; allowed: 0 or more")
    status = FINISHED
    for run in _runs(asked.directory.resolve()):
        try:
            said, found = _verified(run, asked.rounds)
        except GoralxError as error:
            said, found = "cannot be read", [str(error)]
        status = FAILED if found else status
        escaping.say(f"{short(run)}: {said}{', and differs:' if found else ', nothing differs'}")
        for line in found:
            escaping.say(f"  {line}")
    return status


def _runs(directory: Path) -> list[Path]:
    """The run in a directory, or those below it."""
    if (directory / ".hydra").is_dir() or (directory / "summary.json").exists():
        return [directory]
    within = (path for path in directory.rglob(".hydra") if path.is_dir())
    found = sorted(p.parent for p in within if ".jobs" not in p.relative_to(directory).parts)
    if not found:
        raise BadInput(f"{directory} holds no run and no sweep · give the directory of one")
    return found


def _verified(directory: Path, n_rounds: int) -> tuple[str, list[str]]:
    """What was looked at, and what differs."""
    config, sweep, began_in = recorded(directory)
    if (directory / "seals.jsonl").exists() or "chain" in read_summary(directory):
        damage = inspect(directory).damage
        sealed = "its files are held against their seals"
    else:
        damage, sealed = (), "nothing seals it (format 1)"
    if damage:  # numbers that are not what was written say nothing of the code
        return sealed, [str(found) for found in damage]
    with chdir(began_in) if began_in else nullcontext(), threads(config):
        made = prepare_job(config, sweep).placed(directory)
        summary, info = read_summary(directory), made.info
        if summary["inputs"] != info.inputs:
            return sealed, ["options or data are not those that it was made with"]
        now = {"sources": info.sources, "versions": versions()}
        code = [text for matters, text in differences(summary, now) if matters]
        sealed += f", it was made with other code ({'; '.join(code)})" if code else ""
        experiment = getattr(made.made, "experiment", None)
        if experiment is None:
            return sealed, []
        chosen = _sample(directory, n_rounds)
        found = [*_labels(directory, experiment), *_summary(directory, experiment, summary)]
        for round in chosen:
            found += _round(directory, experiment, round)
    return f"{sealed}, rounds fit anew: {', '.join(map(str, chosen)) or 'none'}", found


def _sample(directory: Path, n_rounds: int) -> list[int]:
    """The first, the last, and others evenly between."""
    there = len(read_rounds(directory).get("round", ()))
    if not there or not n_rounds:
        return []
    return sorted({int(i) for i in np.linspace(there - 1, 0, min(n_rounds, there)).round()})


def _labels(directory: Path, experiment: Experiment) -> Iterator[str]:
    """Labels and places of the queried samples, from the data and what the oracle says of them."""
    instance = experiment.instance
    if not (directory / "queries.csv").exists():
        return
    _, ids = read_queries(directory)
    outside = ~np.isin(ids, instance.pool)
    for id in ids[outside]:
        yield f"queries.csv: sample {id} is not of the pool"
    if outside.any():
        return
    anew = experiment.answers(ids)
    labels = read_labels(directory, instance.classes)
    told = read_answers(directory)
    for i in np.flatnonzero(labels != anew.labels).tolist():
        said, now = (
            "none" if y == ABSTAINED else instance.classes[y] for y in (labels[i], anew.labels[i])
        )
        of = "the data" if told is None else "the oracle's words"
        yield f"queries.csv: sample {ids[i]} is called {said}, in {of} {now}"
    for i, answer in enumerate(told or ()):
        if answer.truth != instance.classes[instance.y[ids[i]]]:
            yield f"queries.csv: the true label of sample {ids[i]} is not that of the data"
        if not _close(answer.cost, float(anew.cost[i])):
            yield f"queries.csv: sample {ids[i]} cost {answer.cost:g}, anew {anew.cost[i]:g}"


def _round(directory: Path, experiment: Experiment, round: int) -> Iterator[str]:
    """One row of ``rounds.csv``, from a fit anew."""
    columns, (asked_in, ids) = read_rounds(directory), read_queries(directory)
    instance, before = experiment.instance, asked_in < round
    rows = np.concatenate([instance.init, ids[before]])
    told = read_labels(directory, instance.classes)[before]
    labels = np.concatenate([instance.y[instance.init], told])
    anew = {"n_labelled": float(len(rows)), **experiment.bench.measured_on(rows, labels)}
    for name, value in anew.items():
        if name in columns and not _close(float(columns[name][round]), value):
            said = float(columns[name][round])
            yield f"rounds.csv, round {round}: {name} is {said:.6g}, anew {value:.6g}"


OF_THE_PROCESS = ("seconds", "peak_memory_mb")
"""What is measured of the process that made a run, and says nothing of its results."""


def _summary(directory: Path, experiment: Experiment, summary: Mapping[str, Any]) -> Iterator[str]:
    """The numbers of a finished run's ``summary.json``, from its tables."""
    if summary["status"] != "finished":
        return
    _, queried = read_queries(directory)
    anew = results(read_rounds(directory), queried, experiment, summary["full_pool"])
    for name, value in anew.items():
        if name not in OF_THE_PROCESS and name in summary and not _same(summary[name], value):
            yield f"summary.json: {name} is {summary[name]}, from the tables {value}"


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= CLOSE * max(1.0, abs(b)) or (math.isnan(a) and math.isnan(b))


def _same(said: Any, anew: Any) -> bool:
    """Up to the last digits; null is what is not a number."""
    if isinstance(anew, Mapping):
        keys = isinstance(said, Mapping) and said.keys() == anew.keys()
        return keys and all(_same(said[key], value) for key, value in anew.items())
    if isinstance(anew, float):
        a = math.nan if said is None else float(said)
        return math.isclose(a, anew, rel_tol=1e-12) or (math.isnan(a) and math.isnan(anew))
    return bool(said == anew)

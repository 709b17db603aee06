"""A study of approximation quality from beginning to end: retrained, recorded, tracked, drawn.

What ends it early leaves the finished blocks (`goralx.approximation.record`); `run` in the same
directory, or `goralx resume`, goes on from them and ends with the same numbers.
"""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from goralx.contracts import RunInfo, Tracker
from goralx.errors import BadInput, RunWarning
from goralx.records import (
    ORIGIN,
    Inspection,
    PartedRecord,
    check_origin,
    mixed,
    versions,
)
from goralx.tracking import (
    Guarded,
    Interruptions,
    plain_warnings,
    terminable,
    tracked_lines,
)

from .figures import KINDS
from .figures import draw as draw_figures
from .numbers import numbers
from .record import gathered, keep, kept
from .study import Study

METRICS = ("pearson", "spearman", "slope", "rmse_over_sd", "overlap", "actual_sd")
"""Columns of the table that trackers are told of, as approx/<goal>/<operator>/<b>/<column>."""


@dataclass(frozen=True)
class StudyRun:
    """Everything needed to run a study; ``figures`` are kinds of pictures."""

    study: Study
    figures: tuple[str, ...]
    info: RunInfo
    tracker: Tracker
    progress: bool

    def __post_init__(self) -> None:
        for kind in self.figures:
            if kind not in KINDS:
                known = ", ".join(KINDS)
                raise BadInput(f"approximation.figures: '{kind}' · available: {known}")


def run(
    made: StudyRun,
    hydra_files: Mapping[str, str] | None = None,
    *,
    force: bool = False,
    restart: bool = False,
) -> dict[str, Any]:
    """Run the study, or go on with it where its directory holds a part; returns ``summary.json``.

    ``hydra_files`` are the texts of ``.hydra/``, None to go on only. What is refused while the
    model is fitted and the utilities are estimated leaves nothing behind. What is there is held
    against its seals: damaged blocks are said and done again, all of them on ``restart``. Raises
    `BadInput` where the directory holds another run, or, unless ``force``, one of code that gives
    other numbers.
    """
    study, info = made.study, made.info
    record = PartedRecord(info.directory, study.instance)
    if hydra_files is None:
        record.check_begun()
    elif not (info.directory / "summary.json").exists():
        record.check_free()
    _ = study.estimates
    identity, earlier = _identity(study, info), 0.0
    with terminable() as asked, plain_warnings(), record.hold():
        tracked = Guarded(made.tracker, info)
        if hydra_files is not None and not (info.directory / "summary.json").exists():
            record.create(hydra_files, {"status": "running", **identity})
        else:
            found = record.inspect()
            begun, given = found.begun_with, found.summary or {}
            same = check_origin(info.directory, begun, identity, force)
            if given.get("status") == "finished" and not (found.damage or restart):
                return _again(made, record, tracked, given)
            mine = begun["fingerprint"]
            mine = mine if same else mixed(mine, identity["fingerprint"])
            identity |= {"started": begun["started"], "fingerprint": mine}
            resumed = {key: identity[key] for key in ORIGIN}
            record.go_on(found, restart, None if same else resumed)
            _say_damage(found)
            record.begin({"status": "running", **identity})
            earlier = float((given.get("seconds") or {}).get("total") or 0.0)
        return _follow(made, record, tracked, identity, time.perf_counter() - earlier, asked)


def _again(
    made: StudyRun, record: PartedRecord, tracked: Guarded, given: dict[str, Any]
) -> dict[str, Any]:
    """A finished study is drawn and tracked again."""
    if made.figures:
        actual, _ = gathered(record, made.study)
        comparisons = made.study.comparisons(actual)
        draw_figures(record.directory, made.figures, comparisons, made.info.name)
    tracked.start()
    tracked.finish("finished", given)
    return given


def _say_damage(found: Inspection) -> None:
    """Which files were not what was written."""
    if found.damage:
        what = "; ".join(map(str, found.damage))
        warnings.warn(f"{what} · done again", RunWarning, stacklevel=2)


def closing_table(summary: Mapping[str, Any]) -> str:
    """The numbers as a few aligned lines."""
    columns = ("goal", "operator", "batch_size", *METRICS)
    head = [
        "goal",
        "operator",
        "b",
        "Pearson",
        "Spearman",
        "slope",
        "RMSE/sd",
        "top 10",
        "sd of actual",
    ]
    lines = [[_shown(row[c]) for c in columns] for row in summary["numbers"]]
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    table = [
        "  " + "  ".join(_aligned(i, text, w) for i, (text, w) in enumerate(zip(line, widths)))
        for line in [head, *lines]
    ]
    seconds = summary["seconds"]
    last = [
        f"  {summary['n_retrained']:,} retrainings in {seconds['retrain']:.1f} s, "
        f"{seconds['total']:.1f} s in all",
        f"  record   {summary['directory']}",
        *(f"  {name:<8} {said}" for name, said in tracked_lines(Path(summary["directory"]))),
    ]
    return "\n".join([summary["name"], *(line.rstrip() for line in table), *last])


def _aligned(column: int, text: str, width: int) -> str:
    return text.ljust(width) if column < 2 else text.rjust(width)


def _shown(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "constant"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _identity(study: Study, info: RunInfo) -> dict[str, Any]:
    """What ``summary.json`` says however the study ends."""
    return {
        "job": "approximation",
        "name": info.name,
        "directory": str(info.directory),
        "started": datetime.now(UTC).isoformat(),
        "fingerprint": info.tags["goralx.fingerprint"],
        "inputs": info.inputs,
        "sources": dict(info.sources),
        "n_labelled": len(study.instance.init),
        "dev_labels_used": len(study.instance.dev),
        "uses_ground_truth": True,
        "versions": versions(),
        "tags": dict(info.tags),
        "config": dict(info.config),
    }


def _follow(
    made: StudyRun,
    record: PartedRecord,
    tracked: Guarded,
    identity: Mapping[str, Any],
    began: float,
    asked: Interruptions,
) -> dict[str, Any]:
    """Retrain what is not done yet, sum up, draw; put down how it ended, whatever ends it."""
    study = made.study
    try:
        tracked.start()
        _retrain(study, record, made, asked)
        actual, seconds = gathered(record, study)
        comparisons = study.comparisons(actual)
        rows = [numbers(comparison) for comparison in comparisons]
        record.write_numbers(rows)
        blocks = list(study.blocks())
        summary = {
            "status": "finished",
            "n_retrained": sum(study.n_retrained(block) for block in blocks),
            "seconds": {"retrain": seconds, "total": time.perf_counter() - began},
            "numbers": rows,
            "metrics": {**_metrics(rows), **_trust(study)},
            **identity,
        }
        summary = record.write_summary(summary)
    except BaseException as error:
        status: Literal["failed", "killed"] = "failed" if isinstance(error, Exception) else "killed"
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        total = {"total": time.perf_counter() - began}
        broken = {"status": status, "error": cause, "seconds": total, **identity}
        with asked.held():
            try:
                with suppress(OSError):  # a full disk: it then says "running", as after a kill
                    record.write_summary(broken)
            finally:
                tracked.finish(status, broken)
        raise
    with asked.held():
        try:
            draw_figures(record.directory, made.figures, comparisons, made.info.name)
        finally:
            tracked.finish("finished", summary)
    return summary


def _retrain(study: Study, record: PartedRecord, made: StudyRun, asked: Interruptions) -> None:
    """Every block that is not on disk yet."""
    blocks, found = list(study.blocks()), kept(record, study)
    total, done = (sum(study.n_retrained(block) for block in some) for some in (blocks, found))
    with _bar(made.info.name, total, done, made.progress) as bar:
        for block in blocks:
            if block in found:
                continue
            began = time.perf_counter()
            utilities = study.actual(block)
            keep(record, block, utilities, time.perf_counter() - began)
            bar.set_postfix_str(f"batches of {block.batch_size}", refresh=False)
            bar.update(study.n_retrained(block))
            asked.between_rounds()


@contextmanager
def _bar(name: str, total: int, done: int, shown: bool) -> Iterator[Any]:
    from tqdm import tqdm

    pace = 0.1 if sys.stderr.isatty() else 10.0
    with tqdm(
        total=total, initial=done, desc=name, unit=" refits", disable=not shown, mininterval=pace,
        unit_scale=True, dynamic_ncols=True, file=sys.stderr,
    ) as bar:  # fmt: skip
        yield bar


def _metrics(rows: list[dict[str, Any]]) -> dict[str, float]:
    return {
        f"approx/{row['goal']}/{row['operator']}/{row['batch_size']}/{column}": row[column]
        for row in rows
        for column in METRICS
    }


def _trust(study: Study) -> dict[str, float]:
    """Quantiles of kappa over the pool, where the estimator works it out."""
    return {
        f"approx/{goal}/kappa_q{round(100 * q):03d}": float(np.quantile(estimate.trust, q))
        for goal, estimate in study.estimates.items()
        if estimate.trust is not None
        for q in (0.5, 0.95, 1.0)
    }

"""A run as MLflow follows it: flat, its metrics at step = number of labelled samples."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from goralx.contracts import RunInfo, TrackedRun
from goralx.records import read_rounds, read_summary

from ..ledger import note, noted
from ..naming import metric_name, origin, parameters, summary_metrics
from .artifacts import upload
from .client import entities, is_error
from .description import dataset_inputs, describe_run
from .stores import absolute_store, check_driver, connect, default_uri, shown
from .view import curve_tags, describe_experiment

EVERY = "seconds/total"
"""A metric that every round has."""

MAX_PARAMS, MAX_METRICS = 100, 1000  # in one call
SUPERSEDED = "goralx.superseded_by"
STATUS = {"finished": "FINISHED", "failed": "FAILED", "killed": "KILLED", "running": "KILLED"}
"""MLflow's word for how a record ended; one that still says running was killed."""


@dataclass(frozen=True)
class MlflowTracker:
    """Curves, goals and utility quantiles in MLflow, to be compared there (`goralx ui`).

    ``uri``: the store; null is MLFLOW_TRACKING_URI, or else a database in ``outputs/`` under the
    working directory. ``experiment``: the MLflow experiment that the runs are listed in; null is
    MLFLOW_EXPERIMENT_NAME, or else ``goralx``.
    """

    uri: str | None = None
    experiment: str | None = None

    def check(self) -> None:
        """Refuse a database whose driver is not installed."""
        check_driver(absolute_store(self.uri or default_uri()))

    def start(self, run: RunInfo) -> MlflowRun:
        """A new MLflow run, or the one that this record has already; it is told what it missed."""
        uri = absolute_store(self.uri or default_uri())
        note(run.directory, uri=shown(uri))  # where to catch up, should it not answer
        client, experiment_id = connect(uri, self.experiment)
        describe_experiment(client, experiment_id)
        started = read_summary(run.directory)["started"]
        start_ms = round(1000 * datetime.fromisoformat(started).timestamp())
        found = find(client, experiment_id, run, started)
        if found is None:
            tags = {**run.tags, **origin(), **curve_tags(run)}
            tags |= {"goralx.started": started, "goralx.directory": str(run.directory.resolve())}
            tags |= {"mlflow.runName": run.name, "mlflow.note.content": describe_run(run)}
            found = client.create_run(experiment_id, start_time=start_ms, tags=tags)
        else:
            client.update_run(found.info.run_id, status="RUNNING")
            for key, value in curve_tags(run).items():
                client.set_tag(found.info.run_id, key, value)
        run_id = found.info.run_id
        note(run.directory, experiment_id=found.info.experiment_id, run_id=run_id)
        if not found.inputs.dataset_inputs:
            client.log_inputs(run_id, datasets=dataset_inputs(run))
        known = found.data.params
        params = [(k, v) for k, v in parameters(run.config).items() if k not in known]
        for first in range(0, len(params), MAX_PARAMS):
            client.log_batch(run_id, params=entities("Param", params[first : first + MAX_PARAMS]))
        tracked = MlflowRun(client, run_id, run, start_ms, steps_told(client, found))
        tracked.catch_up()
        _retire(client, noted(run.directory).get("superseded", []), run_id)
        return tracked


@dataclass(frozen=True)
class MlflowRun(TrackedRun):
    """A run in MLflow; ``steps`` are the numbers of labels that it has been told of."""

    client: Any
    run_id: str
    run: RunInfo
    start_ms: int
    steps: set[int] = field(repr=False)

    @property
    def directory(self) -> Path:
        return self.run.directory

    def log_round(self, row: Mapping[str, float]) -> None:
        self._log([row])

    def catch_up(self) -> None:
        """Tell of every recorded round that it does not know."""
        columns = read_rounds(self.directory)
        rows = [dict(zip(columns, values)) for values in zip(*columns.values())]
        batch: list[Mapping[str, float]] = []
        for row in rows:  # whole rows a call: a step that is there is there with all its metrics
            if len(row) * (len(batch) + 1) > MAX_METRICS:
                self._log(batch)
                batch = []
            batch.append(row)
        self._log(batch)

    def finish(
        self, status: Literal["finished", "failed", "killed"], summary: Mapping[str, Any]
    ) -> None:
        rounds = read_rounds(self.directory)
        last = float(rounds["seconds/total"][-1]) if rounds else 0.0
        ended = self._time(max(last, summary.get("seconds", {}).get("total", 0.0)))
        try:
            if status == "finished":
                self._log_summary(summary)
            upload(self.client, self.run_id, self.directory)
        finally:  # whatever of it is cut short, MLflow does not say for ever that the run goes on
            self.client.set_terminated(self.run_id, STATUS[status], ended)

    def _log_summary(self, summary: Mapping[str, Any]) -> None:
        known = self.client.get_run(self.run_id).data.metrics
        values = [(k, v) for k, v in summary_metrics(summary).items() if k not in known]
        step = max(self.steps, default=summary.get("n_labelled", 0))
        stamp = (self._time(summary["seconds"]["total"]), step)
        metrics = entities("Metric", [(k, v, *stamp) for k, v in values])
        tags = entities("RunTag", [("mlflow.note.content", describe_run(self.run, summary))])
        self.client.log_batch(self.run_id, metrics=metrics, tags=tags)

    def _log(self, rows: Iterable[Mapping[str, float]]) -> None:
        new = [row for row in rows if int(row["n_labelled"]) not in self.steps]
        metrics = [
            (metric_name(name), float(value), self._time(row["seconds/total"]), int(step))
            for row in new
            for step in [row["n_labelled"]]
            for name, value in row.items()
            if name not in ("round", "n_labelled") and math.isfinite(value)
        ]
        if metrics:
            self.client.log_batch(self.run_id, metrics=entities("Metric", metrics))
        self.steps.update(int(row["n_labelled"]) for row in new)

    def _time(self, seconds: float) -> int:
        """Milliseconds since 1970, by the run's own clock: the same whenever it is told."""
        return self.start_ms + round(1000 * seconds)


def _retire(client: Any, run_ids: Iterable[str], by: str) -> None:
    """Runs that tell what their record says no more: tagged, and deleted as MLflow deletes.

    What it deletes can be restored, and is not drawn beside the run that has the whole curve.
    """
    for run_id in run_ids:
        try:
            found = client.get_run(run_id)
        except Exception as error:
            if not is_error(error, "RESOURCE_DOES_NOT_EXIST"):  # another store has other runs
                raise
            continue
        if run_id != by and found.info.lifecycle_stage == "active":
            client.set_tag(run_id, SUPERSEDED, by)
            client.delete_run(run_id)


def steps_told(client: Any, found: Any) -> set[int]:
    """The numbers of labels that an MLflow run has points at."""
    if EVERY not in found.data.metrics:
        return set()
    return {m.step for m in client.get_metric_history(found.info.run_id, EVERY)}


def find(client: Any, experiment_id: str, run: RunInfo, started: str) -> Any:
    """The MLflow run of this record: by the id noted in it, or else by its tags; or None."""
    run_id = noted(run.directory).get("run_id")
    if run_id:
        try:
            found = client.get_run(run_id)
            if found.info.lifecycle_stage == "active":
                return found
        except Exception as error:
            if not is_error(error, "RESOURCE_DOES_NOT_EXIST"):  # another store has other ids
                raise
    same = f"tags.`goralx.fingerprint` = '{run.tags['goralx.fingerprint']}'"
    runs = client.search_runs([experiment_id], f"{same} and tags.`goralx.started` = '{started}'")
    return runs[0] if runs else None

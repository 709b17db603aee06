"""MLflow as a view of the record: flat runs, step = number of labelled samples.

The only file that imports mlflow, and only once something is tracked: it costs seconds. Runs are
addressed by id through a client, because the fluent interface keeps a current experiment and run
that parallel jobs fight over.
"""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from goralx.contracts import RunInfo, TrackedRun
from goralx.errors import BadInput
from goralx.records import in_use, read_info, read_rounds, read_summary

from . import ui
from .naming import metric_name, origin, parameters, summary_metrics

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # a server that is away costs seconds, not minutes
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}
"""Set before mlflow is imported, where the user has not set them."""

EVERY = "seconds/total"
"""A metric that every round has."""

MAX_PARAMS, MAX_METRICS = 100, 1000  # in one call
STATUS = {"finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}
TABLE = "numbers.json"
RECORDED = ("rounds.csv", "queries.csv", "utilities.npz", "summary.json", "instance.npz")
ARTIFACTS = (*RECORDED, "numbers.csv", TABLE)


@dataclass(frozen=True)
class MlflowTracker:
    """Curves, goals and utility quantiles in MLflow, to be compared there (`goralx ui`).

    ``uri``: the store; null is MLFLOW_TRACKING_URI, or else a database in ``outputs/`` under the
    working directory. ``experiment``: the MLflow experiment that the runs are listed in.
    """

    uri: str | None = None
    experiment: str = "goralx"

    def start(self, run: RunInfo) -> MlflowRun:
        """A new MLflow run, or the one that this record has already; it is told what it missed."""
        uri = self.uri or default_uri()
        client, experiment_id = connect(uri, self.experiment)
        started = read_summary(run.directory)["started"]
        start_ms = round(1000 * datetime.fromisoformat(started).timestamp())
        found = _existing(client, experiment_id, run, started)
        if found is None:
            tags = {**run.tags, **origin(), "goralx.directory": str(run.directory.resolve())}
            tags = {**tags, "goralx.started": started, "mlflow.runName": run.name}
            found = client.create_run(experiment_id, start_time=start_ms, tags=tags)
        else:
            client.update_run(found.info.run_id, status="RUNNING")
        run_id = found.info.run_id
        where = {"uri": uri, "experiment_id": experiment_id, "run_id": run_id}
        (run.directory / "tracking.json").write_text(json.dumps(where), encoding="utf-8")
        known = found.data.params
        params = [(k, v) for k, v in parameters(run.config).items() if k not in known]
        for first in range(0, len(params), MAX_PARAMS):
            client.log_batch(run_id, params=_entities("Param", params[first : first + MAX_PARAMS]))
        steps = set()
        if EVERY in found.data.metrics:
            steps = {m.step for m in client.get_metric_history(run_id, EVERY)}
        tracked = MlflowRun(client, run_id, run.directory, start_ms, steps)
        tracked.catch_up()
        return tracked


@dataclass(frozen=True)
class MlflowRun(TrackedRun):
    """A run in MLflow; ``steps`` are the numbers of labels that it has been told of."""

    client: Any
    run_id: str
    directory: Path
    start_ms: int
    steps: set[int] = field(repr=False)

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
        if status == "finished":
            known = self.client.get_run(self.run_id).data.metrics
            values = [(k, v) for k, v in summary_metrics(summary).items() if k not in known]
            step = max(self.steps, default=summary.get("n_labelled", 0))
            stamp = (self._time(summary["seconds"]["total"]), step)
            self.client.log_batch(
                self.run_id, metrics=_entities("Metric", [(k, v, *stamp) for k, v in values])
            )
        for name in ARTIFACTS:
            if (self.directory / name).exists():
                self.client.log_artifact(self.run_id, str(self.directory / name))
        if (self.directory / TABLE).exists():  # shown as a table among the run's artifacts
            tables = json.dumps([{"path": TABLE, "type": "table"}])
            self.client.set_tag(self.run_id, "mlflow.loggedArtifacts", tables)
        for name in ("figures", ".hydra"):
            if (self.directory / name).exists():
                self.client.log_artifacts(self.run_id, str(self.directory / name), name)
        rounds = read_rounds(self.directory)
        last = float(rounds["seconds/total"][-1]) if rounds else 0.0
        ended = self._time(max(last, summary.get("seconds", {}).get("total", 0.0)))
        self.client.set_terminated(self.run_id, STATUS[status], ended)

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
            self.client.log_batch(self.run_id, metrics=_entities("Metric", metrics))
        self.steps.update(int(row["n_labelled"]) for row in new)

    def _time(self, seconds: float) -> int:
        """Milliseconds since 1970, by the run's own clock: the same whenever it is told."""
        return self.start_ms + round(1000 * seconds)


def default_uri() -> str:
    """MLFLOW_TRACKING_URI, or the database ``outputs/mlflow.db`` under the working directory."""
    given = os.environ.get("MLFLOW_TRACKING_URI")
    return given or f"sqlite:///{Path.cwd() / 'outputs' / 'mlflow.db'}"


def sync(directory: Path, uri: str | None) -> str:
    """Rebuild the MLflow run of a record, or complete it; the same again changes nothing.

    Returns the run's id. Raises `BadInput` while the run still goes on.
    """
    summary, info = read_summary(directory), read_info(directory)
    if in_use(directory):
        raise BadInput(f"{directory} is still being written · sync it when the run has ended")
    options = dict(info.config.get("tracker") or {})
    store = uri or options.get("uri")
    run = MlflowTracker(store, options.get("experiment") or "goralx").start(info)
    status = summary["status"]
    run.finish("killed" if status == "running" else status, summary)
    return run.run_id


def connect(uri: str, experiment: str) -> tuple[Any, str]:
    """A client of the store and the experiment's id; both are made where they are not there yet.

    One process at a time: of two that open a new database at once, one dies laying it out.
    """
    mlflow = import_mlflow()
    database = sqlite_file(uri)
    with _only_one(database):
        client = mlflow.MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        if found is None:
            place = None if database is None else (database.parent / "mlartifacts").as_uri()
            try:
                return client, client.create_experiment(experiment, artifact_location=place)
            except mlflow.exceptions.MlflowException:  # on a server somebody may have been faster
                found = client.get_experiment_by_name(experiment)
                if found is None:
                    raise
    if found.lifecycle_stage != "active":
        raise BadInput(
            f"the MLflow experiment '{experiment}' is deleted · restore it "
            f"(mlflow experiments restore -x {found.experiment_id}) or give tracker.experiment="
        )
    return client, found.experiment_id


def import_mlflow() -> Any:
    """The module, without telemetry, job execution, long waits and chatter."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow

    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.WARNING)
    return mlflow


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite store, None for any other."""
    name = uri.removeprefix("sqlite:///")
    return None if name in (uri, "") else Path(name).absolute()


@contextmanager
def _only_one(database: Path | None) -> Iterator[None]:
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    if not os.access(database if database.exists() else database.parent, os.W_OK):
        raise BadInput(f"{database} cannot be written")
    with FileLock(f"{database}.lock", timeout=300):
        yield


def _existing(client: Any, experiment_id: str, run: RunInfo, started: str) -> Any:
    """The MLflow run of this record: by the id noted in it, or else by its tags."""
    mlflow = import_mlflow()
    note = run.directory / "tracking.json"
    if note.exists():
        try:
            found = client.get_run(json.loads(note.read_text(encoding="utf-8"))["run_id"])
            if found.info.lifecycle_stage == "active":
                return found
        except mlflow.exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":  # another store has other ids
                raise
    same = f"tags.`goralx.fingerprint` = '{run.tags['goralx.fingerprint']}'"
    runs = client.search_runs([experiment_id], f"{same} and tags.`goralx.started` = '{started}'")
    return runs[0] if runs else None


def _entities(kind: Literal["Metric", "Param"], values: Iterable[tuple[Any, ...]]) -> list[Any]:
    from mlflow import entities

    return [getattr(entities, kind)(*value) for value in values]


def serve(uri: str | None, port: int) -> int:
    """Show the store in MLflow's own pages on this machine only, until Ctrl-C (`goralx ui`).

    Returns the exit status. Raises `BadInput` where there is nothing to show or the port is taken.
    """
    store = uri or default_uri()
    database = sqlite_file(store)
    if store.startswith(("http://", "https://")):
        raise BadInput(f"{store} is a server already · open it in a browser")
    if database is not None and not database.exists():
        raise BadInput(f"no runs at {database} · run something first, or give the store to show")
    ui.check_port(port)
    client = import_mlflow().MlflowClient(tracking_uri=store)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    latest = client.search_runs(experiments, order_by=["start_time DESC"], max_results=1)
    shown = latest[0].info.experiment_id if latest else experiments[0]
    page = f"?workflowType=machine_learning#/experiments/{shown}/runs?compareRunsMode=CHART"
    return ui.serve(["-m", "mlflow", "ui", "--backend-store-uri", store], port, page)

"""A sweep in MLflow: its runs are flat and share a tag; one more run sums it up."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from goralx.escaping import for_markdown
from goralx.records import read_info, read_summary

from ..ledger import noted
from ..naming import origin
from .client import entities
from .stores import open_store, reachable
from .syncing import records_below
from .view import describe_experiment

REPORT = "report"
"""The folder in a sweep's that holds its report."""

KIND = "goralx.kind"
FILES = ("multirun.yaml", "sweep.json")


def conclude_sweep(folder: Path) -> str | None:
    """Sum up a sweep in the store and experiment of its latest tracked run; the same run again.

    Returns the id of the run that sums it up, None where no run was tracked. Raises whatever the
    store raises.
    """
    directories = records_below(folder)
    tracked = [where for where in directories if noted(where).get("experiment_id")]
    if not tracked:
        return None
    last, options = noted(tracked[-1]), read_info(tracked[-1]).config.get("tracker") or {}
    store, experiment = reachable(last["uri"], options.get("uri")), last["experiment_id"]
    client = open_store(store)
    counts = Counter(str(read_summary(directory)["status"]) for directory in directories)
    tags = {"goralx.sweep": folder.name, KIND: "sweep"}
    runs = client.search_runs(
        [experiment], f"tags.`{KIND}` = 'sweep' and tags.`goralx.sweep` = '{folder.name}'"
    )
    if runs:
        run_id = runs[0].info.run_id
    else:
        made = {**origin(), **tags, "mlflow.runName": f"sweep {folder.name}"}
        run_id = client.create_run(experiment, tags=made).info.run_id
    now = round(1000 * time.time())
    metrics = [(f"sweep/{status}", float(n), now, 0) for status, n in counts.items()]
    note = [("mlflow.note.content", _description(folder, counts))]
    client.log_batch(run_id, metrics=entities("Metric", metrics), tags=entities("RunTag", note))
    for file in (folder / name for name in FILES):
        if file.is_file():
            client.log_artifact(run_id, str(file))
    if (folder / REPORT).is_dir():
        client.log_artifacts(run_id, str(folder / REPORT), REPORT)
    client.set_terminated(run_id, "FINISHED")
    describe_experiment(client, experiment, anew=True)
    return str(run_id)


def _description(folder: Path, counts: Mapping[str, int]) -> str:
    statuses = ", ".join(f"{n} {status}" for status, n in counts.items())
    return (
        f"The sweep **{for_markdown(folder.name)}**, runs: {statuses}. They have the tag "
        f"`goralx.sweep`.\n\nRecords: {for_markdown(folder.resolve())}. The report, where one "
        "was made, is among the artifacts."
    )

"""MLflow brought level with the records; the same again changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goralx.contracts import RunInfo
from goralx.errors import BadInput
from goralx.records import check_whole, in_use, read_info, read_rounds, read_summary

from ..ledger import last_recorded, note, noted
from ..naming import summary_metrics
from .artifacts import missing
from .stores import absolute_store, connect, default_uri, is_given, shown, sqlite_file
from .tracker import STATUS, MlflowTracker, find, steps_told
from .view import curve_tags

ROOTS = frozenset(("mlartifacts", "mlruns", ".jobs"))
"""Where artifacts go by default, and where runs lie that others take the place of."""


@dataclass(frozen=True)
class Synced:
    """A record and its MLflow run; ``told`` is False where that knew all of it."""

    directory: Path
    run_id: str
    told: bool


def sync(directory: Path, uri: str | None = None) -> Synced:
    """Rebuild the MLflow run of a record, or complete it; the same again changes nothing.

    ``uri``: the store; without one it is MLFLOW_TRACKING_URI, the one that the run was tracked in,
    the configured one, or the default, in this order. Raises `BadInput` while the run still goes
    on, and whatever the store raises.
    """
    summary, info = read_summary(directory), read_info(directory)
    if in_use(directory):
        raise BadInput(f"{directory} is still being written · sync it when the run has ended")
    check_whole(directory)
    options = dict(info.config.get("tracker") or {})
    store = uri or options.get("uri") or _noted_store(directory) or default_uri()
    tracker = MlflowTracker(store, options.get("experiment"))
    status = summary["status"]
    known = _level(tracker, info, summary)
    if known is not None:
        run_id = known
        note(directory, uri=shown(absolute_store(store)), run_id=run_id)
    else:
        run = tracker.start(info)
        run.finish("killed" if status == "running" else status, summary)
        run_id = run.run_id
    last = last_recorded(directory)
    note(directory, tracker="mlflow", state="complete", n_labelled=last, error=None)
    return Synced(directory, run_id, known is None)


def _noted_store(directory: Path) -> str | None:
    """Where the run was tracked, unless that was on another machine or is told otherwise now."""
    uri = noted(directory).get("uri")
    if uri is None or is_given():
        return None
    database = sqlite_file(uri)
    return uri if database is None or database.parent.is_dir() else None


def _level(tracker: MlflowTracker, info: RunInfo, summary: dict[str, Any]) -> str | None:
    """The id of the MLflow run of this record if that knows all of it, or None."""
    client, experiment_id = connect(tracker.uri or default_uri(), tracker.experiment)
    found = find(client, experiment_id, info, summary["started"])
    if found is None or found.info.status != STATUS[summary["status"]]:
        return None
    if curve_tags(info).items() - found.data.tags.items():
        return None
    if summary["status"] == "finished" and set(summary_metrics(summary)) - set(found.data.metrics):
        return None
    rounds = read_rounds(info.directory)
    if {int(n) for n in rounds.get("n_labelled", [])} - steps_told(client, found):
        return None
    run_id: str = found.info.run_id
    return None if any(missing(client, run_id, info.directory)) else run_id


def records_below(folder: Path) -> list[Path]:
    """Every run directory in a folder and below it, in the order they were begun.

    Not their copies among MLflow's artifacts, nor what is being replaced.
    """
    found = {path.parent for path in folder.rglob("summary.json")}
    copies = {each for each in found if not ROOTS.isdisjoint(each.relative_to(folder).parts)}
    return sorted((each for each in found - copies if (each / ".hydra").is_dir()), key=_begun)


def _begun(directory: Path) -> tuple[str, str]:
    try:
        return str(read_summary(directory).get("started")), str(directory)
    except BadInput:  # said when its turn comes
        return "", str(directory)

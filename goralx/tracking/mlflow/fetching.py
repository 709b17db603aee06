"""Run records out of an MLflow store, for whoever compares runs: folders as a run left them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from goralx.errors import BadInput
from goralx.records import read_summary

from .client import import_mlflow
from .stores import default_uri, open_store, shown, sqlite_file

FILES = ("summary.json", "rounds.csv", "queries.csv", "instance.npz")
PAGE = 1000


def fetch_records(uri: str | None, query: str, into: Path) -> list[Path]:
    """Folders of the runs that ``query`` finds, in MLflow's own words, in every experiment.

    A run whose own folder is still there, the same one by its fingerprint and start, is read
    there; of any other the artifacts are copied below ``into``. Raises `BadInput` where there is
    no store, nothing is found, or the query is none.
    """
    store = uri or default_uri()
    database = sqlite_file(store)
    if database is not None and not database.exists():
        raise BadInput(f"no runs at {database} · run something first, or give the store")
    try:
        client = open_store(store)
        runs = _search(client, query)
    except import_mlflow().exceptions.MlflowException as error:
        said = " ".join(str(error).split())
        raise BadInput(f"{shown(store)}: {said} · see MLflow's search syntax") from error
    ours = [run for run in runs if "goralx.fingerprint" in run.data.tags]
    if not ours:
        asked = f" by {query}" if query else ""
        raise BadInput(
            f"{shown(store)} holds no run of goralx{asked} · goralx ui shows what is there"
        )
    return [_own_folder(run) or _copied(client, run, into) for run in ours]


def _search(client: Any, query: str) -> list[Any]:
    experiments = [e.experiment_id for e in client.search_experiments()]
    found: list[Any] = []
    token = None
    while True:
        page = client.search_runs(
            experiments, query, max_results=PAGE, page_token=token, order_by=["start_time ASC"]
        )
        found += page
        token = page.token
        if not token:
            return found


def _own_folder(run: Any) -> Path | None:
    """Where it was recorded, if that is on this machine and still is that run."""
    tags = run.data.tags
    directory = Path(tags.get("goralx.directory", ""))
    if not (directory / "summary.json").is_file():
        return None
    summary = read_summary(directory)
    started = tags.get("goralx.started")
    known = (summary.get("fingerprint"), summary.get("started"))
    return directory if known == (tags["goralx.fingerprint"], started) else None


def _copied(client: Any, run: Any, into: Path) -> Path:
    """Its artifacts; a run that goes on has none yet, and its folder is left without a summary."""
    folder = into / str(run.info.run_id)
    folder.mkdir()
    there = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    for name in FILES:
        if name in there:
            client.download_artifacts(run.info.run_id, name, str(folder))
    return folder

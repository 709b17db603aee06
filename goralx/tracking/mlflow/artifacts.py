"""What of a record lies beside its MLflow run, where the store says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TABLE = "numbers.json"
RECORDED = ("rounds.csv", "queries.csv", "utilities.npz", "summary.json", "instance.npz")
FILES = (*RECORDED, "numbers.csv", TABLE)
FOLDERS = ("figures", ".hydra")


def upload(client: Any, run_id: str, directory: Path) -> None:
    """Bring up what the run does not have, or has in another size."""
    for file, folder in missing(client, run_id, directory):
        client.log_artifact(run_id, str(file), folder)
    if (directory / TABLE).exists():  # shown as a table among the run's artifacts
        tables = json.dumps([{"path": TABLE, "type": "table"}])
        client.set_tag(run_id, "mlflow.loggedArtifacts", tables)


def missing(client: Any, run_id: str, directory: Path) -> Iterator[tuple[Path, str | None]]:
    """Files of the record that are not there or differ in size, each with its folder up there."""
    wanted: dict[str | None, list[Path]] = {None: [directory / name for name in FILES]}
    wanted |= {name: sorted((directory / name).glob("*")) for name in FOLDERS}
    for folder, files in wanted.items():
        present = [file for file in files if file.is_file()]
        there = {}
        if present:
            there = {f.path: f.file_size for f in client.list_artifacts(run_id, folder)}
        for file in present:
            if there.get(f"{folder}/{file.name}" if folder else file.name) != file.stat().st_size:
                yield file, folder

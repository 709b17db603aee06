"""What MLflow's pages say of a run in words, and which data it was on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np

from goralx.contracts import RunInfo
from goralx.escaping import for_markdown

PARTS = ("init", "pool", "test", "dev")


def describe_run(run: RunInfo, summary: Mapping[str, Any] | None = None) -> str:
    """Markdown: what is run, what came out once it has finished, and where the record is."""
    tags = {name.removeprefix("goralx."): value for name, value in run.tags.items()}
    tags = {name: value if value == "-" else for_markdown(value) for name, value in tags.items()}
    groups = ("strategy", "goal", "operator", "utility", "batch")
    chosen = ", ".join(f"{name} {tags[name]}" for name in groups if tags.get(name, "-") != "-")
    what = "Approximation study" if tags.get("job") == "approximation" else "Active learning"
    lines = [f"{what} on **{tags['dataset']}**, seed {tags['seed']}: {chosen}."]
    if tags.get("uses_ground_truth") == "true":
        lines.append("It uses the true labels: an upper bound, not a practical strategy.")
    if summary is not None and "test" in summary:
        numbers = {**summary["test"], "AULC": summary["aulc"]}
        known = {name: value for name, value in numbers.items() if value is not None}
        came_out = ", ".join(f"{for_markdown(name)} {value:.4f}" for name, value in known.items())
        more = f"; {summary['dev_labels_used']} dev labels on top"
        lines.append(f"After {summary['n_queries']} queries: {came_out}{more}.")
    lines.append(f"Record: {for_markdown(run.directory.resolve())}. Steps count labelled samples.")
    return "\n\n".join(lines)


def dataset_inputs(run: RunInfo) -> list[Any]:
    """The data set of a record and the rows that were drawn of it; paired runs have the same one.

    The digest is of its options and of the row numbers in each part.
    """
    from mlflow import entities

    with np.load(run.directory / "instance.npz", allow_pickle=False) as stored:
        rows = {part: stored[part] for part in PARTS}
    options = run.config.get("dataset") or {}
    source = json.dumps(options, sort_keys=True)
    digest = sha256(source.encode())
    for part in PARTS:
        digest.update(f"{part}{rows[part].shape}".encode() + rows[part].astype("<i8").tobytes())
    data = entities.Dataset(
        name=run.tags["goralx.dataset"],
        digest=digest.hexdigest()[:16],
        source_type="goralx",
        source=source,
        profile=json.dumps({part: len(rows[part]) for part in PARTS}),
    )
    context = entities.InputTag("mlflow.data.context", "active learning")
    return [entities.DatasetInput(data, [context])]

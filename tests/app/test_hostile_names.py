"""Names are data: classes, columns and files called anything, from the table to MLflow and back."""

from __future__ import annotations

import csv
import io
import json
import warnings

import numpy as np
import pytest

import goralx
from goralx.escaping import for_csv, from_csv
from goralx.report import Undrawn
from tests.program import call

NAMES = (
    "$", "_", "$a$_b^{c}", "日本語", "😀", "007", "it's \"q\"", "=cmd|' /C calc'!A0", "<b>bold</b>",
    "two\nlines", "x" * 300, "a/b\\c", "50%", "-1+1", "{0}", "&amp;", "a,b;c\td", "é", "e\u0301",
)  # fmt: skip
FILE = "$odd_ (1)%<é>.csv"
COLUMN = "cls$_%"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with such a table: two features, ten rows a class."""
    folder = tmp_path_factory.mktemp("hostile")
    y = np.repeat(np.arange(len(NAMES)), 10)
    X = np.random.default_rng(0).normal(size=(len(y), 2)) + np.stack([y, y**2 % 7], axis=1)
    with (folder / FILE).open("w", newline="", encoding="utf-8") as file:
        lines = [[*map(float, x), NAMES[k]] for x, k in zip(X, y)]
        csv.writer(file).writerows([["u", "v", COLUMN], *lines])
    return folder


@pytest.mark.slow
def test_from_a_table_to_mlflow_and_the_report(place, monkeypatch, capsys):
    from mlflow import MlflowClient

    monkeypatch.chdir(place)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Undrawn)
        done = call(
            capsys, "dataset=csv", f"dataset.path={FILE}", f"dataset.label={COLUMN}",
            "n_queries=20", "progress=false", "hydra.run.dir=run", "monitors=[ent]",
            "metrics=[accuracy,worst_class_recall]", "audit.every=0",
        )  # fmt: skip
        assert done.status == 0, done.err
        explained = call(capsys, "explain", "run", "--json")
        reported = call(capsys, "report", "run", "--out", "report")
    assert explained.status == reported.status == 0, explained.err + reported.err

    with open("run/queries.csv", newline="", encoding="utf-8") as file:
        cells = [row["label"] for row in csv.DictReader(file)]
    with open(FILE, newline="", encoding="utf-8") as file:
        labels = [row[COLUMN] for row in csv.DictReader(file)]
    with open("run/queries.csv", newline="", encoding="utf-8") as file:
        asked = [int(row["pool_id"]) for row in csv.DictReader(file)]
    assert [from_csv(cell) for cell in cells] == [labels[row] for row in asked]
    assert not any(cell.startswith(tuple("=+-@")) for cell in cells)
    told = json.loads(explained.out)["samples"][0]
    assert set(told["predicted"]) == set(NAMES) == set(told["utilities"])

    client = MlflowClient("sqlite:///outputs/mlflow.db")
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert run.data.params["dataset.path"] == FILE
    assert run.data.params["dataset.label"] == COLUMN
    assert run.data.tags["goralx.dataset"] == FILE
    assert {"test/accuracy", "test/worst_class_recall", "goal/ent"} <= set(run.data.metrics)
    kept = {artifact.path for artifact in client.list_artifacts(run.info.run_id, "figures")}
    assert {"figures/pool.png", "figures/pool.svg", "figures/pool.pdf"} <= kept

    page = (place / "report" / "report.html").read_text(encoding="utf-8")
    assert "%&lt;é&gt;.csv" in page and "<é>" not in page
    with open("report/runs.csv", newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert from_csv(row["data set"]) == FILE


@pytest.mark.parametrize("suffix", ["json", "jsonl", "csv"])
def test_classes_of_a_session_go_out_and_come_back(suffix, tmp_path):
    """What is exported is filled in, as a person or a tool would, and taken in again."""
    texts = [f"{name} said twice:\u2028 {name}" for name in NAMES]
    X = np.random.default_rng(0).normal(size=(len(NAMES), 3))
    session = goralx.Session(
        X, directory=tmp_path / "s", classes=NAMES, texts=texts, strategy="random"
    )
    session.tell(range(4), NAMES[:4])
    path = tmp_path / f"asked.{suffix}"
    asked = session.export(path, len(NAMES) - 4)
    text = path.read_text(encoding="utf-8")
    if suffix == "csv":
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        assert not any(cell.startswith(tuple("=+-@")) for row in rows for cell in row.values())
        for row in rows:
            row["label"] = for_csv(NAMES[int(row["id"])])
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    elif suffix == "jsonl":
        rows = [json.loads(line) for line in text.split("\n") if line]
        assert all(row["text"] == texts[row["id"]] for row in rows)
        filled = [{**row, "label": NAMES[row["id"]]} for row in rows]
        lines = [json.dumps(row, ensure_ascii=False) for row in filled]
        path.write_text("\n".join(lines), encoding="utf-8")
    else:
        tasks = json.loads(text)
        for task in tasks:
            chosen = {"choices": [NAMES[task["meta"]["goralx_id"]]]}
            task["annotations"] = [{"result": [{"type": "choices", "value": chosen}]}]
        path.write_text(json.dumps(tasks), encoding="utf-8")
    assert session.take_in(path) == len(asked) == len(NAMES) - 4
    again = goralx.Session.load(tmp_path / "s")
    assert again.told == dict(enumerate(NAMES)) and again.classes == list(NAMES)

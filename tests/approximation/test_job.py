"""``job=approximation`` from the command line: its files, its tracking, and being interrupted."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest

from goralx.approximation import Study
from goralx.approximation import study as study_module
from goralx.records import check_whole, parts, seals
from tests.program import call

SMALL = (
    "job=approximation", "dataset=iris", "approximation.n_labelled=20", "approximation.n_pool=20",
    "approximation.n_dev=15", "approximation.batch_sizes=[1,2]", "approximation.goals=[dev]",
    "approximation.figures=[]", "progress=false",
)  # fmt: skip
COLUMNS = [
    "goal", "operator", "batch_size", "n", "pearson", "spearman", "slope", "rmse_over_sd",
    "overlap", "additive_pearson",
    "actual_mean", "actual_sd", "actual_q05", "actual_q95", "approximate_mean",
    "approximate_sd",
]  # fmt: skip


def npz(path):
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored if name != "format"}


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def study(capsys, *words, directory="run"):
    return call(capsys, *SMALL, "tracker=csv", f"hydra.run.dir={directory}", *words)


def test_a_study_leaves_its_record(here, capsys):
    done = study(capsys, "utility=implicit", "approximation.figures=[scatter,distribution]")
    assert (done.status, done.err) == (0, "")
    run = here / "run"
    assert {str(p.relative_to(run)) for p in run.rglob("*") if p.is_file()} == {
        ".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml", ".lock",
        "instance.npz", "utilities.npz", "numbers.csv", "numbers.json", "summary.json",
        "seals.jsonl",
        *(
            f"figures/{name}.{suffix}"
            for suffix in ("png", "svg", "pdf")
            for name in (
                "distribution",
                *(f"approximation_{g}_b{b}" for g in ("ent", "dev") for b in (1, 2)),
            )
        ),
    }  # fmt: skip
    rows = table(run / "numbers.csv")
    assert list(rows[0]) == COLUMNS
    assert [(r["goal"], r["operator"], r["batch_size"]) for r in rows] == [
        (goal, operator, b)
        for b in ("1", "2")
        for goal in ("ent", "dev")
        for operator in ("average", "min", "max", "oracle")
    ]
    assert [int(r["n"]) for r in rows] == [20] * 8 + [19] * 8
    as_json = json.loads((run / "numbers.json").read_text())
    assert as_json["columns"] == COLUMNS
    for line, row in zip(as_json["data"], rows, strict=True):
        values = [row[c] for c in COLUMNS]
        assert [str(v) if v is not None else "" for v in line] == values
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["status"], summary["job"]) == ("finished", "approximation")
    assert summary["n_retrained"] == 20 * 3 + 19 * 9
    assert summary["metrics"]["approx/dev/max/2/pearson"] == float(rows[-2]["pearson"])
    assert summary["metrics"]["approx/ent/kappa_q100"] > 0
    assert all(f"{float(row['slope']):.3f}" in done.out for row in rows)


def test_its_utilities_can_be_read_without_goralx(here, capsys):
    """Batches are source rows; the actual oracle utility is the one under their own labels."""
    study(capsys)
    stored, chosen = npz(here / "run" / "utilities.npz"), npz(here / "run" / "instance.npz")
    from sklearn.datasets import load_iris

    y = load_iris().target
    batches = stored["batches/2"]
    assert np.isin(batches, chosen["pool"]).all() and batches.shape == (19, 2)
    assert stored["actual/dev/2"].shape == (19, 9) and stored["approximate/dev"].shape == (20, 3)
    oracle = stored["actual/dev/2"][np.arange(19), 3 * y[batches[:, 0]] + y[batches[:, 1]]]
    rows = table(here / "run" / "numbers.csv")
    assert float(rows[-1]["actual_mean"]) == pytest.approx(oracle.mean())
    assert [len(chosen[name]) for name in ("init", "pool", "dev")] == [20, 20, 15]
    together = np.concatenate(list(chosen.values()))
    assert len(np.unique(together)) == len(together)


def test_mlflow_has_the_numbers(here, capsys, store):
    from mlflow import MlflowClient

    done = call(capsys, *SMALL, "hydra.run.dir=run")
    assert (done.status, done.err) == (0, "")
    client = MlflowClient(tracking_uri=store)
    (experiment,) = [e for e in client.search_experiments() if e.name == "goralx"]
    (run,) = client.search_runs([experiment.experiment_id])
    summary = json.loads((here / "run" / "summary.json").read_text())
    assert run.data.metrics == {k: v for k, v in summary["metrics"].items() if v is not None}
    assert run.data.metrics["approx/ent/oracle/2/slope"] > 0
    history = client.get_metric_history(run.info.run_id, "approx/ent/oracle/1/pearson")
    assert [m.step for m in history] == [20]
    assert run.data.tags["goralx.job"] == "approximation"
    assert run.info.status == "FINISHED"
    files = {a.path for a in client.list_artifacts(run.info.run_id)}
    assert {"numbers.csv", "numbers.json", "summary.json", "utilities.npz"} <= files
    again = call(capsys, "sync", "run")
    assert again.status == 0
    assert len(client.search_runs([experiment.experiment_id])) == 1


# Interrupted -------------------------------------------------------------------------------------


class Killed(BaseException):
    """What ends the process, as SIGKILL would."""


def dying(patched, after):
    """Files are written and sealed some times, and then never again."""
    left = [after]

    def counted(write):
        def writes(*given, **how):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return write(*given, **how)

        return writes

    for module, name in ((parts, "atomic"), (seals, "append_bytes"), (parts, "write_csv")):
        patched.setattr(module, name, counted(getattr(module, name)))


def same(a, b):
    """Two finished studies have the same numbers, to the last bit."""
    first, second = (npz(run / "utilities.npz") for run in (a, b))
    assert first.keys() == second.keys()
    for name, values in first.items():
        if name != "seconds":
            np.testing.assert_array_equal(values, second[name])
    assert (a / "numbers.csv").read_text() == (b / "numbers.csv").read_text()


@pytest.mark.parametrize("again", ["resume", "rerun"])
@pytest.mark.parametrize("after", [2, 3])
def test_killed_at_any_write_and_gone_on_with(here, capsys, monkeypatch, again, after):
    monkeypatch.setattr(study_module, "BLOCK", 64)
    study(capsys, directory="whole")
    actual, computed = Study.actual, []
    monkeypatch.setattr(Study, "actual", lambda self, b: computed.append(b) or actual(self, b))
    for _ in range(40):
        with monkeypatch.context() as patched:
            dying(patched, after)
            try:
                if again == "resume" and (here / "run" / ".hydra").exists():
                    done = call(capsys, "resume", "run")
                else:
                    done = study(capsys)
            except Killed:
                continue
            break
    assert (done.status, done.err) == (0, "")
    same(here / "whole", here / "run")
    assert not (here / "run" / "parts").exists()
    blocks = [(b.batch_size, b.start) for b in computed]
    assert len(blocks) > 4
    assert max(Counter(blocks).values()) <= 2  # only what a kill cut short is done twice
    check_whole(here / "run")


@pytest.mark.slow
def test_a_process_that_is_terminated_leaves_what_is_done(here, capsys):
    words = [*SMALL, "tracker=csv", "hydra.run.dir=run", "approximation.batch_sizes=[1,5]"]
    program = [sys.executable, "-m", "goralx", *words]
    running = subprocess.Popen(program, cwd=here, stderr=subprocess.PIPE, text=True)
    parts = here / "run" / "parts"
    while running.poll() is None and not (parts.exists() and len(list(parts.iterdir())) > 1):
        time.sleep(0.02)
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 128 + signal.SIGTERM
    assert err == "goralx: interrupted · go on with: goralx resume run\n"
    assert json.loads((here / "run" / "summary.json").read_text())["status"] == "killed"
    kept = {p.name: p.stat().st_mtime_ns for p in parts.glob("*.npz")}
    assert kept
    done = call(capsys, "resume", "run")
    assert done.status == 0
    study(capsys, "approximation.batch_sizes=[1,5]", directory="whole")
    same(here / "whole", here / "run")


def test_a_finished_study_is_not_done_again(here, capsys, monkeypatch):
    first = study(capsys)
    monkeypatch.setattr(Study, "actual", None)
    for again in (study(capsys), call(capsys, "resume", "run")):
        assert (again.status, again.out, again.err) == (0, first.out, "")


def test_a_study_is_named_after_its_file(here, capsys):
    from sklearn.datasets import load_iris

    load_iris(as_frame=True).frame.to_csv(here / "mine.csv", index=False)
    words = ("dataset=csv", "dataset.path=mine.csv", "dataset.label=target")
    done = call(capsys, *SMALL, "tracker=csv", "hydra.run.dir=run", *words)
    assert done.status == 0, done.err
    summary = json.loads((here / "run" / "summary.json").read_text())
    assert summary["name"].startswith("mine.csv-approximation-influence-")
    assert summary["tags"]["goralx.dataset"] == "mine.csv"


def test_a_directory_of_something_else_is_refused(here, capsys):
    study(capsys)
    before = (here / "run" / "summary.json").read_text()
    for word in ("seed=1", "utility=implicit", "approximation.n_windows=5", "model.C=3"):
        refused = study(capsys, word)
        assert refused.status == 2
        assert "is the record of other options or other data" in refused.err
    assert (here / "run" / "summary.json").read_text() == before
    assert study(capsys, "approximation.figures=[scatter]").status == 0  # which changes no number


# Refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words, line",
    [
        (["approximation.n_pool=500"], "n_labelled=20 + n_pool=500 + n_dev=15 are more than"),
        (["approximation.batch_sizes=[12]"], "12 samples of 3 classes have 5.31e+05 labellings"),
        (["approximation.batch_sizes=[]"], "a goal, an operator and a batch size"),
        (["approximation.batch_sizes=two"], "expected a list in brackets"),
        (["approximation.operators=[avrage]"], "'avrage'; did you mean 'average'"),
        (["approximation.goals=[dve]"], "'dve'; did you mean 'dev'"),
        (["approximation.figures=[pie]"], "'pie' · available: scatter, distribution"),
        (["approximation.colour=1"], "'colour'"),
        (["job=approximate"], "unknown job 'approximate'; did you mean 'approximation'"),
        (["goal=accuracy"], "use utility=lookahead or utility=retrain"),
        (["initial=kcenter"], "job=approximation has no part for initial=kcenter"),
        (["initial=random", "initial.size=9"], "no part for initial=random"),
        (["oracle=noisy", "oracle.rate=0.3"], "no part for oracle=noisy"),
        (["strategy=random"], "no part for strategy=random"),
        (["batch=sequential"], "no part for batch=sequential"),
        (["stop=cost", "stop.patience=3"], "no part for stop=cost"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(here, capsys, words, line):
    refused = study(capsys, *words)
    assert refused.status == 2
    assert len(refused.errors) == 1 and line in refused.errors[0]
    assert not (here / "run").exists()


def test_options_of_the_chosen_goal_and_operator_are_theirs(here, capsys):
    words = ("goal=fir", "goal.include_intercept=false", "operator=annealed", "operator.start=9",
             "approximation.operators=[oracle,annealed]")  # fmt: skip
    assert study(capsys, *words).status == 0
    rows = table(here / "run" / "numbers.csv")
    assert {(r["goal"], r["operator"]) for r in rows} == {
        (goal, operator) for goal in ("fir", "dev") for operator in ("oracle", "annealed")
    }
    other = study(capsys, *words, "operator.start=8")
    assert other.status == 2 and "fingerprints differ" in other.err


@pytest.mark.parametrize("name, sizes", [("fig2", [1]), ("fig3", [1, 10]), ("fig4", [1, 2, 5, 10])])
def test_the_presets_are_the_paper_s(name, sizes):
    from tests.app.test_configuration import composed

    config = composed(f"experiment={name}")
    options = config["approximation"]
    assert (config["job"], config["dataset"]["name"], config["model"]["C"]) == (
        "approximation", "rt_polarity", 0.1,
    )  # fmt: skip
    assert (options["n_labelled"], options["n_pool"], options["batch_sizes"]) == (50, 500, sizes)
    assert ("expected" in options["operators"]) == (name == "fig4")
    assert (config["goal"]["name"], config["utility"]["name"]) == ("ent", "influence")

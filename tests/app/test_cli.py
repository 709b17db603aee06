"""The program from the outside: runs, sweeps, questions, and how it ends."""

from __future__ import annotations

import csv
import dataclasses
import json
import logging
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from goralx import errors
from goralx.app import cli, nodes, runner
from goralx.app.closing_table import closing_table
from goralx.core.linear_solve import NotConverged
from goralx.discovery import registry
from tests.program import SHORT, call, launch, runs

QUIET = (*SHORT, "strategy=random")
TABLE = ("dataset=csv", "dataset.path=data.csv", "n_queries=10", "strategy=random", "tracker=csv",
         "progress=false", "hydra.run.dir=run")  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GORALX_TRACEBACK", raising=False)
    return tmp_path


def test_a_run_leaves_a_record_and_prints_its_table(here, capsys):
    done = call(capsys, *SHORT, "goal=fir", "operator=min", "seed=3", "audit.every=0")
    assert done.status == 0 and done.err == ""
    (directory,) = runs(here)
    assert directory.parent == here / "outputs" / "runs"
    assert directory.name.endswith("_iris-goral-fir-min-s3")
    summary = json.loads((directory / "summary.json").read_text())
    assert done.out.rstrip("\n") == closing_table(summary)
    assert f"{summary['test']['accuracy']:.4f}" in done.out and str(directory) in done.out
    assert summary["tags"]["goralx.goal"] == "fir" and "goralx.sweep" not in summary["tags"]
    assert (directory / ".hydra" / "config.yaml").is_file()
    assert "goal=fir" in (directory / ".hydra" / "overrides.yaml").read_text()


def test_the_same_seed_gives_the_same_record(here, capsys):
    for _ in range(2):
        assert call(capsys, *SHORT, "audit.every=0").status == 0
    first, second = (sorted_rows(d) for d in runs(here))
    assert first == second


def sorted_rows(directory: Path) -> list[dict[str, str]]:
    """rounds.csv without what a clock says."""
    with (directory / "rounds.csv").open() as file:
        return [
            {k: v for k, v in row.items() if "seconds" not in k} for row in csv.DictReader(file)
        ]


def test_flags_may_stand_anywhere(here, capsys):
    shown = call(capsys, "goal=fir", "--cfg", "job", "seed=7")
    assert shown.status == 0 and "seed: 7" in shown.out and "name: fir" in shown.out
    assert call(capsys, "seed=0,1", "-m", *QUIET).status == 0
    assert len(runs(here)) == 2


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--cfg", "job"],
        ["--cfg", "hydra"],
        ["--version"],
        ["plugins"],
    ],
    ids=" ".join,
)
def test_questions_leave_nothing(words, here, capsys):
    assert call(capsys, *words).status == 0
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("words", [["--info", "searchpath"], ["--hydra-help"]], ids=" ".join)
def test_hydra_answers_for_itself(words, here):
    told = launch(here, *words)  # in a process of its own: it turns logging on
    assert told.status == 0 and "hydra" in told.out.lower()
    assert list(here.iterdir()) == []


def test_help_lists_every_choice_and_every_option(capsys):
    text, _, config = call(capsys, "--help").out.partition("As chosen now")
    for component in registry().components.values():
        assert re.search(rf"\b{component.name}\b", text), component
    for field in dataclasses.fields(nodes.Settings):
        assert re.search(rf"^ +{field.name}\b", text, re.MULTILINE), field.name
    for word in (*cli.COMMANDS, "-m", "letter", "baselines"):
        assert word in text, word
    assert "oc.select:dataset.C" in config
    assert "include_intercept: true" in call(capsys, "--help", "goal=fir").out


@pytest.mark.parametrize("words", [["--help"], ["--cfg", "job"], ["plugins"]], ids=" ".join)
def test_questions_import_nothing_heavy(words, here):
    code = (
        "import sys; from goralx.app import main; status = main(sys.argv[1:]);"
        "print(sorted({'mlflow', 'sklearn', 'matplotlib', 'pandas'} & set(sys.modules)),"
        "file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=here, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stderr.strip() == "[]", done.stderr


# Sweeps ------------------------------------------------------------------------------------------


def test_a_sweep_runs_every_combination_and_shares_a_tag(here, capsys):
    done = call(capsys, "-m", *SHORT, "audit.every=0", "strategy=random,goral", "goal=ent,fir")
    assert done.status == 0, done
    directories = runs(here)
    (sweep,) = {d.parent for d in directories}
    assert sweep.parent == here / "outputs" / "sweeps"
    summaries = [json.loads((d / "summary.json").read_text()) for d in directories]
    tags = [s["tags"] for s in summaries]
    assert {t["goralx.sweep"] for t in tags} == {sweep.name}
    assert [(t["goralx.strategy"], t["goralx.goal"]) for t in tags] == [
        ("goral", "ent"), ("goral", "fir"), ("random", "-")
    ]  # fmt: skip
    assert [d.name.rpartition("_")[0] for d in directories] == [
        "iris-goral-ent-max-s0", "iris-goral-fir-max-s0", "iris-random-s0"
    ]  # fmt: skip
    assert done.out.splitlines()[-1].startswith(
        "sweep: 3 done, 0 skipped, 0 resumed, 1 shared, 0 failed · outputs/sweeps/dataset-iris"
    )


def test_a_refused_combination_is_a_line_and_the_others_run(here, capsys):
    done = call(capsys, "-m", *QUIET, "model.C=1,-1,2")
    assert done.status == 2
    (line,) = done.errors
    assert line.startswith("goralx: job 2 of 3 (") and "model.C=-1" in line
    configs = [json.loads((d / "summary.json").read_text())["config"] for d in runs(here)]
    assert {c["model"]["C"] for c in configs} == {1.0, 2.0}
    (sweep,) = (here / "outputs" / "sweeps").iterdir()
    assert sum(p.is_dir() and p.name != ".jobs" for p in sweep.iterdir()) == 2
    assert "sweep: 2 done, 0 skipped, 0 resumed, 1 refused, 0 failed" in done.out


def test_a_sweep_in_which_nothing_ran_leaves_nothing(here, capsys):
    done = call(capsys, "-m", *QUIET, "model.C=0,-1")
    assert done.status == 2 and len(done.errors) == 2
    assert "sweep: 0 done, 0 skipped, 0 resumed, 2 refused, 0 failed" in done.out
    assert list(here.iterdir()) == []


def test_a_sweep_may_have_a_folder_of_its_own(here, capsys):
    words = ("-m", *QUIET, "hydra.sweep.dir=mine/first", "seed=0,1")
    assert call(capsys, *words).status == 0
    assert [d.parent for d in runs(here)] == [here / "mine" / "first"] * 2
    assert (
        json.loads((runs(here)[0] / "summary.json").read_text())["tags"]["goralx.sweep"] == "first"
    )


def test_a_sweep_ends_with_the_worst_of_its_jobs(here, capsys, monkeypatch):
    monkeypatch.setattr(runner, "run", breaking(ZeroDivisionError("no convergence"), at_seed=1))
    done = call(capsys, "-m", *QUIET, "seed=0,1,2")
    assert done.status == 1 and "sweep: 2 done, 0 skipped, 0 resumed, 1 failed" in done.out
    assert "job 2 of 3" in done.errors[0] and "no convergence" in done.errors[0]
    assert call(capsys, "-m", *QUIET, "seed=1,-1").status == 2


def breaking(error: BaseException, at_seed: int = 0):
    """`runner.run`, but for one seed."""
    whole = runner.run

    def run(experiment, info, **more):
        if experiment.seed == at_seed:
            raise error
        return whole(experiment, info, **more)

    return run


def test_presets_choose_what_they_say(here, capsys):
    shown = call(capsys, "--cfg", "job", "experiment=synth2", "seed=5").out
    assert "name: synth2" in shown and "n_queries: 530" in shown and "seed: 5" in shown
    swept = call(capsys, "--cfg", "hydra", "experiment=baselines").out
    assert "mode: MULTIRUN" in swept and "seed: range(10)" in swept


def test_the_baselines_are_a_sweep_without_m(here, capsys):
    few = [f"hydra.sweeper.params.{p}" for p in ("seed=0", "goal=ent", "operator=max")]
    done = call(capsys, "experiment=baselines", *SHORT, "audit.every=0", *few)
    assert done.status == 0 and "sweep: 3 done" in done.out
    assert len(runs(here)) == 3


# How it ends -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error, status, says",
    [
        (NotConverged("stuck at 1e-3"), 2, "stuck at 1e-3"),
        (ZeroDivisionError("a / 0"), 1, "ZeroDivisionError: a / 0"),
        (errors.GoralxError("mend it"), 2, "mend it"),
        (errors.RunFailed("broken"), 1, "broken"),
        (OSError(28, "No space left on device", "outputs/x"), 2, "No space left"),
        (PermissionError(13, "Permission denied", "outputs/x"), 2, "outputs/x: Permission denied"),
    ],
    ids=lambda v: type(v).__name__,
)
def test_what_goes_wrong_is_a_line_and_a_status(error, status, says, here, capsys, monkeypatch):
    monkeypatch.setattr(runner, "run", breaking(error))
    done = call(capsys, *QUIET)
    assert (done.status, len(done.errors)) == (status, 1)
    assert done.err.startswith("goralx: ") and says in done.err
    assert ("GORALX_TRACEBACK=1" in done.err) == (status == 1)
    assert list(here.iterdir()) == []


def test_a_traceback_is_shown_on_request(here, capsys, monkeypatch):
    monkeypatch.setenv("GORALX_TRACEBACK", "1")
    with pytest.raises(errors.GoralxError, match=r"model\.C=0"):
        cli.main(["model.C=0"])
    with pytest.raises(Exception, match="Error merging override batch_size=x"):
        cli.main(["batch_size=x"])
    with pytest.raises(errors.GoralxError, match="'plugin'"):
        cli.main(["plugin"])


@pytest.mark.parametrize("sent, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_how_to_go_on_and_does(sent, status, here, capsys):
    words = ("n_queries=150", "batch_size=1", "seed=2", "strategy=random", "tracker=csv",
             "progress=false")  # fmt: skip
    program = subprocess.Popen(
        [sys.executable, "-m", "goralx", *words, "hydra.run.dir=stopped"],
        cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (here / "stopped" / "checkpoint.npz").exists() and program.poll() is None:
        time.sleep(0.01)
    program.send_signal(sent)
    out, err = program.communicate()
    assert (program.returncode, out) == (status, "")
    assert err == "goralx: interrupted · go on with: goralx resume stopped\n"
    assert call(capsys, "resume", "stopped").status == 0
    assert call(capsys, *words, "hydra.run.dir=whole").status == 0
    assert sorted_rows(here / "stopped") == sorted_rows(here / "whole")
    queries = [(here / name / "queries.csv").read_text() for name in ("stopped", "whole")]
    assert queries[0] == queries[1]


def test_resume_works_from_another_directory_and_with_relative_paths(here, capsys, monkeypatch):
    rows = [f"{i % 11},{i % 7},{'ab'[i % 2]}" for i in range(80)]
    (here / "data.csv").write_text("\n".join(["u,v,kind", *rows]))
    assert call(capsys, *TABLE).status == 0
    elsewhere = here / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    done = call(capsys, "resume", "../run")
    assert done.status == 0 and str(here / "run") in done.out
    assert list(elsewhere.iterdir()) == [] and Path.cwd() == elsewhere


def test_a_run_whose_data_changed_is_not_resumed(here, capsys):
    rows = [f"{i % 11},{i % 7},{'ab'[i % 2]}" for i in range(80)]
    (here / "data.csv").write_text("\n".join(["u,v,kind", *rows]))
    assert call(capsys, *TABLE).status == 0
    (here / "data.csv").write_text("\n".join(["u,v,kind", "0,0.5,a", *rows[1:]]))
    done = call(capsys, "resume", "run")
    assert done.status == 2 and len(done.errors) == 1 and "fingerprint" in done.err


def test_linear_algebra_is_held_to_its_threads(here, capsys, monkeypatch):
    from threadpoolctl import threadpool_info

    seen = []
    whole = runner.run

    def run(*what, **more):
        seen.append({p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"})
        return whole(*what, **more)

    monkeypatch.setattr(runner, "run", run)
    assert call(capsys, *QUIET).status == 0
    assert seen == [{1}]


def test_a_store_out_of_reach_is_a_warning(here, capsys):
    words = ("dataset=iris", "n_queries=10", "progress=false", "strategy=random")
    done = call(capsys, *words, "tracker.uri=sqlite:////dev/null/mlflow.db")
    assert done.status == 0 and len(done.errors) == 1
    assert done.err.startswith("goralx: warning: tracking stopped") and "goralx sync" in done.err
    assert len(runs(here)) == 1


# goralx plugins ----------------------------------------------------------------------------------


def test_plugins_lists_everything_with_what_it_is(capsys):
    lines = call(capsys, "plugins").out.splitlines()
    lines = [line for line in lines if not line.startswith("experiment ")]
    components = registry().components
    assert len(lines) == len(components)
    for (group, name), component in components.items():
        (line,) = [x for x in lines if x.split()[:2] == [group, name]]
        assert component.cls.__doc__.splitlines()[0] in line and component.origin in line


def test_plugins_show_tells_of_one(capsys):
    text = call(capsys, "plugins", "show", "annealed").out
    for part in ("operator=annealed", "Annealed", "from goralx", "operator.start=5.0", "float",
                 "operator.schedule=exponential", "T = infinity is average"):  # fmt: skip
        assert part in text
    assert text == call(capsys, "plugins", "show", "operator/annealed").out
    assert "no options" in call(capsys, "plugins", "show", "goal/ent").out


def test_plugins_show_tells_of_all_that_share_a_name(capsys):
    both = call(capsys, "plugins", "show", "csv").out
    assert "dataset=csv" in both and "tracker=csv" in both
    assert "dataset=csv" not in call(capsys, "plugins", "show", "tracker/csv").out


def test_plugins_speak_json(capsys):
    everything = json.loads(call(capsys, "plugins", "--json").out)
    assert len(everything["components"]) == len(registry().components)
    assert everything["broken"] == []
    (one,) = json.loads(call(capsys, "plugins", "show", "goal/fir", "--json").out)["components"]
    assert one["options"] == [
        {"name": "include_intercept", "type": "bool", "default": True, "required": False}
    ]
    assert one["doc"].startswith("tau_fir") and one["origin"] == "goralx"
    names = {preset["name"] for preset in everything["presets"]}
    assert {"recommended", "fig2", "baselines"} <= names
    for name in ("recommended", "experiment=recommended"):
        (preset,) = json.loads(call(capsys, "plugins", "show", name, "--json").out)["presets"]
        assert preset["config"]["batch_size"] == 10 and "margin" in preset["doc"]


GINI = '''
from dataclasses import dataclass

import numpy as np

import goralx


@dataclass(frozen=True)
class NegativeGini(goralx.LogitGoal):
    """Minus the Gini impurity of the pool."""

    alpha: float = 1.0

    def value_and_logit_gradient(self, log_P, X, y):
        P = np.exp(log_P)
        nu = (P * P).sum(axis=1, keepdims=True)
        return self.alpha * float((nu - 1).sum()), self.alpha * 2 * P * (P - nu)


@goralx.hookimpl
def register_goals(register):
    register("gini", NegativeGini)
'''


@pytest.fixture
def mine(here) -> dict[str, str]:
    """The environment of somebody with two plugins of their own, one of them broken."""
    folder = here / "mine"
    folder.mkdir()
    (folder / "gini.py").write_text(GINI)
    (folder / "sad.py").write_text("import a_module_that_is_not_there\n")
    return {"GORALX_PLUGINS": str(folder)}


def test_a_plugin_of_ones_own_is_typed_and_runs(here, mine):
    words = (*SHORT, "n_queries=5", "goal=gini", "audit.every=0")
    assert launch(here, *words, "goal.alpha=3", **mine).status == 0
    (directory,) = runs(here)
    assert "goal/gini" in sorted_rows(directory)[0]
    config = json.loads((directory / "summary.json").read_text())["config"]
    assert config["goal"] == {"name": "gini", "alpha": 3.0}
    assert launch(here, "resume", str(directory), **mine).status == 0
    refused = launch(here, *words, "goal.alpha=much", **mine)
    assert refused.status == 2 and refused.errors == ["goralx: goal.alpha=much · expected a number"]
    misspelt = launch(here, *words, "goal.alfa=1", **mine)
    assert misspelt.status == 2 and "did you mean 'alpha'?" in misspelt.err


def test_a_broken_plugin_is_named_where_it_is_missed(here, mine):
    listed = launch(here, "plugins", **mine)
    assert listed.status == 0 and "gini" in listed.out
    assert "not loaded" in listed.out and "a_module_that_is_not_there" in listed.out
    shown = launch(here, "plugins", "show", "sad", **mine)
    assert shown.status == 0 and "Traceback" in shown.out and "ModuleNotFoundError" in shown.out
    missed = launch(here, "goal=sad", **mine)
    assert missed.status == 2 and "ModuleNotFoundError" in missed.err and len(missed.errors) == 1
    (broken,) = json.loads(launch(here, "plugins", "--json", **mine).out)["broken"]
    assert broken["name"].endswith("sad.py") and "Traceback" in broken["traceback"]


def test_logging_is_as_it_was_when_the_command_line_is_a_function(here, capsys):
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    assert call(capsys, "--info", "config", "dataset=iris").status == 0
    call(capsys, "hydra.verbose=true", "batch_size=0", "dataset=iris")
    assert (root.level, list(root.handlers)) == before


@pytest.mark.parametrize("words", [[], ["-m", "seed=0,1"]])
def test_whoever_reads_may_have_had_enough(words, tmp_path):
    pipe = f"{sys.executable} -m goralx {' '.join([*SHORT, *words])} | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {pipe}"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0 and "Broken" not in done.stderr, done.stderr
    assert len(runs(tmp_path)) == (2 if words else 1)

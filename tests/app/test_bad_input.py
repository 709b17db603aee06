"""What a user may get wrong: a line of what was given and what is allowed, and nothing left."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests.program import SHORT, call, launch


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("GORALX_DATA", "GORALX_PLUGINS", "GORALX_TRACEBACK", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def refused(outcome, *says: str) -> None:
    assert outcome.status == 2, outcome
    assert len(outcome.errors) == 1 and outcome.out == "", outcome
    assert outcome.err.startswith("goralx: ") and "Traceback" not in outcome.err
    for text in says:
        assert text in outcome.err


NAMES = [
    (["goal=entt"], ["goal 'entt'", "did you mean 'ent'?", "ent, fir"]),
    (["goal=zzz"], ["goal 'zzz'", "ent, fir"]),
    (["operator=maximum"], ["operator 'maximum'", "max, min, oracle"]),
    (["strategy=randon"], ["'randon'", "did you mean 'random'?"]),
    (["utility=influnce"], ["'influnce'", "did you mean 'influence'?"]),
    (["model=svm"], ["model 'svm'", "sklearn, softmax"]),
    (["dataset=digit"], ["'digit'", "did you mean 'digits'?"]),
    (["tracker=wandb"], ["tracker 'wandb'", "csv, mlflow"]),
    (["experiment=leter"], ["'leter'", "did you mean 'letter'?", "synth2"]),
    (["monitors=[ent,firr]"], ["goal 'firr'", "did you mean 'fir'?"]),
    (["hydra/launcher=slurm"], ["hydra/launcher 'slurm'", "basic"]),
    (["gaol=ent"], ["option 'gaol'", "did you mean 'goal'?", "batch_size"]),
    (["batchsize=3"], ["'batchsize'", "did you mean 'batch_size'?"]),
    (["goal.alpha=3"], ["option of goal=ent: 'alpha'", "available: none"]),
    (["operator=annealed", "operator.stop=3"], ["operator=annealed: 'stop'", "end, schedule"]),
    (["model.c=3"], ["option of model=softmax: 'c'", "C, penalize_intercept"]),
    (["stop=utility_threshold", "stop.min_gian=1"], ["'min_gian'", "did you mean 'min_gain'?"]),
    (["stop.min_gain=1"], ["option of stop=budget: 'min_gain'", "stop=utility_threshold has it"]),
    (["stop=any", "stop.rules=[bugdet]"], ["stop 'bugdet'", "did you mean 'budget'?"]),
    (["stop=any", "stop.rules=['cost label=much']"], ["cost label=much", "NAME OPTION=VALUE"]),
    (["stop=any", "stop.rules=['cost lable=1']"], ["stop=cost: 'lable'", "did you mean 'label'?"]),
    (["+model.extra=3"], ["option of model=softmax: 'extra'", "regime"]),
    (["+extra=3"], ["option 'extra'", "n_queries"]),
    (["metrics=[accuracy,ecce]"], ["metric 'ecce'", "did you mean 'ece'?", "roc_auc"]),
    (["metrics=ecce"], ["metric 'ecce'", "did you mean 'ece'?"]),
    (["metric=accuracy"], ["option 'metric'", "did you mean 'metrics'?"]),
    (["metrics.ece.bins=3"], ["ece is not measured", "metrics=[accuracy,", ",ece]"]),
    (["metrics=[ece]", "metrics.ece.bin=3"], ["metrics=[ece]: 'bin'", "did you mean 'bins'?"]),
    (["metrics=[]"], ["metrics=[]", "macro_f1"]),
    (["~metrics"], ["~metrics", "macro_f1"]),
    (["goal=null"], ["goal=null", "ent, fir"]),
    (["operator="], ["operator=", "oracle"]),
    (["~tracker"], ["~tracker", "csv, mlflow"]),
]

VALUES = [
    (["batch_size=many"], ["batch_size=many", "a whole number"]),
    (["batch_size=1.5"], ["batch_size=1.5", "a whole number"]),
    (["batch_size="], ["batch_size=", "a whole number"]),
    (["metrics=[ece]", "metrics.ece.bins=many"], ["metrics.ece.bins=many", "a whole number"]),
    (["metrics=[ece]", "metrics.ece.bins=0"], ["metrics.ece.bins=0", "at least 1"]),
    (["ceiling=[1]"], ["ceiling=[1]", "auto, true, false"]),
    (["ceiling={a:1}"], ["ceiling={'a': 1}", "auto, true, false"]),
    (["record.utilities=some"], ["record.utilities=some", "all, quantiles"]),
    (["figures=some"], ["figures=some", "true or false"]),
    (["dev.use=test"], ["dev.use=test", "goal, train"]),
    (["goal=dev", "dev.use=train"], ["goal dev", "dev.use=goal"]),
    (["monitors=[ent,dev]", "dev.use=train"], ["goal dev", "such as ent"]),
    (["batch_size=0"], ["batch_size=0", "at least 1"]),
    (["batch_size=-10"], ["batch_size=-10", "at least 1"]),
    (["n_queries=0"], ["n_queries=0", "at least 1"]),
    (["n_queries=-1"], ["n_queries=-1", "at least 1"]),
    (["seed=-1"], ["seed=-1", "at least 0"]),
    (["seed=first"], ["seed=first", "a whole number"]),
    (["threads=0"], ["threads=0", "at least 1"]),
    (["precision=half"], ["precision 'half'", "single", "double"]),
    (["progress=maybe"], ["progress=maybe", "true or false"]),
    (["monitors=ent"], ["monitors=ent", "[a,b]"]),
    (["guard=off"], ["guard=", "warn, error"]),
    (["model.C=0"], ["model.C=0", "positive"]),
    (["model.C=-1"], ["model.C=-1", "positive"]),
    (["model.C=nan"], ["model.C=nan", "positive"]),
    (["model.C=inf"], ["model.C=inf", "finite"]),
    (["model.C=big"], ["model.C=big", "a number"]),
    (["model.C=null"], ["model.C=null"]),
    (["model=sklearn", "model.C=0"], ["model.C=0", "positive"]),
    (["model.regime=fixed"], ["model.regime=fixed", "fixed_C, fixed_lambda"]),
    (["operator=annealed", "operator.start=0"], ["operator.start=0", "above 0"]),
    (["strategy=uncertainty", "strategy.measure=gini"], ["gini", "margin, entropy"]),
    (["goal=dev", "dev.fraction=0"], ["dev.fraction=0", "above 0"]),
    (["dev.fraction=1"], ["dev.fraction=1", "below 1"]),
    (["goal=dev", "dev.fraction=0.0001"], ["dev.fraction=0.0001", "0 samples"]),
    (["stop.patience=0"], ["option of stop=budget", "goal_plateau or utility_threshold has it"]),
    (["stop=utility_threshold", "stop.min_gain=-1"], ["stop.min_gain=-1", "at least 0"]),
    (["stop=wall_time", "stop.seconds=soon"], ["stop.seconds=soon", "a number"]),
    (["stop=stable_predictions", "stop.agreement=2"], ["stop.agreement=2", "at most 1"]),
    (["stop=goal_plateau", "stop.patience=0"], ["stop.patience=0", "at least 1"]),
    (["dataset.n_test=0"], ["n_test=0", "at least 1"]),
    (["dataset.n_init=3"], ["n_init=3", ">= 10"]),
    (["dataset.n_test=1790"], ["1797 samples", "n_test=1790"]),
    (["dataset=synth2", "dataset.n_init=7"], ["n_init=7", "even"]),
    (["operator=expected", "guard=error", "progress=false"], ["Remark 1", "average"]),
]

WORDS = [
    (["plugin"], ["command 'plugin'", "did you mean 'plugins'?", "resume, sync, ui"]),
    (["goal=ent", "operator"], ["command 'operator'", "NAME=VALUE"]),
    (["plugins", "list"], ["plugins list", "plugins show NAME"]),
    (["plugins", "show"], ["plugins show", "plugins show NAME"]),
    (["plugins", "show", "entt"], ["'entt'", "did you mean 'ent'?"]),
    (["plugins", "--jsn"], ["--jsn"]),
    (["resume"], ["RUN_DIR"]),
    (["resume", "nowhere"], ["nowhere", "holds no run"]),
    (["sync", "nowhere"], ["no run in nowhere"]),
    (["ui", "--port", "http"], ["--port", "'http'"]),
    (["ui", "--port", "70000"], ["70000", "65535"]),
    (["--verbose"], ["--verbose", "--help"]),
    (["--cfg", "all", "-m"], ["--multirun", "--cfg"]),
    (["--cfg", "everything"], ["everything", "'job', 'hydra', 'all'"]),
    (["--experimental-rerun", "x.pickle"], ["goralx resume"]),
    (["--config-dir", "nowhere"], ["nowhere"]),
    (["--config-name", "nowhere"], ["nowhere"]),
    (["goal=ent,fir"], ["goal=ent,fir", "-m"]),
    (["seed=[1"], ["seed=[1"]),
    (["goal.x=(1"], ["goal.x=(1"]),
    (["seed=${nothing}"], ["'nothing'"]),
    (["-m", "goal=ent,entt"], ["goal 'entt'", "did you mean 'ent'?"]),
    (["-m", "goal=ent", "seed=0,x"], ["seed=x", "a whole number"]),
    (["-m", "goal=ent", "gaol=1,2"], ["'gaol'", "did you mean 'goal'?"]),
]


@pytest.mark.parametrize("words, says", [*NAMES, *VALUES, *WORDS], ids=lambda v: " ".join(v))
def test_a_bad_command_line_is_refused_in_a_line(words, says, here, capsys):
    refused(call(capsys, *words), *says)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [["goal=entt"], ["batch_size=0"], ["-m", "seed=0,x"], ["--verbose"], ["plugins", "show", "x"]],
    ids=" ".join,
)
def test_the_program_exits_as_it_should(words, here):
    refused(launch(here, *words))
    assert list(here.iterdir()) == []


# Data files --------------------------------------------------------------------------------------

ROWS = [f"{i},{i % 7},{i % 3}.5,{'abc'[i % 3]}" for i in range(60)]


def table(*changed: tuple[int, str], rows: list[str] = ROWS) -> str:
    lines = list(rows)
    for i, line in changed:
        lines[i] = line
    return "\n".join(["u,v,w,kind", *lines]) + "\n"


def npz(path: Path, **arrays) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)


CSV = {
    "empty": ("", ["empty"]),
    "header only": ("u,v,w,kind\n", ["data.csv"]),
    "a word": (table((4, "4,many,1.5,a")), ["v", "many"]),
    "a missing value": (table((4, "4,,1.5,a")), ["v", "missing"]),
    "an infinity": (table((4, "4,inf,1.5,a")), ["inf"]),
    "a missing label": (table((4, "4,4,1.5,")), ["kind", "missing"]),
    "a row too long": (table((4, "4,4,1.5,a,9")), ["data.csv"]),
    "one class": (table(rows=[f"{i},{i},{i},a" for i in range(60)]), ["one class", "'a'"]),
    "too few rows": (table(rows=ROWS[:6]), ["6 samples"]),
    "a rare class": (table((59, "59,3,2.5,d")), ["'d'"]),
    "binary": (b"\x00\xff\xfe\x80" * 100, ["data.csv"]),
}


@pytest.mark.parametrize("content, says", CSV.values(), ids=CSV)
def test_a_bad_table_is_refused_in_a_line(content, says, here, capsys):
    path = here / "data.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    outcome = call(capsys, "dataset=csv", "dataset.path=data.csv", "dataset.label=kind")
    refused(outcome, *says)
    assert list(here.iterdir()) == [path]


ONES = np.ones((60, 2))
HALVES = np.arange(60) % 2
ARRAYS = {
    "no X": ({"y": HALVES}, ["no array X"]),
    "no y": ({"X": ONES}, ["no array y"]),
    "other lengths": ({"X": ONES, "y": HALVES[:50]}, ["60", "50"]),
    "NaN": (
        {"X": np.where(np.arange(60) == 7, np.nan, 1.0)[:, None], "y": HALVES},
        ["nan", "row 7"],
    ),
    "one class": ({"X": ONES, "y": 0 * HALVES}, ["one class"]),
    "text": ({"X": np.full((60, 2), "x"), "y": HALVES}, ["numbers"]),
    "flat": ({"X": ONES[:, 0], "y": HALVES}, ["(60,)"]),
    "objects": ({"X": ONES.astype(object), "y": HALVES}, ["data.npz"]),
}


@pytest.mark.parametrize("arrays, says", ARRAYS.values(), ids=ARRAYS)
def test_bad_arrays_are_refused_in_a_line(arrays, says, here, capsys):
    npz(here / "data.npz", **arrays)
    refused(call(capsys, "dataset=npz", "dataset.path=data.npz"), *says)
    assert [p.name for p in here.iterdir()] == ["data.npz"]


@pytest.mark.parametrize("dataset", ["csv", "npz", "letter", "rt_polarity"])
def test_a_missing_data_file_is_refused_in_a_line(dataset, here, capsys):
    refused(call(capsys, f"dataset={dataset}", "dataset.path=no/such.file"), "no/such.file")
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("dataset", ["csv", "npz", "openml"])
def test_a_data_set_that_must_be_named_says_so(dataset, here, capsys):
    refused(call(capsys, f"dataset={dataset}"), f"dataset={dataset}")
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "dataset, name",
    [("npz", "x.npz"), ("letter", "x.data"), ("letter", "x.arff"), ("rt_polarity", "x.npz")],
)
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"not what it says\n"])
def test_a_corrupt_data_file_is_refused_in_a_line(dataset, name, content, here, capsys):
    (here / name).write_bytes(content)
    refused(call(capsys, f"dataset={dataset}", f"dataset.path={name}"), name)
    assert [p.name for p in here.iterdir()] == [name]


def test_a_data_folder_that_is_none_is_refused(here, capsys, monkeypatch):
    monkeypatch.setenv("GORALX_DATA", str(here / "none"))
    refused(call(capsys, "dataset=letter"), "GORALX_DATA")


def test_a_plugin_folder_that_is_none_is_refused(here):
    refused(launch(here, "goal=ent", GORALX_PLUGINS="none"), "GORALX_PLUGINS", "not a folder")


# Output folders ----------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [[], ["-m", "seed=0,1"]], ids=["run", "sweep"])
def test_a_file_in_the_way_of_the_outputs_is_refused(words, here, capsys):
    (here / "outputs").write_text("mine")
    refused(call(capsys, "dataset=iris", *words), "outputs")
    assert (here / "outputs").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write anywhere")
@pytest.mark.parametrize("words", [[], ["-m", "seed=0,1"]], ids=["run", "sweep"])
def test_a_folder_without_permission_is_refused(words, here, capsys):
    here.chmod(0o500)
    try:
        refused(call(capsys, "dataset=iris", *words), "outputs", "Permission denied")
    finally:
        here.chmod(0o700)


@pytest.mark.parametrize("place", ["/proc/outputs", "/dev/null/outputs"])
def test_a_folder_that_cannot_be_made_is_refused(place, here, capsys):
    refused(call(capsys, "dataset=iris", f"hydra.run.dir={place}"), place.rpartition("/")[0])
    assert list(here.iterdir()) == []


def test_a_directory_with_a_run_in_it_is_refused_and_left_alone(here, capsys):
    words = (*SHORT, "strategy=random", "hydra.run.dir=mine")
    assert call(capsys, *words).status == 0
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    refused(call(capsys, *words, "seed=1"), "mine", "already holds a run", "goralx resume")
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_a_refused_run_leaves_a_folder_that_was_there(here, capsys):
    (here / "outputs").mkdir()
    (here / "outputs" / "mine").write_text("kept")
    refused(call(capsys, "batch_size=0"))
    refused(call(capsys, "-m", "seed=0,x"))
    assert [p.name for p in (here / "outputs").iterdir()] == ["mine"]

"""``goralx report`` and ``goralx lint``: which records are meant, what is refused, and the hook."""

from __future__ import annotations

import json

import pytest

from goralx.app import comparing
from goralx.report import folder as folder_module
from goralx.report.publishing import Published
from tests.comparison import made
from tests.program import call


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Pictures cost seconds, and are looked at elsewhere."""

    def named(picture, folder):
        return Published(picture.name, picture.title, picture.caption, "<svg></svg>", "<svg></svg>")

    monkeypatch.setattr(folder_module, "publish_widths", named)


def sweep(folder, **options):
    return made.sweep(folder, **{"seeds": range(2), "datasets": ("wine",), **options})


def refused(done, *said):
    assert done.status == 2 and len(done.errors) == 1, done
    assert done.errors[0].startswith("goralx: ")
    for text in said:
        assert text in done.errors[0], done.errors[0]


def test_a_sweep_is_reported_beside_its_runs(here, capsys):
    sweep(here / "mine")
    done = call(capsys, "report", "mine")
    assert done.status == 0 and "report: mine/report/report.html" in done.out
    assert "Report on mine" in (here / "mine" / "report" / "report.html").read_text()
    assert (here / "outputs" / "arm_colours.json").is_file()
    assert call(capsys, "report", "mine").status == 0  # its own report is no run


def test_a_sweep_goes_by_its_name_and_the_latest_by_none(here, capsys):
    sweep(here / "outputs" / "sweeps" / "first")
    assert "sweeps/first/report" in call(capsys, "report", "first").out
    assert "sweeps/first/report" in call(capsys, "report").out


def test_runs_by_themselves_have_a_folder_of_their_own(here, capsys):
    runs = [str(made.record(here / f"r{seed}", seed)) for seed in range(2)]
    done = call(capsys, "report", *runs)
    assert done.status == 0 and "outputs/reports/" in done.out
    assert call(capsys, "report", *runs, "--out", "there").out.startswith("report: there/")


def test_what_is_compared_can_be_chosen(here, capsys):
    sweep(here / "mine")
    words = ("report", "mine", "--by", "strategy", "--baseline", "uncertainty", "--baseline-only")
    assert call(capsys, *words).status == 0
    text = (here / "mine" / "report" / "comparisons.csv").read_text()
    pairs = {tuple(line.split(",")[2:4]) for line in text.splitlines()[1:]}
    # what else differs is told apart all the same: nothing unlike is averaged
    assert pairs == {("random", "uncertainty"), ("goral max", "uncertainty")}


@pytest.mark.parametrize(
    "words, said",
    [
        (["nowhere"], ["nowhere is no folder"]),
        (["empty"], ["holds no runs"]),
        ([], ["there is no sweep"]),
        (["mine", "--by", "startegy"], ["startegy", "strategy"]),
        (["mine", "--baseline", "nobody"], ["nobody", "random"]),
        (["mine", "--baseline", "ent oracle"], ["uses the truth"]),
        (["mine", "--filter", "x"], ["--mlflow"]),
        (["mine", "--mlflow"], ["not both"]),
        (["--mlflow", "sqlite:///none.db"], ["no runs at"]),
        (["damaged"], ["damaged is damaged", "run it anew"]),
        (["studies"], ["none of 1 records", "study"]),
        (["mine", "--out", "taken"], ["something else"]),
    ],
)
def test_bad_input_is_one_line(here, capsys, words, said):
    sweep(here / "mine")
    (here / "empty").mkdir()
    (made.record(here / "damaged") / "rounds.csv").write_text("n_labelled,test/accuracy\n1,x\n")
    made.record(here / "studies" / "one", tags={"goralx.job": "approximation"})
    (here / "taken").mkdir()
    (here / "taken" / "thesis.txt").write_text("mine")
    refused(call(capsys, "report", *words), *said)
    if "--out" not in words and "--baseline" not in words:
        refused(call(capsys, "lint", *words), *said)
    assert not (here / "mine" / "report").exists()


def test_a_mixed_folder_says_what_it_leaves_out(here, capsys):
    sweep(here / "mine")
    made.record(here / "mine" / "study", tags={"goralx.job": "approximation"})
    (made.record(here / "mine" / "odd", 7) / "summary.json").write_text("{")
    made.record(here / "mine" / "dead", 8, status="running")
    done = call(capsys, "report", "mine")
    assert done.status == 0 and len([e for e in done.errors if "left out: " in e]) == 3
    page = (here / "mine" / "report" / "report.html").read_text()
    assert "cut short by a hard kill" in page and "a study of approximation quality" in page


def test_lint_says_what_and_the_remedy_and_fails_for_faults(here, capsys):
    sweep(here / "mine", seeds=range(8))
    done = call(capsys, "lint", "mine")
    assert done.status == 0 and "note: truth used" in done.out and "lint: 0 faults" in done.out
    pool = list(range(140))
    for arm in ("random", "uncertainty", "goral"):
        made.record(
            here / "mine" / f"odd-{arm}", 20, arm,
            instance={"init": range(190, 200), "pool": pool, "test": range(130, 190)},
        )  # fmt: skip
    done = call(capsys, "lint", "mine")
    assert done.status == 1 and "fault: pool and test overlap" in done.out


# At a sweep's end --------------------------------------------------------------------------------


def test_a_sweep_reports_by_itself(here, capsys):
    words = ("-m", "dataset=iris", "n_queries=10", "tracker=csv", "figures=false", "seed=0,1")
    words = (*words, "strategy=random,uncertainty", "hydra.sweep.dir=mine", "progress=false")
    done = call(capsys, *words)
    assert done.status == 0 and "report: mine/report/report.html" in done.out
    text = (here / "mine" / "report" / "runs.csv").read_text()
    assert text.count("random") == text.count("uncertainty") == 4  # arm and folder
    tags = [json.loads(p.read_text())["tags"] for p in (here / "mine").glob("*/summary.json")]
    assert len({t["goralx.data"] for t in tags}) == 2, "arms of a seed have the same data"
    assert "report:" not in call(capsys, *words).out, "nothing was done that is not in it"


def test_no_report_where_none_is_wanted_or_it_cannot_be(here, capsys, monkeypatch):
    sweep(here / "quiet", config={"report": False})
    comparing.after_sweep(here / "quiet")
    assert not (here / "quiet" / "report").exists()
    sweep(here / "many")
    monkeypatch.setattr(comparing, "MANY", 3)
    comparing.after_sweep(here / "many")
    assert "no report: 4 arms" in capsys.readouterr().err
    monkeypatch.setattr(comparing, "MANY", 30)
    (here / "many" / "report").write_text("in the way")
    comparing.after_sweep(here / "many")
    assert "no report: " in capsys.readouterr().err


# From MLflow -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_runs_of_a_store_are_reported_wherever_their_folders_are(here, store, capsys):
    words = ("dataset=iris", "n_queries=10", "figures=false", "progress=false", "strategy=random")
    assert call(capsys, *words, "hydra.run.dir=kept").status == 0
    assert call(capsys, *words, "seed=1", "hydra.run.dir=lost").status == 0
    (here / "lost").rename(here / "elsewhere")
    done = call(capsys, "report", "--mlflow", store, "--out", "r")
    assert done.status == 0, done
    assert (here / "r" / "runs.csv").read_text().count("random") >= 2
    query = "tags.`goralx.seed` = '1'"
    assert call(capsys, "report", "--mlflow", store, "--filter", query, "--out", "s").status == 0
    assert len((here / "s" / "runs.csv").read_text().splitlines()) == 2
    refused(call(capsys, "report", "--mlflow", store, "--filter", "tags.x ="), "search syntax")
    refused(call(capsys, "report", "--mlflow", store, "--filter", "tags.x = 'y'"), "no run")

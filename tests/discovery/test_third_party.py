"""A whole third-party package, built and installed, used from the command line as a user would."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from goralx.discovery import registry

SOURCE = Path(__file__).parent / "third_party"
SHORT = ("dataset=iris", "n_queries=20", "tracker=csv", "progress=false")

SAD_GOAL = "import goralx\nimport a_module_that_is_not_there\n"
OBSERVER = """
import goralx

@goralx.hookimpl
def observe_round(round):
    return {"mine/twice": 2 * round.n_labelled}
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """A folder into which pip has installed the example package from its wheel."""
    root = tmp_path_factory.mktemp("third_party")
    shutil.copytree(SOURCE, root / "source", ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index", "--no-build-isolation"]
    target = root / "site"
    wheels = root / "wheels"
    subprocess.run(
        [*pip, "wheel", *offline, "--wheel-dir", wheels, root / "source"], check=True, cwd=root
    )
    (wheel,) = wheels.glob("*.whl")
    assert wheel.name == "goralx_gini-0.3.1-py3-none-any.whl"
    subprocess.run([*pip, "install", *offline, "--target", target, wheel], check=True, cwd=root)
    return target


@pytest.fixture
def goralx(package, tmp_path):
    """Run the command line with the package installed."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("GORALX_")}
        return subprocess.run(
            [sys.executable, "-m", "goralx", *words],
            cwd=tmp_path,
            env={**inherited, "PYTHONPATH": str(package), **environment},
            capture_output=True,
            text=True,
        )

    return run


def install_broken(folder: Path) -> Path:
    """A package whose import fails, beside the good one."""
    info = folder / "sad_goal-0.9.dist-info"
    info.mkdir(parents=True)
    (folder / "sad_goal.py").write_text(SAD_GOAL)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sad-goal\nVersion: 0.9\n")
    (info / "entry_points.txt").write_text("[goralx]\nsad = sad_goal\n")
    return folder


def one_line(result: subprocess.CompletedProcess[str], status: int) -> str:
    """The one line on stderr of a run that was refused."""
    assert result.returncode == status, result.stdout + result.stderr
    (line,) = result.stderr.strip().splitlines()
    return line


def test_its_components_are_listed_with_their_origin_and_options(goralx):
    listed = json.loads(goralx("plugins", "--json").stdout)
    theirs = [c for c in listed["components"] if c["origin"] == "goralx-gini 0.3.1"]
    assert {(c["group"], c["name"]) for c in theirs} == {
        ("goal", "gini"),
        ("operator", "hopeful"),
        ("strategy", "spread"),
    }
    assert listed["broken"] == []
    shown = goralx("plugins", "show", "gini")
    assert shown.returncode == 0
    assert "goal.weight=1.0" in shown.stdout and "sum_i (|p_i|^2 - 1)" in shown.stdout


def test_it_runs_from_the_command_line_without_a_yaml_file(goralx, tmp_path):
    words = ("goal=gini", "goal.weight=2", "operator=hopeful", "strategy=spread")
    result = goralx(*words, *SHORT)
    assert result.returncode == 0, result.stderr
    (record,) = (tmp_path / "outputs" / "runs").iterdir()
    summary = json.loads((record / "summary.json").read_text())
    assert summary["status"] == "finished"
    rows = list(csv.DictReader((record / "rounds.csv").open()))
    assert [int(r["n_labelled"]) for r in rows] == [6, 16, 26]
    values = [float(r["goal/gini"]) for r in rows]
    n_pool = 150 - 38 - 6
    assert all(-2.0 * (1 - 1 / 3) * n_pool <= v <= 0.0 for v in values)
    config = (record / ".hydra" / "config.yaml").read_text()
    assert "weight: 2.0" in config and "name: hopeful" in config and "screen: 5" in config
    assert "_target_" not in config


@pytest.mark.parametrize(
    "word, says",
    [
        ("goal.wieght=2", ["wieght", "weight"]),
        ("goal.weight=heavy", ["heavy", "weight"]),
        ("goal.weight=-1", ["goal.weight=-1", "above 0"]),
        ("goal=ginni", ["ginni", "gini"]),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(goralx, tmp_path, word, says):
    words = ("goal=gini", word) if word.startswith("goal.") else (word,)
    line = one_line(goralx(*words, *SHORT), 2)
    assert all(part in line for part in says), line
    assert not (tmp_path / "outputs").exists()


def test_its_own_tests_pass_once_it_is_installed(package, tmp_path):
    shutil.copytree(SOURCE / "tests", tmp_path / "tests")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout
    assert " passed" in result.stdout and "failed" not in result.stdout


def test_a_broken_package_is_reported_and_the_others_work(goralx, package, tmp_path):
    path = f"{install_broken(tmp_path / 'site')}{os.pathsep}{package}"
    listed = goralx("plugins", PYTHONPATH=path)
    assert listed.returncode == 0
    (told,) = [line for line in listed.stdout.splitlines() if "not loaded" in line]
    assert "sad-goal 0.9" in told and "a_module_that_is_not_there" in told
    assert "gini" in listed.stdout

    line = one_line(goralx("goal=sad", *SHORT, PYTHONPATH=path), 2)
    assert "sad-goal 0.9" in line and "a_module_that_is_not_there" in line

    strict = goralx("plugins", PYTHONPATH=path, GORALX_STRICT_PLUGINS="1")
    assert strict.returncode == 2
    assert "a_module_that_is_not_there" in strict.stderr

    ran = goralx("goal=gini", *SHORT, PYTHONPATH=path)
    assert ran.returncode == 0, ran.stderr


def test_a_clash_is_told_with_both_owners_and_the_first_stays(goralx, tmp_path):
    folder = tmp_path / "loose"
    folder.mkdir()
    shutil.copy(SOURCE / "src" / "goralx_gini" / "goals.py", folder / "mine.py")
    with (folder / "mine.py").open("a") as file:
        file.write(
            "\n\n@goralx.hookimpl\ndef register_goals(register):\n"
            "    register('gini', NegativeGini)\n"
        )
    told = goralx("plugins", GORALX_PLUGINS=str(folder))
    assert told.returncode == 0, told.stderr
    (line,) = [line for line in told.stdout.splitlines() if "not loaded" in line]
    assert "goal 'gini'" in line and "goralx-gini 0.3.1" in line and "mine.py" in line


def test_an_observers_metrics_are_in_the_record(goralx, tmp_path):
    folder = tmp_path / "loose"
    folder.mkdir()
    (folder / "watch.py").write_text(OBSERVER)
    result = goralx("strategy=random", *SHORT, GORALX_PLUGINS=str(folder))
    assert result.returncode == 0, result.stderr
    (record,) = (tmp_path / "outputs" / "runs").iterdir()
    rows = list(csv.DictReader((record / "rounds.csv").open()))
    assert [float(r["mine/twice"]) for r in rows] == [2 * int(r["n_labelled"]) for r in rows]


def test_a_plugins_folder_that_merely_lies_there_is_not_loaded(goralx, tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "trap.py").write_text("raise SystemExit('loaded')")
    listed = json.loads(goralx("plugins", "--json").stdout)
    assert listed["broken"] == []
    assert {(c["group"], c["name"]) for c in listed["components"]} > set(registry().components)

"""``goralx new-plugin``: for every kind a package that is found, runs and passes its own tests."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from goralx import discovery, testing
from goralx.app.new_plugin import KINDS, TEMPLATES, commands, files
from goralx.discovery import CHOICES, loading
from tests.program import call

DEAR = {"check_same_rows_in_another_process"}
"""A process each; the installed package below runs them once."""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*folders: Path) -> discovery.Registry:
    return loading.load(loading._own_folder(), folders, ())


def test_every_kind_that_a_run_chooses_can_be_begun():
    assert set(KINDS) == {*CHOICES, "metric"}
    assert {path.stem for path in (TEMPLATES / "components").iterdir()} == {
        f"{k}.py" for k in KINDS
    }


@pytest.mark.parametrize("group", KINDS)
def test_what_is_written_is_found_and_keeps_its_contract(group, here, capsys):
    done = call(capsys, "new-plugin", "my_own", f"--{group}")
    assert done.status == 0 and "my_own/ is written" in done.out
    assert sorted(p.name for p in here.iterdir()) == ["my_own"]
    registered = found(here / "my_own" / "src")
    assert registered.broken == ()
    component = registered.build(group, "my_own")
    assert inspect.getdoc(type(component)) and type(component).__name__ == "MyOwn"
    checks = [c for c in testing.checks(group) if c.__name__ not in DEAR]
    for check in checks:
        check(component)


@pytest.mark.parametrize("group", KINDS)
def test_its_own_tests_inherit_every_check_and_refuse_an_option(group, here, capsys, monkeypatch):
    name = f"fresh_{group}"
    call(capsys, "new-plugin", name, f"--{group}")
    monkeypatch.syspath_prepend(here / name / "src")
    tests = vars(discovery.load_file(here / name / "tests" / f"test_{name}.py"))
    (contract,) = [v for k, v in tests.items() if k.startswith("Test")]
    assert contract.group == group and contract.component is not None and not contract.skip
    tests["test_an_option_out_of_range_is_refused"]()


def test_what_is_written_is_tidy_by_its_own_rules(here, capsys):
    for group in KINDS:
        call(capsys, "new-plugin", f"my_{group}", f"--{group}")
        for path, text in files(f"my_{group}", group).items():
            assert text.endswith("\n") and not text.endswith("\n\n"), path
    for words in (("check",), ("format", "--check")):
        ruff = [sys.executable, "-m", "ruff", *words, "--no-cache", "."]
        done = subprocess.run(ruff, capture_output=True, text=True, cwd=here)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "words, says",
    [
        (("my_goal",), "--goal"),
        ((), "NAME"),
        (("my_goal", "--goal", "--model"), "not allowed with"),
        (("my-goal", "--goal"), "underscores"),
        (("../goal", "--goal"), "underscores"),
        (("Goal", "--goal"), "underscores"),
        (("class", "--goal"), "Python"),
        (("json", "--goal"), "module 'json'"),
        (("numpy", "--goal"), "module 'numpy'"),
        (("ent", "--goal"), "goal 'ent' is there already"),
        (("goal", "--sampler"), "--"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line_and_nothing_is_written(words, says, here, capsys):
    refused = call(capsys, "new-plugin", *words)
    assert refused.status == 2 and says in refused.err and len(refused.errors) == 1, refused
    assert list(here.iterdir()) == []


def test_a_folder_that_is_there_stays_as_it_is(here, capsys):
    (here / "my_own").mkdir()
    (here / "my_own" / "work.py").write_text("mine")
    refused = call(capsys, "new-plugin", "my_own", "--goal")
    assert refused.status == 2 and "there already" in refused.err
    assert [p.name for p in here.rglob("*")] == ["my_own", "work.py"]


def test_the_entry_point_is_of_the_module_that_is_there(here, capsys):
    import tomllib

    call(capsys, "new-plugin", "my_own", "--goal")
    project = tomllib.loads((here / "my_own" / "pyproject.toml").read_text())
    declared = project["project"]["entry-points"]["goralx"]
    assert declared == {"my_own": "my_own"}
    (kept,) = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    assert (here / "my_own" / kept).is_file()
    assert EntryPoint("my_own", declared["my_own"], "goralx").module == Path(kept).stem


@pytest.mark.slow
@pytest.mark.parametrize("group", KINDS)
def test_it_installs_lists_runs_and_passes(group, here, capsys):
    """The author's hour: what is typed, in the order of what is printed and of the README."""
    name = f"my_{group}"
    call(capsys, "new-plugin", name, f"--{group}")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--target", here / "site"]
    subprocess.run([*pip, *offline, here / name], check=True)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("GORALX_")}
    environment = {**inherited, "PYTHONPATH": str(here / "site")}

    def typed(*words: str, cwd: Path = here) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *words], cwd=cwd, env=environment, capture_output=True, text=True
        )

    def run(*words: str, cwd: Path = here) -> str:
        done = typed(*words, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    listed = json.loads(run("goralx", "plugins", "show", name, "--json"))
    assert [c["origin"] for c in listed["components"]] == [f"goralx-my-{group} 0.1.0"]
    words = commands(name, group).split()[1:-1]
    quiet = ["n_queries=20", "progress=false", "report=false", "figures=false"]
    quiet += [] if group == "tracker" else ["tracker=csv"]
    run("goralx", *words, *quiet)
    (readme,) = [
        line for line in (here / name / "README.md").read_text().splitlines() if "=..." in line
    ]
    option = re.search(r"`([\w.]+)=\.\.\.`", readme).group(1)
    wrong = KINDS[group].refused.partition("=")[2].strip('"')
    refused = typed("goralx", *words, *quiet, f"{option}={wrong}")
    assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 1, refused.stderr
    assert option.rpartition(".")[2] in refused.stderr
    passed = run("pytest", "-q", "-p", "no:cacheprovider", cwd=here / name)
    assert f"{len(testing.checks(group)) + 1} passed" in passed

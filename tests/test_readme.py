"""The README's commands and code do what they say: every block is taken from it and run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import markdown

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
INSTALLING = ("python3 -m venv", ". .venv", "pip install", "python -m pytest")
ELSEWHERE = ("goralx ui",)  # a server: tested where its address and its end are looked at


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def scripts() -> list[str]:
    """Each block without what installs or serves: its commands build on one another."""
    kept = []
    for block in blocks("bash"):
        parts = [part.strip() for line in block.splitlines() for part in line.split("&&")]
        wanted = [p for p in parts if p and not p.startswith((*INSTALLING, *ELSEWHERE))]
        if wanted:
            kept.append("\n".join(wanted))
    return kept


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory as a reader has it: the plugin of the README in the folder it names."""
    place = tmp_path_factory.mktemp("reader")
    (place / "my_plugins").mkdir()
    [plugin] = [code for code in blocks("python") if code.startswith("# gini.py")]
    (place / "my_plugins" / "gini.py").write_text(plugin)
    return place


@pytest.mark.slow
@pytest.mark.parametrize("script", scripts())
def test_commands(script, place):
    programs = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": programs + os.pathsep + os.environ["PATH"]}
    done = subprocess.run(
        ["bash", "-ec", script], cwd=place, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("code", [c for c in blocks("python") if not c.startswith("# gini.py")])
def test_code(code):
    exec(compile(code, "README.md", "exec"), {})


def test_plugin_is_short_and_keeps_the_contract(place):
    import importlib.util

    from goralx import testing

    path = place / "my_plugins" / "gini.py"
    assert len(path.read_text().strip().splitlines()) <= 26
    spec = importlib.util.spec_from_file_location("readme_gini", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["readme_gini"] = module
    spec.loader.exec_module(module)
    testing.check_goal(module.NegativeGini(weight=2.0))


def test_first_blocks_are_one_line_each():
    first, second = blocks("bash")[:2]
    assert len(first.strip().splitlines()) == len(second.strip().splitlines()) == 1
    assert first.strip().endswith("python -m goralx goal=ent operator=max")


def test_ci_runs_the_second_command():
    second = blocks("bash")[1].strip()
    script = (ROOT / ".ci" / "run").read_text()
    assert second in script


def test_pictures_exist():
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / picture).read_bytes().startswith(b"\x89PNG"), picture


def test_the_table_of_speeds_is_what_was_measured():
    saved = json.loads((ROOT / "outputs" / "readme" / "benchmarks.json").read_text())
    assert not saved["smoke"]
    assert markdown(saved) in README
    assert saved["date"] in README


def test_named_components_exist():
    from goralx.discovery import registry

    names = {name for _, name in registry().components}
    for row in re.findall(r"^\| (`[^|]*?`) \|", README, flags=re.MULTILINE):
        for name in re.findall(r"`([a-z_0-9]+)`", row):
            assert name in names, name

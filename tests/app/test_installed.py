"""The wheel behaves as the checkout does, from a directory full of other people's things."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.program import SHORT

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the source distribution, and the wheel that is built from it."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT]
    subprocess.run(build, check=True, capture_output=True, cwd=out)
    return out


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Path:
    """A folder into which pip has installed the wheel."""
    target = tmp_path_factory.mktemp("site")
    (wheel,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    subprocess.run([*pip, "--no-deps", "--no-index", "--target", target, wheel], check=True)
    return target


@pytest.fixture
def foreign(tmp_path) -> Path:
    """A working directory with a package ``conf`` and a folder ``plugins`` of something else."""
    for name in ("conf", "plugins"):
        (tmp_path / name).mkdir()
        for file in ("__init__.py", "goals.py", "ent.py"):
            (tmp_path / name / file).write_text(f"raise SystemExit('a foreign {name} was read')\n")
    (tmp_path / "conf" / "config.yaml").write_text("foreign: true\n")
    (tmp_path / "conf" / "goal").mkdir()
    (tmp_path / "conf" / "goal" / "ent.yaml").write_text("foreign: true\n")
    return tmp_path


def run(directory: Path, source: Path, *command: str) -> str:
    """What a command prints in ``directory``, with the goralx that lies in ``source``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GORALX_", "HYDRA_"))}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=directory,
        env={**kept, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and done.stderr == "", done
    return done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["--cfg", "job"],
        ["--help"],
        ["plugins"],
        ["plugins", "show", "annealed"],
        ["guide", "schema"],
    ],
    ids=" ".join,
)
def test_the_wheel_says_what_the_checkout_says(words, installed, foreign):
    for source in (installed, ROOT):
        where = run(foreign, source, "-c", "import goralx; print(goralx.__file__)")
        assert Path(where.strip()).is_relative_to(source)
    assert run(foreign, installed, "-m", "goralx", *words) == run(
        foreign, ROOT, "-m", "goralx", *words
    )


def test_the_wheel_runs_as_the_checkout_does(installed, foreign):
    words = (*SHORT, "goal=fir", "operator=annealed", "audit.every=0")
    run(foreign, installed, str(installed / "bin" / "goralx"), *words, "hydra.run.dir=wheel")
    run(foreign, ROOT, "-m", "goralx", *words, "hydra.run.dir=checkout")
    wheel, checkout = foreign / "wheel", foreign / "checkout"
    assert (wheel / "queries.csv").read_text() == (checkout / "queries.csv").read_text()
    tables = [(d / "summary.json").read_text() for d in (wheel, checkout)]
    first, second = map(json.loads, tables)
    for key in ("fingerprint", "config", "test", "aulc", "goals", "labels_needed"):
        assert first[key] == second[key]


def test_the_wheel_resumes_from_anywhere(installed, foreign, tmp_path_factory):
    run(foreign, installed, "-m", "goralx", *SHORT, "strategy=random", "hydra.run.dir=mine")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    told = run(elsewhere, installed, "-m", "goralx", "resume", str(foreign / "mine"))
    assert "iris-random" in told


def test_the_distributions_hold_what_they_need_and_nothing_else(built, installed):
    package = installed / "goralx"
    for folder in ("conf", "plugins"):
        assert _files(package / folder) == _files(ROOT / folder)
    assert (package / "py.typed").is_file()
    top = {p.name for p in installed.iterdir() if not p.name.endswith(".dist-info")}
    assert top == {"goralx", "bin"}
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2].partition("/")[0] for name in archive.getnames()}
    assert names >= {"goralx", "conf", "plugins", "tests", "README.md", "LICENSE", "pyproject.toml"}
    assert names.isdisjoint({"outputs", ".git", ".venv"})


def _files(folder: Path) -> set[str]:
    paths = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    return {str(path) for path in paths if "__pycache__" not in path.parts}

"""What the package says of itself is the same wherever it says it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import goralx

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def loaded(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def test_the_pythons_it_is_for_are_those_it_is_tried_on():
    workflow = loaded(ROOT / ".github" / "workflows" / "ci.yml")
    (job,) = workflow["jobs"].values()
    tried = job["strategy"]["matrix"]["python"]
    said = "Programming Language :: Python :: 3."
    assert [f"{said}{v[2:]}" for v in tried] == [c for c in PROJECT["classifiers"] if said in c]
    assert PROJECT["requires-python"] == f">={tried[0]}"
    assert job["steps"][-1]["run"] == ".ci/run" and (ROOT / ".ci" / "run").stat().st_mode & 0o100


def test_the_site_has_every_page_and_loads_nothing_from_elsewhere(tmp_path):
    site = loaded(ROOT / ".mkdocs.yml")
    assert sorted(site["nav"]) == sorted(p.name for p in (ROOT / site["docs_dir"]).glob("*.md"))
    pytest.importorskip("mkdocs", reason="needs goralx[docs]")
    words = ["-m", "mkdocs", "build", "--strict", "-q", "-f", ROOT / ".mkdocs.yml", "-d", tmp_path]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for page in tmp_path.glob("*.html"):
        loads = r"""(?:<script[^>]*\bsrc|<link[^>]*\bhref|<img[^>]*\bsrc)=["'](https?:[^"']*)"""
        assert not re.findall(loads, page.read_text(encoding="utf-8")), page.name


def test_the_citation_is_of_this_version():
    citation = loaded(ROOT / "goralx" / "guide" / "CITATION.cff")
    assert citation["version"] == PROJECT["version"] == goralx.__version__
    assert citation["license"] == PROJECT["license"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)  # which the format asks
    assert set(citation["keywords"]) <= set(PROJECT["keywords"])
    (paper,) = citation["references"]
    assert paper["title"] in " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_an_issue_form_asks_something_and_can_be_shown(form):
    asked = loaded(form)
    assert asked["name"] and asked["description"]
    ids = [field["id"] for field in asked["body"]]
    assert len(set(ids)) == len(ids)
    for field in asked["body"]:
        assert field["type"] in {"textarea", "input", "dropdown", "checkboxes"}
        assert field["attributes"]["label"]
    assert any(field.get("validations", {}).get("required") for field in asked["body"])

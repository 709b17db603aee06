"""``goralx doctor``: all is well here, and each thing that may be amiss is named."""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import replace
from pathlib import Path

import pytest

from goralx.app import doctor
from goralx.discovery import BrokenPlugin, registry
from goralx.errors import PluginError
from tests.program import call


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("GORALX_DATA", "GORALX_PLUGINS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GORALX_CACHE", str(tmp_path / "cache"))
    return tmp_path


def amiss(look) -> list[str]:
    return [finding.said for finding in doctor._guarded(look) if not finding.well]


def test_all_is_well_and_nothing_is_left(here, capsys):
    done = call(capsys, "doctor")
    assert done.status == 0 and done.err == "" and done.out.endswith("all is well\n"), done
    looked_at = {line.split()[1] for line in done.out.splitlines()[:-1]}
    assert {"versions", "plugins", "variables", "outputs", "cache", "store", "threads"} <= looked_at
    assert f"numpy {importlib.metadata.version('numpy')}" in done.out
    assert [p.name for p in here.rglob("*")] == ["cache"]


def test_every_variable_that_goralx_reads_is_known():
    root = Path(doctor.__file__).parents[2]
    sources = [p for folder in ("goralx", "plugins") for p in (root / folder).rglob("*.py")]
    read = {
        name
        for path in sources
        for name in re.findall(r'environ\S*?"(GORALX_[A-Z_]+)"', path.read_text())
    }
    assert read == set(doctor.VARIABLES)


@pytest.mark.parametrize(
    "name, value, says",
    [
        ("GORALX_DATE", "/", "did you mean GORALX_DATA"),
        ("GORALX_DATA", "nowhere", "nowhere is no folder"),
        ("GORALX_PLUGINS", "nowhere", "nowhere is no folder"),
    ],
)
def test_a_variable_that_leads_nowhere(here, monkeypatch, name, value, says):
    monkeypatch.setenv(name, value)
    (said,) = amiss(doctor.variables)
    assert name in said and says in said


def test_a_plugin_that_is_not_loaded(here, monkeypatch, capsys):
    why = "goal 'certain' is registered by sad 0.9 and by glad 1.0, whose it stays"
    sick = replace(registry(), broken=(BrokenPlugin("sad 0.9", why, ""),))
    monkeypatch.setattr(doctor, "registry", lambda: sick)
    done = call(capsys, "doctor")
    assert done.status == 2 and done.out.endswith("1 amiss\n")
    assert f"not loaded: sad 0.9: {why}" in done.out


def test_a_look_that_raises_is_a_finding_and_the_others_go_on(here, monkeypatch, capsys):
    def raises():
        raise PluginError("GORALX_PLUGINS names x, which is not a folder")

    monkeypatch.setattr(doctor, "registry", raises)
    done = call(capsys, "doctor")
    assert done.status == 2 and "names x" in done.out and "threads here" in done.out


def test_a_version_that_goralx_cannot_use_and_a_package_that_is_not_there(monkeypatch):
    needs = ["numpy>=99", "not-to-be-had>=1", 'also-not-there>=1; extra == "dev"']
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda _: needs)
    assert amiss(doctor.versions) == [
        f"numpy {importlib.metadata.version('numpy')} is installed, goralx needs >=99",
        "not-to-be-had is not installed",
    ]


def test_folders_that_cannot_be_written(here, monkeypatch):
    (here / "outputs").write_text("a file")
    monkeypatch.setenv("GORALX_CACHE", str(here / "outputs" / "cache"))
    outputs, cache = amiss(doctor.folders)
    assert "cannot write to" in outputs and "start from another folder" in outputs
    assert "GORALX_CACHE" in cache


def test_a_store_that_does_not_answer(here, monkeypatch):
    broken = here / "broken.db"
    broken.write_text("no database")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{broken}")
    (said,) = amiss(doctor.store)
    assert "broken.db" in said
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    (said,) = amiss(doctor.store)
    assert "127.0.0.1" in said

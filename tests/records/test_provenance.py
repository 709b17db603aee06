"""What determines a result is in its fingerprint, and what has changed of it is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from goralx.app.assembly import prepare
from goralx.discovery import loading, sources
from goralx.errors import BadInput, RunWarning
from goralx.records import Record, check_origin, provenance, read_summary
from tests.program import SHORT, call

PLUGIN = '''
from dataclasses import dataclass
import numpy as np
import goralx

@dataclass(frozen=True)
class NegativeGini(goralx.LogitGoal):
    """tau = sum_i (|p_i|^2 - 1)."""

    def value_and_logit_gradient(self, log_P, X, y):
        P = np.exp(log_P)
        nu = (P * P).sum(axis=1, keepdims=True)
        return float((nu - 1).sum()), 2 * P * (P - nu)

@goralx.hookimpl
def register_goals(register):
    register("gini", NegativeGini)
'''
OTHER = """
import goralx

@goralx.hookimpl
def observe_round(round):
    return {"half": round.n_labelled / 2}
"""


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """A folder of a user's plugins, which is what this process has."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "gini.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GORALX_PLUGINS", str(folder))
    loading.registry.cache_clear()
    yield folder
    monkeypatch.undo()
    loading.registry.cache_clear()


def cut(monkeypatch, capsys, *words):
    """A run that is interrupted in round 2."""
    append = Record.append

    def dying(self, round, row):
        if round.index == 2:
            raise KeyboardInterrupt
        append(self, round, row)

    with monkeypatch.context() as patched:
        patched.setattr(Record, "append", dying)
        assert call(capsys, *SHORT, "figures=false", *words, "hydra.run.dir=run").status == 130
    return Path("run")


def test_a_plugin_that_changed_is_refused_by_name_unless_forced(plugins, monkeypatch, capsys):
    run = cut(monkeypatch, capsys, "goal=gini")
    begun = read_summary(run)
    assert set(begun["sources"]) >= {"gini.py", "goals.py", "strategies.py", "goralx"}
    (plugins / "gini.py").write_text(PLUGIN.replace("2 * P", "-2 * P"))
    loading.registry.cache_clear()
    refused = call(capsys, "resume", "run")
    assert refused.status == 2 and len(refused.errors) == 1
    assert "the source of gini.py has changed" in refused.err and "--force" in refused.err
    assert read_summary(run)["status"] == "killed"
    forced = call(capsys, "resume", "run", "--force")
    assert forced.status == 0 and "the source of gini.py has changed" in forced.err
    ended = read_summary(run)
    assert ended["sources"]["gini.py"] != begun["sources"]["gini.py"]
    config = ended["config"]
    new = prepare(config, run).info.tags["goralx.fingerprint"]
    assert ended["fingerprint"] not in (begun["fingerprint"], new)  # it is neither's result
    again = call(capsys, "resume", "run")  # what it was forced to is what it is now
    assert again.status == 0 and again.err == ""


def test_what_is_not_in_use_may_change(plugins, monkeypatch, capsys):
    (plugins / "another.py").write_text(PLUGIN.replace('"gini"', '"other"'))
    loading.registry.cache_clear()
    cut(monkeypatch, capsys)
    (plugins / "gini.py").write_text(PLUGIN + "\n# a remark")
    (plugins / "another.py").unlink()
    loading.registry.cache_clear()
    done = call(capsys, "resume", "run")
    assert done.status == 0 and done.err == ""


def test_plugins_that_observe_rounds_and_parts_of_components_are_in_use(plugins):
    (plugins / "watch.py").write_text(OTHER)
    loading.registry.cache_clear()
    found = loading.registry()
    composite = found.build("goal", "composite", {"goals": ("gini", "fir")})
    used = sources(found, [composite])
    assert {"watch.py", "gini.py", "goals.py", "combined_goals.py"} == set(used)


def test_the_fingerprint_covers_source_and_version_but_no_place(plugins, monkeypatch, tmp_path):
    def made():
        loading.registry.cache_clear()
        return loading.registry().build("goal", "gini")

    first = sources(loading.registry(), [made()])
    moved = tmp_path / "elsewhere"
    shutil.copytree(plugins, moved)
    monkeypatch.setenv("GORALX_PLUGINS", str(moved))
    assert sources(loading.registry(), [made()]) == first
    print_ = provenance.fingerprint("0", first)
    (moved / "gini.py").write_text(PLUGIN + "#")
    assert provenance.fingerprint("0", sources(loading.registry(), [made()])) != print_
    assert provenance.fingerprint("1", first) != print_
    monkeypatch.setattr(provenance, "goralx_version", lambda: "0.0.9")
    assert provenance.fingerprint("0", first) != print_


def origin(**versions):
    return {"inputs": "0", "sources": {"a.py": "1"}, "versions": {"python": "3", **versions}}


def test_versions_that_can_change_numbers_are_refused_and_others_said(recwarn):
    here, begun = Path("run"), origin(numpy="1", matplotlib="1")
    assert check_origin(here, begun, begun, force=False)
    assert len(recwarn) == 0
    with pytest.raises(BadInput, match=r"numpy 1, now 2 .*--force"):
        check_origin(here, begun, origin(numpy="2", matplotlib="1"), force=False)
    with pytest.warns(RunWarning, match="numpy 1, now 2"):
        assert not check_origin(here, begun, origin(numpy="2", matplotlib="1"), force=True)
    with pytest.warns(RunWarning, match="matplotlib 1, now 2"):
        check_origin(here, begun, origin(numpy="1", matplotlib="2"), force=False)
    with pytest.raises(BadInput, match="other options or other data"):
        check_origin(here, begun, {**begun, "inputs": "1"}, force=True)
    with pytest.warns(RunWarning, match="not known"):
        check_origin(here, {**begun, "sources": None}, begun, force=False)

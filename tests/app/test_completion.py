"""What a Tab offers, from a listing that is of today, without loading what it does not need."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import goralx
from goralx.app import completion, main
from goralx.app.commands import COMMANDS
from goralx.discovery import registry


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GORALX_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache" / "completion.json"


def tab(capsys, monkeypatch, line):
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    capsys.readouterr()
    assert main(["-sc", "query=bash"]) == 0
    return capsys.readouterr().out.split()


def test_a_tab_offers_what_may_come(cache, capsys, monkeypatch):
    ask = lambda line: tab(capsys, monkeypatch, line)  # noqa: E731
    found = registry()
    assert set(COMMANDS) <= set(ask("goralx "))
    assert ask("goralx resu") == ["resume"]
    assert ask("goralx goal=e") == [f"goal={n}" for n in found.names("goal") if n[0] == "e"]
    assert "goal=ent,fir" in ask("goralx -m goal=ent,f")
    assert ask("goralx batch_s") == ["batch_size="]
    assert ask("goralx dev.f") == ["dev.fraction="]
    options = found.component("dataset", "csv").options
    given = ask("goralx dataset=csv dataset.")
    assert set(given) == {f"dataset.{option}=" for option in options}
    assert ask("goralx dataset=wine dataset.deli") == []
    assert ask("goralx plugins show entr") == ["entropic"]
    assert "experiment=fig2" in ask("goralx experiment=")
    (cache.parent.parent / "my data.csv").touch()
    assert ask("goralx dataset.path=my") == ["dataset.path=my", "data.csv"]


def test_the_listing_is_made_anew_where_a_plugin_changes(cache, monkeypatch, tmp_path):
    first = completion.listing()
    assert json.loads(cache.read_text())["listing"] == first
    asked = []
    monkeypatch.setattr("goralx.app.choices.listed", lambda: asked.append(1) or {})
    assert completion.listing() == first and not asked
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "mine.py").write_text("")
    monkeypatch.setenv("GORALX_PLUGINS", str(tmp_path / "plugins"))
    completion.listing()
    assert len(asked) == 1
    (tmp_path / "plugins" / "mine.py").write_text("import goralx")
    completion.listing()
    assert len(asked) == 2
    cache.write_text("{")
    completion.listing()
    assert len(asked) == 3


def test_a_tab_loads_neither_numpy_nor_a_plugin(cache):
    completion.listing()
    code = (
        "import sys; from goralx.app import main; main(['-sc', 'query=bash']); "
        "print(sorted({'numpy', 'hydra', 'pluggy', 'scipy'} & set(sys.modules)))"
    )
    environment = {**os.environ, "COMP_LINE": "goralx goal=en", "COMP_POINT": "14"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["goal=ent", "[]"]


def test_public_names_are_there_though_they_are_loaded_late():
    assert all(getattr(goralx, name) is not None for name in goralx.__all__)
    assert set(goralx.__all__) <= set(dir(goralx))
    from goralx import public

    assert public.__all__ == goralx.__all__
    for name in ("nothing", "_nothing", "data_"):
        with pytest.raises(AttributeError, match=name):
            getattr(goralx, name)

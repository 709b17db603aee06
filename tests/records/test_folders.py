"""goralx writes only into folders that are new, empty or its own."""

from __future__ import annotations

import pytest

from goralx.errors import BadInput
from goralx.records import Record
from tests import runs
from tests.program import SHORT, call

STUDY = ("job=approximation", "approximation.n_labelled=10", "approximation.n_pool=10")


def tree(folder):
    return {str(p.relative_to(folder)): p.is_file() and p.read_bytes() for p in folder.rglob("*")}


@pytest.mark.parametrize(
    "foreign",
    [
        {".hydra/config.yaml": "a: 1"},
        {"utilities/mine.npy": "x"},
        {"rounds.csv": "round,n_labelled\n0,1\n"},
        {"instance.npz": "x"},
        {".lock": "", ".hydra/overrides.yaml": ""},
        {"notes.txt": "mine", "queries.csv": "mine"},
        {"seals.jsonl": '{"round": 1}\n'},
    ],
)
def test_a_folder_in_use_is_refused_and_left_as_it_is(tmp_path, monkeypatch, capsys, foreign):
    monkeypatch.chdir(tmp_path)
    for name, text in foreign.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    before = tree(tmp_path)
    study = () if ".hydra" not in str(foreign) else STUDY
    done = call(capsys, *SHORT, *study, "hydra.run.dir=.")
    assert done.status == 2 and len(done.errors) == 1
    assert "in use for something else" in done.err and "hydra.run.dir=" in done.err
    assert tree(tmp_path) == before
    assert call(capsys, "resume", ".").status == 2
    assert tree(tmp_path) == before


def test_an_empty_folder_and_what_a_kill_left_of_our_own_are_taken(tmp_path):
    experiment = runs.experiment(n_queries=5)
    record = Record(tmp_path, experiment.instance)
    record.check_free()
    for names in ([".lock"], [".hydra.part"], [".lock", "seals.jsonl.part"]):
        for name in names:
            (tmp_path / name).touch()
        record.check_free()
        for name in names:
            (tmp_path / name).unlink()
    runs.run(tmp_path, experiment)
    with pytest.raises(BadInput, match="already holds a run"):
        record.check_free()
    (tmp_path / "summary.json").unlink()  # its seals still say that it does
    with pytest.raises(BadInput, match="already holds a run"):
        record.check_free()

"""Whatever is damaged in a record is named, and what is gone on with ends bit for bit the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from goralx.app import runner
from goralx.errors import BadInput
from goralx.records import FORMAT, check_whole, disk, inspect, read_npz, read_summary, seals
from goralx.records.storage import read_json, write_json
from goralx.tracking import sync
from tests import runs
from tests.app.test_resume import assert_equal_records

EXPERIMENT = runs.experiment(n_queries=20)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A whole run, and its record as it lay there after four rounds; every round on the disk."""
    home = tmp_path_factory.mktemp("damage")

    def observe(round):
        if round.index == 4:
            shutil.copytree(home / "whole", home / "cut")
        return {}

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runner.report, "draw", lambda *a: None)
        patched.setattr(disk.Disk, "due", property(lambda self: True))
        runs.run(home / "whole", EXPERIMENT, observe=observe)
    return home


@pytest.fixture
def copied(made, tmp_path):
    def copy(which: str, name: str = "run") -> Path:
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        return Path(shutil.copytree(made / which, tmp_path / name))

    return copy


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    monkeypatch.setattr(runner.report, "draw", lambda *a: None)
    monkeypatch.setattr(runner.report, "draw_pool", lambda *a: None)


def files(directory: Path) -> list[str]:
    found = (str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file())
    return sorted(name for name in found if name != ".lock" and not name.startswith("figures"))


KINDS = ("flip", "zeros", "truncate", "insert", "remove", "empty", "swap")
DAMAGE = st.tuples(st.integers(0, 99), st.sampled_from(KINDS), st.floats(0, 1), st.integers(1, 255))


def damage(path: Path, kind: str, where: float, bits: int) -> None:
    content = bytearray(path.read_bytes())
    at = min(int(where * len(content)), len(content) - 1)
    if kind == "flip":
        content[at] ^= bits
    elif kind == "zeros":
        content[at : at + bits] = bytes(len(content[at : at + bits]))
    elif kind == "truncate":
        del content[at:]
    elif kind == "insert":
        content[at:at] = bytes([bits]) * 3
    elif kind == "swap":
        content[at:], content[:at] = content[:at], content[at:]
    elif kind == "empty":
        content.clear()
    path.unlink()
    if kind != "remove":
        path.write_bytes(content)


@pytest.mark.parametrize("which", ["cut", "whole"])
@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(DAMAGE)
def test_any_damage_to_any_file_is_named_or_ends_the_same(copied, made, which, given):
    number, *how = given
    directory = copied(which)
    name = files(directory)[number % len(files(directory))]
    before = (directory / name).read_bytes()
    damage(directory / name, *how)
    assume(how[0] == "remove" or (directory / name).read_bytes() != before)
    try:
        runs.resume(directory, EXPERIMENT)
    except BadInput as refused:
        assert name in str(refused)
        return
    check_whole(directory)
    (directory / "checkpoint.previous.npz").touch()  # gone where that was damaged
    assert_equal_records(made / "whole", directory)


@pytest.mark.parametrize(
    ("name", "how", "on"),
    [
        ("checkpoint.npz", ("flip", 0.5, 1), 3),
        ("rounds.csv", ("truncate", 0.99, 1), 3),
        ("queries.csv", ("flip", 0.98, 1), 3),
        ("utilities/00003.npy", ("flip", 0.9, 1), 3),
        ("seals.jsonl", ("flip", 0.99, 1), 3),
        ("summary.json", ("empty", 0.0, 1), 4),
        ("instance.npz", ("remove", 0.0, 1), 4),
    ],
)
def test_the_last_round_that_is_whole_is_gone_on_from(copied, made, capfd, name, how, on):
    directory = copied("cut")
    damage(directory / name, *how)
    with pytest.raises(BadInput, match=name):
        check_whole(directory)
    runs.resume(directory, EXPERIMENT)
    said = capfd.readouterr().err
    assert name in said and f"going on at round {on}" in said
    assert_equal_records(made / "whole", directory)


@pytest.mark.parametrize("which", ["cut", "whole"])
@pytest.mark.parametrize("name", ["rounds.csv", "queries.csv", "seals.jsonl", "utilities"])
def test_where_no_round_is_left_restart_begins_anew(copied, made, which, name):
    directory = copied(which)
    file = {"cut": "utilities/00000.npy", "whole": "utilities.npz"}[which]
    damage(directory / (file if name == "utilities" else name), "zeros", 0.0, 250)
    if name == "seals.jsonl":  # then nothing says what the record held
        with pytest.raises(BadInput, match=name):
            runs.resume(directory, EXPERIMENT, restart=True)
        return
    with pytest.raises(BadInput, match=f"{name}.*--restart"):
        runs.resume(directory, EXPERIMENT)
    runs.resume(directory, EXPERIMENT, restart=True)
    if which == "cut":
        assert_equal_records(made / "whole", directory)


def test_a_record_that_is_whole_is_said_to_be(made, copied):
    for which in ("cut", "whole"):
        check_whole(copied(which))
    found = inspect(made / "cut")
    assert (found.n_sealed, found.n_whole, found.resumable) == (4, 4, 4)
    assert found.damage == () and found.checkpoint == "checkpoint.npz"


def test_a_checkpoint_that_asked_for_a_test_row_is_refused(copied):
    directory = copied("cut")
    path, test = directory / "checkpoint.npz", EXPERIMENT.instance.test
    arrays = read_npz(path)
    arrays["rows"][-1] = test[0]
    np.savez(path, format=FORMAT, **arrays)
    lines, _ = seals.read(directory / "seals.jsonl")
    lines[-1]["checkpoint"] = seals.digest(path.read_bytes())  # somebody who knows the seals
    seals.Chain(directory / "seals.jsonl").write(lines)
    with pytest.raises(BadInput, match=r"checkpoint.npz is damaged.*queries.csv"):
        runs.resume(directory, EXPERIMENT)


def test_what_is_damaged_is_not_synchronised(copied):
    directory = copied("whole")
    damage(directory / "rounds.csv", "flip", 0.5, 1)
    with pytest.raises(BadInput, match=r"rounds.csv is damaged \(round"):
        sync(directory, f"sqlite:///{directory}/never.db")
    assert not (directory / "never.db").exists()


def test_an_equal_run_has_equal_results_and_a_chain_of_its_own(copied, tmp_path):
    first = read_summary(copied("whole"))
    again = runs.run(tmp_path / "again", EXPERIMENT)
    assert again["results"] == first["results"] and again["chain"] != first["chain"]
    other = runs.run(tmp_path / "other", runs.experiment(n_queries=20, seed=1))
    assert other["results"] != first["results"]


def test_the_chain_is_what_its_description_says(made):
    """By hand, as somebody would who has only the guide."""
    from hashlib import sha256

    head = ""
    for text in (made / "whole" / "seals.jsonl").read_text().splitlines():
        line = json.loads(text)
        chain = line.pop("chain")
        plain = json.dumps(line, sort_keys=True, separators=(",", ":"))
        head = sha256((head + plain).encode()).hexdigest()
        assert chain == head
    summary = json.loads((made / "whole" / "summary.json").read_text())
    assert summary["chain"] == head
    sealed = summary.pop("sha256")
    plain = json.dumps(summary, sort_keys=True, separators=(",", ":"))
    assert sealed == sha256(plain.encode()).hexdigest()


def test_newer_formats_are_refused_by_every_reader(copied, tmp_path):
    newer = FORMAT + 1
    np.savez(tmp_path / "a.npz", format=newer, x=1)
    (tmp_path / "a.json").write_text(json.dumps({"format": newer}))
    with pytest.raises(BadInput, match=r"a.npz is in format .* newer goralx.* upgrade"):
        read_npz(tmp_path / "a.npz")
    with pytest.raises(BadInput, match=r"a.json is in format .* newer goralx.* upgrade"):
        read_json(tmp_path / "a.json")
    for name in ("summary.json", "seals.jsonl"):
        directory = copied("cut", name)
        if name == "seals.jsonl":
            lines, _ = seals.read(directory / name)
            seals.Chain(directory / name).write([{**lines[0], "format": newer}, *lines[1:]])
        else:
            content = json.loads((directory / name).read_text())
            (directory / name).write_text(json.dumps({**content, "format": newer}))
        with pytest.raises(BadInput, match=f"{name} is in format"):
            runs.resume(directory, EXPERIMENT)


@pytest.mark.parametrize("given", [0, -1, 1.5, True, "2", None])
def test_a_format_is_a_number_from_1(tmp_path, given):
    (tmp_path / "a.json").write_text(json.dumps({"format": given}))
    if given is None:
        assert read_json(tmp_path / "a.json")["format"] == FORMAT
        return
    with pytest.raises(BadInput, match=r"a.json is damaged: its format"):
        read_json(tmp_path / "a.json")


def test_a_sealed_file_tells_any_change(tmp_path):
    path = tmp_path / "a.json"
    written = write_json(path, {"a": 1.5, "b": [None, "x"]}, sealed=True)
    assert read_json(path) == written
    path.write_text(path.read_text().replace("1.5", "1.6"))
    with pytest.raises(BadInput, match=r"a.json is damaged"):
        read_json(path)

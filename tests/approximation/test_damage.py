"""Whatever is damaged in a study's record is named; that is done again, to the same numbers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings

from goralx.app.cli import main
from goralx.approximation import Study
from goralx.approximation import study as study_module
from goralx.errors import BadInput
from goralx.records import PartedRecord, check_whole, read_summary
from tests.approximation.test_job import SMALL, same
from tests.program import call
from tests.records.test_damage import DAMAGE, damage, files

WORDS = (*SMALL, "tracker=csv")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A whole study, and its record as it lay there when all blocks were done, before the end."""
    home = tmp_path_factory.mktemp("studies")
    gather = PartedRecord.gather

    def copied_first(self, arrays):
        shutil.copytree(home / "whole", home / "cut")
        gather(self, arrays)

    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(home)
        patched.setattr(study_module, "BLOCK", 64)
        patched.setattr(PartedRecord, "gather", copied_first)
        assert main([*WORDS, "hydra.run.dir=whole"]) == 0
    return home


@pytest.fixture
def computed(monkeypatch):
    monkeypatch.setattr(study_module, "BLOCK", 64)
    actual, blocks = Study.actual, []
    monkeypatch.setattr(Study, "actual", lambda self, b: blocks.append(b) or actual(self, b))
    return blocks


@pytest.fixture
def copied(made, tmp_path, monkeypatch):
    monkeypatch.chdir(made)  # where it was begun

    def copy(which: str) -> Path:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        return Path(shutil.copytree(made / which, tmp_path / "run"))

    return copy


@pytest.mark.parametrize("which", ["cut", "whole"])
@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(DAMAGE)
def test_any_damage_to_any_file_is_named_or_ends_the_same(
    copied, made, computed, capsys, which, given
):
    number, *how = given
    directory = copied(which)
    name = files(directory)[number % len(files(directory))]
    before = (directory / name).read_bytes()
    damage(directory / name, *how)
    assume(how[0] == "remove" or (directory / name).read_bytes() != before)
    done = call(capsys, "resume", str(directory))
    assert done.status in (0, 2), done.err
    if name != "tracking.json" and how[0] != "remove":  # what is derived may be made anew unsaid
        assert name in done.err
    if done.status == 2:
        assert len(done.errors) == 1
        return
    check_whole(directory)
    same(made / "whole", directory)


@pytest.mark.parametrize("name", ["001-000000-000020.npz", "002-000007-000014.npz"])
@pytest.mark.parametrize("how", ["flip", "remove", "truncate"])
def test_a_damaged_block_is_named_and_done_again_and_no_other(
    copied, made, computed, capsys, name, how
):
    directory = copied("cut")
    damage(directory / "parts" / name, how, 0.5, 1)
    with pytest.raises(BadInput, match=f"{name} is (damaged|missing).*falls back to what is whole"):
        check_whole(directory)
    told = call(capsys, "verify", str(directory))
    assert told.status == 1 and name in told.out
    done = call(capsys, "resume", str(directory))
    assert done.status == 0 and name in done.errors[0] and "done again" in done.errors[0]
    (again,) = computed
    assert name.startswith(f"{again.batch_size:03d}-{again.start:06d}")
    same(made / "whole", directory)
    assert call(capsys, "verify", str(directory)).status == 0


@pytest.mark.parametrize("name", ["numbers.csv", "numbers.json", "summary.json", "instance.npz"])
def test_what_follows_from_the_blocks_is_written_again(copied, made, computed, capsys, name):
    directory = copied("whole")
    damage(directory / name, "flip", 0.5, 1)
    assert name in call(capsys, "verify", str(directory)).out
    assert call(capsys, "sync", str(directory)).status == 2
    done = call(capsys, "resume", str(directory))
    assert done.status == 0 and name in done.err and computed == []
    same(made / "whole", directory)
    assert call(capsys, "verify", str(directory)).status == 0


@pytest.mark.parametrize("which, name", [("whole", "utilities.npz"), ("cut", "seals.jsonl")])
def test_where_no_block_is_left_restart_begins_anew(copied, made, computed, capsys, which, name):
    directory = copied(which)
    if name == "seals.jsonl":  # whole in its first line only: nothing says what the blocks held
        lines = (directory / name).read_bytes().splitlines(keepends=True)
        (directory / name).write_bytes(lines[0] + lines[1][:-9] + b"x\n")
    else:
        damage(directory / name, "flip", 0.5, 1)
    refused = call(capsys, "resume", str(directory))
    assert refused.status == 2 and len(refused.errors) == 1
    assert name in refused.err and "--restart" in refused.err and computed == []
    assert call(capsys, "resume", str(directory), "--restart").status == 0
    assert len(computed) == 4
    same(made / "whole", directory)
    check_whole(directory)


def test_a_block_that_nothing_seals_is_done_again(copied, made, computed, capsys):
    """As a kill leaves it, or one of before blocks were sealed."""
    directory = copied("cut")
    seals = directory / "seals.jsonl"
    lines = seals.read_bytes().splitlines(keepends=True)
    seals.write_bytes(b"".join(lines[:-1]))
    check_whole(directory)
    done = call(capsys, "resume", str(directory))
    assert (done.status, done.err, len(computed)) == (0, "", 1)
    same(made / "whole", directory)


def test_blocks_of_other_code_are_refused_or_said(copied, made, capsys, monkeypatch):
    directory = copied("cut")
    begun = read_summary(directory)["fingerprint"]
    monkeypatch.setattr("goralx.approximation.job.versions", lambda: {"numpy": "0.1"})
    refused = call(capsys, "resume", str(directory))
    assert refused.status == 2 and "numpy" in refused.err and "--force" in refused.err
    assert call(capsys, "resume", str(directory), "--force").status == 0
    assert read_summary(directory)["fingerprint"] not in (
        begun,
        read_summary(made / "whole")["fingerprint"],
    )
    check_whole(directory)
    assert call(capsys, "resume", str(directory)).status == 0  # it is of this code, too, now

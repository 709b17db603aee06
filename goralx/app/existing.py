"""What is done about a run that is on disk already: ``on_existing=``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from goralx.errors import BadInput, unknown_name
from goralx.records import read_summary

from .shared import say, short

Found = Literal["missing", "finished", "interrupted", "failed"]
Action = Literal["run", "skip", "resume", "rerun", "leave", "refuse"]

CHOICES = {
    "resume": "interrupted runs go on, finished and failed ones are left",
    "retry": "as resume, and failed ones go on from their last round",
    "skip": "whatever is there is left as it is",
    "rerun": "whatever is there is run anew and replaced",
    "error": "whatever is there is refused",
}


@dataclass(frozen=True)
class Plan:
    """What to do, and why, in words that follow a job's name."""

    action: Action
    why: str


def found_in(directory: Path) -> tuple[Found, str]:
    """The state of the run in a directory, and what a failed one failed of."""
    if not (directory / ".hydra").is_dir():
        return "missing", ""
    if not (directory / "summary.json").exists():  # killed between the two
        return "interrupted", ""
    summary = read_summary(directory)
    status = summary.get("status")
    if status == "finished" or status == "failed":
        return status, str(summary.get("error", ""))
    return "interrupted", ""


def plan(found: Found, on_existing: str, error: str = "") -> Plan:
    """Decide; raises `UnknownName` for a choice that there is not."""
    if on_existing not in CHOICES:
        raise unknown_name("on_existing", on_existing, CHOICES)
    if found == "missing":
        return Plan("run", "not run yet")
    said = {"finished": "finished", "interrupted": "interrupted", "failed": f"failed ({error})"}
    before = f"{said[found]} before"
    if on_existing == "error":
        return Plan("refuse", before)
    if on_existing == "rerun":
        return Plan("rerun", before)
    if found == "finished" or on_existing == "skip":
        return Plan("skip", before)
    if found == "interrupted" or on_existing == "retry":
        return Plan("resume", before)
    return Plan("leave", f"{before} · on_existing=retry tries again")


@contextmanager
def replacing(directory: Path, aside: Path) -> Iterator[None]:
    """What is in ``directory`` lies ``aside`` until what is done meanwhile has come through.

    It is put back where nothing has taken its place. What lies aside already, from a time that was
    not done, stays: then the directory holds no more than that left.
    """
    if aside.is_dir():
        shutil.rmtree(directory)
    else:
        aside.parent.mkdir(parents=True, exist_ok=True)
        directory.rename(aside)
    try:
        yield
    except BaseException:
        if not put_back(directory, aside):
            say(f"what {short(directory)} held before is kept in {short(aside)} until it is done")
        raise
    shutil.rmtree(aside)


def put_back(directory: Path, aside: Path) -> bool:
    """Whether what lay aside is in its place again, where that is free."""
    if not aside.is_dir() or (directory / ".hydra").is_dir():
        return False
    if directory.is_dir():
        shutil.rmtree(directory)
    aside.rename(directory)
    return True


def refusal(directory: Path, why: str) -> BadInput:
    return BadInput(f"{directory} is there already, {why} · on_existing=error refuses that")

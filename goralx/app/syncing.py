"""``goralx sync``: the records that are meant, and MLflow brought level with each."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import chdir, nullcontext
from dataclasses import dataclass
from pathlib import Path

from goralx.data import shown
from goralx.errors import BadInput, GoralxError
from goralx.escaping import say
from goralx.tracking import StoreUnusable, Synced, conclude_sweep, records_below, sync

from .configuration import recorded
from .sweep_folder import SweepFolder

OUTPUTS = Path("outputs")


def records(words: Sequence[str]) -> list[Path]:
    """The run directories of paths, names of runs and sweeps below ``outputs/``, and ``all``."""
    found = [directory for word in words for directory in _records(word)]
    return list(dict.fromkeys(directory.resolve() for directory in found))


def _records(word: str) -> list[Path]:
    places = [OUTPUTS] if word == "all" else [Path(word)]
    if word != "all" and not Path(word).exists():
        places += [OUTPUTS / kind / word for kind in ("sweeps", "runs")]
    for place in places:
        if place.exists():
            found = [place] if (place / "summary.json").exists() else records_below(place)
            if found:
                return found
    folder = OUTPUTS if word == "all" else word
    raise BadInput(
        f"no run in {folder} · give the directory of a run or of a sweep, or all for those in "
        "outputs/"
    )


@dataclass(frozen=True)
class Levelled:
    """What became of how many records; ``run_id`` is the last one's MLflow run."""

    told: int
    level: int
    left_out: int
    run_id: str

    def __str__(self) -> str:
        if self.told + self.level + self.left_out == 1:
            return f"MLflow run {self.run_id}" + (" is level already" if self.level else "")
        left_out = f", {self.left_out} left out" if self.left_out else ""
        return f"sync: {self.told} told, {self.level} level already{left_out}"


def bring_level(directories: Sequence[Path], store: str | None) -> Levelled:
    """Tell MLflow what it was not told.

    A record that cannot be told is said and costs no other; a store that cannot be reached is
    raised, as is what is wrong with the only record.
    """
    told, left_out, run_id = 0, 0, ""
    for directory in shown(directories, "sync"):
        try:
            synced = _level(directory, store)
        except GoralxError as error:
            if len(directories) == 1 or isinstance(error, StoreUnusable):
                raise
            say(f"goralx: {error}", sys.stderr)
            left_out += 1
            continue
        told, run_id = told + synced.told, synced.run_id
    if told:
        for folder in dict.fromkeys(directory.parent for directory in directories):
            if SweepFolder(folder).manifest.is_file():
                conclude_sweep(folder)
    return Levelled(told, len(directories) - told - left_out, left_out, run_id)


def _level(directory: Path, store: str | None) -> Synced:
    """Relative addresses, and the default store, are found from where the run was started."""
    began_in = recorded(directory)[2]
    with chdir(began_in) if began_in else nullcontext():
        return sync(directory, store)

"""``goralx doctor``: what is here, and what of it would get in a run's way."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import goralx
from goralx import escaping
from goralx.data import cache_folder
from goralx.discovery import registry
from goralx.errors import GoralxError

from .reporting import in_a_line
from .shared import FINISHED, REFUSED, Parser

VARIABLES = {
    "GORALX_CACHE": "a folder for derived and downloaded files",
    "GORALX_DATA": "the folder of data sets that cannot be shipped",
    "GORALX_PLUGINS": "folders of loose plugins",
    "GORALX_STRICT_PLUGINS": "1: a plugin that is broken ends every command",
    "GORALX_TRACEBACK": "1: an error is shown where it arose",
}
"""What of the environment goralx reads, beside MLflow's own."""

FOLDERS = ("GORALX_DATA", "GORALX_PLUGINS")
"""Those whose folders have to be there."""


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, and whether it is as it should be."""

    what: str
    said: str
    well: bool = True


def doctor(words: list[str]) -> int:
    """``goralx doctor``; its status is 2 if anything is amiss."""
    parser = Parser(
        prog="goralx doctor",
        description="Versions, plugins, environment, folders, MLflow's store and threads. Exit "
        "status 0 if all is well, 2 if something would get in a run's way.",
    )
    parser.parse_args(words)
    amiss = 0
    for look in (versions, plugins, variables, folders, store, threads):
        for finding in _guarded(look):
            amiss += not finding.well
            mark = "ok  " if finding.well else "AMISS"
            escaping.say(f"{mark:<5}  {finding.what:<9}  {finding.said}")
    escaping.say("all is well" if not amiss else f"{amiss} amiss")
    return REFUSED if amiss else FINISHED


def _guarded(look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What it finds; what it falls over is a finding, too."""
    try:
        yield from look()
    except Exception as error:  # whatever stops a look would stop a run
        yield Finding(look.__name__, in_a_line(error)[1], well=False)


def versions() -> Iterator[Finding]:
    """Of Python, goralx, and what it requires; extras as far as they are installed."""
    from packaging.requirements import Requirement

    yield Finding("versions", f"Python {platform.python_version()}, goralx {goralx.__version__}")
    found: list[str] = []
    extras: list[str] = []
    for line in importlib.metadata.requires("goralx") or []:
        required = Requirement(line)
        of_an_extra = required.marker is not None and not required.marker.evaluate({"extra": ""})
        try:
            version = importlib.metadata.version(required.name)
        except importlib.metadata.PackageNotFoundError:
            if not of_an_extra:
                yield Finding("versions", f"{required.name} is not installed", well=False)
            continue
        if not required.specifier.contains(version, prereleases=True):
            said = f"{required.name} {version} is installed, goralx needs {required.specifier}"
            yield Finding("versions", said, well=False)
        (extras if of_an_extra else found).append(f"{required.name} {version}")
    yield Finding("versions", ", ".join(sorted(found)))
    if extras:
        yield Finding("extras", ", ".join(sorted(set(extras))))


def plugins() -> Iterator[Finding]:
    """Who brought which components, and which plugins could not be loaded."""
    found = registry()
    brought: dict[str, list[str]] = {}
    for component in found.components.values():
        brought.setdefault(component.origin, []).append(component.chosen)
    yield Finding("plugins", f"goralx: {len(brought.pop('goralx', []))} components")
    for origin, chosen in brought.items():
        yield Finding("plugins", f"{origin}: {', '.join(chosen)}")
    for broken in found.broken:
        yield Finding("plugins", f"not loaded: {broken.name}: {broken.error}", well=False)


def variables() -> Iterator[Finding]:
    """GORALX_* variables: those that are set, and those that nobody reads."""
    for name, value in sorted(os.environ.items()):
        if not name.startswith("GORALX_"):
            continue
        if name not in VARIABLES:
            near = get_close_matches(name, VARIABLES, n=1, cutoff=0.0)[0]
            said = f"{name} means nothing to goralx; did you mean {near}?"
            yield Finding("variables", said, well=False)
            continue
        paths = value.split(os.pathsep) if name == "GORALX_PLUGINS" else [value]
        missing = [p for p in paths if p and not Path(p).expanduser().is_dir()]
        if name in FOLDERS and missing:
            said = f"{name}: {', '.join(missing)} is no folder"
            yield Finding("variables", said, well=False)
        else:
            yield Finding("variables", f"{name}={value} ({VARIABLES[name]})")


def folders() -> Iterator[Finding]:
    """Where runs and derived files go: whether they can be written."""
    outputs = Path.cwd() / "outputs"
    there = outputs if outputs.exists() else outputs.parent
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        said = f"cannot write to {there} ({error.strerror}); start from another folder"
        yield Finding("outputs", said, well=False)
    else:
        yield Finding("outputs", f"{outputs} can be written")
    try:
        yield Finding("cache", f"{cache_folder()} can be written")
    except GoralxError as error:
        yield Finding("cache", str(error), well=False)


def store() -> Iterator[Finding]:
    """MLflow's store: whether it answers."""
    from goralx.tracking import look

    yield Finding("store", look())


def threads() -> Iterator[Finding]:
    """Of the machine, and of the linear algebra, which a run holds to ``threads``."""
    import numpy  # noqa: F401 - so that its libraries are among those that are loaded
    from threadpoolctl import threadpool_info

    given = [f"{n}={os.environ[n]}" for n in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
                                              "MKL_NUM_THREADS") if n in os.environ]  # fmt: skip
    pools = {f"{pool['internal_api']} {pool['num_threads']}" for pool in threadpool_info()}
    said = f"{os.cpu_count()} processors; threads here: {', '.join(sorted(pools)) or 'unknown'}"
    yield Finding(
        "threads", f"{said}; {', '.join(given) or 'none set'}; a run takes threads=1 if not told"
    )

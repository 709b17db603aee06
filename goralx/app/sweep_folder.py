"""A sweep on disk: what was asked for, who has taken which run, and how each job ended.

``sweep.json``               the commands that the sweep is of, and where they were given
``.jobs/<session>/<n>.json`` how a job went, a folder for each time that a command was given
``.jobs/replaced/``          what runs held that are being run anew, until they are done
``.jobs/claims/``            locks, one for each run: held by the process that has taken it
``.lock``                    held while a command begins or ends with the folder

The folder's own name follows from the command, so that the same command finds its sweep again.
Whatever is written here is written by several processes at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from goralx.errors import BadInput
from goralx.records import write_json

from .shared import remove_empty

FORMAT = 1
INDIFFERENT = re.compile(
    r"[+~]*(on_existing|progress|report|threads|hydra/launcher|"
    r"hydra\.(launcher|sweep|verbose|callbacks))\b"
)
"""Options that say how jobs are run, not which."""
STOP = "stop"
OURS = {"multirun.yaml", "sweep.json", ".jobs", ".lock"}
"""What is in a sweep's folder beside its runs and reports."""
NO_SESSION = {"claims", "replaced"}
ATTEMPTS = 100


@dataclass(frozen=True)
class Outcome:
    """How a job went, or ``running``; ``why`` says more, ``run`` is the run's folder."""

    job: int
    n_jobs: int | None
    overrides: str
    ending: str = "running"
    why: str = ""
    run: str | None = None
    fingerprint: str | None = None
    value: float | list[float] | None = None
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)

    @property
    def title(self) -> str:
        """The job as people count."""
        of = f" of {self.n_jobs}" if self.n_jobs else ""
        return f"job {self.job + 1}{of} ({self.overrides})"

    @property
    def alive(self) -> bool:
        """Whether the process that wrote it can still be at it; of another host nobody knows."""
        if self.host != socket.gethostname():
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # somebody else's, who took the number over
            return False
        return not _defunct(self.pid)


def _defunct(pid: int) -> bool:
    """Whether it has ended and its parent has not asked how yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (OSError, IndexError):  # no such file system
        return False
    return state in "ZX"


def _outcome(path: Path) -> Outcome:
    said = json.loads(path.read_text(encoding="utf-8"))
    return Outcome(**{key: value for key, value in said.items() if key != "format"})


def identity(overrides: Sequence[str]) -> str:
    """SHA-256 (hex) of the overrides that say which jobs a sweep has, in any order of options."""
    asked = [word for word in overrides if not INDIFFERENT.match(word)]
    by_option = sorted(asked, key=lambda word: word.partition("=")[0])  # of one, the last counts
    return hashlib.sha256(json.dumps(by_option).encode()).hexdigest()


def name(overrides: Sequence[str]) -> str:
    """A folder's name for the sweep: legible, and one's own."""
    asked = "_".join(word for word in overrides if not INDIFFERENT.match(word))
    legible = re.sub(r"[^A-Za-z0-9._-]+", "-", asked)[:60].strip("-._") or "sweep"
    return f"{legible}_{identity(overrides)[:8]}"


@dataclass(frozen=True)
class SweepFolder:
    """The sweep in ``path``, for any number of processes."""

    path: Path

    @property
    def manifest(self) -> Path:
        return self.path / "sweep.json"

    def begin(self, session: str) -> None:
        """Be one of those who use the folder: from now on it stays there until `leave`.

        Another command that ends may take it away at any moment before.
        """
        log = self.session(session)
        for attempt in range(ATTEMPTS):
            try:
                log.path.mkdir(parents=True, exist_ok=True)
                with self._coming_and_going():
                    if log.path.is_dir():
                        return
            except (FileNotFoundError, FileExistsError):
                if attempt == ATTEMPTS - 1:
                    raise
        raise BadInput(f"{self.path} is taken away again and again · give another folder")

    def leave(self, session: str, forget: bool = False) -> None:
        """Take away what nothing has come of: all, or what this session (to ``forget``) wrote."""
        log, jobs = self.session(session), self.path / ".jobs"
        if not log.path.is_dir():
            return
        with self._coming_and_going():
            if forget or not any(log.path.iterdir()):
                shutil.rmtree(log.path)
            others = {path.name for path in jobs.iterdir()} - {*NO_SESSION, session}
            if not others and {path.name for path in self.path.iterdir()} <= OURS:
                shutil.rmtree(jobs)
                for name in OURS - {".jobs"}:
                    (self.path / name).unlink(missing_ok=True)  # the lock is nobody's from here on
                remove_empty(self.path)

    def _coming_and_going(self) -> FileLock:
        return FileLock(self.path / ".lock")

    def enter(self, overrides: Sequence[str], words: Sequence[str]) -> None:
        """Put down that this command is one of the sweep's: a folder may be given to several."""
        with self._lock("manifest"):
            commands = self.commands() if self.manifest.exists() else []
            mine = identity(overrides)
            if any(mine in (command["identity"], *command["extends"]) for command in commands):
                return
            began = {"directory": str(Path.cwd()), "started": datetime.now(UTC).isoformat()}
            command = {"identity": mine, "words": list(words), **began, "extends": []}
            self._write(commands=[*commands, command])

    def extend(self, options: Sequence[str]) -> None:
        """From now on each command is of these options too; as it was before it is known."""
        with self._lock("manifest"):
            commands = []
            for command in self.commands():
                words = [*(w for w in command["words"] if w not in options), *options]
                mine = identity([word for word in words if not word.startswith("-")])
                was = [i for i in (*command["extends"], command["identity"]) if i != mine]
                commands.append({**command, "identity": mine, "words": words, "extends": was})
            self._write(commands=commands)

    @property
    def is_extended(self) -> bool:
        """Whether its runs are to go on with a larger budget than they were begun with."""
        return any(command["extends"] for command in self.commands())

    def place(self, fingerprint: str, directory: str) -> None:
        """Put down which folder a run is in that was called by what it was begun with."""
        with self._lock("manifest"):
            self._write(places={**self._read().get("places", {}), fingerprint: directory})

    def placed(self, fingerprint: str, otherwise: str) -> Path:
        """The folder of a run."""
        return self.path / str(self._read().get("places", {}).get(fingerprint, otherwise))

    def _write(self, **changes: Any) -> None:
        before = self._read() if self.manifest.exists() else {}
        write_json(self.manifest, {**before, **changes, "format": FORMAT})

    def _read(self) -> dict[str, Any]:
        found = json.loads(self.manifest.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise BadInput(f"{self.manifest} is damaged: it holds no object")
        return found

    def commands(self) -> list[dict[str, Any]]:
        """``identity``, ``words``, ``directory`` and ``started`` of each command.

        And under ``extends`` the identities that it had with smaller budgets.
        """
        try:
            found = self._read()
            given = int(found["format"])
            commands = [
                {
                    **{key: command[key] for key in ("identity", "words", "directory", "started")},
                    "extends": list(command.get("extends", [])),
                }
                for command in found["commands"]
            ]
        except FileNotFoundError:
            raise BadInput(f"{self.path} holds no sweep · {self.manifest} is missing") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{self.manifest} cannot be read ({error})") from error
        if given > FORMAT:
            raise BadInput(f"{self.manifest} is of a newer goralx (format {given}) · update goralx")
        return commands

    @contextmanager
    def claim(self, fingerprint: str) -> Iterator[bool]:
        """Take a run for as long as this lasts; False if another process or job has it."""
        lock = self._lock(fingerprint[:32])
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def _lock(self, name: str) -> FileLock:
        folder = self.path / ".jobs" / "claims"
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / f"{name}.lock")

    def aside(self, directory: Path) -> Path:
        """Where a run of its is kept while another takes its place."""
        return self.path / ".jobs" / "replaced" / directory.name

    def session(self, name: str) -> SessionLog:
        return SessionLog(self.path / ".jobs" / name)

    def runs(self) -> list[Path]:
        """Folders of its runs, finished or not."""
        return sorted(path.parent for path in self.path.glob("*/.hydra"))


@dataclass(frozen=True)
class SessionLog:
    """How the jobs of one command went, told by the processes that ran them."""

    path: Path

    def put(self, outcome: Outcome) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.path / f"{outcome.job:06d}.json", asdict(outcome))

    def get(self, job: int) -> Outcome | None:
        path = self.path / f"{job:06d}.json"
        return _outcome(path) if path.exists() else None

    def all(self) -> list[Outcome]:
        paths = sorted(self.path.glob("*.json"))
        return [_outcome(path) for path in paths]

    def first(self, fingerprint: str, job: int) -> bool:
        """Whether no other job of this session has come to the run before; asked under its claim.

        The same job comes again where its process was killed.
        """
        path = self.path / f"{fingerprint[:32]}.seen"
        if path.exists():
            return path.read_text(encoding="ascii") == str(job)
        path.write_text(str(job), encoding="ascii")
        return True

    def stop(self) -> None:
        """No job that has not begun is to begin."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / STOP).touch()

    @property
    def stopped(self) -> bool:
        return (self.path / STOP).exists()

"""What came of one hostile input: a line and a status, or something that must never be.

``traceback``: an exception that nobody put in words, or exit status 1; ``hang``: longer than the
limit; ``execution``: a pickle, a shell or a program was run; ``outside``: a file was written
elsewhere than in the working directory; ``raw``: an escape sequence reached the terminal;
``unnamed``: a damaged file was refused by a line that does not name it.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goralx.errors import GoralxError

FAULTS = ("traceback", "hang", "execution", "outside", "raw", "unnamed")
RUNS = {
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "pickle.find_class",
}
CHANGES = {
    "os.mkdir": 2,
    "os.rename": 2,
    "os.remove": 1,
    "os.rmdir": 1,
    "os.link": 2,
    "os.symlink": 2,
}
"""Events that change a name, and which of their arguments is the folder that it is seen from."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Hang(BaseException):
    """The time for one input is up."""


@dataclass
class Watch:
    """What an input does meanwhile, as the interpreter's audit hooks tell."""

    inside: Path | None = None
    seen: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.inside is None:
            return
        if event in RUNS:
            self.seen.append(("execution", f"{event} {arguments[:2]!r:.200}"))
        elif event == "open":
            path, mode, flags = arguments
            writes = flags & WRITES if isinstance(flags, int) else "w" in str(mode)
            if writes and isinstance(path, str | bytes | os.PathLike):
                self._write(os.fsdecode(path))
        elif event in CHANGES and isinstance(arguments[0], str | bytes | os.PathLike):
            at = CHANGES[event]
            self._write(os.path.join(_folder(arguments[at:]), os.fsdecode(arguments[0])))

    def _write(self, path: str) -> None:
        assert self.inside is not None
        full = os.path.realpath(path)
        own = (str(self.inside), "/dev/null", tempfile.gettempdir() + "/goralx-fuzz")
        if not full.startswith(own) and "__pycache__" not in full:
            self.seen.append(("outside", full))


def _folder(arguments: tuple[Any, ...]) -> str:
    """What a folder that is given as an open file is called; nothing where none is given."""
    number = arguments[0] if arguments else -1
    given = isinstance(number, int) and number >= 0
    return os.path.realpath(f"/proc/self/fd/{number}") if given else ""


WATCH = Watch()
sys.addaudithook(WATCH)


@dataclass
class Tally:
    """Inputs and faults by kind of input, and the first few faults in full."""

    inputs: dict[str, int] = field(default_factory=dict)
    faults: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, kind: str, given: str, faults: list[tuple[str, str]]) -> None:
        self.inputs[kind] = self.inputs.get(kind, 0) + 1
        for fault, said in faults:
            self.faults.append((kind, f"{fault}: {said}", given))
            shown = f"{kind}: {fault}: {said}\n    {given[:400]}"
            print(ascii(shown)[1:-1].replace("\\n", "\n"), file=sys.__stdout__, flush=True)

    def table(self) -> str:
        head = f"{'input':<12}{'inputs':>8}" + "".join(f"{fault:>11}" for fault in FAULTS)
        lines = [head]
        for kind, n in self.inputs.items():
            counts = [
                sum(k == kind and f.startswith(f"{fault}:") for k, f, _ in self.faults)
                for fault in FAULTS
            ]
            lines.append(f"{kind:<12}{n:>8}" + "".join(f"{count:>11}" for count in counts))
        return "\n".join(lines)


def judge(
    inside: Path, act: Callable[[], object], limit: float, files: tuple[str, ...] = ("",)
) -> list[tuple[str, str]]:
    """Faults of an act in a folder: a command line's status, or what the library raises.

    ``files`` are names of the damaged ones: a line that refuses them has to have one of them.
    """
    said = io.StringIO()
    faults: list[tuple[str, str]] = []
    WATCH.seen, WATCH.inside = [], inside.resolve()
    try:
        with chdir(inside), redirect_stdout(said), redirect_stderr(said), _limit(limit):
            status = act()
        if status == 2 and not any(file in said.getvalue() for file in files):
            faults.append(("unnamed", said.getvalue().strip().split("\n")[-1][:300]))
        if status == 1:
            faults.append(("traceback", said.getvalue().strip().split("\n")[-1][:300]))
    except GoralxError:
        pass
    except Hang:
        faults.append(("hang", f"more than {limit:g} s"))
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        line = f"{type(error).__name__}: {error} ({where.filename}:{where.lineno})"
        faults.append(("traceback", " ".join(line.split())[:300]))
    finally:
        WATCH.inside = None
    if "\x1b" in said.getvalue():
        faults.append(("raw", ascii(said.getvalue())[:200]))
    return faults + WATCH.seen


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Hang

    # so much of the processor's time, or four times that on the clock where others want it, too
    timers = [(signal.SIGPROF, signal.ITIMER_PROF, 1), (signal.SIGALRM, signal.ITIMER_REAL, 4)]
    before = {sent: signal.signal(sent, stop) for sent, _, _ in timers}
    for _, timer, times in timers:
        signal.setitimer(timer, times * seconds)
    try:
        yield
    finally:
        for sent, timer, _ in timers:
            signal.setitimer(timer, 0)
            signal.signal(sent, before[sent])

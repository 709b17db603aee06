"""The command line: a word of `commands`, or else a run or a sweep, which Hydra composes.

Exit status: 0 done, 2 for what the user can mend, 1 for what broke, 130 for Ctrl-C. Whatever goes
wrong is one line on stderr that begins with ``goralx:``; GORALX_TRACEBACK=1 raises instead.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from goralx import escaping
from goralx.discovery import CHOICES, METRICS, registry
from goralx.errors import BadInput, GoralxError, RunFailed, unknown_name

from .commands import (
    COMMANDS,
    FAILED,
    FINISHED,
    INTERRUPTED,
    REFUSED,
    Parser,
    follow,
    say,
    study,
    threads,
)

if TYPE_CHECKING:
    from omegaconf import DictConfig

MENDABLE = (PermissionError, FileExistsError, FileNotFoundError, NotADirectoryError)
"""Failures of the file system that another path or permission mends."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, given without the program's name; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if words and words[0] in COMMANDS:
            return COMMANDS[words[0]](words[1:])
        return _hydra(words)
    except SystemExit as done:  # argparse and Hydra leave so once they have answered
        return done.code if isinstance(done.code, int) else FINISHED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has had enough, as in `goralx plugins | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        return _report(error)


def _hydra(words: list[str]) -> int:
    """A run or a sweep, or what Hydra is asked: ``--help``, ``--cfg job``, ``--info``."""
    import hydra
    from hydra._internal.utils import get_args_parser
    from omegaconf import OmegaConf

    from .configuration import config_folder, register_nodes

    parser = Parser(add_help=False, parents=[get_args_parser()], conflict_handler="resolve")
    parser.add_argument("--version", action="store_true")
    asked = parser.parse_intermixed_args(words)
    if asked.version:
        from goralx import __version__

        print(f"goralx {__version__}")
        return FINISHED
    if asked.experimental_rerun:
        raise BadInput("--experimental-rerun reads pickles · use goralx resume RUN_DIR")
    for word in asked.overrides:
        _check_word(word)
    register_nodes(registry())
    OmegaConf.register_new_resolver("goralx.groups", _groups, replace=True)

    # A sweep's folder is named here and not by Hydra, which makes it before it looks at the jobs:
    # one that cannot start is found again and taken away.
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
    named = f"hydra.sweep.dir=outputs/sweeps/{now}"
    folder = [o for o in [named, *asked.overrides] if o.startswith("hydra.sweep.dir=")][-1]
    session = Session(Path(folder.partition("=")[2]), os.getpid())
    program = hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="config")
    flags = [word for word in words if word not in asked.overrides]  # Hydra wants them first
    with _process(["goralx", *flags, named, *asked.overrides], HYDRA_FULL_ERROR="1"):
        try:
            program(session.job)()
        finally:
            session.tidy()
    return session.close()


def _check_word(word: str) -> None:
    """Refuse what is neither a command nor an option, and a run without one of its components."""
    if "=" not in word and not word.startswith("~"):
        hint = " · options are given as NAME=VALUE, see goralx --help"
        raise unknown_name("command", word, COMMANDS, hint)
    group = word.removeprefix("~").partition("=")[0]
    nothing = (f"~{group}", f"{group}=", f"{group}=null", f"{group}=[]")
    if group in (*CHOICES, METRICS) and word in nothing:
        from .configuration import names

        known = ", ".join(names(group))
        raise BadInput(f"{word} leaves the run without {group} · available: {known}")


@dataclass
class Session:
    """The jobs of one command line: one, or those of a sweep in ``folder``, and how each ended.

    ``owner`` is the process that reports. A launcher may run jobs in others: those raise, and
    Hydra brings the error back.
    """

    folder: Path
    owner: int
    endings: list[int] = field(default_factory=list)
    is_sweep: bool = False

    def job(self, config: DictConfig) -> None:
        """What Hydra calls with each composed configuration."""
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        hydra = HydraConfig.get()
        directory = Path(hydra.runtime.output_dir)
        self.is_sweep = hydra.mode == RunMode.MULTIRUN
        where = ""
        if self.is_sweep:
            self.folder = Path(hydra.sweep.dir)
            where = f"job {hydra.job.num} ({' '.join(hydra.overrides.task)})"
            escaping.say(where)
        try:
            _start(config, directory, self.folder.name if self.is_sweep else None)
            self.endings.append(FINISHED)
        except Exception as error:
            if os.getpid() != self.owner:
                raise
            self.endings.append(_report(error, f"{where}: " if where else ""))
        finally:
            _remove_empty(directory)

    def tidy(self) -> None:
        """Take away the folder of a sweep in which nothing ran."""
        if self.folder.is_dir() and [p.name for p in self.folder.iterdir()] == ["multirun.yaml"]:
            (self.folder / "multirun.yaml").unlink()
            _remove_empty(self.folder)

    def close(self) -> int:
        """The exit status, and for a sweep a line that counts."""
        if self.is_sweep:
            named = (("finished", FINISHED), ("refused", REFUSED), ("failed", FAILED))
            counts = [f"{self.endings.count(status)} {name}" for name, status in named]
            kept = f" · {self.folder}" if self.folder.is_dir() else ""
            escaping.say(f"sweep: {', '.join(counts)}{kept}")
        return max(self.endings, default=FINISHED)


def _start(config: DictConfig, directory: Path, sweep: str | None) -> None:
    """Run a composed configuration in a new directory."""
    from . import runner
    from .assembly import prepare
    from .configuration import hydra_files, plain

    resolved = plain(config)
    with threads(resolved):
        if resolved.get("job") == "approximation":
            study(resolved, directory, sweep, hydra_files(config))
        else:
            run = prepare(resolved, directory, sweep)
            follow(run, runner.run, hydra_files=hydra_files(config))


def _groups() -> str:
    """What may be chosen in each group, for the help page."""
    from .configuration import names

    indent = " " * 14
    return "\n".join(
        fill(", ".join(names(group)), 96, initial_indent=f"  {group:<12}", subsequent_indent=indent)
        for group in (*CHOICES, METRICS, "experiment")
    )


def _report(error: Exception, where: str = "") -> int:
    """Say what went wrong in one line; returns the exit status."""
    if os.environ.get("GORALX_TRACEBACK") == "1":
        raise error
    if _raised_in(error) in ("hydra", "omegaconf"):
        from .configuration import explain

        error = explain(error)
    refused = isinstance(error, (GoralxError, *MENDABLE)) and not isinstance(error, RunFailed)
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.filename:
        text = f"{error.filename}: {error.strerror} · give a path that you may write to"
    elif not isinstance(error, GoralxError):
        text = f"{type(error).__name__}: {text}"
    say(where + (text if refused else f"{text} · GORALX_TRACEBACK=1 shows where"))
    return REFUSED if refused else FAILED


def _raised_in(error: Exception) -> str:
    """The package whose code raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else str(trace.tb_frame.f_globals["__name__"]).partition(".")[0]


def _remove_empty(directory: Path) -> None:
    """Remove a directory if nothing is in it, and those above it up to the working directory."""
    here = Path.cwd()
    directory = directory.absolute()
    while directory.is_dir() and not any(directory.iterdir()):
        directory.rmdir()
        directory = directory.parent
        if not directory.is_relative_to(here) or directory == here:
            return


@contextmanager
def _process(argv: list[str], **environment: str) -> Iterator[None]:
    """Hydra reads the command line and its settings from the process."""
    before = sys.argv, {name: os.environ.get(name) for name in environment}
    sys.argv = argv
    os.environ.update(environment)
    try:
        yield
    finally:
        sys.argv = before[0]
        for name, value in before[1].items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

"""The command line: ``plugins``, ``ui``, ``resume``, ``sync``, ``explain``; else it is a run.

Exit status: 0 done, 2 for what the user can mend, 1 for what broke, 130 for Ctrl-C. Whatever goes
wrong is one line on stderr that begins with ``goralx:``; GORALX_TRACEBACK=1 raises instead.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, NoReturn

from .errors import BadInput, GoralxError, RunFailed, unknown_name
from .registry import HOOKS, registry

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from .configuration import Run

FINISHED, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130
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

    parser = _Parser(add_help=False, parents=[get_args_parser()], conflict_handler="resolve")
    parser.add_argument("--version", action="store_true")
    asked = parser.parse_intermixed_args(words)
    if asked.version:
        from . import __version__

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
    if group in HOOKS and word in (f"~{group}", f"{group}=", f"{group}=null"):
        known = ", ".join(registry().names(group))
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
            print(where, flush=True)
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
            print(f"sweep: {', '.join(counts)}{kept}")
        return max(self.endings, default=FINISHED)


def _start(config: DictConfig, directory: Path, sweep: str | None) -> None:
    """Run a composed configuration in a new directory."""
    from . import runner
    from .configuration import hydra_files, plain, prepare

    resolved = plain(config)
    with _threads(resolved):
        if resolved.get("job") == "approximation":
            _study(resolved, directory, sweep, hydra_files(config))
        else:
            run = prepare(resolved, directory, sweep)
            _follow(run, runner.run, hydra_files=hydra_files(config))


def _resume(words: list[str]) -> int:
    """``goralx resume RUN_DIR``: go on where the run stopped, as if it never had."""
    from . import runner
    from .configuration import prepare, recorded

    parser = _Parser(prog="goralx resume", description="Go on with an interrupted run.")
    parser.add_argument("directory", type=Path, metavar="RUN_DIR")
    directory = parser.parse_args(words).directory.resolve()
    config, sweep, began_in = recorded(directory)
    # relative paths and the store of the runs are found from where it was started
    with chdir(began_in) if began_in else nullcontext(), _threads(config):
        if config.get("job") == "approximation":
            _study(config, directory, sweep, None)
        else:
            _follow(prepare(config, directory, sweep), runner.resume)
    return FINISHED


def _study(
    config: dict[str, Any], directory: Path, sweep: str | None, hydra_files: dict[str, str] | None
) -> None:
    """Run a study of approximation quality, or go on with it."""
    from . import approximation_job
    from .configuration import prepare_study

    made = prepare_study(config, directory, sweep)
    with _resumable(directory):
        summary = approximation_job.run(made, hydra_files)
    print(approximation_job.closing_table(summary), flush=True)


def _follow(run: Run, go: Callable[..., dict[str, Any]], **more: Any) -> None:
    from .runner import closing_table

    observe = registry().observe
    with _resumable(run.info.directory):
        summary = go(
            run.experiment, run.info, tracker=run.tracker, observe=observe, progress=run.progress,
            **more,
        )  # fmt: skip
    print(closing_table(summary), flush=True)


@contextmanager
def _resumable(directory: Path) -> Iterator[None]:
    """Where a run is interrupted, say how to go on with it."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):  # Ctrl-C, SIGTERM
        if (directory / ".hydra").is_dir():
            _say(f"interrupted · go on with: goralx resume {_short(directory)}")
        raise


def _plugins(words: list[str]) -> int:
    """``goralx plugins [show NAME] [--json]``."""
    from . import inspection

    parser = _Parser(prog="goralx plugins", description="What there is, and what each can do.")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("words", nargs="*", metavar="show NAME", help="one of them, in full")
    asked = parser.parse_args(words)
    name = asked.words[1] if len(asked.words) == 2 else None
    if asked.words and (name is None or asked.words[0] != "show"):
        given = " ".join(asked.words)
        raise BadInput(f"plugins {given} · allowed: goralx plugins, goralx plugins show NAME")
    found = registry()
    if asked.json:
        print(inspection.as_json(found, name))
    else:
        print(inspection.show(found, name) if name else inspection.table(found))
    return FINISHED


def _ui(words: list[str]) -> int:
    """``goralx ui``: MLflow's pages on this machine only, until Ctrl-C."""
    from .tracking.mlflow import serve

    parser = _Parser(prog="goralx ui", description="MLflow's pages on this store.")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--store", help="MLflow's address of it; default outputs/mlflow.db")
    asked = parser.parse_args(words)
    if not 1 <= asked.port <= 65535:
        raise BadInput(f"--port {asked.port}; allowed: 1 to 65535")
    return serve(asked.store, asked.port)


def _sync(words: list[str]) -> int:
    """``goralx sync RUN_DIR``: the MLflow run of a record, rebuilt."""
    from .tracking.mlflow import sync

    parser = _Parser(prog="goralx sync", description="Rebuild the MLflow run of a run directory.")
    parser.add_argument("directory", type=Path, metavar="RUN_DIR")
    parser.add_argument("--store", help="MLflow's address of it; default the run's own")
    asked = parser.parse_args(words)
    print(f"MLflow run {sync(asked.directory, asked.store)}")
    return FINISHED


def _explain(words: list[str]) -> int:
    """``goralx explain RUN_DIR``: why a round chose these samples."""
    from .configuration import prepare, recorded
    from .report import explanation_files, explanation_text
    from .report.explained_round import explain_round

    parser = _Parser(prog="goralx explain", description="Why a round chose these samples.")
    parser.add_argument("directory", type=Path, metavar="RUN_DIR")
    parser.add_argument("--round", type=int, help="default: the last one that queried")
    parser.add_argument("--samples", help="how many of the batch (5), or pool ids (17,203 or 17,)")
    parser.add_argument("--json", action="store_true", help="for programs")
    asked = parser.parse_args(words)
    directory = asked.directory.resolve()
    config, sweep, began_in = recorded(directory)
    if config.get("job") == "approximation":
        raise BadInput(f"{asked.directory} holds a study, which has no rounds · give a run")
    with chdir(began_in) if began_in else nullcontext(), _threads(config):
        run = prepare(config, directory, sweep)
        explained = explain_round(run.experiment, run.info, asked.round, asked.samples)
    explanation_files.write(explained)
    if asked.json:
        print((explained.folder / "explanation.json").read_text(encoding="utf-8"))
    else:
        print(f"{explanation_text.table(explained)}\n\n  {_short(explained.folder)}")
    return FINISHED


COMMANDS = {
    "plugins": _plugins,
    "ui": _ui,
    "resume": _resume,
    "sync": _sync,
    "explain": _explain,
}


class _Parser(argparse.ArgumentParser):
    """Refuses in a line of ours."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message} · see goralx --help")


def _groups() -> str:
    """What may be chosen in each group, for the help page."""
    from .configuration import names

    indent = " " * 14
    return "\n".join(
        fill(", ".join(names(group)), 96, initial_indent=f"  {group:<12}", subsequent_indent=indent)
        for group in (*HOOKS, "experiment")
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
    _say(where + (text if refused else f"{text} · GORALX_TRACEBACK=1 shows where"))
    return REFUSED if refused else FAILED


def _raised_in(error: Exception) -> str:
    """The package whose code raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else str(trace.tb_frame.f_globals["__name__"]).partition(".")[0]


def _say(line: str) -> None:
    print(f"goralx: {line}", file=sys.stderr, flush=True)


def _short(path: Path) -> Path:
    """As seen from here, if it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _remove_empty(directory: Path) -> None:
    """Remove a directory if nothing is in it, and those above it up to the working directory."""
    here = Path.cwd()
    directory = directory.absolute()
    while directory.is_dir() and not any(directory.iterdir()):
        directory.rmdir()
        directory = directory.parent
        if not directory.is_relative_to(here) or directory == here:
            return


def _threads(config: Any) -> Any:
    """Hold linear algebra to the configured threads; what cannot be is refused later, in words."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=max(1, config.get("threads") or 1))


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

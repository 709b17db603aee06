"""The words of the command line, such as ``plugins``, ``resume`` and ``reproduce``.

Each takes the words behind it and returns the exit status; what it refuses it raises.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from goralx import escaping
from goralx.discovery import registry
from goralx.errors import BadInput

if TYPE_CHECKING:
    from .assembly import Run

FINISHED, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses: done, broke, what the user can mend, Ctrl-C."""


class Parser(argparse.ArgumentParser):
    """Refuses in a line of ours."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message} · see goralx --help")


def _resume(words: list[str]) -> int:
    """``goralx resume RUN_DIR``: go on where the run stopped, as if it never had."""
    from . import runner
    from .assembly import prepare
    from .configuration import recorded

    parser = Parser(prog="goralx resume", description="Go on with an interrupted run.")
    parser.add_argument("directory", type=Path, metavar="RUN_DIR")
    directory = parser.parse_args(words).directory.resolve()
    config, sweep, began_in = recorded(directory)
    # relative paths and the store of the runs are found from where it was started
    with chdir(began_in) if began_in else nullcontext(), threads(config):
        if config.get("job") == "approximation":
            study(config, directory, sweep, None)
        else:
            follow(prepare(config, directory, sweep), runner.resume)
    return FINISHED


def study(
    config: dict[str, Any], directory: Path, sweep: str | None, hydra_files: dict[str, str] | None
) -> None:
    """Run a study of approximation quality, or go on with it."""
    from goralx import approximation

    from .assembly import prepare_study

    made = prepare_study(config, directory, sweep)
    with _resumable(directory):
        summary = approximation.run(made, hydra_files)
    escaping.say(approximation.closing_table(summary))


def follow(run: Run, go: Callable[..., dict[str, Any]], **more: Any) -> None:
    from .runner import closing_table

    observe = registry().observe
    with _resumable(run.info.directory):
        summary = go(
            run.experiment, run.info, tracker=run.tracker, observe=observe, progress=run.progress,
            figures=run.figures, all_utilities=run.all_utilities, **more,
        )  # fmt: skip
    escaping.say(closing_table(summary))


@contextmanager
def _resumable(directory: Path) -> Iterator[None]:
    """Where a run is interrupted, say how to go on with it."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):  # Ctrl-C, SIGTERM
        if (directory / ".hydra").is_dir():
            say(f"interrupted · go on with: goralx resume {short(directory)}")
        raise


def _plugins(words: list[str]) -> int:
    """``goralx plugins [show NAME] [--json]``."""
    from goralx import discovery

    parser = Parser(prog="goralx plugins", description="What there is, and what each can do.")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("words", nargs="*", metavar="show NAME", help="one of them, in full")
    asked = parser.parse_args(words)
    name = asked.words[1] if len(asked.words) == 2 else None
    if asked.words and (name is None or asked.words[0] != "show"):
        given = " ".join(asked.words)
        raise BadInput(f"plugins {given} · allowed: goralx plugins, goralx plugins show NAME")
    found = registry()
    if asked.json:
        escaping.say(discovery.as_json(found, name))
    else:
        escaping.say(discovery.show(found, name) if name else discovery.table(found))
    return FINISHED


def _ui(words: list[str]) -> int:
    """``goralx ui``: MLflow's pages on this machine only, until Ctrl-C."""
    from goralx.tracking import serve

    parser = Parser(prog="goralx ui", description="MLflow's pages on this store.")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--store", help="MLflow's address of it; default outputs/mlflow.db")
    asked = parser.parse_args(words)
    if not 1 <= asked.port <= 65535:
        raise BadInput(f"--port {asked.port}; allowed: 1 to 65535")
    return serve(asked.store, asked.port)


def _sync(words: list[str]) -> int:
    """``goralx sync RUN_DIR``: the MLflow run of a record, rebuilt."""
    from goralx.tracking import sync

    parser = Parser(prog="goralx sync", description="Rebuild the MLflow run of a run directory.")
    parser.add_argument("directory", type=Path, metavar="RUN_DIR")
    parser.add_argument("--store", help="MLflow's address of it; default the run's own")
    asked = parser.parse_args(words)
    escaping.say(f"MLflow run {sync(asked.directory, asked.store)}")
    return FINISHED


def _explain(words: list[str]) -> int:
    """``goralx explain RUN_DIR``: why a round chose these samples."""
    from goralx import explanation

    from .assembly import prepare
    from .configuration import recorded

    parser = Parser(prog="goralx explain", description="Why a round chose these samples.")
    parser.add_argument("directory", type=Path, metavar="RUN_DIR")
    parser.add_argument("--round", type=int, help="default: the last one that queried")
    parser.add_argument("--samples", help="how many of the batch (5), or pool ids (17,203 or 17,)")
    parser.add_argument("--json", action="store_true", help="for programs")
    asked = parser.parse_args(words)
    directory = asked.directory.resolve()
    config, sweep, began_in = recorded(directory)
    if config.get("job") == "approximation":
        raise BadInput(f"{asked.directory} holds a study, which has no rounds · give a run")
    with chdir(began_in) if began_in else nullcontext(), threads(config):
        run = prepare(config, directory, sweep)
        explained = explanation.explain_round(run.experiment, run.info, asked.round, asked.samples)
    explanation.write(explained)
    if asked.json:
        escaping.say((explained.folder / "explanation.json").read_text(encoding="utf-8"))
    else:
        escaping.say(f"{explanation.table(explained)}\n\n  {short(explained.folder)}")
    return FINISHED


def _reproduce(words: list[str]) -> int:
    """``goralx reproduce [ITEM ...]``: the paper's figures and sentences, from runs made here."""
    from goralx import reproduction

    parser = Parser(
        prog="goralx reproduce",
        description="Run what is missing for the paper's tables and figures, draw them, and check "
        "its sentences. Runs that are there are kept; hours for all of it, minutes with --quick.",
    )
    items = ", ".join((*reproduction.ITEMS, reproduction.FINDING))
    parser.add_argument("items", nargs="*", metavar="ITEM", help=f"all (the paper's), or {items}")
    parser.add_argument("--seeds", type=int, help="of every data set; default as planned, 10 or 20")
    parser.add_argument("--quick", action="store_true", help="two seeds, few queries: a first look")
    parser.add_argument("--no-runs", action="store_true", help="run nothing: check what is there")
    parser.add_argument("--out", type=Path, help="results; default outputs/reproduction")
    parser.add_argument("--runs", type=Path, help="runs; default OUT-runs")
    asked = parser.parse_args(words)
    if asked.seeds is not None and asked.seeds < 1:
        raise BadInput(f"--seeds {asked.seeds}; allowed: at least 1")
    chosen = reproduction.check_items(asked.items)
    out = asked.out or Path("outputs") / ("reproduction-quick" if asked.quick else "reproduction")
    made = reproduction.Reproduction(
        runs=asked.runs or out.with_name(f"{out.name}-runs"),
        out=out,
        command=" ".join(["goralx reproduce", *words]),
        n_seeds=asked.seeds,
        quick=asked.quick,
        run=not asked.no_runs,
    )
    with threads({}):
        paper = [item for item in chosen if item != reproduction.FINDING]
        lines = made.paper(paper) if paper else []
        if reproduction.FINDING in chosen:
            lines += made.finding()
    escaping.say("\n".join(lines))
    return FINISHED


COMMANDS = {
    "plugins": _plugins,
    "ui": _ui,
    "resume": _resume,
    "sync": _sync,
    "explain": _explain,
    "reproduce": _reproduce,
}


def say(line: str) -> None:
    escaping.say(f"goralx: {' '.join(line.split())}", sys.stderr)


def short(path: Path) -> Path:
    """As seen from here, if it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def threads(config: Any) -> Any:
    """Hold linear algebra to the configured threads; what cannot be is refused later, in words."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=max(1, config.get("threads") or 1))

"""A run or a sweep, which Hydra composes, and what Hydra is asked itself."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from goralx.discovery import CHOICES, METRICS, registry
from goralx.errors import BadInput, GoralxError, unknown_name

from .shared import FINISHED, Parser, quoted, say
from .sweep_folder import name as sweep_name

if TYPE_CHECKING:
    from .session import Session

_LAUNCHER = re.compile(r"[+~]*hydra[/.]launcher\b")


def run_hydra(
    words: list[str], commands: Iterable[str] = (), *, force: bool = False, restart: bool = False
) -> int:
    """Run what the words ask for, or answer ``--help``, ``--cfg job``, ``--info``.

    Returns the exit status. ``commands`` are what the first word might have been instead. ``force``
    and ``restart``: how runs of a sweep go on that are there already.
    """
    import hydra
    from hydra._internal.utils import get_args_parser
    from omegaconf import OmegaConf

    from goralx.tracking import terminable

    from .choices import config_folder
    from .nodes import register_nodes
    from .session import Announcer, Session
    from .words import literal

    with _help_unread():
        parser = Parser(add_help=False, parents=[get_args_parser()], conflict_handler="resolve")
    parser.add_argument("--version", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    asked = parser.parse_intermixed_args(words)
    if asked.version:
        from goralx import __version__

        print(f"goralx {__version__}")
        return FINISHED
    if asked.experimental_rerun:
        raise BadInput("--experimental-rerun reads pickles · use goralx resume RUN_DIR")
    for word in asked.overrides:
        _check_word(word, commands)
    register_nodes(registry())
    OmegaConf.register_new_resolver("goralx.groups", _groups, replace=True)
    OmegaConf.register_new_resolver("goralx.name", _name, replace=True)

    given = tuple(literal(asked.overrides, sweep=asked.multirun))
    overrides = [w for w in given if not (asked.dry_run and _LAUNCHER.match(w))]
    folder = sweep_folder(given)
    flags = [w for w in words if w not in asked.overrides and w != "--dry-run"]
    if asked.info is not None:  # its value may be left out, and the next word is not one
        flags = [w for w in flags if w not in ("--info", "-i", asked.info)]
        flags.append(f"--info={asked.info}")
    now = f"{datetime.now():%Y-%m-%d_%H-%M-%S-%f}_{os.getpid()}"
    how = {"dry": asked.dry_run, "force": force, "restart": restart}
    session = Session(given, (*flags, *given), folder, now, **how)
    program = hydra.main(version_base="1.3", config_path=str(config_folder()), config_name="config")
    placed = f"hydra.sweep.dir={quoted(folder)}"
    argv = ["goralx", *flags, *overrides, placed]  # Hydra wants its flags first
    with _process(argv, HYDRA_FULL_ERROR="1"), _help_unread(), _groups_unlisted(asked.help):
        try:
            with terminable(session.end_others, at_once=True), Announcer(session):
                if asked.multirun:
                    session.sweep.begin(session.name)
                _launch(lambda: program(session.job)(), session)
        finally:
            status = session.close()
    return status


def sweep_folder(overrides: Sequence[str]) -> Path:
    """The one that is given, or else one that the same overrides find again."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.utils import setup_globals
    from omegaconf import OmegaConf

    given = [word for word in overrides if word.lstrip("+").startswith("hydra.sweep.dir=")]
    if not given:
        return Path("outputs/sweeps", sweep_name(overrides)).absolute()
    setup_globals()  # ${now:...}
    value = OverridesParser.create().parse_override(given[-1]).value()
    return Path(str(OmegaConf.create({"dir": value})["dir"])).absolute()


def _launch(program: Callable[[], None], session: Session) -> None:
    """Have the jobs done; again for those whose process was killed, or fell with one that was."""
    cut_short: Counter[int] = Counter()
    while True:
        try:
            return program()
        except Exception as error:
            lost = session.lost()
            if not lost:
                session.sweeper_ended(error)
                return None
            cut_short.update(outcome.job for outcome in lost)
            session.give_up([o for o in lost if cut_short[o.job] > 1])
            say(f"{len(lost)} jobs lost their process; going on with what is missing")


def _check_word(word: str, commands: Iterable[str]) -> None:
    """Refuse what is neither a command nor an option, and a run without one of its components."""
    if "=" not in word and not word.startswith("~"):
        hint = " · options are given as NAME=VALUE, see goralx --help"
        raise unknown_name("command", word, commands, hint)
    if word.lstrip("+~").startswith("hydra.sweep.subdir"):
        raise BadInput(
            f"{word} · leave it out: a sweep's runs lie in folders named by what they are"
        )
    group = word.removeprefix("~").partition("=")[0]
    nothing = (f"~{group}", f"{group}=", f"{group}=null", f"{group}=[]")
    if group in (*CHOICES, METRICS) and word in nothing:
        from .choices import names

        known = ", ".join(names(group))
        raise BadInput(f"{word} leaves the run without {group} · available: {known}")


def _name(*, _root_: Any) -> str:
    """What a run is called, for its folder."""
    from omegaconf import OmegaConf

    from .naming import run_name

    asked = ("dataset", "initial", "strategy", "goal", "operator", "utility", "batch", "model",
             "stop", "oracle", "dev")  # fmt: skip
    config: dict[str, Any] = {g: OmegaConf.to_container(_root_[g], resolve=True) for g in asked}
    try:
        return run_name({**config, "seed": _root_["seed"]}, registry())
    except GoralxError:  # the run is refused in a moment, for what is wrong with it
        return "refused"


def _groups() -> str:
    """What may be chosen in each group, for the help page."""
    from .choices import names

    indent = " " * 14
    return "\n".join(
        fill(", ".join(names(group)), 96, initial_indent=f"  {group:<12}", subsequent_indent=indent)
        for group in (*CHOICES, METRICS, "experiment")
    )


@contextmanager
def _help_unread() -> Iterator[None]:
    """Python 3.14 reads a flag's help as it is declared; one of Hydra's is no text (hydra#3121)."""
    check = vars(argparse._ActionsContainer).get("_check_help")
    if check is None:
        yield
        return
    argparse._ActionsContainer._check_help = lambda self, action: None  # type: ignore[attr-defined]
    try:
        yield
    finally:
        argparse._ActionsContainer._check_help = check  # type: ignore[attr-defined]


@contextmanager
def _groups_unlisted(wanted: bool) -> Iterator[None]:
    """The help page has a list of its own; Hydra's, which it leaves out, takes five seconds."""
    from hydra._internal.hydra import Hydra

    theirs = Hydra.format_config_groups
    if wanted:
        Hydra.format_config_groups = lambda self, predicate, compact=True: ""  # type: ignore[method-assign]
    try:
        yield
    finally:
        Hydra.format_config_groups = theirs  # type: ignore[method-assign]


@contextmanager
def _process(argv: list[str], **environment: str) -> Iterator[None]:
    """Hydra reads the command line and its settings from the process, and sets its logging up."""
    before = sys.argv, {name: os.environ.get(name) for name in environment}
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    sys.argv = argv
    os.environ.update(environment)
    try:
        yield
    finally:
        sys.argv = before[0]
        root.setLevel(level)
        root.handlers[:] = handlers
        for name, value in before[1].items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

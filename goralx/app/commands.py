"""The words of the command line, such as ``plugins``, ``resume`` and ``reproduce``.

Each takes the words behind it and returns the exit status; what it refuses it raises.
"""

from __future__ import annotations

import json
from contextlib import chdir, nullcontext
from pathlib import Path

from goralx import escaping
from goralx.discovery import registry
from goralx.errors import BadInput

from . import comparing
from .shared import FINISHED, REFUSED, Parser, quoted, short, threads


def _resume(words: list[str]) -> int:
    """``goralx resume RUN_DIR | SWEEP_DIR [n_queries=N]``: go on where it stopped, or further."""
    from .configuration import recorded
    from .extending import extended
    from .job import prepare_job
    from .sweep_folder import SweepFolder

    parser = Parser(prog="goralx resume", description="Go on with an interrupted run, or a sweep.")
    parser.add_argument("directory", type=Path, metavar="RUN_DIR | SWEEP_DIR")
    further = "a larger budget (n_queries=, stop=, stop.OPTION=), or how a sweep is run"
    parser.add_argument("options", nargs="*", metavar="OPTION=VALUE", help=further)
    parser.add_argument("--force", action="store_true", help="though the code of a run has changed")
    parser.add_argument("--restart", action="store_true", help="a damaged run, from round 0 again")
    asked = parser.parse_intermixed_args(words)
    directory = asked.directory.resolve()
    if SweepFolder(directory).manifest.is_file():
        return _resume_sweep(directory, asked.options, asked.force, asked.restart)
    before, sweep, began_in = recorded(directory)
    config = extended(before, asked.options)
    # relative paths and the store of the runs are found from where it was started
    with chdir(began_in) if began_in else nullcontext(), threads(config):
        job = prepare_job(config, sweep).placed(directory)
        job.resume(asked.force, asked.restart, before if asked.options else None)
    return FINISHED


def _resume_sweep(folder: Path, options: list[str], force: bool, restart: bool) -> int:
    """Give the commands of a sweep again, from where they were given."""
    from .extending import check_sweep, is_budget
    from .program import run_hydra
    from .sweep_folder import INDIFFERENT, SweepFolder

    budget = [option for option in options if is_budget(option)]
    options = [option for option in options if option not in budget]
    for option in options:
        if "=" not in option or not INDIFFERENT.match(option):
            raise BadInput(
                f"{option} · a sweep goes on with what it was begun with; allowed: n_queries=, "
                "stop=, stop's options, on_existing=, hydra/launcher=, progress=, threads="
            )
    if budget:
        check_sweep(SweepFolder(folder).runs(), budget)
        SweepFolder(folder).extend(budget)
    status = FINISHED
    for command in SweepFolder(folder).commands():
        began_in = Path(command["directory"])
        if not began_in.is_dir():
            raise BadInput(f"{folder} was begun in {began_in}, which is not there any more")
        with chdir(began_in):
            again = [*command["words"], *options, f"hydra.sweep.dir={quoted(folder)}"]
            status = max(status, run_hydra(again, force=force, restart=restart))
    return status


def _plugins(words: list[str]) -> int:
    """``goralx plugins [show NAME] [--json]``."""
    from goralx import discovery

    from .choices import as_data, experiments, first_comment

    parser = Parser(prog="goralx plugins", description="What there is, and what each can do.")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("words", nargs="*", metavar="show NAME", help="one of them, in full")
    asked = parser.parse_args(words)
    name = asked.words[1] if len(asked.words) == 2 else None
    if asked.words and (name is None or asked.words[0] != "show"):
        given = " ".join(asked.words)
        raise BadInput(f"plugins {given} · allowed: goralx plugins, goralx plugins show NAME")
    found, presets = registry(), experiments()
    named = {key: path for n, path in presets.items() for key in (f"experiment={n}", n)}
    preset = named.get(name or "")
    if preset is not None and not any(name == c.name for c in found.components.values()):
        if asked.json:
            escaping.say(json.dumps({"presets": [as_data(preset)]}, indent=2))
            return FINISHED
        escaping.say(f"experiment={preset.stem}\n\n{preset.read_text(encoding='utf-8').rstrip()}")
    elif asked.json:
        every = [] if name else [as_data(path) for path in presets.values()]
        escaping.say(discovery.as_json(found, name, every))
    elif name:
        escaping.say(discovery.show(found, name))
    else:
        escaping.say(discovery.table(found))
        for path in presets.values():
            escaping.say(f"experiment  {path.stem}  {first_comment(path)}".rstrip())
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
    """``goralx sync [RUN | SWEEP | all]``: what MLflow was not told of, it is told."""
    from goralx.tracking import absolute_store

    from .syncing import bring_level, records

    parser = Parser(prog="goralx sync", description="Bring MLflow level with the records.")
    parser.add_argument(
        "what", nargs="*", default=["all"], metavar="RUN | SWEEP | all",
        help="run directories, folders with runs in them, or all below outputs/ (the default)",
    )  # fmt: skip
    parser.add_argument("--store", help="MLflow's address of it; default the runs' own")
    asked = parser.parse_args(words)
    store = absolute_store(asked.store) if asked.store else None
    done = bring_level(records(asked.what), store)
    escaping.say(str(done))
    return REFUSED if done.left_out else FINISHED


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


def _label(words: list[str]) -> int:
    """``goralx label DIRECTORY [TEXTS]``: a person in a terminal, or files for other tools."""
    from .labelling import label

    return label(words)


def _verify(words: list[str]) -> int:
    """``goralx verify RUN_DIR | SWEEP_DIR``: is it what was written, and do the data say so?"""
    from .verifying import verify

    return verify(words)


def _guide(words: list[str]) -> int:
    """``goralx guide [TOPIC]``: what there is to read."""
    from .guide import guide

    return guide(words)


def _new_plugin(words: list[str]) -> int:
    """``goralx new-plugin NAME --goal``: a package of one's own to begin with."""
    from .new_plugin import new_plugin

    return new_plugin(words)


def _doctor(words: list[str]) -> int:
    """``goralx doctor``: what is here, and what of it would get in a run's way."""
    from .doctor import doctor

    return doctor(words)


COMMANDS = {
    "guide": _guide,
    "plugins": _plugins,
    "new-plugin": _new_plugin,
    "doctor": _doctor,
    "ui": _ui,
    "resume": _resume,
    "sync": _sync,
    "explain": _explain,
    "verify": _verify,
    "label": _label,
    "report": comparing.report,
    "lint": comparing.lint,
    "reproduce": _reproduce,
}

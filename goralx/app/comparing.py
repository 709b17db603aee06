"""``goralx report`` and ``goralx lint``: which records are meant, and what is made of them.

A sweep reports by itself at its end (`after_sweep`), unless its runs were given ``report=false``.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from goralx import escaping
from goralx.errors import BadInput, GoralxError

from .shared import FAILED, FINISHED, Parser, say, short

if TYPE_CHECKING:
    from goralx.comparison import Arm, Arms, Finding

SWEEPS, REPORTS, COLOURS = (
    Path("outputs/sweeps"), Path("outputs/reports"), Path("outputs/arm_colours.json")
)  # fmt: skip
BASELINE = "random"
MANY = 30
"""Arms beyond which a sweep does not report by itself: somebody has to say what to compare."""


def report(words: list[str]) -> int:
    """``goralx report [SWEEP | RUN ...]``: a folder with a page that compares the runs."""
    parser = _parser("report", "Compare finished runs: a page, its figures, tables and numbers.")
    parser.add_argument("--out", type=Path, help="the folder to write; default beside the runs")
    parser.add_argument("--baseline", help=f"arm that others are held against; default {BASELINE}")
    parser.add_argument(
        "--baseline-only", action="store_true",
        help="compare with the baseline alone, which needs fewer seeds to show a difference",
    )  # fmt: skip
    asked = parser.parse_args(words)
    with _records(asked) as (folders, name):
        arms = _arms(folders, asked.by)
        baseline = _baseline(arms, asked.baseline)
        if asked.baseline_only and baseline is None:
            raise BadInput(f"--baseline-only needs a baseline · --baseline {_names(arms)}")
        out = asked.out or _out(asked.paths)
        _write(arms, out, f"Report on {name}", baseline, asked.baseline_only)
    return FINISHED


def lint(words: list[str]) -> int:
    """``goralx lint [SWEEP | RUN ...]``: what would make a reviewer doubt, and the remedy."""
    from goralx import comparison

    asked = _parser("lint", "Look for what makes a comparison doubtful.").parse_args(words)
    with _records(asked) as (folders, _):
        found = comparison.lint(_arms(folders, asked.by))
    for finding in found:
        escaping.say(_line(finding))
    counts = [f"{sum(f.level == level for f in found)} {level}s" for level in comparison.LEVELS]
    escaping.say(f"lint: {', '.join(counts)}, {len(comparison.CHECKS)} checks")
    return FAILED if any(f.level == "fault" for f in found) else FINISHED


def after_sweep(folder: Path) -> None:
    """The report of a sweep that has just ended; whatever goes wrong with it ends nothing else."""
    from goralx import comparison

    try:
        runs, left_out = comparison.gather(_below(folder))
        if not runs or any(run.config.get("report") is False for run in runs):
            return
        if any(one.why == comparison.STILL_GOING for one in left_out):
            say(f"no report yet, runs are still going: goralx report {short(folder)}")
            return
        arms = comparison.group(runs, left_out)
        if len(arms.arms) > MANY:
            say(
                f"no report: {len(arms.arms)} arms · say what to compare: goralx report "
                f"{short(folder)} --by {','.join(comparison.FIELDS)}"
            )
            return
        progress = all(run.config.get("progress", True) for run in runs)
        title = f"Report on {folder.name}"
        _write(arms, folder / "report", title, _baseline(arms, None), False, progress)
    except GoralxError as error:
        say(f"no report: {error}")
    except Exception as error:
        if os.environ.get("GORALX_TRACEBACK") == "1":
            raise
        say(f"no report: {type(error).__name__}: {error} · GORALX_TRACEBACK=1 shows where")


def _parser(word: str, description: str) -> Parser:
    parser = Parser(prog=f"goralx {word}", description=description)
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="SWEEP | RUN",
        help="folders of runs, or names of sweeps; default the latest sweep",
    )  # fmt: skip
    parser.add_argument(
        "--by", default=None, metavar="FIELD,...",
        help="options that tell arms apart; default strategy,goal,operator,utility,batch",
    )  # fmt: skip
    parser.add_argument(
        "--mlflow", nargs="?", const="", metavar="URI",
        help="read runs from an MLflow store; without URI the default one",
    )  # fmt: skip
    parser.add_argument(
        "--filter", default="", metavar="QUERY",
        help="which of them, in MLflow's words: tags.`goralx.sweep` = 'NAME'",
    )  # fmt: skip
    return parser


@contextmanager
def _records(asked: argparse.Namespace) -> Iterator[tuple[list[Path], str]]:
    """Record folders that are meant, and what to call them all."""
    if asked.filter and asked.mlflow is None:
        raise BadInput("--filter chooses among the runs of --mlflow · give --mlflow too")
    if asked.mlflow is not None:
        from goralx.tracking import fetch_records

        if asked.paths:
            raise BadInput("give folders or --mlflow, not both")
        with TemporaryDirectory(prefix="goralx-") as folder:
            yield fetch_records(asked.mlflow or None, asked.filter, Path(folder)), "MLflow's runs"
        return
    paths = [_existing(path) for path in asked.paths] or [_latest()]
    names = [path.resolve().name for path in paths]
    name = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    yield [folder for path in paths for folder in _of(path)], name


def _existing(path: Path) -> Path:
    """A folder as given, or a sweep by its name."""
    if path.is_dir():
        return path
    if (SWEEPS / path).is_dir():
        return SWEEPS / path
    known = sorted(p.name for p in SWEEPS.iterdir()) if SWEEPS.is_dir() else []
    listed = ", ".join(known[-5:]) or "none"
    raise BadInput(f"{path} is no folder · give a sweep or runs; the latest sweeps: {listed}")


def _latest() -> Path:
    sweeps = sorted(p for p in SWEEPS.iterdir() if p.is_dir()) if SWEEPS.is_dir() else []
    if not sweeps:
        raise BadInput(f"there is no sweep in {SWEEPS} · give the folder of one, or of runs")
    return max(sweeps, key=lambda p: p.stat().st_mtime)


def _of(path: Path) -> list[Path]:
    """The record that a folder is, or those below it. Raises `BadInput` where there is none."""
    from goralx.comparison import read_run

    if (path / "summary.json").exists():
        read_run(path)  # named itself, a damaged record is refused
        return [path.resolve()]
    found = _below(path)
    if not found:
        raise BadInput(f"{path} holds no runs · a run's folder has a summary.json")
    return found


def _below(folder: Path) -> list[Path]:
    from goralx.tracking import records_below

    return records_below(folder.resolve())


def _arms(folders: Iterable[Path], by: str | None) -> Arms:
    """The runs as arms; what is left out is said, a line each."""
    from goralx import comparison

    runs, left_out = comparison.gather(dict.fromkeys(folders))
    if not runs and left_out:
        first = left_out[0]
        raise BadInput(
            f"none of {len(left_out)} records is a finished run · {first.directory.name}: "
            f"{first.why} · {first.remedy}"
        )
    fields = [name.strip() for name in by.split(",") if name.strip()] if by else comparison.FIELDS
    arms = comparison.group(runs, left_out, fields)
    for one in arms.left_out:
        say(f"left out: {short(one.directory)}: {one.why} · {one.remedy}")
    return arms


def _baseline(arms: Arms, name: str | None) -> Arm | None:
    """The arm that is named; else random's, if there is one such."""
    if name is not None:
        found = arms.find(name)
        if found.uses_truth:
            raise BadInput(f"{name} uses the truth and is not ranked · --baseline {_names(arms)}")
        return found
    candidates = [arm for arm in arms.ranked if arm.strategy == BASELINE]
    return candidates[0] if candidates else None


def _names(arms: Arms) -> str:
    return ", ".join(arm.label for arm in arms.ranked)


def _out(paths: list[Path]) -> Path:
    """Beside the runs of one sweep; else a folder of its own."""
    sweeps = [_existing(path) for path in paths] or [_latest()]
    if len(sweeps) == 1 and not (sweeps[0] / "summary.json").exists():
        return sweeps[0] / "report"
    return REPORTS / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")


def _write(
    arms: Arms, out: Path, title: str, baseline: Arm | None, only: bool, progress: bool = True
) -> None:
    from goralx import report
    from goralx.tracking import steps_bar

    with steps_bar("report", progress) as told:
        written = report.write(
            arms, out, title=title, baseline=baseline, against_baseline_only=only, colours=COLOURS,
            progress=told,
        )  # fmt: skip
    doubts = f" · {written.n_doubts} doubts to clear up, see there" if written.n_doubts else ""
    escaping.say(f"report: {short(written.page)}{doubts}")


def _line(finding: Finding) -> str:
    return f"{finding.level}: {finding.check} · {finding.where}: {finding.what} · {finding.remedy}"

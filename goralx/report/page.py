"""The page: what a reader sees first, then what it rests on; one file, no address outside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goralx.comparison import Arms, Finding, LeftOut
from goralx.escaping import for_terminal

from .publishing import Published
from .style import counted
from .tables import Table

TEMPLATE = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class Section:
    """Tables and pictures under one heading, in order."""

    id: str
    title: str
    items: tuple[Table | Published, ...]
    intro: str = ""
    lines: tuple[str, ...] = field(default=())


def render(
    arms: Arms, title: str, headlines: Sequence[str], sections: Iterable[Section],
    doubts: Sequence[Finding], every: Sequence[str], left_out: Sequence[LeftOut], n_checks: int,
) -> str:  # fmt: skip
    """The whole page. All text goes through autoescaping; only our own SVG does not."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined, finalize=_visible
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        title=title,
        summary=summary(arms),
        headlines=headlines,
        sections=[s for s in sections if s.items or s.lines],
        doubts=doubts,
        every=every,
        runs=runs_table(arms),
        left_out=left_out,
        n_checks=n_checks,
        versions=versions(arms),
    )


def _visible(value: Any) -> Any:
    """What steers a line instead of being seen is written out; our own markup is no plain text."""
    return for_terminal(value) if type(value) is str else value


def summary(arms: Arms) -> str:
    n, datasets = len(arms.all_runs), ", ".join(arms.datasets)
    ranked, truth = len(arms.ranked), len(arms.arms) - len(arms.ranked)
    apart = f", and {truth} that use the truth, apart" if truth else ""
    seeds = {len(runs) for runs in arms.runs.values()}
    low, high = min(seeds), max(seeds)
    each = counted(low, "seed") if low == high else f"{low} to {high} seeds"
    return (
        f"{counted(n, 'finished run')}: {counted(ranked, 'arm')}{apart}, on {datasets}, "
        f"{each} each. The first metric is {arms.metrics[0]}."
    )


def runs_table(arms: Arms) -> Table:
    rows = tuple(
        (dataset, arm.label, str(run.seed), f"{run.number(arms.metrics[0]):.4f}",
         f"{run.number('aulc'):.4f}", str(int(run.n_labelled[-1])), run.fingerprint[:16],
         run.directory.name)
        for (dataset, arm), runs in arms.runs.items()
        for run in runs
    )  # fmt: skip
    return Table(
        "runs", "Every run and its fingerprint",
        ("data set", "arm", "seed", f"final {arms.metrics[0]}", "AULC", "labels", "fingerprint",
         "folder"),
        rows, "A fingerprint names all that determines a result; runs.csv has it whole, with "
        "every final number.",
    )  # fmt: skip


def versions(arms: Arms) -> str:
    seen: dict[str, set[str]] = {}
    for run in arms.all_runs:
        for package, version in (run.summary.get("versions") or {}).items():
            seen.setdefault(package, set()).add(str(version))
    listed = ", ".join(f"{package} {' and '.join(sorted(v))}" for package, v in seen.items())
    return f"Runs were made by {listed}." if listed else ""

"""The report as a folder: the page, its figures, the numbers as CSV, the tables as text."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from goralx.comparison import (
    AULC,
    CHECKS,
    Arm,
    Arms,
    Comparison,
    all_needed,
    by_cost,
    compare_all,
    costs,
    discovered,
    divergences,
    lint,
    of_comparison,
    of_divergence,
    of_savings,
    predictions,
    rank,
    said_in,
    savings,
    tally,
    trust,
)
from goralx.errors import BadInput

from . import answer_figures, comparison_figures, curve_figures, data_files, tables, utility_figures
from .page import Section, render
from .palette import project_palette
from .publishing import Picture, Published, publish_widths
from .tables import Table

Progress = Callable[[int, int, str], None]
"""Told of (steps done, steps in all, what comes next)."""


@dataclass(frozen=True)
class Report:
    """What was written: the page's path, what can be said in a few lines, and how many doubts."""

    page: Path
    headlines: tuple[str, ...]
    n_doubts: int


def write(
    arms: Arms,
    folder: Path,
    *,
    title: str,
    baseline: Arm | None = None,
    against_baseline_only: bool = False,
    colours: Path | None = None,
    progress: Progress = lambda done, total, what: None,
) -> Report:
    """Write the report into ``folder``, whole or not at all; what an earlier one left is replaced.

    ``baseline`` is what others are held against (None: the first of the ranked arms);
    ``against_baseline_only`` makes it the only one they are compared with. ``colours`` is where
    the project keeps which arm has which colour.
    """
    _check_free(folder)
    ranked = arms.ranked
    held = baseline or (ranked[0] if ranked else None)
    compared = compare_all(arms, held if against_baseline_only else None)
    found_needed = all_needed(arms)
    saved = savings(arms, held) if held else []
    by_rank, doubts = rank(arms), lint(arms)
    keys = {arm: arm.key for arm in arms.arms}
    palette = project_palette(keys.values(), colours)
    looks = {arm: palette[key] for arm, key in keys.items()}

    curves = curve_figures.pictures(arms, looks)
    differences = None
    if held is not None:
        differences = comparison_figures.differences(arms, looks, compared, held, AULC)
    waiting = comparison_figures.labels_needed(arms, looks, found_needed)
    diagram = None
    if by_rank is not None:
        diagram = comparison_figures.critical_difference(by_rank, looks)
    used = utility_figures.pictures(arms)
    told = said_in(arms)
    answers = answer_figures.pictures(told)
    asked = [*curves, differences, waiting, diagram, *used, *answers]
    pictures = [p for p in asked if isinstance(p, Picture)]

    partial = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        drawn = {}
        for i, picture in enumerate(pictures):
            progress(i, len(pictures) + 1, picture.name)
            drawn[picture.name] = publish_widths(picture, partial / "figures")
        progress(len(pictures), len(pictures) + 1, "tables and page")
        data_files.write_runs(partial, arms)
        data_files.write_curves(partial, arms)
        data_files.write_comparisons(partial, compared)
        data_files.write_needed(partial, found_needed, saved)
        data_files.write_answers(partial, told)

        def shown(*chosen: Picture | Arm | None) -> list[Published]:
            return [drawn[p.name] for p in chosen if isinstance(p, Picture)]

        t_scores, t_needed = tables.scores(arms), tables.needed(found_needed)
        t_saved = tables.savings(saved)
        t_main = tables.comparisons(arms, [c for c in compared if c.metric == AULC])
        t_rest = tables.comparisons(arms, compared)
        t_matrix = tables.matrix(arms, tally(compared))
        t_ranks = [tables.ranks(by_rank)] if by_rank else []
        t_kept, t_trust = tables.kept(predictions(arms)), tables.trust(trust(arms))
        t_costs, t_answers = tables.costs(costs(arms)), tables.answers(told)
        t_by_cost = tables.by_cost(by_cost(arms))
        t_discovered = tables.discovered(discovered(arms))
        headlines = _headlines(arms, compared, held)
        learned = [c for c in curves if c.name.startswith("learning")]
        bounds = [c for c in curves if c.name.startswith("upper")]
        goals = [c for c in curves if c.name.startswith("goal")]
        diverging = tuple(map(of_divergence, divergences(arms)))
        sections = [
            Section("learning", "Learning", (*shown(*learned), *_filled(t_scores))),
            Section("compared", "Comparisons", (*shown(differences), *_filled(t_main, t_matrix))),
            Section(
                "labels", "Labels needed and saved",
                (*shown(waiting), *_filled(t_needed, t_saved, t_by_cost, t_discovered)),
            ),
            Section("datasets", "Across data sets", (*shown(diagram), *_filled(*t_ranks))),
            Section(
                "goals", "Goals", tuple(shown(*goals)), lines=diverging,
                intro="No goal is seen to rise while the test gets worse." if not diverging else "",
            ),
            Section("bounds", "Upper bounds, not ranked", tuple(shown(*bounds))),
            Section(
                "utilities", "Utilities, and what became of them",
                (*shown(*used), *_filled(t_kept, t_trust)),
            ),
            Section(
                "oracles", "Oracles", (*shown(*answers), *_filled(t_answers))
            ),
            Section("costs", "Time and memory", tuple(_filled(t_costs))),
            Section("all", "All comparisons", tuple(_filled(t_rest))),
        ]  # fmt: skip
        every = [*(of_comparison(arms, c) for c in compared), *map(of_savings, saved)]
        page = render(arms, title, headlines, sections, doubts, every, arms.left_out, len(CHECKS))
        (partial / "report.html").write_text(page, encoding="utf-8")
        filled = _filled(
            t_scores, t_rest, t_matrix, t_needed, t_saved, t_by_cost, t_discovered, *t_ranks,
            t_kept, t_trust, t_answers, t_costs,
        )  # fmt: skip
        (partial / "tables.md").write_text(tables.markdown(filled), encoding="utf-8")
        (partial / "tables.tex").write_text(tables.latex(filled), encoding="utf-8")
        _swap(partial, folder)
    except OSError as error:
        raise BadInput(
            f"the report cannot be written to {folder}: {error.strerror} · give another --out"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    serious = sum(f.level != "note" for f in doubts)
    return Report(folder / "report.html", tuple(headlines), serious)


def _filled(*given: Table) -> list[Table]:
    return [table for table in given if table.rows]


def _headlines(arms: Arms, found: Sequence[Comparison], baseline: Arm | None) -> list[str]:
    """Against the baseline on the first number: what most readers came for."""
    return [of_comparison(arms, c) for c in found if c.metric == AULC and c.b == baseline]


def _check_free(folder: Path) -> None:
    """Raise `BadInput` rather than replace anything else than an earlier report."""
    if folder.is_file() or (folder.is_dir() and _is_other(folder)):
        raise BadInput(f"{folder} holds something else than a report · give another --out")


def _is_other(folder: Path) -> bool:
    return any(folder.iterdir()) and not (folder / "report.html").is_file()


def _swap(partial: Path, folder: Path) -> None:
    """The new report in place of the old one."""
    if folder.exists():
        old = folder.with_name(f"{folder.name}.{os.getpid()}.old")
        os.replace(folder, old)
        os.replace(partial, folder)
        shutil.rmtree(old)
    else:
        os.replace(partial, folder)

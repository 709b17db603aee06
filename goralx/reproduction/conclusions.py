"""The finding's tables, picture and page: effects, first batches, and what to choose."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from goralx.comparison import mean_interval
from goralx.records import number, write_csv
from goralx.report import INK, MUTED, plain, publish

from .evidence import Evidence
from .finding import (
    ALL,
    MARGIN,
    RANDOM,
    Choice,
    Effect,
    FirstBatch,
    Grid,
    choices,
    effects,
    first_batches,
)
from .grid import name
from .results import ACCURACY, Results
from .writing import Section, between, shown, write_page, write_provenance

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEFAULT = name("ent", "max", "influence", "top")
"""What ``goralx`` runs unless it is told otherwise."""

PICTURED = "digits"
"""The first run's data set."""

LEAD = (
    "Differences are of mean test accuracy over the queries, paired by seed; intervals are 95 % of "
    "the bootstrap mean, over seeds on one data set, over data sets where all are named. Better "
    "and worse count data sets whose interval lies on one side of zero."
)


def recommended(found: Sequence[Choice]) -> Choice | None:
    """The goal-oriented arm that wins most against margin: on all data sets, or all but one."""
    most = max((len(c.datasets) for c in found), default=0)
    asked = [c for c in found if c.arm.split("-")[0] in ("ent", "dev", "aopt")]
    return next((c for c in asked if len(c.datasets) >= most - 1), None)


def write(grid: Grid, out: Path, command: str) -> list[str]:
    """Write everything into ``out``; gives the answers, a line each."""
    out.mkdir(parents=True, exist_ok=True)
    effect, choice = effects(grid), choices(grid)
    write_effects(out / "effects.csv", effect)
    write_choices(out / "choices.csv", choice)
    batches = first_batches(grid)
    columns = ("data set", "arm", "predicted", "realised", "lowered", "seeds")
    lines = [
        (b.dataset, b.arm, number(b.predicted), number(b.realised), b.lowered, b.n_seeds)
        for b in batches
    ]
    write_csv(out / "first_batches.csv", [columns, *lines])
    best = recommended(choice)
    if best is not None and all(grid[PICTURED].of(arm) for arm in (DEFAULT, best.arm, MARGIN)):
        publish(out / "choices", lambda: picture(grid[PICTURED], best.arm))
    answers = list(sentences(effect, choice))
    sections = [
        Section("Answers", tables=([("question", "answer"), *answers],)),
        Section(
            "What to choose", "Practical arms against margin sampling at equal totals of labels.",
            (out / "choices.png",), tables=(choice_table(choice),),
        ),
        Section("Every effect", tables=(effect_table(effect),)),
        Section(
            "First batches of the dev oracle",
            "What labelling the first batch was predicted to do to the goal, and did; lowered: in "
            "how many seeds it fell.",
            tables=([columns, *(_first_batch(b) for b in batches)],),
        ),
    ]  # fmt: skip
    write_page(
        out / "index.html", "Additivity, first order, and what to choose", sections, command, LEAD
    )
    write_provenance(out / "made.json", command, grid)
    return [*(f"  {question}: {answer}" for question, answer in answers), f"  {out / 'index.html'}"]


def _first_batch(b: FirstBatch) -> tuple[str, ...]:
    numbers = shown(b.predicted), shown(b.realised), str(b.lowered), str(b.n_seeds)
    return (b.dataset, b.arm, *numbers)


def sentences(found: Sequence[Effect], ranked: Sequence[Choice]) -> Iterator[tuple[str, str]]:
    """The questions, and what the numbers say."""
    for total in (e for e in found if e.dataset == ALL):
        each = [
            e for e in found
            if (e.question, e.cell, e.batch_size) == (total.question, total.cell, total.batch_size)
            and e.dataset != ALL
        ]  # fmt: skip
        better, worse = (sum(e.sign == sign for e in each) for sign in (1, -1))
        yield (
            f"{total.question}, {total.cell}, b = {total.batch_size}",
            f"{signed(total.evidence)} over {len(each)} data sets: better on {better}, worse on "
            f"{worse}, undecided on {len(each) - better - worse}",
        )
    best = recommended(ranked)
    if best is not None:
        yield (
            "which practical arm is nearest to beating margin, or beats it",
            f"{best.arm}: {signed(best.gain)} accuracy, {best.saved.number:+.1f} labels saved to "
            f"95 % of the full pool's ({between(best.saved)}); better on {len(best.wins)} data "
            f"sets ({', '.join(best.wins) or 'none'}), worse on {len(best.losses)} "
            f"({', '.join(best.losses) or 'none'}) of {len(best.datasets)}",
        )


def signed(evidence: Evidence) -> str:
    """A mean and its interval, with signs."""
    if not math.isfinite(evidence.low):
        return f"{evidence.number:+.4f}"
    return f"{evidence.number:+.4f} [{evidence.low:+.4f}, {evidence.high:+.4f}]"


def write_effects(path: Path, found: Sequence[Effect]) -> None:
    head = ("question", "cell", "batch_size", "dataset", "mean", "low", "high", "n", "sign")
    lines = [
        (
            e.question,
            e.cell,
            e.batch_size,
            e.dataset,
            *_three(e.evidence),
            e.evidence.n_seeds,
            e.sign,
        )
        for e in found
    ]
    write_csv(path, [head, *lines])


def write_choices(path: Path, found: Sequence[Choice]) -> None:
    head = (
        "arm", "pays_dev_labels", "gain", "gain_low", "gain_high", "labels_saved", "saved_low",
        "saved_high", "wins", "losses", "datasets",
    )  # fmt: skip
    lines = [
        (
            c.arm,
            c.dev_labels,
            *_three(c.gain),
            *_three(c.saved),
            " ".join(c.wins),
            " ".join(c.losses),
            " ".join(c.datasets),
        )
        for c in found
    ]
    write_csv(path, [head, *lines])


def _three(evidence: Evidence) -> tuple[str, str, str]:
    low, middle, high = evidence.low, evidence.number, evidence.high
    return number(middle), number(low), number(high)


def choice_table(found: Sequence[Choice]) -> list[Sequence[str]]:
    """As on the page."""
    head = (
        "arm",
        "dev labels",
        "accuracy over margin's",
        "labels saved",
        "better on",
        "worse on",
        "data sets",
    )
    return [head, *(_choice(c) for c in found)]


def _choice(c: Choice) -> tuple[str, ...]:
    dev = "paid for" if c.dev_labels else "none"
    saved = f"{c.saved.number:+.1f} ({between(c.saved)})"
    sides = ", ".join(c.wins), ", ".join(c.losses)
    return (c.arm, dev, signed(c.gain), saved, *sides, str(len(c.datasets)))


def effect_table(found: Sequence[Effect]) -> list[Sequence[str]]:
    """As on the page."""
    head = ("question", "goal and operator", "b", "data set", "difference", "n")
    return [
        head,
        *(
            (
                e.question,
                e.cell,
                str(e.batch_size),
                e.dataset,
                signed(e.evidence),
                str(e.evidence.n_seeds),
            )
            for e in found
        ),
    ]


LOOKS = (("#0072B2", "-"), ("#D55E00", "-"), (INK, "-"), (MUTED, "-"))


def picture(results: Results, best: str) -> Figure:
    """The default, the recommended arm, margin and random on one data set, with bands."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.8), layout="constrained")
    axes = figure.add_subplot()
    plain(axes)
    shown_arms = {
        f"default ({DEFAULT})": DEFAULT,
        f"recommended ({best})": best,
        "margin": MARGIN,
        "random": RANDOM,
    }
    n_init = 0
    for (label, arm), (colour, dash) in zip(shown_arms.items(), LOOKS, strict=True):
        n, values = results.curves(arm, ACCURACY)
        within = n <= results.of(DEFAULT)[0].n_queries[-1]
        n_init = int(results.of(arm)[0].rounds["n_labelled"][0])
        x = n[within] + n_init
        bounds = np.array([mean_interval(values[:, i])[1:] for i in np.flatnonzero(within)])
        axes.fill_between(x, *bounds.T, color=colour, alpha=0.15, linewidth=0)
        axes.plot(
            x,
            values[:, within].mean(axis=0),
            color=colour,
            linestyle=dash,
            linewidth=1.8,
            label=label,
        )
    ceiling = float(np.mean([run.ceiling for run in results.of(RANDOM)]))
    axes.axhline(ceiling, color=MUTED, linewidth=0.9, linestyle=(0, (1, 2)))
    axes.annotate(
        f"full pool {ceiling:.3f}", (1, ceiling), (-4, 4), xycoords=axes.get_yaxis_transform(),
        textcoords="offset points", ha="right", fontsize=9, color=MUTED,
    )  # fmt: skip
    axes.set(xlabel="labels (init set included)", ylabel="test accuracy (share of samples)")
    seeds = len(results.of(DEFAULT))
    axes.set_title(PICTURED, loc="left", fontsize=12, fontweight="bold", color=INK)
    axes.set_title(f"mean of {seeds} seeds, bands of 95 %", loc="right", fontsize=9, color=MUTED)
    figure.legend(loc="outside lower center", ncols=2, fontsize=9, frameon=False, labelcolor=INK)
    return figure

"""Who won, drawn: differences with intervals, labels needed, ranks across data sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from goralx.comparison import Arm, Arms, Comparison, Needed, Ranks, name_of

from .curve_figures import Looks
from .fonts import caption
from .publishing import SMALL, Label, Picture, direct_labels, panels, small, title
from .style import DPI, INK, MUTED, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARE = 0.9


def differences(
    arms: Arms, looks: Looks, comparisons: Sequence[Comparison], baseline: Arm, number: str
) -> Picture | None:
    """Each arm against the baseline: the mean difference and its interval, a panel a data set."""
    chosen = [c for c in comparisons if c.metric == number and c.b == baseline and c.n_pairs]
    shown = {d: [c for c in chosen if c.dataset == d] for d in arms.datasets}
    shown = {dataset: rows for dataset, rows in shown.items() if rows}
    if not shown:
        return None
    most = max(map(len, shown.values()))

    def draw(width: float) -> Figure:
        figure, grid = panels(len(shown), width, 0.7 + 0.22 * most)
        for axes, (dataset, rows) in zip(grid, shown.items()):
            axes.axvline(0, color=MUTED, linewidth=0.8)
            for place, c in enumerate(rows):
                colour = looks[c.a].colour
                sure = c.better is not None
                axes.plot([c.low, c.high], [place] * 2, color=colour, linewidth=1.4)
                axes.plot(
                    c.mean_difference, place, "o", ms=4, color=colour,
                    markerfacecolor=colour if sure else "white",
                )  # fmt: skip
            axes.set_yticks(range(len(rows)), [caption(c.a.label) for c in rows])
            axes.set_ylim(len(rows) - 0.5, -0.5)
            axes.grid(False, axis="y")
            axes.set_xlabel(caption(f"{name_of(arms, number)}, minus that of {baseline.label}"))
            title(axes, dataset)
        return figure

    return Picture(
        "differences", f"Differences from {baseline.label}",
        f"Mean difference of the {name_of(arms, number)} over paired seeds, with its 95 % "
        "bootstrap interval. Filled: shown by the corrected test; hollow: not shown.", draw,
    )  # fmt: skip


def labels_needed(arms: Arms, looks: Looks, found: Sequence[Needed]) -> Picture | None:
    """Kaplan-Meier: the share of seeds that are not there yet, against labels paid for."""
    chosen = [n for n in found if n.share == SHARE and not n.arm.uses_truth]
    shown = {d: [n for n in chosen if n.dataset == d] for d in arms.datasets}
    shown = {dataset: rows for dataset, rows in shown.items() if rows}
    if not shown:
        return None

    def draw(width: float) -> Figure:
        figure, grid = panels(len(shown), width)
        labels = []
        for axes, (dataset, rows) in zip(grid, shown.items()):
            ends = []
            for n in rows:
                look = looks[n.arm]
                x, waiting = np.append(0.0, n.times), np.append(1.0, n.waiting)
                style = {"color": look.colour, "linestyle": look.dash, "linewidth": 1.2}
                axes.step(x, waiting, where="post", **style)
                ends.append(Label(n.arm.label, float(x[-1]), float(waiting[-1]), look.colour))
            axes.axhline(0.5, color=MUTED, linewidth=0.6, linestyle=(0, (1, 2)))
            axes.set_ylim(-0.03, 1.03)
            axes.set_xlabel("labels (init, dev and queries)")
            axes.set_ylabel("seeds not there yet")
            title(axes, dataset, f"{SHARE:.0%} of the full pool, to stay")
            labels.append((axes, ends))
        direct_labels(figure, labels)
        return figure

    return Picture(
        "labels_needed", f"Labels to {SHARE:.0%} of the full pool",
        "Share of seeds that have not reached it for good (Kaplan-Meier; a seed that never does "
        "is censored where its run ends). Where a line crosses the dots is the median.", draw,
    )  # fmt: skip


def critical_difference(ranks: Ranks, looks: Looks) -> Picture:
    """Demsar's diagram: mean ranks on a line, bars over those that Nemenyi does not tell apart."""
    order = np.argsort(ranks.mean_ranks, kind="stable")
    k, groups = len(order), ranks.groups
    half = -(-k // 2)

    def draw(width: float) -> Figure:
        from matplotlib.figure import Figure

        figure = Figure(
            figsize=(width, 0.75 + 0.1 * len(groups) + 0.17 * half), dpi=DPI, layout="constrained"
        )
        axes = figure.add_subplot()
        plain(axes)
        small(axes)
        axes.grid(False)
        for side in ("left", "right", "bottom"):
            axes.spines[side].set_visible(False)
        axes.spines["top"].set_visible(True)
        axes.xaxis.tick_top()
        axes.set_yticks([])
        margin = 0.55 * (k - 1) + 0.4
        axes.set_xlim(1 - margin, k + margin)
        axes.set_xticks(range(1, k + 1))
        axes.spines["top"].set_bounds(1, k)
        depth = 0.5 + 0.45 * len(groups)
        for i, place in enumerate(order):
            arm, value = ranks.arms[place], float(ranks.mean_ranks[place])
            left = i < half
            y = -(depth + 0.75 * (i if left else k - 1 - i))
            edge = 1 - 0.12 * k if left else k + 0.12 * k
            colour = looks[arm].colour
            axes.plot([value, value, edge], [0, y, y], color=colour, linewidth=0.9)
            text = f"{arm.label} {value:.2f}" if left else f"{value:.2f} {arm.label}"
            axes.annotate(
                caption(text), (edge, y), (-3 if left else 3, 0), textcoords="offset points",
                ha="right" if left else "left", va="center", fontsize=SMALL, color=colour,
                annotation_clip=False,
            )  # fmt: skip
        for i, group in enumerate(groups):
            places = [float(ranks.mean_ranks[ranks.arms.index(arm)]) for arm in group]
            y = -(0.3 + 0.45 * i)
            axes.plot(
                [min(places) - 0.04, max(places) + 0.04], [y, y], color=INK, linewidth=2.4,
                solid_capstyle="butt",
            )  # fmt: skip
        axes.set_ylim(-(depth + 0.75 * half), 1.3)
        cd = min(ranks.critical_difference, k - 1.0)
        axes.plot([1, 1 + cd], [0.75, 0.75], color=MUTED, linewidth=1, clip_on=False)
        axes.annotate(
            f"critical difference {ranks.critical_difference:.2f}", (1, 0.85), fontsize=SMALL,
            color=MUTED, va="bottom", annotation_clip=False,
        )  # fmt: skip
        return figure

    return Picture(
        "critical_difference", "Ranks across data sets",
        f"Mean rank over {len(ranks.datasets)} data sets, 1 the best (Demsar's diagram). A bar "
        "joins arms that Nemenyi's test does not tell apart at 5 %.", draw,
    )  # fmt: skip

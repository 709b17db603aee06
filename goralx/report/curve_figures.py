"""Mean curves over seeds with their bands: what was learned, what became of the goal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from goralx.comparison import Arm, Arms, Curve, mean_curve
from goralx.data import Array

from .fonts import caption
from .palette import Look
from .publishing import SMALL, Label, Picture, direct_labels, panels, title
from .style import MUTED, counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Looks = Mapping[Arm, Look]
BAND = "the bands hold 95 % of the bootstrap means over seeds"


def pictures(arms: Arms, looks: Looks) -> list[Picture]:
    """Learning curves on both axes, each goal's curves, and the same of what used the truth."""
    metric = arms.metrics[0]
    column, ranked = f"test/{metric}", arms.ranked
    truth = tuple(arm for arm in arms.arms if arm.uses_truth)
    found = [
        _picture(
            arms, looks, ranked, column, "learning_curves_queries", "Learning curves by queries",
            f"Mean {metric} on the test set against queried labels; {BAND}. Dashed: the full pool.",
            by_queries, "queries", metric,
        ),
        _picture(
            arms, looks, ranked, column, "learning_curves_labels",
            "Learning curves by total labels",
            f"Mean {metric} against all labels paid for: init, dev and queries; {BAND}.",
            by_total, "labels (init, dev and queries)", metric,
        ),
    ]  # fmt: skip
    if any(run.costs_differ for run in arms.all_runs):
        found.append(
            _picture(
                arms, looks, ranked, column, "learning_curves_cost", "Learning curves by cost",
                f"Mean {metric} against what the oracles' answers took, in the mean over seeds at "
                f"as many queries; init and dev are not in it; {BAND}.",
                by_cost, "cost of the queries", metric,
            )
        )  # fmt: skip
    for goal in arms.goals:
        found.append(
            _picture(
                arms, looks, ranked, f"goal/{goal}", f"goal_curves_{_file(goal)}",
                f"Goal curves: {goal}",
                f"The goal {goal} against queried labels, whoever aimed at it; {BAND}.",
                by_queries, "queries", f"goal {goal}",
            )
        )  # fmt: skip
    if truth:
        found.append(
            _picture(
                arms, looks, truth, column, "upper_bounds", "Upper bounds: arms that use the truth",
                f"Mean {metric} of arms that saw the hidden labels; nobody could run them, and "
                "they are not ranked.", by_queries, "queries", metric,
            )
        )  # fmt: skip
    for goal in dict.fromkeys(arm.goal for arm in truth):
        found.append(
            _picture(
                arms, looks, truth, f"goal/{goal}", f"upper_bounds_goal_{_file(goal)}",
                f"Upper bounds: goal {goal}",
                f"The goal {goal} of arms that saw the hidden labels.",
                by_queries, "queries", f"goal {goal}",
            )
        )  # fmt: skip
    return found


def by_queries(curve: Curve) -> Array:
    return curve.queries


def by_total(curve: Curve) -> Array:
    return curve.total_labels


def by_cost(curve: Curve) -> Array:
    return curve.cost


def _picture(
    arms: Arms, looks: Looks, chosen: Sequence[Arm], column: str, name: str, heading: str,
    text: str, x_of: Callable[[Curve], Array], x_label: str, y_label: str,
) -> Picture:  # fmt: skip
    curves = {
        dataset: {
            arm: curve
            for arm in chosen
            if arms.of(dataset, arm)
            for curve in [mean_curve(arms.of(dataset, arm), column).whole]
            if len(curve.mean)
        }
        for dataset in arms.datasets
    }
    shown = {dataset: lines for dataset, lines in curves.items() if lines}

    def draw(width: float) -> Figure:
        figure, grid = panels(max(1, len(shown)), width)
        labels = []
        for axes, (dataset, lines) in zip(grid, shown.items()):
            if column.startswith("test/"):
                ceiling(axes, arms, dataset)
            ends = []
            for arm, curve in lines.items():
                x, look = x_of(curve), looks[arm]
                axes.fill_between(x, curve.low, curve.high, color=look.colour, alpha=0.14, lw=0)
                axes.plot(x, curve.mean, color=look.colour, linestyle=look.dash, linewidth=1.2)
                ends.append(Label(arm.label, float(x[-1]), float(curve.mean[-1]), look.colour))
            labels.append((axes, ends))
            axes.set_xlabel(x_label)
            axes.set_ylabel(caption(y_label))
            title(axes, dataset, seeds(c.n_seeds for c in lines.values()))
        direct_labels(figure, labels)
        return figure

    return Picture(name, heading, text, draw)


def seeds(counts: Iterable[Array]) -> str:
    most = {int(n.max(initial=0)) for n in counts}
    low, high = min(most, default=0), max(most, default=0)
    return counted(low, "seed") if low == high else f"{low} to {high} seeds"


def ceiling(axes: Axes, arms: Arms, dataset: str) -> None:
    """What there is to reach: the mean over seeds of the full pool's metric."""
    runs = {run.seed: run for arm in arms.in_dataset(dataset) for run in arms.of(dataset, arm)}
    full = [run.full_pool for run in runs.values() if run.full_pool is not None]
    if full:
        level = float(np.mean(full))
        axes.axhline(level, color=MUTED, linewidth=0.7, linestyle=(0, (4, 3)))
        axes.annotate(
            "full pool", (0.0, level), (2, 2), xycoords=axes.get_yaxis_transform(),
            textcoords="offset points", fontsize=SMALL - 0.5, color=MUTED,
        )  # fmt: skip


def _file(name: str) -> str:
    """A name as part of a file's: letters, digits, dots and dashes."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-.") else "_" for c in name)

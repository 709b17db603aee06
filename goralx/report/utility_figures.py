"""What utilities were and what became of them, an arm a panel (the paper's Figs 7 and 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from goralx.comparison import Arm, Arms, mean_curve
from goralx.data import Array

from .fonts import caption
from .publishing import SMALL, Draw, Picture, panels, title
from .style import BLUE, INK, MUTED, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BANDS = (("000", "100", 0.12), ("005", "095", 0.2), ("025", "075", 0.38))


def pictures(arms: Arms) -> list[Picture]:
    """A figure a data set of each kind, where any arm asked for utilities."""
    found = []
    for i, dataset in enumerate(arms.datasets):
        asking = [arm for arm in arms.in_dataset(dataset) if arm.asks_goal]
        scored = [arm for arm in asking if len(_of(arms, dataset, arm, "utility/q050")[1])]
        if scored:
            found.append(
                Picture(
                    f"utilities_{i + 1}", f"Utilities over rounds: {dataset}",
                    "Quantiles of the pool's utilities (means over seeds): median, half, 90 % and "
                    "all of the candidates, from dark to light.",
                    _distribution(arms, dataset, scored),
                )
            )  # fmt: skip
        if asking:
            found.append(
                Picture(
                    f"changes_{i + 1}", f"Predicted and realised change: {dataset}",
                    "Change of the arm's own goal by each batch (means over seeds): as predicted "
                    "(orange), and after the refit (blue).", _changes(arms, dataset, asking),
                )
            )  # fmt: skip
    return found


def _distribution(arms: Arms, dataset: str, chosen: list[Arm]) -> Draw:
    def draw(width: float) -> Figure:
        figure, grid = panels(len(chosen), width, 1.6)
        for axes, arm in zip(grid, chosen):
            values = []
            for low, high, opacity in BANDS:
                x, bottom = _of(arms, dataset, arm, f"utility/q{low}")
                _, top = _of(arms, dataset, arm, f"utility/q{high}")
                axes.fill_between(x, bottom, top, color=BLUE, alpha=opacity, linewidth=0)
                values += [bottom, top]
            x, median = _of(arms, dataset, arm, "utility/q050")
            axes.plot(x, median, color=INK, linewidth=1)
            _stretch(axes, np.concatenate(values))
            _finish(axes, arm, "utility")
        return figure

    return draw


def _changes(arms: Arms, dataset: str, chosen: list[Arm]) -> Draw:
    def draw(width: float) -> Figure:
        figure, grid = panels(len(chosen), width, 1.6)
        for axes, arm in zip(grid, chosen):
            axes.axhline(0, color=MUTED, linewidth=0.6)
            values = []
            for kind, colour in (("predicted", ORANGE), ("realised", BLUE)):
                x, mean = _of(arms, dataset, arm, f"change/{kind}")
                axes.plot(x, mean, color=colour, linewidth=1.1)
                values.append(mean)
            _stretch(axes, np.concatenate(values))
            _finish(axes, arm, f"change of {arm.goal}")
        figure.legend(
            [line for line in grid[0].lines if line.get_color() in (ORANGE, BLUE)],
            ["predicted", "realised"], loc="outside lower center", ncols=2, fontsize=SMALL,
            frameon=False, labelcolor=INK,
        )  # fmt: skip
        return figure

    return draw


def _of(arms: Arms, dataset: str, arm: Arm, column: str) -> tuple[Array, Array]:
    curve = mean_curve(arms.of(dataset, arm), column).whole
    return curve.queries, curve.mean


def _finish(axes: Axes, arm: Arm, y_label: str) -> None:
    axes.set_xlabel("queries")
    axes.set_ylabel(caption(y_label))
    title(axes, arm.label, "uses the truth" if arm.uses_truth else "")


def _stretch(axes: Axes, values: Array) -> None:
    """Utilities fall by orders of magnitude: then a scale that shows small ones too."""
    from matplotlib.ticker import SymmetricalLogLocator

    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    if len(sizes) and sizes.max() > 30 * np.median(sizes):
        threshold = float(np.quantile(sizes, 0.2))
        axes.set_yscale("symlog", linthresh=threshold)
        locator = SymmetricalLogLocator(base=10, linthresh=threshold)
        locator.set_params(numticks=6)
        axes.yaxis.set_major_locator(locator)

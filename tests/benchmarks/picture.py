"""The picture of what was measured: each ratio a dot on a logarithmic line, each target a bar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from goralx.report import BLUE, GRID, INK, MUTED, ORANGE

PEERS = ("scikit", "bare")
ROW = 0.27  # inches
TICKS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


def compared(saved: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows that hold goralx against somebody else, and that somebody asked something of."""
    return [
        row
        for row in saved["rows"]
        if row["bound"] == "<=" and row["target"] is not None and row["other"].startswith(PEERS)
    ]


def draw(saved: dict[str, Any], path: Path) -> None:
    """Draw the rows that compare goralx with its peers, as a PNG."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    rows = compared(saved)
    figure = Figure(figsize=(9.5, 1.0 + ROW * len(rows)), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xscale("log")
    axes.axvline(1.0, color=MUTED, linewidth=1)
    for place, row in enumerate(rows):
        axes.plot([row["target"]] * 2, [place - 0.32, place + 0.32], color=MUTED, linewidth=2)
        color = BLUE if row["met"] else ORANGE
        axes.plot([row["ratio"], 1.0], [place, place], color=GRID, linewidth=4, zorder=0)
        axes.plot(row["ratio"], place, "o", color=color, markersize=7)
        axes.annotate(
            f"{row['ratio']:.2g}", (row["ratio"], place), (0, 6), textcoords="offset points",
            ha="center", fontsize=7.5, color=INK,
        )  # fmt: skip
    labels = [f"{row['what']}  ·  {row['other']}" for row in rows]
    axes.set_yticks(range(len(rows)), labels, fontsize=8, color=INK)
    axes.set_ylim(len(rows) - 0.4, -0.8)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8, colors=MUTED)
    axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(
        "CPU seconds of goralx over those of the other: left of 1 is faster\n"
        "bars: what was asked · orange: missed",
        fontsize=8, color=INK,
    )  # fmt: skip
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    figure.savefig(path, facecolor="white")

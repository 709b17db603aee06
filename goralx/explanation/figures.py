"""The picture of an explained round: a row a sample, then the operators beside one another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from goralx.report import BLUE, GRID, INK, MUTED, ORANGE, caption, paint, short

from .explained_round import ExplainedRound
from .text import (
    N_MOVED,
    REFERENCE,
    order,
    predicted,
    ranked,
    reference_class,
    remarks,
    resolved,
    signed,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 9.5  # inches
HEAD, ROW, LINE, GAP = 0.95, 1.12, 0.27, 0.75
MAX_ROWS = 12
"""Samples in the picture; the files and the table have all that were asked for."""

MAX_LEVEL = 11
"""Labels beyond which their names stand upright under the bars."""

MAX_TICKS = 30
"""Labels beyond which their names would cover one another under the bars."""

RED = "#b04a5a"


def draw(explained: ExplainedRound) -> None:
    """Draw ``explanation`` in every format into the folder of the explained round."""
    paint(explained.folder / "explanation", lambda: picture(explained))


def picture(explained: ExplainedRound) -> Figure:
    """For each sample what every label would be worth and who would gain; ranks by operator."""
    from matplotlib.figure import Figure

    e = explained.explanation
    n, n_operators = min(len(e.chosen), MAX_ROWS), len(e.operators)
    if not n_operators:
        return _gains(explained)
    rows, below = n * ROW, n_operators * LINE
    height = HEAD + rows + GAP + 0.35 + below + 0.3
    figure = Figure(figsize=(WIDTH, height))
    _head(figure, explained, height)
    bars = 5.55 if e.indivisible else 3.5

    def place(left: float, top: float, width: float, tall: float) -> Axes:
        """Axes from inches, ``top`` counted from above."""
        return figure.add_axes(
            (left / WIDTH, 1.0 - (top + tall) / height, width / WIDTH, tall / height)
        )

    for i in range(n):
        top = HEAD + i * ROW
        _sample(place(0.15, top, 1.75, ROW - 0.2), explained, i)
        _labels(place(2.45, top, bars - 0.45, ROW - 0.2), explained, i, last=i == n - 1)
        if not e.indivisible:
            _movers(place(5.75, top, WIDTH - 5.9, ROW - 0.2), explained, i)
    top = HEAD + rows + GAP
    _heading(figure, 0.15, top - 0.2, height, "Rank by operator", _about_ranks(explained))
    _ranks(place(1.25, top + 0.1, min(WIDTH - 2.1, 0.85 * n), below), explained)
    return figure


def _head(figure: Figure, explained: ExplainedRound, height: float) -> None:
    e, tags = explained.explanation, explained.info.tags
    _heading(
        figure, 0.15, 0.28, height, f"{caption(explained.info.name)}, round {explained.round}",
        f"{explained.n_labelled} labels, {e.n_candidates} candidates; "
        f"utility {tags['goralx.utility']}, batch {tags['goralx.batch']}",
    )  # fmt: skip
    notes = remarks(explained)[1:]
    if len(e.chosen) > MAX_ROWS:
        notes.append(f"the first {MAX_ROWS} of {len(e.chosen)} samples")
    for j, warning in enumerate(notes):
        y = 1 - (0.46 + 0.15 * j) / height
        figure.text(0.15 / WIDTH, y, warning, fontsize=8, color=RED, va="baseline")
    title: dict[str, Any] = {"fontsize": 9, "color": INK, "va": "baseline", "fontweight": "bold"}
    remark: dict[str, Any] = {"fontsize": 8, "color": MUTED, "va": "baseline"}
    y, under = 1 - 0.72 / height, 1 - 0.87 / height
    figure.text(2.45 / WIDTH, y, "utility under each label", **title)
    figure.text(
        2.45 / WIDTH, under, f"dark: likely; orange: the answer; dashed: by {e.operator}", **remark
    )
    if not e.indivisible:
        figure.text(
            5.75 / WIDTH, y, f"who of the {REFERENCE[explained.reference]} gains and loses", **title
        )
        figure.text(5.75 / WIDTH, under, "by the answer; in brackets p of its own class", **remark)


def _heading(
    figure: Figure, left: float, top: float, height: float, title: str, remark: str
) -> None:
    y = 1 - top / height
    figure.text(left / WIDTH, y, title, fontsize=12, fontweight="bold", color=INK)
    figure.text(1 - 0.15 / WIDTH, y, remark, fontsize=9, color=MUTED, ha="right")


def _sample(axes: Axes, explained: ExplainedRound, i: int) -> None:
    """Which sample, in words."""
    e = explained.explanation
    axes.set_axis_off()
    label = int(e.shown[i])
    name, (up, down) = str(e.classes[label]), e.moved(i, label)
    seen = predicted(explained, e.P[i])
    seen = seen if len(caption(seen)) <= 22 else predicted(explained, e.P[i], 1)
    lines: list[tuple[float, str, dict[str, Any]]] = [
        (1.0, str(explained.pool_ids[i]), {"fontsize": 12, "fontweight": "bold"}),
        (0.74, f"is {_short(name, 18)}", {"fontsize": 10, "fontweight": "bold", "color": ORANGE}),
        (0.52, f"predicted {_short(seen, 22)}", {}),
        (0.34, f"utility {resolved(explained)[i]}, rank {ranked(e.rank[i])}", {}),
    ]
    if not e.indivisible:
        lines.append((0.16, f"gains {signed(up)}, loses {signed(down)}", {}))
    for y, text, style in lines:
        axes.text(0, y, text, **{"fontsize": 8, "color": INK, "va": "top", **style})


def _labels(axes: Axes, explained: ExplainedRound, i: int, *, last: bool) -> None:
    """A bar for each label, the darker the likelier; the answer's in orange."""
    from matplotlib.colors import LinearSegmentedColormap

    e = explained.explanation
    K, answer = len(e.classes), int(e.shown[i])
    _bare(axes)
    blues = LinearSegmentedColormap.from_list("blues", ["#d3dfec", BLUE, "#0d2f57"])
    oranges = LinearSegmentedColormap.from_list("oranges", ["#f3c9a8", ORANGE, "#8c3d08"])
    shades = [(oranges if k == answer else blues)(np.sqrt(p)) for k, p in enumerate(e.P[i])]
    axes.axhline(0, color=MUTED, linewidth=0.8, zorder=3)
    axes.bar(np.arange(K), e.U[i], width=0.8 if K > 4 else 0.5, color=shades, zorder=2)
    axes.axhline(e.utility[i], color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=4)
    axes.set_xlim(-0.6, K - 0.4)
    axes.margins(y=0.08)
    axes.locator_params(axis="y", nbins=3)
    axes.grid(True, axis="y", color=GRID, linewidth=0.8, zorder=0)
    if K <= MAX_TICKS:
        upright = K > MAX_LEVEL
        axes.set_xticks(
            np.arange(K), [_short(str(c), 8 if upright else 44 // K) for c in e.classes],
            rotation=90 if upright else 0,
        )  # fmt: skip
    axes.tick_params(axis="x", length=0, labelbottom=last, labelsize=8, pad=9)
    axes.plot(
        answer, 0, marker=6, ms=6, color=ORANGE, transform=axes.get_xaxis_transform(),
        clip_on=False, zorder=6,
    )  # fmt: skip


def _movers(axes: Axes, explained: ExplainedRound, i: int) -> None:
    """Bars of what gains (right) and loses (left), each named on the empty side of zero."""
    e = explained.explanation
    label = int(e.shown[i])
    _bare(axes)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    gaining, losing = e.movers(i, label, N_MOVED)
    found = [*gaining.tolist(), *losing.tolist()[::-1]]
    share = e.contributions[i, label, found]
    largest = float(np.abs(share).max(initial=0.0)) or 1.0
    axes.set_xlim(-1.75 * largest, 1.75 * largest)
    axes.set_ylim(2 * N_MOVED - 0.4, -0.6)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    places = [*range(len(gaining)), *range(2 * N_MOVED - len(losing), 2 * N_MOVED)]
    axes.barh(places, share, height=0.72, color=[BLUE if s > 0 else RED for s in share])
    for place, u, s in zip(places, found, share):
        side = 1 if s > 0 else -1
        own = "" if e.reference_y is None else f" ({100 * e.reference_P[u, e.reference_y[u]]:.0f}%)"
        who = f"{explained.reference_ids[u]} · {_short(reference_class(explained, u), 12)}{own}"
        axes.annotate(
            who, (0, place), (-4 * side, 0), textcoords="offset points", fontsize=7.5, color=INK,
            ha="right" if side > 0 else "left", va="center_baseline",
        )  # fmt: skip
        axes.annotate(
            signed(float(s)), (s, place), (3 * side, 0), textcoords="offset points", fontsize=7.5,
            color=BLUE if side > 0 else RED, ha="left" if side > 0 else "right",
            va="center_baseline",
        )  # fmt: skip
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def _ranks(axes: Axes, explained: ExplainedRound) -> None:
    """Operators x samples: the rank in numbers, the darker the better, on a logarithmic scale."""
    from matplotlib.colors import LinearSegmentedColormap

    e = explained.explanation
    rows = order(explained)
    n, n_operators = min(len(e.chosen), MAX_ROWS), len(rows)
    ranks = e.ranks[rows, :n]
    shade = np.log(np.maximum(ranks, 1)) / np.log(max(2, e.n_ranked))
    good = LinearSegmentedColormap.from_list("good", ["#174a84", "#7fa6d1", "#eef2f6"])
    axes.imshow(np.where(ranks > 0, shade, np.nan), cmap=good, vmin=0, vmax=1, aspect="auto")
    for (row, column), rank in np.ndenumerate(ranks):
        dark = rank > 0 and shade[row, column] < 0.45
        axes.text(
            column, row, ranked(rank), ha="center", va="center", fontsize=8.5,
            color="white" if dark else INK,
        )  # fmt: skip
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_xticks(np.arange(n), [str(i) for i in explained.pool_ids[:n]])
    axes.set_yticks(np.arange(n_operators), [e.operators[o] for o in rows])
    axes.get_yticklabels()[0].set_fontweight("bold")
    axes.tick_params(length=0, labelsize=9, labelcolor=INK, pad=4)
    axes.set_xticks(np.arange(n - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(n_operators - 1) + 0.5, minor=True)
    axes.grid(True, which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    for row, o in enumerate(rows):
        value = "-" if np.isnan(e.agreement[o]) else f"{e.agreement[o]:.2f}"
        axes.annotate(
            value, (1, row), (34, 0), xycoords=axes.get_yaxis_transform(), fontsize=8.5,
            textcoords="offset points", ha="right", va="center", color=INK, annotation_clip=False,
        )  # fmt: skip
    axes.annotate(
        "agrees", (1, 0), (34, -7), xycoords="axes fraction", textcoords="offset points",
        fontsize=8.5, ha="right", va="top", color=MUTED, annotation_clip=False,
    )  # fmt: skip


def _about_ranks(explained: ExplainedRound) -> str:
    e = explained.explanation
    return f"among {e.n_ranked}; agrees: rank correlation with {e.operator}"


def _gains(explained: ExplainedRound) -> Figure:
    """Of a label-free criterion: what each sample gains."""
    from matplotlib.figure import Figure

    from goralx.report import plain

    e = explained.explanation
    n = len(e.chosen)
    figure = Figure(figsize=(WIDTH, 1.3 + 0.32 * n), layout="constrained")
    axes = figure.add_subplot()
    plain(axes)
    axes.barh(np.arange(n), e.utility, height=0.7, color=BLUE)
    names = [
        f"{sample} · {_short(str(e.classes[e.shown[i]]), 14)} · rank {ranked(e.rank[i])}"
        for i, sample in enumerate(explained.pool_ids)
    ]
    axes.set_yticks(np.arange(n), names)
    axes.set_ylim(n - 0.4, -0.6)
    axes.set_xlabel(f"gain of {explained.info.tags['goralx.goal']}, whatever the label")
    axes.set_title(
        f"{caption(explained.info.name)}, round {explained.round}", loc="left", fontsize=12,
        fontweight="bold", color=INK,
    )  # fmt: skip
    axes.set_title(
        f"{explained.n_labelled} labels, {e.n_candidates} candidates", loc="right", fontsize=9,
        color=MUTED,
    )  # fmt: skip
    return figure


def _bare(axes: Axes) -> None:
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["left"].set_color(MUTED)
    axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=8)


def _short(text: str, size: int) -> str:
    """A name from the data, cut to so many characters, those that are spelt out counted as such."""
    shown = [caption(c) for c in short(text, size)]
    while sum(len(c.removeprefix("\\$")) or 1 for c in shown) > size:
        shown = [*shown[:-2], "…"]
    return "".join(shown)

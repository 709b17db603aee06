"""An explained round in words: the table that the terminal shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from goralx.data import Array
from goralx.escaping import for_terminal

from .explained_round import ExplainedRound

N_MOVED = 3
"""Reference samples that gain most, and lose most, in the table and the picture."""

N_LABELS = 4
"""Labels whose utilities the table has: the best ones, and the answer."""

UNEXPLAINED = 1e-3
"""Of the largest utility: more than that is said."""

REFERENCE = {"pool": "pool", "dev": "dev set"}
"""What a goal is measured on, in words."""


def table(explained: ExplainedRound) -> str:
    """For the terminal: what each sample was worth, to whom else, and who gains and loses."""
    blocks = [_head(explained), _worth(explained)]
    if explained.explanation.operators:
        blocks.append(_operators(explained))
    return "\n\n".join([*blocks, _movers(explained)])


def _head(explained: ExplainedRound) -> str:
    e, tags = explained.explanation, explained.info.tags
    size = f"the {REFERENCE[explained.reference]} ({len(explained.reference_ids)} samples)"
    asked = ("operator", "utility") if e.operators else ()
    seen = "" if e.n_ranked == e.n_candidates else f" ({e.n_ranked} looked at)"
    how = " · ".join(f"{g} {tags[f'goralx.{g}']}" for g in (*asked, "batch"))
    lines = [
        f"{explained.info.name} · round {explained.round} · {explained.n_labelled} labels, "
        f"{e.n_candidates} candidates{seen}, {len(explained.batch)} queried",
        f"goal {tags['goralx.goal']}, measured on {size} · {how}",
        *remarks(explained),
    ]
    return "\n".join(lines)


def remarks(explained: ExplainedRound) -> list[str]:
    """Where the model came from, and what to be careful about."""
    e = explained.explanation
    found = ["model refit to the labels of that round" if explained.refit else "recorded model"]
    gap = f"{explained.difference:.0e} of the largest"
    if math.isnan(explained.difference):
        found[0] += "; there are no recorded utilities to check it by"
    elif explained.reproduced:
        found[0] += f"; it reproduces the recorded utilities, to {gap}"
    else:
        found.append(
            f"NOT REPRODUCED: the recorded utilities differ from these by {gap}; what follows is "
            "not what the run went by"
        )
    if not e.indivisible:
        left = np.abs(e.unexplained).max() / max(np.abs(e.U).max(), e.noise, np.finfo(float).tiny)
        if left > UNEXPLAINED:
            found.append(
                f"gains and losses miss the utilities by up to {left:.1g} of the largest: these "
                "were estimated on a part of the reference, or in another way"
            )
    if e.vacuous:
        found.append(
            f"every candidate was worth the same (spread {e.spread:.1e}, noise {e.noise:.1e}): "
            "these were drawn at random"
        )
    return found


def _worth(explained: ExplainedRound) -> str:
    e = explained.explanation
    kappa = [] if e.trust is None else ["kappa"]
    design = not e.operators
    head = ["sample", "is", "predicted", "utility", "rank", *kappa]
    lines = [head if design else [*head, "utility were it"]]
    utility, U = resolved(explained), aligned(e.U)
    for i, sample in enumerate(explained.pool_ids):
        label = int(e.shown[i])
        best = np.argsort(-e.U[i], kind="stable")[: N_LABELS - 1].tolist()
        shown = best if label in best else [*best, label]
        trust = [] if e.trust is None else ["-" if np.isnan(e.trust[i]) else f"{e.trust[i]:.2g}"]
        cells = [str(sample), str(e.classes[label]), predicted(explained, e.P[i]), utility[i],
                 ranked(e.rank[i]), *trust]  # fmt: skip
        labels = "   ".join(f"{e.classes[y]} {U[i * len(e.classes) + y].strip()}" for y in shown)
        lines.append(cells if design else [*cells, labels])
    return "Queried, in order; utilities in the goal's unit\n" + _columns(
        lines, "rllrrr"[: len(head)] + "l"
    )


def _operators(explained: ExplainedRound) -> str:
    e = explained.explanation
    lines = [["operator", *(str(i) for i in explained.pool_ids), "agrees"]]
    for o in order(explained):
        agrees = "-" if np.isnan(e.agreement[o]) else f"{e.agreement[o]:.2f}"
        lines.append([e.operators[o], *map(ranked, e.ranks[o]), agrees])
    title = (
        "Rank by each operator, - where it tells none apart; agrees: rank correlation with "
        f"{e.operator}"
    )
    return title + "\n" + _columns(lines, "l" + "r" * (len(lines[0]) - 1))


def _movers(explained: ExplainedRound) -> str:
    e = explained.explanation
    if e.indivisible:
        return f"No gains and losses to list: {e.indivisible}"
    side = ["", explained.reference, "is", "predicted"]
    lines = [["sample", "is", "in all", "gains", *side[1:], "loses", *side[1:]]]
    for i in range(len(e.chosen)):
        label, first = int(e.shown[i]), [str(explained.pool_ids[i]), str(e.classes[e.shown[i]])]
        movers, (up, down) = e.movers(i, label, N_MOVED), e.moved(i, label)
        in_all = [f"{signed(v)} {name}" for v, name in
                  ((up + down, "net "), (up, "up  "), (down, "down"))]  # fmt: skip
        for j in range(N_MOVED):
            cells = [*(first if j == 0 else ["", ""]), in_all[j]]
            for found in movers:
                cells += _mover_cells(explained, i, int(found[j])) if j < len(found) else [""] * 4
            lines.append(cells)
    title = (
        f"What the answer does to the goal: who of the {REFERENCE[explained.reference]} gains most"
    )
    return title + ", who loses\n" + _columns(lines, "rlrrrllrrll")


def _mover_cells(explained: ExplainedRound, i: int, u: int) -> list[str]:
    e = explained.explanation
    share = float(e.contributions[i, e.shown[i], u])
    seen = predicted(explained, e.reference_P[u])
    return [signed(share), str(explained.reference_ids[u]), reference_class(explained, u), seen]


def reference_class(explained: ExplainedRound, u: int) -> str:
    e = explained.explanation
    assert e.reference_y is not None
    return str(e.classes[e.reference_y[u]])


def predicted(explained: ExplainedRound, P: Array, size: int = 2) -> str:
    """The likeliest classes (of two only one) and their probabilities."""
    best = np.argsort(-P, kind="stable")[: 1 if len(P) == 2 else size]
    return " ".join(f"{explained.explanation.classes[k]} {100 * P[k]:.0f}%" for k in best)


def order(explained: ExplainedRound) -> list[int]:
    """Operators: the one in use, then those that agree with it most; what ranks nothing last."""
    agreement = np.nan_to_num(explained.explanation.agreement[1:], nan=-2.0)
    return [0, *(1 + np.argsort(-agreement, kind="stable")).tolist()]


def resolved(explained: ExplainedRound) -> list[str]:
    """The samples' utilities, without what is noise."""
    e = explained.explanation
    return aligned(np.where(np.abs(e.utility) <= e.noise, 0.0, e.utility))


def ranked(rank: int | np.int64) -> str:
    return str(rank) if rank else "-"


def aligned(values: Array) -> list[str]:
    """Numbers with a sign, all to the decimals that the largest deserves."""
    flat = values.ravel()
    return [_text(float(v), _decimals(flat)) for v in flat]


def signed(value: float) -> str:
    """A number with a sign and three significant digits."""
    return _text(value, _decimals(np.array([value])))


def _decimals(values: Array) -> int:
    """So that the largest has three significant digits; -1: by powers of ten."""
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0.0:
        return 0
    decimals = 2 - math.floor(math.log10(largest))
    return -1 if decimals > 6 or decimals < -4 else max(0, decimals)


def _text(value: float, decimals: int) -> str:
    text = f"{value:+.2e}" if decimals < 0 else f"{value:+.{decimals}f}"
    return text if float(text) else text[1:]  # nothing has no sign


def _columns(lines: Sequence[Sequence[str]], sides: Iterable[str]) -> str:
    """Cells in columns, each flush left ("l") or right ("r")."""
    lines = [[for_terminal(cell) for cell in line] for line in lines]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    placed = list(zip(widths, sides))
    return "\n".join(
        "  " + "  ".join(
            cell.ljust(w) if side == "l" else cell.rjust(w)
            for cell, (w, side) in zip(line, placed, strict=True)
        ).rstrip()
        for line in lines
    )  # fmt: skip

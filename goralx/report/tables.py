"""Tables as people read them, in Markdown and LaTeX; what is shown of a number, and how."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from goralx.comparison import (
    AULC,
    SHARES,
    Arm,
    Arms,
    ByCost,
    Comparison,
    Cost,
    Discovered,
    Kept,
    Needed,
    Ranks,
    Said,
    Savings,
    Tally,
    Trust,
    mean_interval,
    name_of,
    numbers,
    p_value,
)
from goralx.escaping import for_latex, for_markdown

DASH = "--"


@dataclass(frozen=True)
class Table:
    """Text by rows; ``note`` says what the numbers are."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


def scores(arms: Arms) -> Table:
    """Means and intervals of what is compared, for every arm, by data set."""
    wanted = numbers(arms)
    rows = []
    for dataset in arms.datasets:
        for arm in arms.in_dataset(dataset):
            runs = arms.of(dataset, arm)
            means = [
                mean_interval(list(arms.values(dataset, arm, number).values())) for number in wanted
            ]
            dev = max(run.dev_labels for run in runs)
            cells = [spread(*mean) for mean in means]
            rows.append((dataset, _name(arm), str(len(runs)), *cells, str(dev)))
    return Table(
        "scores", "Scores",
        ("data set", "arm", "seeds", *(name_of(arms, n) for n in wanted), "dev labels"),
        tuple(rows), "Means over seeds with 95 % bootstrap intervals (BCa).",
    )  # fmt: skip


def needed(found: Sequence[Needed]) -> Table:
    """Labels to each share of the full pool."""
    cells: dict[tuple[str, str], dict[float, str]] = {}
    for n in found:
        censored = n.n_seeds - n.n_reached
        reached = f" ({n.n_reached} of {n.n_seeds})" if censored else ""
        middle = f"> half never{reached}" if math.isnan(n.median) else spread(
            n.median, n.low, n.high, 0
        ) + reached  # fmt: skip
        cells.setdefault((n.dataset, _name(n.arm)), {})[n.share] = middle
    rows = tuple(
        (*key, *(by_share.get(share, DASH) for share in SHARES)) for key, by_share in cells.items()
    )
    return Table(
        "labels_needed", "Labels needed", ("data set", "arm", *(f"{s:.0%}" for s in SHARES)), rows,
        "Kaplan-Meier medians, with 95 % intervals, of the labels (init, dev and queries) from "
        "which a run holds this share of the full pool's; in brackets how many seeds got there.",
    )  # fmt: skip


def savings(found: Sequence[Savings]) -> Table:
    rows = tuple(
        (s.dataset, s.arm.label, f"{s.share:.0%}", spread(s.mean, s.low, s.high, 1), p_value(s.p),
         f"{s.n_censored} of {s.n_pairs}")
        for s in found
    )  # fmt: skip
    against = found[0].baseline.label if found else ""
    return Table(
        "savings", f"Labels saved against {against}",
        ("data set", "arm", "share", "labels saved", "log-rank", "censored pairs"), rows,
        "Means over paired seeds with 95 % intervals; what is not reached counts with the labels "
        "at which the shorter arm ends, so that censored pairs say less than they might.",
    )  # fmt: skip


def comparisons(arms: Arms, found: Sequence[Comparison]) -> Table:
    """Of one number or of several, which then have a column."""
    chosen = list(dict.fromkeys(c.metric for c in found))
    several = len(chosen) > 1
    what = "Comparisons" if several or not chosen else name_of(arms, chosen[0])
    rows = tuple(
        (c.dataset, *([name_of(arms, c.metric)] if several else []), c.a.label, c.b.label,
         str(c.n_pairs), spread(c.mean_difference, c.low, c.high), p_value(c.p),
         p_value(c.p_holm), f"{c.wins}/{c.ties}/{c.losses}", plain_number(c.effect), c.verdict)
        for c in found
    )  # fmt: skip
    return Table(
        "comparisons" if several else "main_comparisons", what,
        ("data set", *(["number"] if several else []), "a", "b", "pairs", "a minus b", "Wilcoxon",
         "Holm", "won/tied/lost", "effect", "verdict"),
        rows, "Paired by seed. Holm corrects over the pairs of arms of a data set and number; the "
        "effect is the rank-biserial correlation, above 0 where a is better.",
    )  # fmt: skip


def matrix(arms: Arms, tallies: dict[tuple[Arm, Arm], Tally]) -> Table:
    ranked = arms.ranked
    rows = tuple(
        (row.label, *(_tally(tallies.get((row, column))) for column in ranked)) for row in ranked
    )
    return Table(
        "matrix", "Wins, ties and losses", ("", *(arm.label for arm in ranked)), rows,
        f"{name_of(arms, AULC)}, row against column: data sets where it is shown better / not "
        "shown / shown worse; in brackets pairs of runs won / tied / lost.",
    )  # fmt: skip


def _tally(t: Tally | None) -> str:
    if t is None:
        return DASH
    return f"{t.better}/{t.undecided}/{t.worse} ({t.wins}/{t.ties}/{t.losses})"


def ranks(found: Ranks) -> Table:
    order = sorted(range(len(found.arms)), key=lambda i: (found.mean_ranks[i], found.arms[i]))
    best = order[0]
    rows = tuple(
        (found.arms[i].label, f"{found.mean_ranks[i]:.2f}",
         DASH if i == best else p_value(float(found.nemenyi[best, i])))
        for i in order
    )  # fmt: skip
    friedman = f"Friedman {p_value(found.p)}; " if not math.isnan(found.p) else ""
    return Table(
        "ranks", "Mean ranks across data sets", ("arm", "mean rank", "Nemenyi, against the best"),
        rows, f"{friedman}critical difference {found.critical_difference:.2f} over "
        f"{len(found.datasets)} data sets at 5 %.",
    )  # fmt: skip


def kept(found: Sequence[Kept]) -> Table:
    rows = tuple(
        (k.dataset, _name(k.arm), plain_number(k.ratio), f"{k.same_sign:.0%}", plain_number(k.rank))
        for k in found
    )
    return Table(
        "predictions", "Predicted against realised change",
        ("data set", "arm", "realised / predicted", "same sign", "rank correlation"), rows,
        "Of the arm's own goal, over its batches; medians over seeds. 1 and 100 % would be kept "
        "in full.",
    )  # fmt: skip


def trust(found: Sequence[Trust]) -> Table:
    kinds = tuple(dict.fromkeys(kind for t in found for kind in t.audits if kind != "kappa"))
    rows = tuple(
        (t.dataset, _name(t.arm), *(plain_number(t.audits.get(k, math.nan)) for k in kinds),
         plain_number(t.kappa), str(t.n_audits))
        for t in found
    )  # fmt: skip
    return Table(
        "trust", "Audits and kappa", ("data set", "arm", *kinds, "kappa", "audits"), rows,
        "Utilities held against exact retraining in the runs, means over seeds; kappa is the "
        "median leverage: below about .6 first order may be believed.",
    )  # fmt: skip


def answers(found: Mapping[tuple[str, Arm], Sequence[Said]]) -> Table:
    """What oracles said, by whom."""
    rows = tuple(
        (dataset, _name(arm), one.who, str(one.asked), f"{one.abstained:.1%}",
         DASH if math.isnan(one.wrong) else f"{one.wrong:.1%}", plain_number(one.cost))
        for (dataset, arm), whole in found.items()
        for one in whole
    )  # fmt: skip
    return Table(
        "answers", "What oracles said",
        ("data set", "arm", "annotator", "asked", "no label", "wrong", "cost of an answer"), rows,
        "Over all seeds; wrong is the share among the labels given. answers.csv has every pair of "
        "true class and answer. Arms whose oracle never errs are not in it.",
    )  # fmt: skip


def by_cost(found: Sequence[ByCost]) -> Table:
    """Curves over what answers took, where labels did not take one each."""
    rows = tuple(
        (c.dataset, _name(c.arm), str(c.n_seeds), spread(*c.aulc),
         *(DASH if math.isnan(cost) else f"{cost:g} ({n} of {c.n_seeds})"
           for cost, n in zip(c.needed, c.n_reached)))
        for c in found
    )  # fmt: skip
    return Table(
        "by_cost", "By cost",
        ("data set", "arm", "seeds", "AULC by cost", *(f"cost of {s:.0%}" for s in SHARES)), rows,
        "AULC is the mean of the metric over what the answers took, with 95 % bootstrap intervals; "
        "then medians of what they had taken when that share of the full pool's was reached, over "
        "the runs that did. Initial labels took nothing. All other tables count labels.",
    )  # fmt: skip


def discovered(found: Sequence[Discovered]) -> Table:
    """Classes that nobody had labelled when runs began."""
    rows = tuple(
        (
            c.dataset,
            _name(c.arm),
            c.name,
            f"{c.n_found} of {c.n_lacking}",
            DASH if math.isnan(c.labels) else f"{c.labels:g}",
        )
        for c in found
    )
    return Table(
        "discovered", "Classes found on the way",
        ("data set", "arm", "class", "found in", "labels by then"), rows,
        "Of the runs that began without a label of the class: how many had one later, and the "
        "median of how many labels there were in all by then.",
    )  # fmt: skip


def costs(found: Sequence[Cost]) -> Table:
    rows = tuple(
        (c.dataset, _name(c.arm), *(_seconds(v) for v in (c.total, c.fit, c.score)),
         DASH if math.isnan(c.memory) else f"{c.memory:.0f} MB")
        for c in found
    )  # fmt: skip
    return Table(
        "costs", "Time and memory", ("data set", "arm", "run", "fits", "scores", "peak memory"),
        rows, "Medians over seeds; wall time, on whatever else the machine was doing. The peak "
        "is the process's, which runs of one sweep share.",
    )  # fmt: skip


def _seconds(value: float) -> str:
    return DASH if math.isnan(value) else f"{value:.3g} s"


def _name(arm: Arm) -> str:
    return f"{arm.label} (uses the truth)" if arm.uses_truth else arm.label


def spread(mean: float, low: float, high: float, digits: int = 3) -> str:
    """As 0.912 [0.903, 0.921]; the mean alone where there is no interval."""
    if math.isnan(mean):
        return DASH
    said = f"{mean:.{digits}f}"
    if math.isnan(low) and math.isnan(high):
        return said
    bounds = (DASH if math.isnan(x) else f"{x:.{digits}f}" for x in (low, high))
    return f"{said} [{', '.join(bounds)}]"


def plain_number(value: float) -> str:
    return DASH if math.isnan(value) else f"{value:.2f}"


def markdown(tables: Sequence[Table]) -> str:
    parts = []
    for table in tables:
        head = "| " + " | ".join(map(for_markdown, table.columns)) + " |"
        rule = "|" + "---|" * len(table.columns)
        rows = ["| " + " | ".join(map(for_markdown, row)) + " |" for row in table.rows]
        title, note = for_markdown(table.title), for_markdown(table.note)
        parts.append("\n".join([f"## {title}", "", head, rule, *rows, "", note]))
    return "\n\n".join(parts) + "\n"


def latex(tables: Sequence[Table]) -> str:
    parts = ["% Needs \\usepackage{booktabs}"]
    for table in tables:
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_tex(table.title)}. {_tex(table.note)}}}",
            rf"\label{{tab:{table.name}}}",
            rf"\begin{{tabular}}{{{'l' * len(table.columns)}}}",
            r"\toprule",
            _tex_row(table.columns),
            r"\midrule",
            *map(_tex_row, table.rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _tex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(_tex, cells)) + r" \\"


def _tex(text: str) -> str:
    """A cell; one that begins with a bracket would be taken for an option of the line before."""
    shown = for_latex(text)
    return f"{{}}{shown}" if shown.startswith("[") else shown

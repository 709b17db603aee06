"""The README's tables of results, from what is kept under outputs/paper.

``python -m tests.reproduction.readme`` prints them.
"""

from __future__ import annotations

import csv
from pathlib import Path

from goralx.reproduction.evidence import ENOUGH

PAPER = Path(__file__).parents[2] / "outputs" / "paper"

SAID = {
    "fig5-uncertainty-230": "synth2, uncertainty: queries to 58/60, every seed",
    "fig5-uncertainty-170-central": "... of them on the two central clusters, every seed",
    "fig5-oracle-at-once": "synth2, dev goal, oracle: queries to 58/60",
    "fig5-dev-labels-counted-average": "synth2, average: labels less margin's, dev labels counted",
    "fig8-ent-oracle-raises-goal-most": "rt-polarity: the ent oracle raises its goal most, by",
    "fig8-ent-oracle-learns-worst": "... and learns worst: accuracy below the next worst",
    "fig8-ent-oracle-accuracy": "... ending at an accuracy of",
    "fig6-ent-oracle-raises-goal-most": "letter: the ent oracle raises its goal most, by",
    "fig6-ent-oracle-learns-worst": "... and learns worst: accuracy below the next worst",
    "fig6-ent-oracle-accuracy": "... ending at an accuracy of",
    "fig6-fir-oracle-learns-worst": "letter: the fir oracle learns worst, too",
    "fig6-ent-close-to-fir-goals": "letter: ent and fir agree over the rounds, Spearman",
    "fig6-ent-close-to-fir-average": "letter, average: AULC of ent less that of fir",
    "fig6-dev-curves-agree-oracle": "letter, dev oracle: accuracy and goal agree, Spearman",
    "fig8-overfitting-goal": "rt-polarity, dev oracle: the goal still rises after 600 queries, by",
    "fig8-overfitting-accuracy": "... while the accuracy falls: at 1,000 less at 600",
    "practical-not-consistently-above": "of nine practical arms, above both baselines on both sets",
    "fig8-beside-dev-trained": "rt-polarity: dev labels trained on, AULC over the dev oracle's",
    "fig6-beside-dev-trained": "letter: the same",
}
"""Claims that the README shows, in words that fit a line."""


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def shown(value: str) -> str:
    return f"{float(value):.3g}" if abs(float(value)) < 1000 else f"{float(value):,.0f}"


def paper() -> str:
    """The table of claims."""
    found = {row["name"]: row for row in rows(PAPER / "claims.csv")}
    lines = ["| | number | interval | seeds | |", "|---|---|---|---|---|"]
    for name, words in SAID.items():
        row = found[name]
        interval = f"{shown(row['low'])} to {shown(row['high'])}"
        lines.append(
            f"| {words} | {shown(row['number'])} | {interval} | {row['n_seeds']} "
            f"| {row['verdict']} |"
        )
    return "\n".join(lines)


def verdicts() -> dict[str, int]:
    """How many claims came to what."""
    found = [row["verdict"] for row in rows(PAPER / "claims.csv")]
    return {verdict: found.count(verdict) for verdict in dict.fromkeys(found)}


FINDING = PAPER / "finding"
ALL = "all data sets"


def signed(row: dict[str, str], *columns: str) -> str:
    """A mean and its interval, in thousandths."""
    mean, low, high = (float(row[column]) if row[column] else float("nan") for column in columns)
    return f"{mean:+.3f}" if low != low else f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"


def effects() -> str:
    """The table of what costs: each question over all data sets, batches of ten."""
    found = rows(FINDING / "effects.csv")
    lines = ["| | goal, operator | accuracy | better, worse, of |", "|---|---|---|---|"]
    for total in found:
        if total["dataset"] != ALL or total["batch_size"] != "10" or int(total["n"]) < ENOUGH:
            continue
        cell = total["question"], total["cell"], total["batch_size"]
        each = [
            int(row["sign"])
            for row in found
            if (row["question"], row["cell"], row["batch_size"]) == cell and row is not total
        ]
        lines.append(
            f"| {total['question']} | {total['cell'].replace('-', ', ')} "
            f"| {signed(total, 'mean', 'low', 'high')} "
            f"| {each.count(1)}, {each.count(-1)}, {len(each)} |"
        )
    return "\n".join(lines)


def sizes() -> str:
    """The table of batch sizes: what additivity costs, where all sizes were run."""
    found = [r for r in rows(FINDING / "effects.csv") if r["question"].startswith("additivity, at")]
    by_size = {
        (r["cell"], r["dataset"], r["batch_size"]): signed(r, "mean", "low", "high") for r in found
    }
    lines = ["| | data set | b = 5 | b = 10 | b = 20 |", "|---|---|---|---|---|"]
    for cell, dataset in dict.fromkeys((r["cell"], r["dataset"]) for r in found):
        each = [by_size.get((cell, dataset, b)) for b in ("5", "10", "20")]
        if dataset != ALL and all(each):
            lines.append(
                f"| {cell.replace('-', ', ')} | {dataset} | {' | '.join(map(str, each))} |"
            )
    return "\n".join(lines)


def choices() -> str:
    """The table of practical arms against margin, those on nearly all data sets."""
    found = rows(FINDING / "choices.csv")
    most = max(len(row["datasets"].split()) for row in found)
    head = "| arm | accuracy over margin's | labels saved | better | worse | of |"
    lines = [head, "|---|---|---|---|---|---|"]
    for row in found:
        n = len(row["datasets"].split())
        if n < most - 1:
            continue
        saved = f"{float(row['labels_saved']):+.0f}"
        sides = (str(len(row[side].split())) for side in ("wins", "losses"))
        gain = signed(row, "gain", "gain_low", "gain_high")
        lines.append(f"| {row['arm']} | {gain} | {saved} | {' | '.join(sides)} | {n} |")
    return "\n".join(lines)


if __name__ == "__main__":
    for table in (paper, effects, sizes, choices):
        print(table(), end="\n\n")
    print(verdicts())

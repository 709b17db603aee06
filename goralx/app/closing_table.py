"""What a run says at its end, in a few aligned lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from goralx import report
from goralx.tracking import tracked_lines

from . import discoveries


def closing_table(summary: Mapping[str, Any]) -> str:
    """What a run came to, as a few aligned lines."""
    needed, seconds = summary["labels_needed"], summary["seconds"]
    shares = " / ".join(share.rstrip("%") for share in needed)
    prices = " / ".join("not reached" if n is None else str(n) for n in needed.values())
    metric, full, n_init = summary["metric"], summary["full_pool"], summary["n_init"]
    words = report.in_words(metric)
    if full is None:
        ceiling, prices, of_what = "the whole pool was not fit", "unknown", "ceiling=true fits it"
    else:
        ceiling = f"full pool {_four(full[metric])}"
        better = summary["higher_is_better"][metric]
        share = "of the full-pool" if better else "as good as the full-pool"
        of_what = f"{share} {words}, and staying there"
    reach = f"{n_init} to {n_init + summary['n_queries']} labels"
    parts = f"fit {seconds['fit']:.1f}, score {seconds['score']:.1f}"
    lines = [
        (f"final {words}", _four(summary["test"][metric]), ceiling),
        ("AULC", _four(summary["aulc"]), f"mean {words} over {reach}"),
        (f"labels for {shares} %", prices, of_what),
        ("dev labels used", *_dev_labels(summary)),
        ("time", f"{seconds['total']:.1f} s", parts),
        ("record", summary["directory"], ""),
        *((*line, "") for line in tracked_lines(Path(summary["directory"]))),
    ]
    pictures = sorted(Path(summary["directory"], "figures").glob("*.png"))
    if pictures:
        lines.insert(-1, ("pictures", ", ".join(path.name for path in pictures), ""))
    stopped = summary.get("stopped")  # records from before there were rules have none
    if stopped and summary["n_queries"] < summary["config"].get("n_queries", 0):
        censored = "censored: what was not reached might have been" if stopped["censored"] else ""
        lines.insert(4, ("stopped", stopped["why"], censored))
    if summary.get("tags", {}).get("goralx.oracle"):
        if summary["cost"] != summary["n_queries"] and "aulc_by_cost" in summary:
            lines.insert(4, _by_cost(summary, shares))
        lines.insert(4, _oracle(summary))
    if classes := discoveries.closing_line(summary):
        lines.insert(4, classes)
    if summary["uses_ground_truth"]:
        lines.insert(4, ("ground truth", "used", "an upper bound, not a practical strategy"))
    left, middle = (max(len(line[i]) for line in lines if line[2]) for i in (0, 1))
    table = [f"  {a:<{left}}  {b:<{middle}}  {c}".rstrip() for a, b, c in lines]
    return "\n".join([summary["name"], *table])


def _oracle(summary: Mapping[str, Any]) -> tuple[str, str, str]:
    """What the answers came to."""
    wrong, silent = summary["label_error"], summary["abstained"]
    share = "no label" if wrong is None or np.isnan(wrong) else f"{wrong:.1%} wrong"
    silence = f", {silent} abstained" if silent else ""
    said = f"{share}{silence}"
    return "oracle", said, f"{summary['n_queries']} asked for, at a cost of {summary['cost']:g}"


def _by_cost(summary: Mapping[str, Any], shares: str) -> tuple[str, str, str]:
    """What the curve came to over what the answers took, the initial labels not counted."""
    costs = summary["cost_needed"].values()
    prices = " / ".join("not reached" if c is None else f"{c:g}" for c in costs)
    what = f"AULC {_four(summary['aulc_by_cost'])}"
    return "by cost", what, f"{prices} for {shares} %" if summary["full_pool"] else ""


def _dev_labels(summary: Mapping[str, Any]) -> tuple[str, str]:
    """How many, and how they count."""
    used, trained_on = summary["dev_labels_used"], summary.get("dev_labels_in_init", 0)
    again = summary.get("dev_labels_queried", 0)
    if trained_on:
        return str(trained_on), "trained on, among the initial labels"
    return str(used), f"on top; {again} of them were queried, too" if used and again else "on top"


def _four(value: float | None) -> str:
    """With four decimals; a number that there is not is null in ``summary.json``."""
    return "undefined" if value is None or np.isnan(value) else f"{value:.4f}"

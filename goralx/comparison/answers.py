"""What oracles said: how often each class was called each, by whom, and what was not said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from goralx.data import Rows, as_numbers
from goralx.records import Answer, read_answers

from .arms import Arm, Arms

LEARNED = "what is learned"
"""The answers that a model is fit on, of however many annotators."""


@dataclass(frozen=True)
class Said:
    """What ``who`` said, one annotator or all of them together, over some runs.

    ``counts`` (K, K + 1) are samples by their true class and what they were called; the last column
    counts abstentions. ``cost`` is what an answer took in the mean, NaN of one of several.
    """

    who: str
    classes: tuple[str, ...]
    counts: Rows
    cost: float

    @property
    def asked(self) -> int:
        return int(self.counts.sum())

    @property
    def abstained(self) -> float:
        """The share of samples without a label."""
        return float(self.counts[:, -1].sum() / self.asked)

    @property
    def wrong(self) -> float:
        """The share of wrong ones among the labels given, NaN without any."""
        given = self.counts[:, :-1]
        total = int(given.sum())
        return float(1.0 - np.trace(given) / total) if total else float("nan")


def said(answers: Iterable[Answer]) -> list[Said]:
    """What is learned, and where several annotators were asked also what each of them said."""
    told = list(answers)
    names = {a.truth for a in told} | {a.label for a in told if a.label is not None}
    names |= {label for a in told for label in a.said.values() if label is not None}
    classes = _in_order(names)
    by: dict[str, list[tuple[str, str | None]]] = {LEARNED: [(a.truth, a.label) for a in told]}
    annotators = sorted({who for a in told for who in a.said})
    if len(annotators) > 1:
        for who in annotators:
            by[who] = [(a.truth, a.said[who]) for a in told if who in a.said]
    cost = float(np.mean([a.cost for a in told])) if told else float("nan")
    return [
        Said(who, classes, _counts(pairs, classes), cost if who == LEARNED else float("nan"))
        for who, pairs in by.items()
        if pairs
    ]


def said_in(arms: Arms) -> dict[tuple[str, Arm], list[Said]]:
    """By data set and arm, over its seeds; only of those whose oracle may err."""
    found = {}
    for (dataset, arm), runs in arms.runs.items():
        told = [answer for run in runs for answer in read_answers(run.directory) or ()]
        if told:
            found[dataset, arm] = said(told)
    return found


def _counts(pairs: Iterable[tuple[str, str | None]], classes: tuple[str, ...]) -> Rows:
    place = {name: k for k, name in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes) + 1), dtype=np.int64)
    for truth, label in pairs:
        counts[place[truth], len(classes) if label is None else place[label]] += 1
    return counts


def _in_order(names: set[str]) -> tuple[str, ...]:
    """By value if all are numbers."""
    classes = np.array(sorted(names), dtype=np.str_)
    numbers = as_numbers(classes)
    order = range(len(classes)) if numbers is None else np.argsort(numbers, kind="stable")
    return tuple(str(classes[i]) for i in order)

"""The finding's grid as data: batch rule x estimator x goal x operator, over nine real data sets.

Fractional: the whole grid would be days. Each cell that is left out is one that no question asks.
The dev set is about fifty samples and out of the pool, the same for every arm of a seed; baselines
go on for as many queries more as there are dev labels, so that totals can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from .arms import Arm, Plan, Setting

CROSSED = (
    ("ent", "max"),
    ("ent", "laplace"),
    ("dev", "average"),
    ("dev", "laplace"),
    ("dev", "oracle"),
)
"""Goals and operators that are crossed with estimators and batch rules."""

DEAR = (("ent", "max"), ("dev", "oracle"))
"""Those of them that go beyond first order where that is dear."""

SCREEN = 100
"""Candidates that estimators beyond first order look at where the pool is large or K d is."""


@dataclass(frozen=True)
class Data:
    """A data set of the grid: its budget, its dev share, and what it can afford.

    ``beyond``: goals and operators that go beyond first order; ``screened``: whether these look at
    the `SCREEN` best only; ``design``: whether the design criterion is run.
    """

    name: str
    n_queries: int
    dev_fraction: float
    n_seeds: int
    beyond: tuple[tuple[str, str], ...] = CROSSED
    screened: bool = False
    design: bool = True


DATA = (
    Data("iris", 40, 0.2, 20, DEAR),
    Data("wine", 60, 0.15, 20),
    Data("synth2", 100, 0.1, 20, DEAR),
    Data("breast_cancer", 100, 0.1, 20),
    Data("phishing", 100, 0.05, 20, DEAR),
    Data("segment", 100, 0.03, 20, DEAR, screened=True),
    Data("rt_polarity", 100, 0.005, 20, DEAR, screened=True),
    Data("digits", 100, 0.04, 20, DEAR, screened=True),
    Data("letter", 100, 0.0035, 20, (), design=False),
)

SIZES = (1, 5, 20)
"""Batch sizes beside 10, on `SIZED`."""
SIZED = ("breast_cancer", "phishing", "segment", "digits")


def setting(data: Data, batch_size: int = 10) -> Setting:
    return Setting(
        data.name, data.n_queries, batch_size, ("dev", "ent"), data.dev_fraction, dev_removed=True
    )


def name(goal: str, operator: str, utility: str, batch: str) -> str:
    return f"{goal}-{operator}-{utility}-{batch}"


def cell(s: Setting, goal: str, operator: str, utility: str, batch: str, screened: bool) -> Arm:
    """One cell of the crossed part."""
    options = {"utility": {"screen": SCREEN}} if screened and utility == "implicit" else {}
    return Arm(
        s, name(goal, operator, utility, batch), goal=goal, operator=operator, utility=utility,
        batch=batch, options=options,
    )  # fmt: skip


def baselines(s: Setting) -> Iterator[Arm]:
    """Random and margin, with queries for the dev labels that they do not use; those trained on."""
    longer = replace(s, n_queries=s.n_queries + 50)
    yield Arm(longer, "random", strategy="random")
    yield Arm(longer, "margin", strategy="uncertainty")
    yield Arm(
        longer, "entropy", strategy="uncertainty", options={"strategy": {"measure": "entropy"}}
    )
    yield Arm(s, "margin-dev-trained", strategy="uncertainty", dev_use="train")


def main_arms(data: Data) -> Iterator[Arm]:
    """All arms of a data set at batches of ten."""
    s = setting(data)
    yield from baselines(s)
    for (goal, operator), batch in product(CROSSED, ("top", "sequential")):
        yield cell(s, goal, operator, "influence", batch, data.screened)
    yield Arm(s, "ent-max-influence-gumbel", goal="ent", batch="gumbel")
    if data.design:
        options = {"goal": {"screen": SCREEN}} if data.screened else {}
        for batch in ("top", "sequential"):
            yield Arm(s, f"aopt-{batch}", goal="aopt", batch=batch, options=options)
    for (goal, operator), batch in product(data.beyond, ("top", "sequential")):
        yield cell(s, goal, operator, "implicit", batch, data.screened)


def sized_arms(data: Data, batch_size: int) -> Iterator[Arm]:
    """What other batch sizes are asked: margin, and top against sequential at first order."""
    s = setting(data, batch_size)
    yield Arm(s, "random", strategy="random")
    yield Arm(s, "margin", strategy="uncertainty")
    for goal, operator in DEAR:
        for batch in ("top",) if batch_size == 1 else ("top", "sequential"):
            yield cell(s, goal, operator, "influence", batch, data.screened)


def plans() -> dict[str, Plan]:
    """The whole grid, by data set and batch size."""
    found = {data.name: Plan(tuple(main_arms(data)), data.n_seeds) for data in DATA}
    for data in DATA:
        if data.name in SIZED:
            for b in SIZES:
                found[f"{data.name}-b{b}"] = Plan(tuple(sized_arms(data, b)), 20)
    return found

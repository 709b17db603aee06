"""The paper's experiments as data: what each of its figures needs (Sec. 6)."""

from __future__ import annotations

from itertools import product

from .arms import Arm, Plan, Setting

GOALS = ("dev", "ent", "fir")
PRACTICAL = ("max", "min", "average")
"""Operators that do not know the label."""
OPERATORS = ("oracle", *PRACTICAL)

SYNTH2 = Setting("synth2", n_queries=530)
LETTER = Setting("letter", n_queries=1000)
RT_POLARITY = Setting("rt_polarity", n_queries=1000)


def baselines(setting: Setting, *, entropy: bool) -> tuple[Arm, ...]:
    """Random and uncertainty sampling; margin and entropy are one rule for two classes."""
    arms = (
        Arm(setting, "random", strategy="random"),
        Arm(setting, "margin", strategy="uncertainty"),
    )
    options = {"strategy": {"measure": "entropy"}}
    more = Arm(setting, "entropy", strategy="uncertainty", options=options)
    return (*arms, more) if entropy else arms


def goral(setting: Setting, goals: tuple[str, ...]) -> tuple[Arm, ...]:
    """Every goal with every operator of the paper's benchmarks."""
    return tuple(
        Arm(setting, f"{goal}-{operator}", goal=goal, operator=operator)
        for goal, operator in product(goals, OPERATORS)
    )


def beside(setting: Setting) -> tuple[Arm, ...]:
    """What the paper does not show and a reader asks: the dev labels trained on, better batches."""
    return (
        Arm(setting, "margin-dev-trained", strategy="uncertainty", dev_use="train"),
        Arm(setting, "dev-oracle-sequential", goal="dev", operator="oracle", batch="sequential"),
    )


PLANS: dict[str, Plan] = {
    "synth2": Plan(
        (*baselines(SYNTH2, entropy=False), *goral(SYNTH2, ("dev",)), *beside(SYNTH2)), 20
    ),
    "letter": Plan(
        (*baselines(LETTER, entropy=True), *goral(LETTER, GOALS), *beside(LETTER)[:1]), 10
    ),
    "rt_polarity": Plan(
        (*baselines(RT_POLARITY, entropy=False), *goral(RT_POLARITY, GOALS), *beside(RT_POLARITY)),
        10,
    ),
}
"""The runs of a data set: Figs 5, 6 with 7, and 8 with 9."""

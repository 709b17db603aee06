"""The paper's experiments as data: what each of its figures needs (Sec. 6)."""

from __future__ import annotations

from itertools import product

from .arms import Arm, Plan, Setting

GOALS = ("dev", "ent", "fir")
PRACTICAL = ("max", "min", "average")
"""Operators that do not know the label."""
OPERATORS = ("oracle", *PRACTICAL)
BATCHED = (("dev", "oracle"), ("ent", "max"))
"""What batch rules are compared by: the paper's upper bound, and an arm that anyone can run."""

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
    """What the paper does not show and a reader asks.

    The dev labels trained on; the operator that hopes for nothing; utilities that are told the
    wrong samples; batches put together otherwise.
    """
    return (
        Arm(setting, "margin-dev-trained", strategy="uncertainty", dev_use="train"),
        Arm(setting, "dev-expected", operator="expected"),
        Arm(setting, "dev-max-shuffled", strategy="shuffled"),
        *(
            Arm(setting, f"{goal}-{operator}-{batch}", goal=goal, operator=operator, batch=batch)
            for goal, operator in BATCHED
            for batch in ("sequential", "gumbel", "kmeanspp")
        ),
    )


def plan(setting: Setting, goals: tuple[str, ...], n_seeds: int, *, entropy: bool) -> Plan:
    """All arms on a data set."""
    arms = (*baselines(setting, entropy=entropy), *goral(setting, goals), *beside(setting))
    return Plan(arms, n_seeds)


PLANS: dict[str, Plan] = {
    "synth2": plan(SYNTH2, ("dev",), 20, entropy=False),
    "letter": plan(LETTER, GOALS, 10, entropy=True),
    "rt_polarity": plan(RT_POLARITY, GOALS, 10, entropy=False),
}
"""The runs of a data set: Figs 5, 6 with 7, and 8 with 9."""

"""Each comparison as a plain sentence, with its number, its interval and how it was tested."""

from __future__ import annotations

import math

from .arms import Arms
from .censored import Savings
from .diagnostics import Divergence
from .paired import NO_DIFFERENCE, TOO_FEW, Comparison, is_higher_better
from .runs import AULC

DIGITS = 3


def of_comparison(arms: Arms, c: Comparison) -> str:
    """Who is better on what, or that nothing is shown; never "equal"."""
    what = name_of(arms, c.metric)
    if c.verdict == TOO_FEW:
        return (
            f"{c.dataset}, {what}: {c.a.label} and {c.b.label} have {c.n_pairs} paired seeds, "
            "too few to compare."
        )
    wins = f"better in {c.wins} of {c.n_pairs} seeds, worse in {c.losses}"
    facts = f"{interval(c.mean_difference, c.low, c.high)}, {wins}, {p_value(c.p_holm)}"
    if c.verdict == NO_DIFFERENCE:
        return (
            f"{c.dataset}, {what}: no difference shown between {c.a.label} and {c.b.label} "
            f"({facts})."
        )
    won = c.better == c.a
    higher = is_higher_better(arms, c.metric) == won
    return (
        f"{c.dataset}, {what}: {c.a.label} is {'higher' if higher else 'lower'}, and "
        f"{'better' if won else 'worse'}, than {c.b.label} ({facts})."
    )


def of_savings(s: Savings) -> str:
    """How many labels an arm saves, and how sure that is."""
    if not (s.low > 0 or s.high < 0):
        verdict = f"no saving shown by {s.arm.label} against {s.baseline.label}"
    else:
        does = "saves" if s.mean > 0 else "costs"
        verdict = f"{s.arm.label} {does} {abs(s.mean):.0f} labels against {s.baseline.label}"
    censored = (
        f"; in {s.n_censored} of {s.n_pairs} pairs one is not there by {s.horizon:.0f} labels"
        if s.n_censored
        else ""
    )
    return (
        f"{s.dataset}, {s.share:.0%} of the full pool: {verdict} "
        f"({interval(s.mean, s.low, s.high, 1)}, log-rank {p_value(s.p)}{censored})."
    )


def of_divergence(d: Divergence) -> str:
    cause = (
        "the dev set is over-fitted: stop earlier, or draw a larger one"
        if d.dev
        else "the goal is not what the test asks for"
    )
    return (
        f"{d.dataset}, {d.arm.label}: from {d.since:.0f} labels on the goal {d.goal} rises while "
        f"{d.metric} gets worse ({interval(*d.test_slope)} per 100 labels); {cause}."
    )


def name_of(arms: Arms, number: str) -> str:
    return f"AULC of {arms.metrics[0]}" if number == AULC else f"final {number}"


def interval(mean: float, low: float, high: float, digits: int = DIGITS) -> str:
    """A signed mean and its 95 % interval; without one where there is none."""
    if math.isnan(mean):
        return "not known"
    said = f"{mean:+.{digits}f}"
    known = not (math.isnan(low) or math.isnan(high))
    return f"{said}, 95 % CI {low:+.{digits}f} to {high:+.{digits}f}" if known else said


def p_value(p: float) -> str:
    if math.isnan(p):
        return "p not known"
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".", 1)

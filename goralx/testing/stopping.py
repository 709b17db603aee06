"""What a stopping rule promises: a pure answer to any history, and a reason in words."""

from __future__ import annotations

import numpy as np

from goralx.contracts import Halt, History, StoppingRule
from goralx.data import Array

from .common import Check

MEASURED = ("n_labelled", "goal/own", "change/predicted", "change/realised", "dev/accuracy",
            "stop/agreement", "seconds/total")  # fmt: skip


def history(n_rounds: int, seed: int = 0) -> History:
    """Rounds of ten queries each that learn less and less; the first knows no change."""
    rng = np.random.default_rng(seed)
    rounds = np.arange(n_rounds)
    tau = -100.0 * np.exp(-0.2 * rounds) - 1.0 + rng.normal(0, 1e-4, n_rounds)
    accuracy = np.clip(0.9 - 0.4 * np.exp(-0.3 * rounds) + rng.normal(0, 0.01, n_rounds), 0, 1)
    change = np.diff(tau, prepend=np.nan)
    kappa = np.where(rounds == 0, np.nan, 1.0 - np.exp(-0.5 * rounds))
    values: tuple[Array, ...] = (
        10.0 + 10 * rounds,
        tau,
        2 * change,
        change,
        accuracy,
        kappa,
        0.5 + rounds,
    )
    return History(dict(zip(MEASURED, values, strict=True)), "own")


def check_is_stopping_rule(rule: StoppingRule) -> None:
    """A rule extends goralx.StoppingRule and needs what can be measured."""
    name = type(rule).__name__
    assert isinstance(rule, StoppingRule), f"let {name} extend goralx.StoppingRule"
    unknown = sorted(rule.needs - StoppingRule.NEEDS)
    allowed = ", ".join(sorted(StoppingRule.NEEDS))
    assert not unknown, f"needs = {unknown}; allowed: {allowed}"


def check_answers(rule: StoppingRule) -> None:
    """``halt`` gives None or a goralx.Halt with a reason, from the first round on."""
    for n_rounds in (1, 2, 3, 10, 40):
        answer = rule.halt(history(n_rounds))
        assert answer is None or isinstance(answer, Halt), (
            f"{n_rounds} rounds: {answer!r}; return None or a goralx.Halt"
        )
        assert answer is None or answer.why.strip(), "a Halt says why"


def check_is_pure(rule: StoppingRule) -> None:
    """The same history gives the same answer, whatever was asked before, and stays as it is."""
    first = [rule.halt(history(n)) for n in (3, 10, 40)]
    for_good = history(40)
    for column in for_good.columns.values():
        column.setflags(write=False)
    rule.halt(for_good)
    again = [rule.halt(history(n)) for n in (3, 10, 40)]
    assert first == again, "halt depends on what was asked before; go by the history alone"


def check_needs_are_declared(rule: StoppingRule) -> None:
    """Whatever is read of a round that is measured only on request is declared in ``needs``."""
    asked = {"dev/accuracy": "dev", "stop/agreement": "predictions"}
    whole = history(40)
    kept = {n: c for n, c in whole.columns.items() if n not in asked or asked[n] in rule.needs}
    missed = "it goes by what is measured only for those who declare it in needs"
    assert rule.halt(History(kept, "own")) == rule.halt(whole), missed
    if "goal" not in rule.needs and "utility" not in rule.needs:
        kept = {n: c for n, c in kept.items() if not n.startswith(("goal/", "change/"))}
        missed = "it goes by the goal, which needs does not say"
        assert rule.halt(History(kept, "own")) == rule.halt(whole), missed


CHECKS: tuple[Check, ...] = (
    check_is_stopping_rule,
    check_answers,
    check_is_pure,
    check_needs_are_declared,
)

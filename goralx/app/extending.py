"""A larger budget for a run that is there, or another patience of its stopping rule.

The run ends where it would have, had it been begun so: the last round is made again as one that
selects. What would have chosen otherwise from the first query on is refused: what goes by the share
of the budget that is spent, what would have stopped before, what was not measured.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from hydra.core.override_parser.overrides_parser import OverridesParser

from goralx.discovery import registry
from goralx.errors import BadInput, Incompatible
from goralx.records import inputs, read_summary

from . import naming
from .assembly import Run
from .nodes import typed_options
from .renamed import as_now
from .runner import Extension

BUDGET = ("n_queries", "stop")
MEASURED = frozenset({"dev", "predictions"})
"""What is measured in every round only because the stopping rule needs it."""


def is_budget(option: str) -> bool:
    """Whether an option is of those that a run may be gone on with."""
    key = option.partition("=")[0]
    return "=" in option and (key in ("n_queries", "stop") or key.startswith("stop."))


def extended(config: Mapping[str, Any], options: Sequence[str]) -> dict[str, Any]:
    """The configuration of a run with these options; equal where they change nothing.

    Raises `BadInput` for any but ``n_queries`` and those of the stopping rule.
    """
    n_queries, rule = config["n_queries"], config["stop"]
    changes: dict[str, Any] = {}
    for option in options:
        if not is_budget(option):
            raise BadInput(
                f"{option} · a run goes on with what it was begun with; only n_queries=, stop= and "
                "stop's options may be others"
            )
        override = OverridesParser.create().parse_override(option)
        key, value = override.key_or_group, override.value()
        if key == "n_queries":
            n_queries = _budget(option, value)
        elif key == "stop":
            rule, changes = {"name": value}, {}
        else:
            changes[key.removeprefix("stop.")] = value
    if n_queries < config["n_queries"]:
        raise BadInput(
            f"n_queries={n_queries} is less than the {config['n_queries']} of the run · a budget "
            "can be raised, not lowered; run anew"
        )
    if changes or rule is not config["stop"]:
        rule = _rule({**rule, **changes}, config["stop"])
    return {**config, "n_queries": n_queries, "stop": rule}


def but_for_the_budget(config: Mapping[str, Any]) -> str:
    """Equal for runs that differ in their budget and stopping rule alone, and how they are run."""
    identity = naming.identity(config, registry())
    rest = {key: value for key, value in identity.items() if key not in BUDGET}
    rest |= {key: config.get(key) for key in ("dataset", "dev", "precision", "job")}
    return json.dumps(rest, sort_keys=True)


def same_budget(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one[key] == other[key] for key in BUDGET)


def run_to_extend(runs: Iterable[Path], config: Mapping[str, Any]) -> Path | None:
    """The run among these that is this one but for its budget; `BadInput` where several are."""
    wanted, found = but_for_the_budget(config), []
    for run in runs:
        with suppress(BadInput):  # damaged: said where it is taken up
            if but_for_the_budget(as_now(read_summary(run)["config"])) == wanted:
                found.append(run)
    if len(found) > 1:
        raise BadInput(
            f"{' and '.join(run.name for run in found)} differ in their budget alone, and would "
            "become one run · go on with one of them by its own directory"
        )
    return found[0] if found else None


def check_sweep(runs: Iterable[Path], options: Sequence[str]) -> None:
    """Refuse options that a run of a sweep cannot go on with, or with which two were the same."""
    seen: dict[str, Path] = {}
    for run in runs:
        with suppress(FileNotFoundError):
            config = as_now(read_summary(run)["config"])
            extended(config, options)
            first = seen.setdefault(but_for_the_budget(config), run)
            if first != run:
                run_to_extend([first, run], config)


def _budget(option: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadInput(f"{option} · expected a whole number")
    return value


def _rule(node: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """A stopping rule's node with all its options, as it is composed for a new run."""
    rules = []
    for each in (before, node):
        component = registry().component("stop", str(each["name"]))
        options = typed_options(component, {k: v for k, v in each.items() if k != "name"})
        rules.append(registry().build("stop", component.name, options))
    was, rule = rules
    if was.needs & MEASURED != rule.needs & MEASURED:
        other = ", ".join(sorted((was.needs ^ rule.needs) & MEASURED))
        raise Incompatible(
            f"stop={node['name']} and the run's stop={before['name']} do not measure the same in "
            f"each round ({other}), so that its rounds would have been others · run anew"
        )
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in options.items()}
    return {"name": component.name, **plain}


def extension(before: Mapping[str, Any], made: Run) -> Extension | None:
    """What a run that was configured as ``before`` goes on with; None where that is the same.

    Raises `Incompatible` where it would have chosen otherwise from the first.
    """
    now, experiment = made.info.config, made.experiment
    keys = [key for key in BUDGET if now[key] != before[key]]
    if not keys:
        return None
    pool = len(experiment.instance.pool)
    if experiment.uses_progress and min(before["n_queries"], pool) != experiment.budget:
        _refuse_progress(now, experiment.strategy.uses_progress)
    earlier = inputs(naming.identity(before, registry()), experiment.instance)
    return Extension({k: now[k] for k in keys}, {k: before[k] for k in keys}, earlier)


def _refuse_progress(config: Mapping[str, Any], by_strategy: bool) -> NoReturn:
    group = "strategy" if by_strategy else "operator"
    raise Incompatible(
        f"{group}={config[group]['name']} goes by the share of the budget that is spent: with "
        f"n_queries={config['n_queries']} it would have chosen otherwise from the first · run anew"
    )

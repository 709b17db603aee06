"""What a run depends on, and so what it is called: its name, its tags, its fingerprint.

A strategy that asks no goal is indifferent to goal, operator, utility and batch rule, which are
then neither in its name nor in its fingerprint: the arms of a sweep that differ in nothing else
are one run. Goals are measured either way; how one is counts where it is not as by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goralx.discovery import METRICS, Registry
from goralx.errors import GoralxError

from .renamed import as_first

TAGGED = ("goal", "operator", "strategy", "utility", "batch", "dataset")
"""Groups whose choice is a tag of the run."""
ASKED = ("goal", "operator", "utility", "batch")
"""Of those, what only a strategy that asks a goal depends on."""
PERFECT = "perfect"
"""The oracle that there was before there was a choice: a run of it is called as it was then."""
GIVEN = "given"
"""The initial set that a data set brings, which every run had before there was a choice."""
USUAL = {"utility": "influence", "batch": "top", "model": "softmax"}
"""What a run's name does not say, for most runs have it."""
INDIFFERENT = "-"
"""The tag of what a run does not depend on."""


def asks_goal(config: Mapping[str, Any], found: Registry) -> bool:
    """Whether the strategy's choice depends on the goal."""
    strategy = found.components.get(("strategy", str(config["strategy"]["name"])))
    return strategy is None or bool(getattr(strategy.cls, "uses_goal", True))


def reads_goal(config: Mapping[str, Any], found: Registry) -> bool:
    """Whether when the run stops depends on the goal."""
    from .nodes import typed_options

    given = {key: value for key, value in config["stop"].items() if key != "name"}
    component = found.component("stop", str(config["stop"]["name"]))
    rule = found.build("stop", component.name, typed_options(component, given))
    return "goal" in rule.needs


def depends_on(config: Mapping[str, Any], found: Registry) -> tuple[str, ...]:
    """Which of goal, operator, utility and batch rule change the run's course."""
    if asks_goal(config, found):
        return ASKED
    return ("goal",) if reads_goal(config, found) else ()


def run_name(config: Mapping[str, Any], found: Registry) -> str:
    """Of everything in it the run's course depends."""
    asked = depends_on(config, found)
    groups = ["dataset", "strategy", *(g for g in ("goal", "operator") if g in asked)]
    groups += [
        g for g, usual in USUAL.items() if g in (*asked, "model") and config[g]["name"] != usual
    ]
    parts = [called(config, group, found) for group in groups]
    initial = _initial(config)
    parts += [] if initial is None else [f"initial_{initial}"]
    parts += [called(config, "oracle", found)] if _may_err(config) else []
    parts += ["dev_trained_on"] if _trains_on_dev(config) else []
    return "-".join([*parts, f"s{config['seed']}"])


def called(config: Mapping[str, Any], group: str, found: Registry) -> str:
    """The choice by its name, or a data set of the user's own by what tells it from others.

    A class says which of its options that are (``named_after``): of a path, the file's name.
    """
    node = config[group]
    component = found.components.get((group, str(node["name"])))
    for option in getattr(component.cls, "named_after", ()) if component else ():
        if node.get(option) is not None:
            given = str(node[option])
            return Path(given).name or given if option == "path" else f"{node['name']}-{given}"
    return str(node["name"])


def tags(config: Mapping[str, Any], found: Registry) -> dict[str, str]:
    """The choices by which runs are told apart, a dash where a run does not depend on one."""
    indifferent = set(ASKED) - set(depends_on(config, found))
    chosen = {
        f"goralx.{group}": INDIFFERENT if group in indifferent else called(config, group, found)
        for group in TAGGED
    }
    initial = _initial(config)
    if initial is not None:
        chosen["goralx.initial"] = initial
    if config["model"]["name"] != USUAL["model"]:
        chosen["goralx.model"] = called(config, "model", found)
    if _trains_on_dev(config):
        chosen["goralx.dev_use"] = "train"
    if _may_err(config):
        chosen["goralx.oracle"] = called(config, "oracle", found)
    return chosen


def identity(config: Mapping[str, Any], found: Registry) -> dict[str, Any]:
    """What determines the result, besides the instance, which says what its initial set and ``dev``
    were.
    """
    goal = config["goal"]["name"]
    asked = {group: config[group] for group in depends_on(config, found)}
    if asks_goal(config, found):
        asked["audit"] = config["audit"]
    elif not _is_default(config["goal"], found):
        asked["goal"] = config["goal"]
    scalars = ("batch_size", "n_queries", "seed", "guard", "stop")
    # metrics in their order, which says what the learning curve is of; once there was no choice
    measured = {METRICS: list(config[METRICS].values())} if METRICS in config else {}
    if _may_err(config):  # where its file lies is no matter; what is in it, its digest says
        asked["oracle"] = {key: v for key, v in config["oracle"].items() if key != "path"}
    named = {
        **asked,
        **measured,
        **{key: config[key] for key in ("strategy", "model", *scalars)},
        "monitors": sorted({*config["monitors"], goal}),
    }
    return as_first(named)


def _may_err(config: Mapping[str, Any]) -> bool:
    """Whether anybody but the truth answers; nobody else did before there was a choice."""
    return bool(config.get("oracle", {}).get("name", PERFECT) != PERFECT)


def _trains_on_dev(config: Mapping[str, Any]) -> bool:
    """Whether dev labels are spent on training; runs recorded before there was a choice did not."""
    return bool(config.get("dev", {}).get("use", "goal") == "train")


def _initial(config: Mapping[str, Any]) -> str | None:
    """The initial set by its name and size, None where it is the data set's own."""
    node = config.get("initial", {"name": GIVEN})
    if node["name"] == GIVEN:
        return None
    size = node.get("size")
    return str(node["name"]) if size is None else f"{node['name']}_{size}"


def _is_default(node: Mapping[str, Any], found: Registry) -> bool:
    """Whether a goal is measured as it would be without options of its own."""
    from .nodes import typed_options

    component = found.component("goal", node["name"])
    given = {key: value for key, value in node.items() if key != "name"}
    try:
        return typed_options(component, given) == typed_options(component, {})
    except GoralxError:  # it has options without a default
        return False

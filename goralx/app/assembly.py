"""A composed configuration becomes a run: components by name, joined and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goralx.approximation import Study, StudyRun, draw
from goralx.contracts import (
    InitialSet,
    Metric,
    RunInfo,
    Tracker,
    asking,
    begun,
    drawn,
    named,
)
from goralx.data import Instance, streams
from goralx.discovery import CHOICES, METRICS, Registry, own_source, registry, sources
from goralx.errors import BadInput, Incompatible, PluginError, unknown_name
from goralx.learning import AUDIT_REFERENCE, Audit, Auditor, Experiment
from goralx.records import data_digest, fingerprint, inputs
from goralx.scoring import GoalOrientedUtility

from . import naming
from .nodes import Settings, typed_options

JOBS = ("learn", "approximation")
NO_PART = {
    "strategy": "goral",
    "batch": "top",
    "initial": "given",
    "oracle": "perfect",
    "stop": "budget",
}
"""What a study has no use for, beside what is chosen where nobody chooses."""
NO_VALUE = "???"
"""What an option is called that has none."""
PRECISIONS = ("single", "double")
RECORDED = ("all", "quantiles")
DEV_USES = ("goal", "train")
CEILINGS: dict[Any, bool | None] = {"auto": None, True: True, False: False}


@dataclass(frozen=True)
class Run:
    """Everything `goralx.app.runner` needs to know of a run."""

    experiment: Experiment
    info: RunInfo
    tracker: Tracker
    threads: int
    progress: bool
    figures: bool
    all_utilities: bool


def prepare(config: Mapping[str, Any], directory: Path, sweep: str | None = None) -> Run:
    """Build a run from a resolved configuration; raises `GoralxError` and writes nothing.

    What is cheap to refuse is refused before the data set is loaded.
    """
    _check_top_level(config)
    found, seed = registry(), config["seed"]
    built = {group: _build(found, group, config.get(group)) for group in CHOICES}
    name = {group: str(config[group]["name"]) for group in CHOICES}
    strategy = built["strategy"]
    monitors = {goal: found.build("goal", goal) for goal in config["monitors"]}
    monitors = {**monitors, name["goal"]: built["goal"]}
    on_dev = [f"goal {goal}" for goal, of in monitors.items() if of.reference == "dev"]
    on_dev += [f"stop={name['stop']}"] if "dev" in built["stop"].needs else []
    instance = _instance(built["dataset"], built["initial"], name["dataset"], config, on_dev)
    dev = instance.subset(instance.dev) if len(instance.dev) else None
    utility = auditor = exact = None
    if strategy.uses_goal:
        utility = GoalOrientedUtility(
            built["goal"],
            built["operator"],
            built["utility"],
            built["model"],
            dev,
            pool_y=instance.y[instance.pool],
            first_order=found.build("utility", "influence"),
            proxy=found.build("model", "softmax"),
        )
        part = {"reference_size": AUDIT_REFERENCE} if len(instance.pool) > AUDIT_REFERENCE else {}
        exact = found.build("utility", "retrain", part)
        auditor = Auditor(Audit(**config["audit"]), utility, exact)
    experiment = Experiment(
        instance=instance,
        model=built["model"],
        strategy=strategy,
        utility=utility,
        auditor=auditor,
        rule=built["batch"],
        engine=built["engine"],
        ceiling=CEILINGS[config["ceiling"]],
        monitors=dict(sorted(monitors.items())),
        metrics=_metrics(found, config),
        goal=name["goal"],
        stop=built["stop"],
        oracle=built["oracle"],
        **{key: config[key] for key in ("batch_size", "n_queries", "seed", "guard")},
    )
    identity = naming.identity(config, found)
    if told_by := experiment.oracle.digest():
        identity["oracle_digest"] = told_by
    used = [*(built[group] for group in identity if group in CHOICES), *monitors.values()]
    used += [*experiment.metrics.values(), exact, utility]
    data, code = inputs(identity, instance), sources(found, used)
    tags = {
        "goralx.fingerprint": fingerprint(data, code),
        "goralx.data": data_digest(instance),
        **naming.tags(config, found),
        "goralx.seed": str(seed),
        "goralx.uses_ground_truth": str(experiment.uses_ground_truth).lower(),
        **({"goralx.sweep": sweep} if sweep else {}),
    }
    title = naming.run_name(config, found)
    info = RunInfo(directory, title, config, tags, data, {**code, "goralx": own_source()})
    kept = {"figures": _figures(config), "all_utilities": _recorded(config) == "all"}
    return Run(experiment, info, built["tracker"], config["threads"], config["progress"], **kept)


def prepare_study(config: Mapping[str, Any], directory: Path, sweep: str | None = None) -> StudyRun:
    """Build a study of approximation quality (``job=approximation``), as `prepare` builds a run.

    Operators and goals go by name, with their own default options unless they are the ones
    configured as ``operator`` and ``goal``.
    """
    _check_top_level(config)
    found, seed, options = registry(), config["seed"], config["approximation"]
    nodes = {group: config[group] for group in CHOICES}
    for group, usual in NO_PART.items():
        if (name := nodes[group]["name"]) != usual:
            raise Incompatible(
                f"job=approximation has no part for {group}={name}: it draws "
                "approximation.n_labelled samples at random, asks nobody and queries nothing · "
                "leave that out"
            )

    def named(group: str, name: str) -> Any:
        own = nodes[group]
        return _build(found, group, own if own["name"] == name else {"name": name})

    estimator, model, dataset, tracker = (
        _build(found, group, nodes[group]) for group in ("utility", "model", "dataset", "tracker")
    )
    goals = {name: named("goal", name) for name in [nodes["goal"]["name"], *options["goals"]]}
    n_dev = options["n_dev"] if any(goal.reference == "dev" for goal in goals.values()) else 0
    whole = _drawn(dataset, nodes["dataset"]["name"], seed)
    sizes = options["n_labelled"], options["n_pool"], n_dev
    study = Study(
        instance=draw(whole, *sizes, streams(seed, "approximation")),
        model=model,
        goals=goals,
        operators={name: named("operator", name) for name in options["operators"]},
        estimator=estimator,
        batch_sizes=tuple(sorted(set(options["batch_sizes"]))),
        n_windows=options["n_windows"],
        seed=seed,
    )
    chosen = {group: naming.called(config, group, found) for group in ("utility", "dataset")}
    chosen = {**chosen, "goal": ",".join(goals), "operator": ",".join(study.operators)}
    identity = {
        "job": "approximation",
        **{group: nodes[group] for group in ("utility", "model")},
        **{group: _options_of(nodes[group], chosen[group]) for group in ("goal", "operator")},
        **{key: options[key] for key in ("batch_sizes", "n_windows")},
        "seed": seed,
    }
    used = [estimator, model, *goals.values(), *study.operators.values()]
    data, code = inputs(identity, study.instance), sources(found, used)
    tags = {
        "goralx.fingerprint": fingerprint(data, code),
        "goralx.job": "approximation",
        **{f"goralx.{group}": name for group, name in chosen.items()},
        "goralx.seed": str(seed),
        "goralx.uses_ground_truth": "true",
        **({"goralx.sweep": sweep} if sweep else {}),
    }
    title = f"{chosen['dataset']}-approximation-{chosen['utility']}-{chosen['goal']}-s{seed}"
    info = RunInfo(directory, title, config, tags, data, {**code, "goralx": own_source()})
    figures = tuple(options["figures"]) if _figures(config) else ()
    return StudyRun(study, figures, info, tracker, config["progress"])


def _options_of(node: Mapping[str, Any], names: str) -> dict[str, Any]:
    """The names that are chosen, and the options of the one that has any of its own."""
    return {"names": names, **(node if node["name"] in names.split(",") else {})}


def _check_given(config: Mapping[str, Any], prefix: str = "") -> None:
    """Refuse an option without a value; those of components are looked at as they are built."""
    for key, value in config.items():
        if isinstance(value, Mapping) and key not in CHOICES:
            _check_given(value, f"{prefix}{key}.")
        elif value == NO_VALUE:
            raise BadInput(f"{prefix}{key}={NO_VALUE}; it needs a value: {prefix}{key}=...")


def _check_top_level(config: Mapping[str, Any]) -> None:
    _check_given(config)
    for key in config:
        if key not in Settings.__dataclass_fields__:
            raise unknown_name("option", key, Settings.__dataclass_fields__)
    for key, least in (("seed", 0), ("threads", 1), ("batch_size", 1), ("n_queries", 1)):
        if config[key] < least:
            raise BadInput(f"{key}={config[key]}; allowed: at least {least}")
    if config["ceiling"] not in list(CEILINGS):  # a list or a mapping is no key
        raise BadInput(f"ceiling={config['ceiling']}; allowed: auto, true, false")
    if config.get("job", "learn") not in JOBS:
        raise unknown_name("job", config["job"], JOBS)
    if _recorded(config) not in RECORDED:
        raise BadInput(f"record.utilities={_recorded(config)}; allowed: {', '.join(RECORDED)}")
    if _precision(config) not in PRECISIONS:
        raise unknown_name("precision", config["precision"], PRECISIONS)


def _build(found: Registry, group: str, node: Any) -> Any:
    """A component from its node."""
    if not isinstance(node, Mapping) or "name" not in node:
        raise BadInput(f"no {group} is chosen · available: {', '.join(found.names(group))}")
    component = found.component(group, node["name"])
    given = {key: value for key, value in node.items() if key != "name"}
    return found.build(group, component.name, typed_options(component, given))


def _metrics(found: Registry, config: Mapping[str, Any]) -> dict[str, Metric]:
    """By name, in the order given; runs recorded before there was a choice measured two."""
    nodes = config.get(METRICS, {name: {"name": name} for name in ("accuracy", "log_loss")})
    return {name: _build(found, "metric", node) for name, node in nodes.items()}


def _instance(
    dataset: Any, initial: InitialSet, name: str, config: Mapping[str, Any], on_dev: Sequence[str]
) -> Instance:
    """The instance with its initial set, and with a dev set if anything is measured ``on_dev`` or
    it is trained on.
    """
    dev, seed = config["dev"], config["seed"]
    fraction, use = dev["fraction"], dev.get("use", "goal")
    if not 0 < fraction < 1:
        raise BadInput(f"dev.fraction={fraction:g}; allowed: above 0, below 1")
    if use not in DEV_USES:
        raise BadInput(f"dev.use={use}; allowed: {', '.join(DEV_USES)}")
    if on_dev and use == "train":
        raise Incompatible(
            f"{on_dev[0]} is measured on a dev set, and dev.use=train trains on its labels; "
            "use dev.use=goal, or goals of the pool such as ent"
        )
    instance = _drawn(dataset, name, seed)
    if _precision(config) == "single":
        instance = instance.in_single()
    instance = begun(initial, instance, streams(seed, "initial"))
    if use == "train":
        return instance.with_dev(fraction, streams(seed, "dev")).trained_on_dev()
    if not on_dev:
        return instance
    remove = dev["remove_from_pool"]
    return instance.with_dev(fraction, streams(seed, "dev"), remove_from_pool=remove)


def _precision(config: Mapping[str, Any]) -> str:
    """Runs recorded before there was a choice were in double precision."""
    return str(config.get("precision", "double"))


def _figures(config: Mapping[str, Any]) -> bool:
    """Runs recorded before there was a choice drew them."""
    return bool(config.get("figures", True))


def _recorded(config: Mapping[str, Any]) -> str:
    """Runs recorded before there was a choice kept all utilities."""
    return str(config.get("record", {"utilities": "all"})["utilities"])


def _drawn(dataset: Any, name: str, seed: int) -> Instance:
    with asking(dataset, "dataset", "instance"):
        instance = drawn(dataset, streams(seed, "instance"), seed)
    if not isinstance(instance, Instance):
        raise PluginError(
            f"{named(dataset, 'dataset')}: '{name}' gave {type(instance).__name__}, not an Instance"
        )
    return instance

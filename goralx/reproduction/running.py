"""Runs what is missing, one after the other in this process; nobody is told but the run's folder.

``rounds.csv``    a row a round, as of any run
``queries.csv``   round and pool id of every query
``run.json``      what was run, its seed, the ceiling, versions; written last: what has it is whole
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from goralx.contracts import drawn
from goralx.data import Instance, streams
from goralx.discovery import build
from goralx.errors import BadInput, RunWarning
from goralx.learning import Experiment
from goralx.records import number, versions, write_csv, write_json
from goralx.scoring import GoalOrientedUtility

from .arms import Arm, Plan, Setting

UNTRACKED = ("seconds/", "audit/", "trust/")
"""Metrics that are not kept: times of a busy machine, and what is not measured here."""


def instance(setting: Setting, seed: int) -> Instance:
    """The instance of this seed, with its dev set: the same that a run of goralx has."""
    whole = drawn(build("dataset", setting.dataset), streams(seed, "instance"), seed)
    return whole.in_single().with_dev(
        setting.dev_fraction, streams(seed, "dev"), remove_from_pool=setting.dev_removed
    )


def experiment(arm: Arm, made: Instance, seed: int) -> Experiment:
    """The arm on this instance, as ``goralx`` builds it."""
    s, dataset = arm.setting, build("dataset", arm.setting.dataset)

    def part(group: str, name: str) -> Any:
        return build(group, name, arm.options.get(group))

    model = build("model", "softmax", {"C": dataset.C, **arm.options.get("model", {})})
    strategy, goal = part("strategy", arm.strategy), part("goal", arm.goal)
    utility = None
    if strategy.uses_goal:
        utility = GoalOrientedUtility(
            goal,
            part("operator", arm.operator),
            part("utility", arm.utility),
            model,
            made.subset(made.dev),
            pool_y=made.y[made.pool],
            first_order=build("utility", "influence"),
        )
    monitors = {name: build("goal", name) for name in s.monitors}
    return Experiment(
        instance=made,
        model=model,
        strategy=strategy,
        utility=utility,
        monitors={**monitors, arm.goal: goal},
        goal=arm.goal,
        batch_size=s.batch_size,
        n_queries=s.n_queries,
        seed=seed,
        rule=part("batch", arm.batch) if strategy.uses_goal else None,
        ceiling=True,
        metrics={"accuracy": build("metric", "accuracy")},
    )


def run(arm: Arm, made: Instance, seed: int, folder: Path, ceiling: float) -> None:
    """Run an arm into ``folder``, whose ``run.json`` comes last."""
    if arm.dev_use == "train":
        made = made.trained_on_dev()
    rows: list[dict[str, float]] = []
    queries: list[tuple[int, int]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RunWarning)  # of vacuous utilities: in the record, all NaN
        for round in experiment(arm, made, seed).rounds():
            kept = {k: v for k, v in round.metrics.items() if not k.startswith(UNTRACKED)}
            rows.append({"round": round.index, "n_labelled": round.n_labelled, **kept})
            queries += [(round.index, int(row)) for row in round.queried]
    folder.mkdir(parents=True, exist_ok=True)
    lines = [[number(value) for value in row.values()] for row in rows]
    write_csv(folder / "rounds.csv", [list(rows[0]), *lines])
    write_csv(folder / "queries.csv", [["round", "pool_id"], *queries])
    said = {"arm": arm.identity(), "seed": seed, "n_dev": len(made.dev), "ceiling": ceiling}
    write_json(folder / "run.json", {**said, "versions": versions()})


def complete(arm: Arm, seed: int, folder: Path) -> bool:
    """Whether this run is there, and whole. Raises `BadInput` where another one is."""
    if not (folder / "run.json").is_file():
        return False
    found = read_json(folder / "run.json")["arm"]
    if found != json.loads(json.dumps(arm.identity())):
        raise BadInput(
            f"{folder} holds a run of other options · remove it, or give another folder with --runs"
        )
    return True


def run_missing(plans: Sequence[Plan], runs: Path, progress: bool) -> int:
    """Run what is not there yet, and say how many runs that were.

    Seed by seed, so that what is there after an interruption is paired.
    """
    from tqdm import tqdm

    left: dict[tuple[tuple[str, float, bool], int], list[Arm]] = {}
    for plan in plans:
        for seed in range(plan.n_seeds):
            for arm in plan.arms:
                if not complete(arm, seed, arm.folder(runs, seed)):
                    left.setdefault((arm.setting.instances, seed), []).append(arm)
    total = sum(len(arms) for arms in left.values())
    with tqdm(total=total, unit=" runs", disable=not (progress and total)) as bar:
        for (_, seed), arms in sorted(left.items(), key=lambda item: item[0][1]):
            made = instance(arms[0].setting, seed)
            ceiling = _ceiling(arms[0], made, seed, runs)
            for arm in arms:
                bar.set_postfix_str(f"{arm.setting.dataset} {arm.name} seed {seed}")
                run(arm, made, seed, arm.folder(runs, seed), ceiling)
                bar.update()
    return total


def _ceiling(arm: Arm, made: Instance, seed: int, runs: Path) -> float:
    """Test accuracy of the fit on init and pool, worked out once for all arms of a seed."""
    dataset, fraction, removed = arm.setting.instances
    kind = "removed" if removed else "kept"
    path = runs / "ceilings" / f"{dataset}-{fraction:g}-{kind}-{seed}.json"
    if not path.is_file():
        found = experiment(arm, made, seed).full_pool()
        assert found is not None  # asked for
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"ceiling": found["accuracy"]})
    return float(read_json(path)["ceiling"])


def read_json(path: Path) -> dict[str, Any]:
    """What `goralx.records.write_json` wrote."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read ({error}) · remove it and run again") from error

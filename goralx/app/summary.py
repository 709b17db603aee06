"""What ``summary.json`` says of a run: what it was, what its curve came to, and why it ended."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from goralx.comparison import SHARES, aulc, cost_needed, labels_needed, target
from goralx.contracts import History, RunInfo
from goralx.data import Array, Rows, count_twins
from goralx.learning import Experiment, readable
from goralx.records import versions


def results(
    rounds: Mapping[str, Array],
    queried: Rows,
    experiment: Experiment,
    full: Mapping[str, float] | None,
) -> dict[str, Any]:
    """The numbers of ``summary.json`` that a finished run's curve gives."""
    metric, better = experiment.metric, experiment.metrics[experiment.metric].higher_is_better
    n, curve = rounds["n_labelled"], rounds[f"test/{metric}"]
    goals = {name: v for name, v in rounds.items() if name.startswith("goal/")}
    seconds = {name: float(rounds[f"seconds/{name}"].sum()) for name in ("fit", "score")}

    def needed(share: float) -> int | None:
        if full is None:
            return None
        return labels_needed(n, curve, target(full[metric], share, better), better)

    def needed_by_cost(share: float) -> float | None:
        if full is None:
            return None
        return cost_needed(rounds["cost"], curve, target(full[metric], share, better), better)

    by_cost = {}
    if "cost" in rounds:
        by_cost = {
            "aulc_by_cost": aulc(rounds["cost"], curve),
            "cost_needed": {f"{share:.0%}": needed_by_cost(share) for share in SHARES},
        }

    return {
        "metric": metric,
        "higher_is_better": {m: of.higher_is_better for m, of in experiment.metrics.items()},
        "test": {name: float(rounds[f"test/{name}"][-1]) for name in experiment.metrics},
        "full_pool": None if full is None else dict(full),
        "aulc": aulc(n, curve),
        "labels_needed": {f"{share:.0%}": needed(share) for share in SHARES},
        "goals": {name.removeprefix("goal/"): float(v[-1]) for name, v in goals.items()},
        "n_init": int(n[0]),
        "n_queries": int(n[-1] - n[0]),
        **_answers(rounds),
        **by_cost,
        "dev_labels_queried": int(np.isin(experiment.instance.dev, queried).sum()),
        "seconds": {"total": float("nan"), **seconds},
        "peak_memory_mb": _peak_memory(),
    }


def _answers(rounds: Mapping[str, Array]) -> dict[str, Any]:
    """What became of the labels that were asked for; those of a perfect oracle are true."""
    if "cost" not in rounds:
        asked = float(rounds["n_labelled"][-1] - rounds["n_labelled"][0])
        return {"cost": asked, "label_error": 0.0, "abstained": 0}
    return {
        "cost": float(rounds["cost"][-1]),
        "label_error": float(rounds["oracle/error"][-1]),
        "abstained": int(rounds["oracle/abstained"][-1]),
    }


def _peak_memory() -> float | None:
    """Of this process so far, in MB: jobs of a sweep that share a process share it."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def ending(experiment: Experiment, rounds: Mapping[str, Array]) -> dict[str, Any]:
    """Why the run ended where it did."""
    halt = experiment.course.halted(History(readable(rounds), experiment.goal))
    assert halt is not None
    return {"stopped": {"why": halt.why, "censored": halt.censored}}


def facts(experiment: Experiment, info: RunInfo) -> dict[str, Any]:
    """What ``summary.json`` says of a run however it ends.

    Labels in all are those of init (with ``dev_labels_in_init``) and queries, and on top
    ``dev_labels_used``, where the goal or the stopping rule asked for them, less
    ``dev_labels_queried``, counted twice.
    """
    instance, utility = experiment.instance, experiment.utility
    asks_dev = "dev" in experiment.stop.needs or (
        experiment.strategy.uses_goal and utility is not None and utility.goal.reference == "dev"
    )
    return {
        "name": info.name,
        "directory": str(info.directory),
        "started": datetime.now(UTC).isoformat(),
        "fingerprint": info.tags["goralx.fingerprint"],
        "inputs": info.inputs or info.tags["goralx.fingerprint"],
        "sources": dict(info.sources),
        "dev_labels_used": len(instance.dev) if asks_dev else 0,
        "dev_labels_in_init": int(np.isin(instance.dev, instance.init).sum()),
        "twins": count_twins(instance),
        "uses_ground_truth": experiment.uses_ground_truth,
        "units": {name: goal.unit for name, goal in experiment.monitors.items() if goal.unit},
        "versions": versions(),
        "tags": dict(info.tags),
        "config": dict(info.config),
    }

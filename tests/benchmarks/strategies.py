"""Every strategy on digits, goralx's own and scikit-activeml's, paired by seed: AULC and seconds.

    python -m tests.benchmarks.strategies [--seeds 10] [--limit 60] [--out FILE] [--only NAME ...]
    python -m tests.benchmarks.strategies --show FILE

Each arm is what `goralx dataset=digits n_queries=100 seed=S` and its words come to, in one process:
the same instance, initial labels, model and metrics for all. Seconds are CPU time of the whole run,
fits and tests included. A run that has taken ``--limit`` of them is given up, and its arm with it.
What is in FILE already is not measured again. ``--show`` prints it as Markdown.
"""

from __future__ import annotations

import argparse
import json
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import goralx
from goralx.comparison import aulc, mean_interval
from goralx.data import Instance, streams
from goralx.discovery import registry
from goralx.errors import Incompatible

from .__main__ import about

BASELINE = "uncertainty"
GOALS = {
    "goral, ent, max": ("goral", "ent", "max", "top"),
    "goral, ent, laplace, sequential": ("goral", "ent", "laplace", "sequential"),
    "goral, aopt, sequential (recommended)": ("goral", "aopt", "max", "sequential"),
    "shuffled, ent, max": ("shuffled", "ent", "max", "top"),
}
"""Arms that have a goal, by what they are called: strategy, goal, operator and batch rule."""


class TooSlow(Exception):
    """A run has used up its seconds."""


def arms() -> list[str]:
    """Each strategy by its name, and the goal-oriented ones by theirs; ceilings last."""
    names = registry().names("strategy")
    names = [n for n in names if not registry().component("strategy", n).cls.uses_goal]
    truth = [n for n in names if registry().component("strategy", n).cls.needs_ground_truth]
    theirs = [n for n in names if n.startswith("skactiveml_")]
    ours = [n for n in names if n not in theirs and n not in truth]
    return [*GOALS, *ours, *theirs, *truth]


def instance(seed: int, smoke: bool) -> tuple[Instance, float]:
    """What `goralx dataset=digits seed=SEED` learns from, and its C; iris where small."""
    dataset = registry().build("dataset", "iris" if smoke else "digits")
    return dataset.instance(streams(seed, "instance")).in_single(), dataset.C


def experiment(arm: str, seed: int, n_queries: int, batch_size: int, smoke: bool) -> Any:
    """The run of an arm."""
    build, (data, C) = goralx.build, instance(seed, smoke)
    strategy, goal, operator, batch = GOALS.get(arm, (arm, "ent", "max", "top"))
    model, tau = build("model", "softmax", {"C": C}), build("goal", goal)
    utility = goralx.GoalOrientedUtility(
        tau, build("operator", operator), build("utility", "influence"), model,
        first_order=build("utility", "influence"),
    )  # fmt: skip
    return goralx.Experiment(
        data, model, build("strategy", strategy), utility if arm in GOALS else None, {goal: tau},
        goal, batch_size, n_queries, seed, rule=build("batch", batch), ceiling=False,
    )  # fmt: skip


def run(asked: Any, limit: float) -> dict[str, float]:
    """AULC, final accuracy and CPU seconds. Raises `TooSlow` beyond the limit."""
    started, curve = time.process_time(), []
    with limited(limit), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for round in asked.rounds():
            curve.append((round.n_labelled, round.metrics["test/accuracy"]))
    area = aulc(*zip(*curve))
    seconds = time.process_time() - started
    return {"aulc": area, "final": curve[-1][1], "seconds": seconds}


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """At most so many CPU seconds of this process."""

    def ring(*_: Any) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All arms of one seed, then of the next; what is done is on disk."""
    settings = {"n_queries": options.n_queries, "batch_size": options.batch_size}
    saved: dict[str, Any] = {**about(), **settings, "limit": options.limit, "arms": {}}
    if options.out.exists():
        saved = json.loads(options.out.read_text(encoding="utf-8"))
        if any(saved[name] != value for name, value in settings.items()):
            raise SystemExit(f"{options.out} was measured with other settings; give another --out")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for seed in range(options.seeds):
        for arm in options.only or arms():
            found = saved["arms"].setdefault(arm, {"seeds": {}, "given_up": None})
            if found["given_up"] is not None or str(seed) in found["seeds"]:
                continue
            asked = experiment(arm, seed, **settings, smoke=options.smoke)
            try:
                found["seeds"][str(seed)] = run(asked, options.limit)
                print(f"{arm}, seed {seed}: {found['seeds'][str(seed)]['aulc']:.4f}", flush=True)
            except TooSlow:
                found["given_up"] = f"more than {options.limit:g} s"
                print(f"{arm}, seed {seed}: given up", flush=True)
            except Incompatible as error:
                found["given_up"] = "refuses these data"
                print(f"{arm}: {error}", flush=True)
            options.out.write_text(json.dumps(saved, indent=1) + "\n", encoding="utf-8")
    return saved


def markdown(saved: dict[str, Any]) -> str:
    """A line an arm, best first: mean AULC, its difference to margin's by seed, seconds."""
    names = registry().names("strategy")
    truth = {n for n in names if registry().component("strategy", n).cls.needs_ground_truth}
    base = saved["arms"].get(BASELINE, {"seeds": {}})["seeds"]
    ranked, apart, given_up = [], [], []
    for arm, found in saved["arms"].items():
        whose = "scikit-activeml" if arm.startswith("skactiveml_") else "goralx"
        if found["given_up"] is not None:
            given_up.append(f"| `{arm}` | {whose} | | | | {found['given_up']} |")
            continue
        runs = found["seeds"]
        area = float(np.mean([run["aulc"] for run in runs.values()]))
        seconds = float(np.median([run["seconds"] for run in runs.values()]))
        gain = mean_interval([runs[s]["aulc"] - base[s]["aulc"] for s in runs if s in base])
        over = "" if arm == BASELINE else f"{gain[0]:+.3f} ({gain[1]:+.3f} to {gain[2]:+.3f})"
        line = f"| `{arm}` | {whose} | {len(runs)} | {area:.3f} | {over} | {seconds:.2g} |"
        (apart if arm in truth else ranked).append((area, line))
    lines = [
        "| strategy | by | seeds | AULC | over margin | seconds |",
        "|---|---|---|---|---|---|",
    ]
    lines += [line for _, line in sorted(ranked, reverse=True)] + given_up
    if apart:
        lines.append("| *with the true labels, a ceiling:* | | | | | |")
        lines += [line for _, line in sorted(apart, reverse=True)]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--n-queries", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--limit", type=float, default=60.0, help="CPU seconds of a run")
    parser.add_argument("--only", nargs="*", choices=arms(), default=None)
    parser.add_argument("--smoke", action="store_true", help="iris, where differences mean nothing")
    parser.add_argument("--out", type=Path, default=Path("outputs/strategies.json"))
    parser.add_argument("--show", type=Path, default=None)
    options = parser.parse_args(arguments)
    if options.show is None:
        with threadpool_limits(1):
            saved = measure(options)
    else:
        saved = json.loads(options.show.read_text(encoding="utf-8"))
    print(markdown(saved))
    return saved


if __name__ == "__main__":
    main()

"""``python -m tests.fuzz --inputs 10000``: hostile inputs, judged; exit status 1 for any fault."""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from . import inputs
from .judge import Tally, judge

SHARES = {"data": 0.35, "overrides": 0.25, "plugins": 0.15, "records": 0.25}


def fuzz(
    n: int,
    *,
    first: int = 0,
    limit: float = 30.0,
    kinds: tuple[str, ...] = (),
    seconds: float = math.inf,
) -> Tally:
    """Judge n inputs, of each kind its share, or what ``seconds`` allow; ``first`` is the seed."""
    tally, until = Tally(), time.monotonic() + seconds
    home = Path(tempfile.mkdtemp(prefix="goralx-fuzz-"))
    before = {name: os.environ.get(name) for name in ("GORALX_CACHE", "GORALX_DATA", "HOME")}
    os.environ["GORALX_CACHE"] = str(home / "cache")
    os.environ["HOME"] = str(home / "user")  # a run may be asked for there
    os.environ.pop("GORALX_DATA", None)
    try:
        whole = home / "whole"
        inputs.record(whole)
        made: dict[str, SearchStrategy[inputs.Input]] = {
            "data": inputs.data(),
            "overrides": inputs.overrides(),
            "plugins": inputs.plugins(),
            "records": inputs.records(whole),
        }
        for kind, strategy in made.items():
            if not kinds or kind in kinds:
                _one_kind(
                    kind,
                    strategy,
                    max(1, round(n * SHARES[kind])),
                    home,
                    tally,
                    first,
                    limit,
                    until,
                )
    finally:
        shutil.rmtree(home, ignore_errors=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
    return tally


def _one_kind(
    kind: str,
    strategy: SearchStrategy[inputs.Input],
    n: int,
    home: Path,
    tally: Tally,
    first: int,
    limit: float,
    until: float,
) -> None:
    @seed(first)
    @settings(
        max_examples=n,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(made: inputs.Input) -> None:
        if time.monotonic() > until:
            return
        folder = home / "inside"
        folder.mkdir()
        try:
            tally.add(kind, made.given, judge(folder, made.act(folder), limit, made.files))
        finally:
            shutil.rmtree(folder)

    each()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", default=[], choices=sorted(SHARES))
    parser.add_argument("--limit", type=float, default=30.0, help="seconds an input may take")
    parser.add_argument("--seconds", type=float, default=math.inf, help="that all may take")
    asked = parser.parse_args()
    began = time.perf_counter()
    how = {"first": asked.seed, "limit": asked.limit, "seconds": asked.seconds}
    tally = fuzz(asked.inputs, kinds=tuple(asked.kinds), **how)
    print(f"{tally.table()}\n{time.perf_counter() - began:.0f} s")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())

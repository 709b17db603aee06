"""A round over a pool on disk, up to 1,000,000 x 768 float32 and 100 classes: time and memory.

    python -m tests.benchmarks.large            # about 3 GB of disk for some minutes
    python -m tests.benchmarks.large --smoke    # small, and the same checks

Each size runs in a process of its own with one BLAS thread; the file is in the page cache. Times
are CPU seconds, medians over the rounds. Memory is what the process allocates beyond what it had
before the first round: anonymous pages, without the file's, sampled every 5 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .measure import Row

LABELLED, ROUNDS = 500, 3
SIZES = {  # features and classes: samples
    (384, 10): (100_000, 300_000, 1_000_000),
    (768, 10): (100_000, 1_000_000),
    (768, 100): (100_000, 1_000_000),
}
SMOKE_SIZES = {(32, 10): (20_000, 40_000), (32, 30): (20_000,)}
COLUMNS = ("fit", "pass 1", "solve", "pass 2", "select", "passes+select")


def generate(folder: Path, n: int, d: int, K: int) -> None:
    """X.npy, written a chunk at a time, and y.npy: overlapping Gaussian classes."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(K, d)).astype(np.float32) * 0.15
    y = rng.integers(0, K, size=n)
    np.save(folder / "y.npy", y)
    with (folder / "X.npy").open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (n, d)}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, n, 20_000):
            labels = y[start : start + 20_000]
            noise = rng.standard_normal((len(labels), d), dtype=np.float32)
            file.write((centres[labels] + noise).tobytes())


@dataclass
class Memory:
    """The largest anonymous memory of this process, watched by a thread."""

    before: float = 0.0
    peak: float = 0.0

    def watch(self) -> None:
        self.before = self.peak = anonymous()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            self.peak = max(self.peak, anonymous())
            time.sleep(0.005)


def anonymous() -> float:
    """Megabytes of this process that no file backs."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def measure(folder: Path, size: int, where: str) -> dict[str, Any]:
    """Rounds over the first ``size`` samples, in memory or on disk; medians by step."""
    import goralx
    from goralx.data.large_files import open_matrix

    view, y = open_matrix(folder / "X.npy"), np.load(folder / "y.npy")[:size]
    drawn = np.random.default_rng(1).permutation(size)
    init, pool = np.sort(drawn[:LABELLED]), np.sort(drawn[LABELLED:])
    X = view[:size].copy()[pool] if where == "memory" else view.part(pool)
    goal, operator = goralx.build("goal", "ent"), goralx.build("operator", "max")
    fir, estimator = goralx.build("goal", "fir"), goralx.build("utility", "influence")
    learner, rng = goralx.build("model", "softmax", {"C": 0.1}), np.random.default_rng(2)
    K = int(y.max()) + 1
    labelled, candidates, fitted = goralx.Labelled(view[init], y[init]), pool, None
    rows = np.arange(len(pool))
    memory, steps = Memory(), []
    memory.watch()
    for _ in range(ROUNDS):
        clock = [time.process_time()]
        fitted = learner.fit(labelled, K, previous=fitted)
        clock.append(time.process_time())
        reference = goralx.Reference(fitted, X, None, (goal, fir), goal)
        reference.pulled(goal)
        clock.append(time.process_time())
        found = estimator.direction(goal, reference, regime="fixed_C")
        clock.append(time.process_time())
        candidates = goralx.Candidates(reference, rows, labelled, 0.0)
        U = candidates.first_order(found.v, found.penalty)
        clock.append(time.process_time())
        utility = operator(U, operator.beliefs(candidates), None, 0.0)
        chosen = goralx.top_b(utility, 10, rng)
        clock.append(time.process_time())
        steps.append(np.diff(clock))
        taken = pool[rows[chosen]]
        labelled = goralx.Labelled(
            np.concatenate([labelled.X, view[taken]]), np.concatenate([labelled.y, y[taken]])
        )
        rows = np.delete(rows, chosen)
        del U, utility, candidates, reference
    fit, first, solve, second, select = np.median(steps, axis=0)
    row = dict(zip(COLUMNS, (fit, first, solve, second, select, first + second + select)))
    return {
        "size": size, "d": view.shape[1], "K": K, "where": where,
        **{k: float(v) for k, v in row.items()},
        "peak_mb": memory.peak - memory.before, "array_mb": size * view.shape[1] * 4 / 2**20,
        "checksum": float(rows.sum()),
    }  # fmt: skip


def alone(folder: Path, size: int, where: str) -> dict[str, Any]:
    """`measure` in a process of its own."""
    words = [sys.executable, "-m", "tests.benchmarks.large", "--one", str(folder), str(size), where]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    done = subprocess.run(
        words, env={**os.environ, **threads}, capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


def table(rows: list[dict[str, Any]]) -> str:
    """Seconds of a round by step, time a sample against memory's, peak memory."""
    head = [
        "samples",
        "features",
        "classes",
        "where",
        *(f"{c} s" for c in COLUMNS),
        "us/sample",
        "ratio",
        "peak MB",
    ]
    lines = [head]
    for row in rows:
        own = row["passes+select"] / row["size"]
        if row["where"] == "memory":  # first of its features and classes
            per_sample = own
        lines.append([
            f"{row['size']:,}", str(row["d"]), str(row["K"]), row["where"],
            *(f"{row[c]:.3f}" for c in COLUMNS),
            f"{1e6 * own:.2f}", f"{own / per_sample:.2f}", f"{row['peak_mb']:.0f}",
        ])  # fmt: skip
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join("  ".join(cell.rjust(w) for cell, w in zip(line, widths)) for line in lines)


def scaled(smoke: bool, repeats: int) -> list[dict[str, Any]]:
    """Medians over ``repeats`` processes a size, the sizes in turn; first the one in memory."""
    found = []
    for (d, K), sizes in (SMOKE_SIZES if smoke else SIZES).items():
        found += of_a_kind(d, K, sizes, 1 if smoke else repeats)
    return found


def of_a_kind(d: int, K: int, sizes: tuple[int, ...], repeats: int) -> list[dict[str, Any]]:
    """Those of so many features and classes."""
    jobs = [(sizes[0], "memory"), *((size, "disk") for size in sizes)]
    found: dict[tuple[int, str], list[dict[str, Any]]] = {job: [] for job in jobs}
    with tempfile.TemporaryDirectory(prefix="goralx-large-") as name:
        generate(Path(name), max(sizes), d, K)
        for _ in range(repeats):
            for job in jobs:
                found[job].append(alone(Path(name), *job))
    for size in sizes:
        agree = {run["checksum"] for job in jobs if job[0] == size for run in found[job]}
        assert len(agree) == 1, f"{size}: memory and disk chose differently"
    numbers = (*COLUMNS, "peak_mb")
    return [
        {**runs[0], **{key: statistics.median(run[key] for run in runs) for key in numbers}}
        for runs in found.values()
    ]


def rows(smoke: bool) -> list[Row]:
    """Time a sample on disk against the same in memory."""
    made, base = [], dict[str, Any]()
    for row in scaled(smoke, 1 if smoke else 2):
        each = 1e6 * row["passes+select"] / row["size"]
        if row["where"] == "memory":
            base = {**row, "each": each}
            continue
        made.append(Row(
            7, f"{row['size']:,} x {row['d']} on disk, {row['K']} classes, 1e6 samples",
            each, f"{base['size']:,} in memory", base["each"], 1.5,
            peak_mb=row["peak_mb"], note=f"MB of a file of {row['array_mb']:.0f}",
        ))  # fmt: skip
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="small sizes")
    parser.add_argument("--repeats", type=int, default=3, help="processes a size")
    parser.add_argument("--save", type=Path, help="write the rows as JSON")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        folder, size, where = given.one
        print(json.dumps(measure(Path(folder), int(size), where)))
        return
    found = scaled(given.smoke, given.repeats)
    print(table(found))
    if given.save:
        given.save.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()

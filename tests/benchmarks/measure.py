"""CPU time, peak memory, and the rows of the table they end up in.

CPU time of this process, one BLAS thread, alternately in one process, medians: on a busy machine
wall time says little, and two threads can be slower than one at these sizes.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Row:
    """One comparison: ``seconds`` of ours and ``against`` of the other's, their ratio, the target.

    ``bound`` says whether the ratio is to stay "<=" or ">=" its target, None where there is none;
    ``peak_mb`` is the process's peak resident memory over ours.
    """

    item: int
    what: str
    ours: float
    other: str
    against: float
    target: float | None = None
    bound: str = "<="
    peak_mb: float = float("nan")
    note: str = ""

    @property
    def ratio(self) -> float:
        """Ours over the other's where it is to be small, the other's over ours where large."""
        return self.ours / self.against if self.bound == "<=" else self.against / self.ours

    @property
    def met(self) -> bool:
        if self.target is None:
            return True
        return self.ratio <= self.target if self.bound == "<=" else self.ratio >= self.target


def alternately(jobs: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of each job, run in turn ``repeats`` times."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            times[name].append(cpu(job))
    return {name: median(values) for name, values in times.items()}


def cpu(job: Callable[[], Any]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    job()
    return time.process_time() - start


def often(job: Callable[[], Any], repeats: int) -> float:
    """Median CPU seconds of a short job, after one call to warm up."""
    job()
    return median(cpu(job) for _ in range(repeats))


def peak(job: Callable[[], Any]) -> float:
    """Peak resident memory in MB while the job runs; where it cannot be reset, since the start."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    job()
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

"""Memory that a computation may take: what there is, and a refusal in one line where it is less."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ...errors import Incompatible

UNKNOWN = 8 << 30
"""Bytes that are taken to be there where the system does not say."""


def available() -> int:
    """Bytes that may be allocated now: free or only cached, and below the process's own limit."""
    found = UNKNOWN
    with suppress(OSError, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found = (
            next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) << 10
        )
    if found == UNKNOWN:
        with suppress(OSError, ValueError, AttributeError):
            found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(ImportError, OSError, ValueError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
            found = min(found, limit - used * os.sysconf("SC_PAGE_SIZE"))
    return found


def ensure(needed: int, what: str, way_out: str) -> None:
    """Refuse ``what`` where it needs more bytes than there are; ``way_out`` says what to do."""
    there = available()
    if needed > there:
        raise Incompatible(
            f"{what} takes {size(needed)} of memory and {size(there)} are free; {way_out}"
        )


def size(n: int) -> str:
    """A number of bytes, as it is read."""
    return f"{n / 2**30:.1f} GiB" if n >= 2**30 else f"{n / 2**20:.0f} MiB"

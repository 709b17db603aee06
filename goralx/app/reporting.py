"""What went wrong, as one line and an exit status."""

from __future__ import annotations

import errno
import os

from goralx.errors import GoralxError, RunFailed

from .shared import FAILED, REFUSED, say

MENDABLE = (OSError, ModuleNotFoundError, MemoryError)
"""What another path, permission, room, or a package that is installed mends."""


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""No room on the device, none within a quota, or a file at its largest."""


def report(error: Exception, where: str = "") -> int:
    """Say what went wrong in one line; returns the exit status."""
    status, line = in_a_line(error)
    say(where + line)
    return status


def in_a_line(error: Exception) -> tuple[int, str]:
    """The exit status and the line; GORALX_TRACEBACK=1 raises instead."""
    if os.environ.get("GORALX_TRACEBACK") == "1":
        raise error
    own = type(error).__module__.partition(".")[0]  # theirs may be raised from what enum raised
    if {_raised_in(error), own} & {"hydra", "omegaconf"}:
        from .refusals import explain

        error = explain(error)
    refused = isinstance(error, (GoralxError, *MENDABLE)) and not isinstance(error, RunFailed)
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.filename:
        text = f"{error.filename}: {error.strerror} · {_way_out(error)}"
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror} · {_way_out(error)}"
    elif isinstance(error, ModuleNotFoundError) and error.name:
        text = f"the package {error.name} is not installed, and this needs it · pip install it"
    elif isinstance(error, MemoryError):
        text = f"memory is short ({text or 'no more is to be had'}) · use fewer features or samples"
    elif not isinstance(error, GoralxError):
        text = f"{type(error).__name__}: {text}"
    if not refused:
        text = f"{text} · GORALX_TRACEBACK=1 shows where"
    return (REFUSED if refused else FAILED), text


def _way_out(error: OSError) -> str:
    if error.errno in FULL:
        return "make room there, or give another folder"
    return "give a path that you may read and write"


def _raised_in(error: Exception) -> str:
    """The package whose code raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else str(trace.tb_frame.f_globals["__name__"]).partition(".")[0]

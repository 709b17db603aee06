"""Being asked to stop: SIGTERM made into an exception, so that a run can put itself in order."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def terminable(before: Callable[[], None] = lambda: None) -> Iterator[None]:
    """SIGTERM as SystemExit while this lasts, so that what was begun is put in order.

    ``before`` is called first.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        before()
        raise SystemExit(128 + number)

    try:
        earlier = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # only the main thread may set handlers; elsewhere things stay as they are
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)

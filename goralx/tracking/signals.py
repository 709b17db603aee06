"""Being asked to stop: signals made into exceptions once, so that a run can put itself in order.

===================  ======================================================================
TERM, HUP, QUIT      SystemExit(128 + number), where the process does not ignore the signal
INT (Ctrl-C)         KeyboardInterrupt
USR1                 the round at hand is finished first, then as TERM
===================  ======================================================================

Only the first counts: what follows while things are put in order is said and let go, and while a
finished run is put down and tracked even the first waits for that. What may hang then has time-outs
of its own; SIGKILL is always there, and a run goes on from it too.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

ENDING = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT")
    if hasattr(signal, name)  # not all of them are known everywhere
)
AFTER_THE_ROUND = getattr(signal, "SIGUSR1", None)


Before = Callable[[int], None]


def _say(text: str) -> None:
    """From a signal handler, which may have come in the midst of a print."""
    os.write(2, f"goralx: {text}\n".encode())


class Interruptions:
    """What has been asked so far; see `terminable`."""

    def __init__(self, before: Before = lambda number: None, at_once: bool = False) -> None:
        self._before, self._at_once = before, at_once
        self._ending = False
        self._holding = 0
        self._kept: int | None = None
        self._after_round: int | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if number == AFTER_THE_ROUND and not self._at_once:
            self._after_round = number
            _say("asked to stop (SIGUSR1): when the round is finished")
        elif self._ending:
            _say("ending already, as soon as things are in order")
        elif self._holding:
            self._kept = self._kept or number
            _say("asked to stop: as soon as the finished run is put down and tracked")
        else:
            self._end(number)

    def _end(self, number: int) -> None:
        self._ending = True
        self._before(number)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    def between_rounds(self) -> None:
        """End now, if that was asked for after the round."""
        if self._after_round is not None and not self._ending:
            self._end(self._after_round)

    @contextmanager
    def held(self) -> Iterator[None]:
        """What comes meanwhile takes effect when this is over, unless an exception does."""
        self._holding += 1
        try:
            yield
        finally:
            self._holding -= 1
        if self._kept is not None and not self._holding and not self._ending:
            self._end(self._kept)


@contextmanager
def terminable(
    before: Before = lambda number: None, at_once: bool = False
) -> Iterator[Interruptions]:
    """Listen to signals while this lasts; outside the main thread things stay as they are.

    ``before`` is called with the signal before the exception is raised. ``at_once``: there are no
    rounds here, USR1 is like the others.
    """
    asked = Interruptions(before, at_once)
    earlier = {}
    listened = (*ENDING, *(() if AFTER_THE_ROUND is None else (AFTER_THE_ROUND,)))
    with suppress(ValueError):  # only the main thread may set handlers
        for number in listened:
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
                earlier[number] = signal.signal(number, asked)
    try:
        yield asked
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)

"""When the disk is waited for: as often as takes no more than a share of the time."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path

from .storage import sync


@dataclass
class Disk:
    """What was written and may not have reached the disk; ``settled``: nothing was outstanding.

    ``share`` of the time may be spent on waiting; infinite: every time.
    """

    share: float
    settled: bool = False
    _owed: dict[Path, None] = field(default_factory=dict)
    _last: float = -math.inf
    _cost: float = 0.0

    def owes(self, *paths: Path) -> None:
        self._owed.update(dict.fromkeys(paths))

    @property
    def due(self) -> bool:
        return (time.monotonic() - self._last) * self.share >= self._cost

    def settle(self) -> None:
        """Wait until all of it is there."""
        began = time.monotonic()
        for path in self._owed:
            sync(path)
        self._owed.clear()
        self._last = time.monotonic()
        self._cost = self._last - began

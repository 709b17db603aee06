"""What a labelling session was told, a line an event: whatever happens, the last whole line counts.

Events are appended and synced to disk before `Journal.add` returns; what a kill left of a line is
cut off when the journal is next opened. The state of a session is what its events make of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goralx.errors import BadInput

TELL, SKIP, CLASS = "tell", "skip", "class"


@dataclass
class Journal:
    """The events of a session, oldest first; ``undo`` takes back the last of them."""

    path: Path
    events: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Read what is there, without what a kill left half-written."""
        whole = path.read_bytes() if path.exists() else b""
        end = whole.rfind(b"\n") + 1
        if end < len(whole):
            with path.open("r+b") as file:
                file.truncate(end)
        journal = cls(path)
        for number, line in enumerate(whole[:end].splitlines(), start=1):
            try:
                journal._apply(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise BadInput(
                    f"{path}, line {number} is damaged ({type(error).__name__}); mend it, or take "
                    "it and what follows out"
                ) from None
        return journal

    def add(self, kind: str, **what: Any) -> None:
        """An event, on disk before this returns."""
        event = {"event": kind, **what}
        line = json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n"
        with self.path.open("ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        self._apply(event)

    def undo(self) -> dict[str, Any]:
        """The last event, taken back; `BadInput` where there is none."""
        if not self.events:
            raise BadInput("nothing to undo: nothing was told or skipped yet")
        last = self.events[-1]
        self.add("undo")
        return last

    def _apply(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "undo":
            self.events.pop()
        elif event["event"] in (TELL, SKIP, CLASS):
            self.events.append(dict(event))
        else:
            raise ValueError(event["event"])

    @property
    def told(self) -> dict[int, Any]:
        """Label by id, in the order of the telling; what was told again counts last."""
        labels: dict[int, Any] = {}
        for event in self.events:
            if event["event"] == TELL:
                for id, label in zip(event["ids"], event["labels"], strict=True):
                    labels.pop(id, None)
                    labels[id] = label
        return labels

    @property
    def skipped(self) -> set[int]:
        """Ids that were passed over and not told since."""
        passed: set[int] = set()
        for event in self.events:
            ids: Sequence[int] = event.get("ids", ())
            passed = passed | set(ids) if event["event"] == SKIP else passed - set(ids)
        return passed

    @property
    def added(self) -> list[Any]:
        """Classes that were discovered, in their order."""
        return [event["label"] for event in self.events if event["event"] == CLASS]

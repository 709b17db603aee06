"""What a run says in the end of who was told of it."""

from __future__ import annotations

from pathlib import Path

from .ledger import how_far
from .mlflow import curves


def tracked_lines(directory: Path) -> list[tuple[str, str]]:
    """How far the run was tracked, how to catch up, and where its curves are looked at."""
    drawn = (directory / "figures").is_dir()
    found, pictures = how_far(directory), str(directory / ("figures" if drawn else "rounds.csv"))
    if found is None:
        return [("curves", pictures)]
    if not found.level:
        return [("tracked", f"{found} · goralx sync {directory}"), ("curves", pictures)]
    return [("tracked", str(found)), ("curves", curves(directory) or pictures)]

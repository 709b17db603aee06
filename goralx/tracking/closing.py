"""What a run says in the end of who was told of it."""

from __future__ import annotations

from pathlib import Path

from .ledger import how_far
from .mlflow import conclude_sweep, curves, records_below
from .progress import say


def tracked_lines(directory: Path) -> list[tuple[str, str]]:
    """How far the run was tracked, how to catch up, and where its curves are looked at."""
    drawn = (directory / "figures").is_dir()
    found, pictures = how_far(directory), str(directory / ("figures" if drawn else "rounds.csv"))
    if found is None:
        return [("curves", pictures)]
    if not found.level:
        return [("tracked", f"{found} · goralx sync {directory}"), ("curves", pictures)]
    return [("tracked", str(found)), ("curves", curves(directory) or pictures)]


def close_sweep(folder: Path) -> None:
    """Sum a sweep up where its runs were tracked, and say what is not level there."""
    found = (how_far(directory) for directory in records_below(folder))
    if behind := sum(each is not None and not each.level for each in found):
        say(f"goralx: {behind} of its runs not tracked in full · goralx sync {folder}")
    try:
        conclude_sweep(folder)
    except Exception as error:  # a network's or a database's: the records are there all the same
        cause = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        catch_up = f"goralx sync {folder}"
        say(f"goralx: warning: the sweep is not summed up in MLflow ({cause}) · {catch_up}")

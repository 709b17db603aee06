"""What the command line's parts share: statuses, lines on stderr, folders, threads."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from goralx import escaping
from goralx.errors import BadInput

FINISHED, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses: done, broke, what the user can mend, Ctrl-C."""


class Parser(argparse.ArgumentParser):
    """Refuses in a line of ours."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message} · see goralx --help")


def quoted(value: object) -> str:
    """As Hydra reads any text."""
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def say(line: str) -> None:
    escaping.say(f"goralx: {' '.join(line.split())}", sys.stderr)


def short(path: Path) -> Path:
    """As seen from here, if it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def remove_empty(directory: Path) -> None:
    """Remove a directory if nothing is in it, and those above it up to the working directory."""
    here = Path.cwd()
    directory = directory.absolute()
    with suppress(OSError):  # another process may have removed it, or written into it
        while directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()
            directory = directory.parent
            if not directory.is_relative_to(here) or directory == here:
                return


def threads(config: Any) -> Any:
    """Hold linear algebra to the configured threads; what cannot be is refused later, in words."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=max(1, config.get("threads") or 1))

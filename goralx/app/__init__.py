"""Which one now: the command line, and the only package that knows Hydra.

In comes what a person types; out come runs, prepared from a composed configuration and seen through
to their end, and an exit status. Nobody asks but the console script.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .completion import answered

__all__ = [
    "main",
]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, given without the program's name; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if answered(words):
        return 0
    from .cli import main

    return main(words)

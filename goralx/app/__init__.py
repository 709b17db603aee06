"""Which one now: the command line, and the only package that knows Hydra.

In comes what a person types; out come runs, prepared from a composed configuration and seen through
to their end, and an exit status. Nobody asks but the console script.
"""

from .cli import main

__all__ = [
    "main",
]

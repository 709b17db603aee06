"""The command line as a function, for scripts: `main(["goal=ent"])` gives its exit status."""

from .app import main

__all__ = ["main"]

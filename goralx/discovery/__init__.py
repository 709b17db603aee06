"""What exists: every plugin found, loaded once a process, and every component by group and name.

In come files and installed packages; out goes a `Registry` that builds a component from its name
and options, and pages that list them. Whoever turns names into objects asks here.
"""

from .components import CHOICES, HOOKS, METRICS, BrokenPlugin, Component, Registry
from .listing import as_json, in_order, options, show, table
from .loading import build, load_file, registry
from .source import own_source, sources
from .spelling import spelt

__all__ = [
    "CHOICES",
    "HOOKS",
    "METRICS",
    "BrokenPlugin",
    "Component",
    "Registry",
    "as_json",
    "build",
    "in_order",
    "load_file",
    "options",
    "own_source",
    "registry",
    "show",
    "sources",
    "spelt",
    "table",
]

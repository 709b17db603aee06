"""A component asked the same in a fresh interpreter, where sets and hashes are in other order."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from goralx.discovery import load_file


def in_another_process(component: Any, ask: Callable[[Any], Any]) -> Any:
    """``ask(component)`` as another process answers it; both are found there by their names."""
    cls = type(component)
    assert "<locals>" not in cls.__qualname__, (
        f"{cls.__qualname__} is defined inside a function, where no other process finds it"
    )
    order = {
        "module": cls.__module__,
        "file": inspect.getfile(cls),
        "name": cls.__qualname__,
        "options": {f.name: getattr(component, f.name) for f in fields(cls) if f.init},
        "ask": [ask.__module__, ask.__qualname__],
    }
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    path = os.pathsep.join(p for p in sys.path if p)
    child = subprocess.run(
        [sys.executable, "-c", "from goralx.testing.processes import answer; answer()"],
        input=json.dumps(order, default=str),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
    )
    assert child.returncode == 0, f"in another process it fails: {child.stderr.strip()[-1000:]}"
    return json.loads(child.stdout.splitlines()[-1])


def answer() -> None:
    """What the other process does: an order on stdin, the answer as JSON on stdout."""
    order: dict[str, Any] = json.load(sys.stdin)
    try:
        module = importlib.import_module(order["module"])
    except ModuleNotFoundError:  # a loose file, which was loaded by its path
        module = load_file(Path(order["file"]))
    cls: Any = module
    for part in order["name"].split("."):
        cls = getattr(cls, part)
    name, function = order["ask"]
    ask = getattr(importlib.import_module(name), function)
    print(json.dumps(ask(cls(**order["options"]))))

"""The command line as tests call it: in this process, or as a program of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from goralx.app.cli import main

SHORT = ("dataset=iris", "n_queries=20", "tracker=csv", "progress=false", "report=false")
"""A run of three rounds that nobody is told of."""


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        return self.err.splitlines()


def call(capsys, *words: str) -> Outcome:
    """Run a command line in this process, from the working directory."""
    capsys.readouterr()
    status = main(words)
    captured = capsys.readouterr()
    return Outcome(status, captured.out, captured.err)


def launch(directory: Path, *words: str, **environment: str) -> Outcome:
    """Run ``python -m goralx`` in ``directory``."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("GORALX_", "HYDRA_"))}
    done = subprocess.run(
        [sys.executable, "-m", "goralx", *words],
        cwd=directory,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def runs(directory: Path) -> list[Path]:
    """Every run directory below ``directory``."""
    return sorted(path.parent for path in directory.rglob("summary.json"))

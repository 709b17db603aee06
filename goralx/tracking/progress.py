"""What a run shows on stderr while it goes on: a bar, and now and then a line above it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from goralx.errors import RunWarning


@dataclass(frozen=True)
class Progress:
    """A bar over the labels to be queried, with accuracy and goal beside it."""

    bar: Any
    goal: str

    def show(self, n_queried: int, accuracy: float, goal: float) -> None:
        self.bar.set_postfix_str(f"accuracy {accuracy:.3f}, {self.goal} {goal:.4g}", refresh=False)
        self.bar.update(n_queried - self.bar.n)

    def note(self, text: str) -> None:
        """Say what takes a while, in place of the figures."""
        self.bar.set_postfix_str(text)


@contextmanager
def progress_bar(name: str, goal: str, total: int, done: int, shown: bool) -> Iterator[Progress]:
    """A bar of ``total`` labels on stderr, its last state left there; in a log, a line at times."""
    from tqdm import tqdm

    pace = 0.1 if sys.stderr.isatty() else 10.0
    with tqdm(
        total=total, initial=done, desc=name, unit=" labels", disable=not shown, mininterval=pace,
        dynamic_ncols=True, file=sys.stderr,
    ) as bar:  # fmt: skip
        yield Progress(bar, goal)


def say(line: str) -> None:
    """A line on stderr that leaves a bar below it intact."""
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show what the run itself warns of as a line, without the source line Python adds."""
    with warnings.catch_warnings():
        default = warnings.showwarning

        def show(message: Any, category: type[Warning], *where: Any, **options: Any) -> None:
            if issubclass(category, RunWarning):
                say(f"goralx: warning: {message}")
            else:
                default(message, category, *where, **options)

        warnings.showwarning = show
        yield

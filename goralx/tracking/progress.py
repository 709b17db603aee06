"""What a run shows on stderr while it goes on: a bar, and now and then a line above it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from goralx.errors import RunWarning
from goralx.escaping import for_terminal


@dataclass(frozen=True)
class Progress:
    """A bar over the labels to be queried, with a metric and the goal beside it, by their names."""

    bar: Any
    metric: str
    goal: str

    def show(self, n_queried: int, value: float, goal: float) -> None:
        shown = f"{self.metric} {value:.3f}, {self.goal} {goal:.4g}"
        self.bar.set_postfix_str(shown, refresh=False)
        self.bar.update(n_queried - self.bar.n)

    def tell(self, line: str) -> None:
        """Say something above the bar that is to stay; nothing where no bar is shown."""
        if not self.bar.disable:
            say(line)

    def note(self, text: str) -> None:
        """Say what takes a while, in place of the figures."""
        self.bar.set_postfix_str(text)


@contextmanager
def progress_bar(
    name: str, metric: str, goal: str, total: int, done: int, shown: bool
) -> Iterator[Progress]:
    """A bar of ``total`` labels on stderr, its last state left there; in a log, a line at times."""
    from tqdm import tqdm

    pace = 0.1 if sys.stderr.isatty() else 10.0
    with tqdm(
        total=total, initial=done, desc=name, unit=" labels", disable=not shown, mininterval=pace,
        dynamic_ncols=True, file=sys.stderr,
    ) as bar:  # fmt: skip
        yield Progress(bar, metric, goal)


@contextmanager
def steps_bar(name: str, shown: bool = True) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on stderr of steps that are told: (done, in all, what comes next)."""
    from tqdm import tqdm

    pace = 0.1 if sys.stderr.isatty() else 10.0
    with tqdm(desc=name, disable=not shown, mininterval=pace, dynamic_ncols=True, file=sys.stderr,
              unit=" steps", leave=False, delay=1.0) as bar:  # fmt: skip

        def told(done: int, total: int, what: str) -> None:
            bar.total = total
            bar.set_postfix_str(for_terminal(what), refresh=False)
            bar.update(done - bar.n)

        yield told


def say(line: str) -> None:
    """A line on stderr that leaves a bar below it intact."""
    from tqdm import tqdm

    tqdm.write(for_terminal(line), file=sys.stderr)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show each warning as a line: the run's own as they are, others with where they arose."""
    with warnings.catch_warnings():

        def show(
            message: Any,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: Any = None,
            line: str | None = None,
        ) -> None:
            text = " ".join(str(message).split())
            if not issubclass(category, RunWarning):  # a library's, or a plugin's
                text = f"{category.__name__}: {text} ({filename}:{lineno})"
            say(f"goralx: warning: {text}")

        warnings.showwarning = show
        yield

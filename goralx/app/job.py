"""A job as it is carried out: a run or a study, prepared, then begun or gone on with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from goralx import approximation, escaping
from goralx.approximation import StudyRun
from goralx.contracts import CheckedTracker, RunInfo
from goralx.discovery import registry
from goralx.errors import BadInput, GoralxError, RunFailed
from goralx.records import read_summary
from goralx.tracking import plain_warnings

from . import runner
from .assembly import Run, prepare, prepare_study
from .closing_table import closing_table
from .extending import extension
from .shared import say, short


@dataclass(frozen=True)
class Job:
    """A prepared run, or study of approximation quality; ``quiet`` prints nothing of how it goes.

    `run` and `resume` return the summary, which is ``summary.json``, and raise whatever ends it.
    """

    made: Run | StudyRun
    quiet: bool = False

    @property
    def info(self) -> RunInfo:
        return self.made.info

    @property
    def fingerprint(self) -> str:
        return self.info.tags["goralx.fingerprint"]

    def placed(self, directory: Path) -> Job:
        """The same in another directory."""
        return replace(self, made=replace(self.made, info=replace(self.info, directory=directory)))

    def silenced(self) -> Job:
        """The same without a bar and a closing table."""
        return Job(replace(self.made, progress=False), quiet=True)

    def run(self, hydra_files: Mapping[str, str]) -> dict[str, Any]:
        if isinstance(self.made.tracker, CheckedTracker):
            self.made.tracker.check()
        if isinstance(self.made, StudyRun):
            return self._study(dict(hydra_files))
        return self._told(runner.run, hydra_files=hydra_files)

    def resume(
        self, force: bool = False, restart: bool = False, before: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Go on with it; see `goralx.app.runner.resume`.

        ``before``: the configuration that the record has, where it had another budget.
        """
        if isinstance(self.made, StudyRun):
            if before is not None:
                raise BadInput(f"{self.info.directory} holds a study, which has no budget")
            return self._study(None, force, restart)
        more = None if before is None else extension(before, self.made)
        return self._told(runner.resume, force=force, restart=restart, extension=more)

    def _told(self, go: Any, **more: Any) -> dict[str, Any]:
        made = self.made
        assert isinstance(made, Run)
        with self._resumable():
            summary: dict[str, Any] = go(
                made.experiment, made.info, tracker=made.tracker, observe=registry().observe,
                progress=made.progress, figures=made.figures, all_utilities=made.all_utilities,
                **more,
            )  # fmt: skip
        return self._closed(summary, closing_table)

    def _study(
        self, hydra_files: dict[str, str] | None, force: bool = False, restart: bool = False
    ) -> dict[str, Any]:
        assert isinstance(self.made, StudyRun)
        with self._resumable():
            summary = approximation.run(self.made, hydra_files, force=force, restart=restart)
        return self._closed(summary, approximation.closing_table)

    def _closed(self, summary: dict[str, Any], table: Any) -> dict[str, Any]:
        if not self.quiet:
            escaping.say(table(summary))
        return summary

    @contextmanager
    def _resumable(self) -> Iterator[None]:
        """Where it is interrupted, say how to go on with it; of a sweep, the sweep says."""
        try:
            yield
        except (KeyboardInterrupt, SystemExit):  # Ctrl-C, SIGTERM
            alone = "goralx.sweep" not in self.info.tags
            if alone and (self.info.directory / ".hydra").is_dir():
                say(f"interrupted · go on with: goralx resume {short(self.info.directory)}")
            raise
        except OSError as error:
            if not (self.info.directory / ".hydra").is_dir():
                raise
            place = error.filename or self.info.directory
            raise BadInput(
                f"{place}: {error.strerror or error} · mend that (make room, give permission), "
                f"then: goralx resume {short(self.info.directory)}"
            ) from error
        except GoralxError as error:
            if isinstance(error, RunFailed) or not self._ended_by(error):
                raise
            where = short(self.info.directory)
            raise type(error)(
                f"{error} · recorded up to there; once that is mended: goralx resume {where}"
            ) from error

    def _ended_by(self, error: GoralxError) -> bool:
        """Whether this is what the record says the run ended by, and not why none was begun."""
        try:
            ended = str(read_summary(self.info.directory).get("error", ""))
        except GoralxError:
            return False
        return ended == " ".join(f"{type(error).__name__}: {error}".split())


def prepare_job(config: Mapping[str, Any], sweep: str | None = None) -> Job:
    """Build what a resolved configuration asks for; raises `GoralxError` and writes nothing."""
    study = config.get("job") == "approximation"
    with plain_warnings():
        return Job((prepare_study if study else prepare)(config, Path(), sweep))

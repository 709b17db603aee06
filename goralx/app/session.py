"""The jobs of one command line: a run, or a sweep's, wherever a launcher has them done.

A job never raises for what went wrong with it: that is put down beside the sweep, said once by the
process that reports, and costs no other job.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode

from goralx import escaping
from goralx.errors import BadInput
from goralx.records import NothingToGoOnFrom, in_use, read_summary
from goralx.tracking import AFTER_THE_ROUND, close_sweep

from .comparing import after_sweep
from .configuration import recorded
from .existing import Plan, found_in, plan, put_back, refusal, replacing
from .extending import run_to_extend, same_budget
from .objective import objective
from .renamed import as_now
from .reporting import in_a_line, report
from .shared import FAILED, FINISHED, REFUSED, remove_empty, say, short, threads
from .sweep_folder import Outcome, SessionLog, SweepFolder

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from .job import Job

GRACE = 60.0
"""Seconds that other processes have to put their records in order."""
ENDINGS = {
    "done": "done",
    "skipped": "skipped",
    "resumed": "resumed",
    "shared": "shared",
    "elsewhere": "run by another process",
    "refused": "refused",
    "failed": "failed",
    "interrupted": "interrupted",
}
"""How a job may end, in the order and words of the last line."""
ALWAYS_SAID = ("done", "skipped", "resumed", "failed")


@dataclass
class Session:
    """One command: its overrides, all its words, and who reports.

    Travels to the processes that a launcher starts; what they find goes through the sweep's folder.
    """

    overrides: tuple[str, ...]
    words: tuple[str, ...]
    folder: Path
    name: str
    dry: bool = False
    force: bool = False
    restart: bool = False
    owner: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)
    began_in: Path = field(default_factory=Path.cwd)
    status: int = FINISHED

    @property
    def sweep(self) -> SweepFolder:
        return SweepFolder(self.folder)

    @property
    def log(self) -> SessionLog:
        return self.sweep.session(self.name)

    @property
    def reports(self) -> bool:
        return (os.getpid(), socket.gethostname()) == (self.owner, self.host)

    def job(self, config: DictConfig) -> Any:
        """What Hydra calls with each composed configuration; gives the objective of a sweep."""
        with threads(config):
            return self._job(config)

    def _job(self, config: DictConfig) -> Any:
        hydra = HydraConfig.get()
        directory = Path(hydra.runtime.output_dir)
        if hydra.mode != RunMode.MULTIRUN:
            self._single(config, directory)
            return None
        if not self.reports and self.began_in.is_dir():  # some launchers begin elsewhere
            os.chdir(self.began_in)
        self.sweep.enter(self.overrides, self.words)
        return self._one_of_many(config, int(hydra.job.num), " ".join(hydra.overrides.task))

    def _single(self, config: DictConfig, directory: Path) -> None:
        try:
            made, files = _prepared(config)
            made = made.placed(directory)
            if self.dry:
                _say_dry(made, f"{made.info.name}: would", plan(found_in(directory)[0], "error"))
            else:
                made.run(files(directory))
        except Exception as error:
            self.status = max(self.status, report(error))
        finally:
            remove_empty(directory)

    def _one_of_many(self, config: DictConfig, number: int, overrides: str) -> Any:
        log = self.log
        earlier = log.get(number)
        if earlier is not None and earlier.ending != "running":  # launched again
            return earlier.value
        if log.stopped:
            return None
        outcome = Outcome(number, _n_jobs(self.overrides), overrides)
        log.put(outcome)
        try:
            outcome = self._outcome(config, outcome)
        except Exception as error:
            status, line = in_a_line(error)
            ending = "refused" if status == REFUSED else "failed"
            outcome = replace(outcome, ending=ending, why=line)
        except BaseException:
            outcome = replace(outcome, ending="interrupted")
            raise
        finally:
            log.put(outcome)
        if self.reports and not (self.dry and outcome.ending == "skipped"):
            tell(outcome, quiet=outcome.ending in ("done", "resumed"))
        return outcome.value

    def _outcome(self, config: DictConfig, outcome: Outcome) -> Outcome:
        """Do one job, or find that it is done already, or being done."""
        made, files = _prepared(config, self.folder.name)
        usual = f"{made.info.name}_{made.fingerprint[:8]}"
        made = made.placed(self.sweep.placed(made.fingerprint, usual))
        if not self.reports:
            made = made.silenced()
        outcome = replace(outcome, fingerprint=made.fingerprint)
        with self.sweep.claim(made.fingerprint) as taken:
            if not taken:
                return replace(outcome, ending="elsewhere", why="another process has taken it")
            if not self.log.first(made.fingerprint, outcome.job):
                why = "the same run as another job"
                return replace(outcome, ending="shared", why=why, value=_value(made))
            if not (made.info.directory / ".hydra").is_dir() and self.sweep.is_extended:
                made = self._begun_with_less(made)
            directory = made.info.directory
            aside = self.sweep.aside(directory)
            if not self.dry:  # where the process was killed before there was a new run
                put_back(directory, aside)
            outcome = replace(outcome, run=directory.name)
            found, error = found_in(directory)
            todo = plan(found, made.info.config["on_existing"], error)
            before = None if found == "missing" else _other_budget(made)
            if before is not None:
                todo = self._for_the_budget(made, before, todo)
            if self.dry:
                _say_dry(made, f"{outcome.title}: would", todo)
                return replace(outcome, ending="skipped", value=_value(made))
            if todo.action == "refuse":
                raise refusal(short(directory), todo.why)
            if todo.action in ("skip", "leave"):
                ending = "failed" if todo.action == "leave" else "skipped"
                return replace(outcome, ending=ending, why=todo.why, value=_value(made))
            if found != "missing" and in_use(directory):
                return replace(outcome, ending="elsewhere", why="another process writes it")
            if self.reports:
                escaping.say(outcome.title + ("" if found == "missing" else f": {todo.why}"))
            if todo.action == "resume":
                summary = self._resume(made, before)
            else:
                anew = replacing(directory, aside) if todo.action == "rerun" else nullcontext()
                with anew:
                    summary = made.run(files(directory))
            if aside.is_dir():  # from a time when it was not done
                shutil.rmtree(aside)
            ending = "resumed" if todo.action == "resume" else "done"
            value = objective(summary, made.info.config["objective"])
            return replace(outcome, ending=ending, value=value)

    def _begun_with_less(self, made: Job) -> Job:
        """Placed where the same run is with a smaller budget, if there is one."""
        found = run_to_extend(self.sweep.runs(), made.info.config)
        if found is None:
            return made
        if not self.dry:
            self.sweep.place(made.fingerprint, found.name)
        return made.placed(found)

    @staticmethod
    def _for_the_budget(made: Job, before: Mapping[str, Any], todo: Plan) -> Plan:
        """What to do about a run that is there with another budget."""
        if todo.action not in ("skip", "resume") or made.info.config["on_existing"] == "skip":
            return todo
        n = before["n_queries"]
        since = read_summary(made.info.directory).get("extended_from", [])
        if any(each["fingerprint"] == made.fingerprint for each in since):
            return Plan("skip", f"it has gone on since, to n_queries={n}")
        return Plan("resume", f"{todo.why}, with n_queries={n}")

    def _resume(self, made: Job, before: Mapping[str, Any] | None) -> dict[str, Any]:
        """Go on with a run; from round 0 only where there is nothing else, and if asked to."""
        try:
            return made.resume(self.force, before=before)
        except NothingToGoOnFrom:
            if not self.restart:
                raise
            return made.resume(self.force, True, before)

    # What the process that reports does -----------------------------------------------------------

    def end_others(self, number: int) -> None:
        """Ask whoever runs a job of this session on this machine to end, and wait until it has.

        They are sent SIGTERM, or SIGUSR1 if that is what came: then they finish their rounds.
        """
        if not self.log.path.is_dir():
            return
        self.log.stop()
        passed_on = number if number == AFTER_THE_ROUND else signal.SIGTERM
        asked, deadline = set(), time.monotonic() + GRACE
        while (running := self._others()) and time.monotonic() < deadline:
            for outcome in running:
                if outcome.pid not in asked:
                    asked.add(outcome.pid)
                    with suppress(ProcessLookupError):
                        os.kill(outcome.pid, passed_on)
            time.sleep(0.05)

    def _others(self) -> list[Outcome]:
        """Jobs that other processes of this machine are at."""
        running = [o for o in self.log.all() if o.ending == "running" and o.host == self.host]
        return [o for o in running if o.pid != self.owner and o.alive]

    def lost(self) -> list[Outcome]:
        """Jobs whose process has ended in the midst of them; some end with one that was killed."""
        deadline = time.monotonic() + 5.0
        while self._others() and time.monotonic() < deadline:
            time.sleep(0.05)
        return [o for o in self.log.all() if o.ending == "running" and not o.alive]

    def give_up(self, lost: Sequence[Outcome]) -> None:
        """Jobs that are not tried again."""
        for outcome in lost:
            why = "its process was killed, twice · it may want more memory than there is"
            self.log.put(replace(outcome, ending="failed", why=why))

    def sweeper_ended(self, error: Exception) -> None:
        """Say what ended the jobs; a sweeper that goes by values may have had none to go by."""
        endings = [outcome.ending for outcome in self.log.all()]
        if not endings or set(endings) - {"failed", "refused"}:
            self.status = max(self.status, report(error))
            return
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        say(f"none of {len(endings)} jobs came to a value ({cause}) · mend what is said of each")

    def close(self) -> int:
        """The exit status, and for a sweep a line that counts."""
        outcomes = self.log.all()
        self.sweep.leave(self.name, forget=self.dry)
        if not outcomes:
            return self.status
        done_here = {o.fingerprint for o in outcomes if o.ending not in ("elsewhere", "shared")}
        counts = dict.fromkeys(ENDINGS, 0)
        for outcome in outcomes:
            ending = outcome.ending if outcome.ending in ENDINGS else "interrupted"
            if ending == "elsewhere" and outcome.fingerprint in done_here:
                ending = "shared"
            counts[ending] += 1
        if not self.dry:
            said = [f"{n} {ENDINGS[e]}" for e, n in counts.items() if n or e in ALWAYS_SAID]
            kept = f" · {short(self.folder)}" if self.folder.is_dir() else ""
            escaping.say(f"sweep: {', '.join(said)}{kept}")
        unbegun = (outcomes[0].n_jobs or 0) - len(outcomes)
        if (counts["interrupted"] or unbegun > 0) and self.folder.is_dir():
            say(f"goes on with the same command, or: goralx resume {short(self.folder)}")
        for ending, status in (("failed", FAILED), ("interrupted", FAILED), ("refused", REFUSED)):
            self.status = max(self.status, status if counts[ending] else FINISHED)
        if not (self.dry or counts["interrupted"]) and counts["done"] + counts["resumed"]:
            after_sweep(self.folder)
        if not self.dry and self.folder.is_dir():
            close_sweep(self.folder)  # with the report
        return self.status


class Announcer(threading.Thread):
    """Says how jobs end that other processes run, while this one waits for them."""

    def __init__(self, session: Session) -> None:
        super().__init__(daemon=True)
        self._session, self._ended = session, threading.Event()
        self._told: set[int] = set()

    def __enter__(self) -> Announcer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()
        self._look()

    def run(self) -> None:
        while not self._ended.wait(0.5):
            self._look()

    def _look(self) -> None:
        for outcome in self._session.log.all():
            done = outcome.ending != "running" and outcome.pid != self._session.owner
            if done and outcome.job not in self._told:
                self._told.add(outcome.job)
                tell(outcome)


def _prepared(config: DictConfig, sweep: str | None = None) -> tuple[Job, Any]:
    """The job of a composed configuration, and the texts of its ``.hydra/`` by directory."""
    from .configuration import hydra_files, plain
    from .job import prepare_job

    return prepare_job(plain(config), sweep), lambda directory: hydra_files(config, directory)


def _other_budget(made: Job) -> Mapping[str, Any] | None:
    """The configuration of the run that is there, where that has another budget than the job."""
    with suppress(BadInput):  # damaged: said where it is gone on with
        before = as_now(read_summary(made.info.directory)["config"])
        return None if same_budget(before, made.info.config) else recorded(made.info.directory)[0]
    return None


def _value(made: Job) -> Any:
    """The objective of a run that is there and finished, else None."""
    with suppress(BadInput):
        summary = read_summary(made.info.directory)
        if summary["status"] == "finished":
            return objective(summary, made.info.config["objective"])
    return None


def _say_dry(made: Job, who: str, todo: Plan) -> None:
    verb = {"leave": "leave as it is", "refuse": "be refused"}.get(todo.action, todo.action)
    directory = short(made.info.directory)
    escaping.say(f"{who} {verb}: {todo.why} · {directory}")


def tell(outcome: Outcome, quiet: bool = False) -> None:
    """Say how a job ended, on stderr where something is to be mended."""
    if outcome.ending in ("failed", "refused"):
        say(f"{outcome.title}: {outcome.why}")
    elif not quiet:
        why = f", {outcome.why}" if outcome.why else ""
        escaping.say(f"{outcome.title}: {ENDINGS[outcome.ending]}{why}")


@lru_cache(maxsize=8)
def _combinations(params: tuple[str, ...], overrides: tuple[str, ...]) -> int:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    parsed = parser.parse_overrides([*params, *overrides])
    return len(BasicSweeper.split_arguments(parsed, None)[0])


def _n_jobs(overrides: Sequence[str]) -> int | None:
    """How many jobs the sweep has, if its sweeper knows beforehand."""
    sweeper = HydraConfig.get().sweeper
    if not str(sweeper.get("_target_")).endswith(".BasicSweeper"):
        return None
    params = tuple(f"{k}={v}" for k, v in (sweeper.get("params") or {}).items())
    own = tuple(word for word in overrides if not word.lstrip("+~").startswith("hydra"))
    return _combinations(params, own)

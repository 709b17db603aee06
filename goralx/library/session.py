"""Ask and tell: a labelling loop that is saved after every answer and goes on where it stopped.

    session = goralx.Session(X, directory="reviews", classes=["bad", "good"])
    ids = session.ask(10)          # row numbers of X, with utilities and reasons
    session.tell(ids, labels)      # on disk before it returns

Labels are whatever people say; nobody needs to know them beforehand.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array, issparse

from goralx.contracts import BatchRule, Query, Strategy
from goralx.data import Array, Features, Rows
from goralx.errors import BadInput, in_words
from goralx.records import write_json, write_npz

from . import exchange
from .arguments import check_integer, take_component, take_dev, take_features
from .journal import CLASS, SKIP, TELL, Journal
from .options import Asked, Options

FORMAT = 1
GROUPS = ("strategy", "batch", "goal", "operator", "utility", "model")
SETTINGS, POOL, DEV, JOURNAL = "session.json", "pool.npz", "dev.npz", "journal.jsonl"


@dataclass(frozen=True)
class Suggestion:
    """What to label next, best first: ``ids`` (n,), row numbers of the pool.

    Iterates and indexes as its ids do. ``utility`` (n,) is what the strategy chose by, NaN where it
    chose at random; ``reasons`` say in words why.
    """

    ids: Rows
    utility: Array = field(repr=False)
    reasons: tuple[str, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[int]:
        return iter(self.ids.tolist())

    def __getitem__(self, place: Any) -> Any:
        return self.ids[place]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.ids, dtype=dtype)


class Session:
    """A pool that is being labelled, kept in a folder of its own.

    Parameters
    ----------
    X_pool : (N, d), the samples, dense or sparse; an id is a row number of it
    directory : a new or empty folder; `load` goes on with one that is in use
    classes : (K,), texts or numbers; a class that no label is of yet is one all the same
    strategy, batch, goal, operator, utility, model : registered names, or a mapping with a "name"
        and options, e.g. ``{"name": "softmax", "C": 0.1}``: objects could not be saved
    X_dev, y_dev : for goals that are measured on a dev set
    budget : labels that you will give in all, for operators that change on the way (annealed)
    texts : (N,), what a person is shown of each sample
    random_state : decides ties and what is drawn; the same answers bring the same questions

    Until two classes have a label there is nothing to fit, and samples are asked at random.
    """

    @in_words("goralx.Session")
    def __init__(
        self,
        X_pool: ArrayLike,
        *,
        directory: str | os.PathLike[str],
        classes: Sequence[Any],
        strategy: str | Mapping[str, Any] = "goral",
        batch: str | Mapping[str, Any] = "top",
        goal: str | Mapping[str, Any] = "ent",
        operator: str | Mapping[str, Any] = "max",
        utility: str | Mapping[str, Any] = "influence",
        model: str | Mapping[str, Any] = "softmax",
        X_dev: ArrayLike | None = None,
        y_dev: ArrayLike | None = None,
        budget: int | None = None,
        texts: Sequence[str] | None = None,
        random_state: int = 0,
    ) -> None:
        pool = take_features(X_pool, "X_pool")
        given = (strategy, batch, goal, operator, utility, model)
        check_integer("random_state", random_state, 0)
        if budget is not None:
            check_integer("budget", budget, 1)
        if texts is not None and len(texts) != pool.shape[0]:
            raise BadInput(f"texts has {len(texts)} entries, X_pool {pool.shape[0]} rows")
        settings = {
            "format": FORMAT,
            "classes": [plain(c) for c in np.asarray(classes, dtype=object).ravel().tolist()],
            "components": {g: named(g, value) for g, value in zip(GROUPS, given)},
            "budget": None if budget is None else int(budget),
            "random_state": int(random_state),
            "texts": None if texts is None else [str(text) for text in texts],
        }
        self._take(Path(directory), settings, pool, (X_dev, y_dev))
        folder = self.directory
        if folder.exists() and any(folder.iterdir()):
            raise BadInput(
                f"{folder} is in use; give a new folder, or go on with "
                f"goralx.Session.load({str(folder)!r})"
            )
        folder.mkdir(parents=True, exist_ok=True)
        write_npz(folder / POOL, stored(pool))
        if X_dev is not None:
            write_npz(folder / DEV, {"X": np.asarray(X_dev), "y": np.asarray(y_dev)})
        write_json(folder / SETTINGS, settings)  # last: with it the session is there
        self._journal = Journal.open(folder / JOURNAL)

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> Session:
        """Go on with the session that is kept in a folder."""
        folder = Path(directory)
        try:
            settings = json.loads((folder / SETTINGS).read_bytes())
        except FileNotFoundError:
            raise BadInput(f"{folder} holds no session: there is no {SETTINGS}") from None
        except ValueError as error:
            raise BadInput(f"{folder / SETTINGS} is damaged: {error}") from None
        if not isinstance(settings, dict) or settings.get("format") != FORMAT:
            raise BadInput(
                f"{folder / SETTINGS} is not of format {FORMAT}; it needs another version of goralx"
            )
        session, dev = cls.__new__(cls), (None, None)
        try:
            pool = restored(folder / POOL)
            if (folder / DEV).exists():
                with np.load(folder / DEV, allow_pickle=False) as arrays:
                    dev = arrays["X"], arrays["y"]
            session._take(folder, settings, pool, dev)
        except (OSError, KeyError, ValueError, EOFError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(f"{folder} is damaged: {error}") from None
        session._journal = Journal.open(folder / JOURNAL)
        return session

    def _take(
        self, folder: Path, settings: Mapping[str, Any], pool: Features, dev: tuple[Any, Any]
    ) -> None:
        self.directory = folder.expanduser().resolve()
        self._settings, self._pool, self._dev = settings, pool, dev
        self._build = {g: built(g, settings["components"][g]) for g in GROUPS}
        if len(settings["classes"]) < 2 or len(set(settings["classes"])) < len(settings["classes"]):
            raise BadInput(f"classes={settings['classes']}; give at least two different ones")
        strategy: Strategy = self._build["strategy"]
        if strategy.needs_ground_truth:
            raise BadInput("this strategy needs the pool's true labels, which are not known")
        options = self._options(settings["classes"], 0.0)
        known = take_dev(*dev, np.asarray(settings["classes"]))
        if strategy.uses_goal:
            options.scorer(self._build["model"], known)  # refuses what does not go together

    @property
    def classes(self) -> list[Any]:
        """(K,), those that the session began with and those discovered since."""
        return [*self._settings["classes"], *self._journal.added]

    @property
    def told(self) -> dict[int, Any]:
        """Label by id, in the order of the telling."""
        return self._journal.told

    @property
    def skipped(self) -> set[int]:
        return self._journal.skipped

    @property
    def left(self) -> Rows:
        """Ids that are neither told nor skipped."""
        gone = {*self.told, *self.skipped}
        return np.array([i for i in range(self._pool.shape[0]) if i not in gone], dtype=np.int64)

    @property
    def texts(self) -> list[str] | None:
        """(N,), what a person is shown."""
        texts: list[str] | None = self._settings["texts"]
        return texts

    @in_words("goralx.Session.ask")
    def ask(self, n: int = 1) -> Suggestion:
        """The ``n`` samples to label next, or as many as are left: the same until something is told
        or skipped.
        """
        check_integer("n", n, 1)
        left, told = self.left, self.told
        if not len(left):
            raise BadInput("every sample is told or skipped; nothing is left to ask")
        n = min(int(n), len(left))
        rng = np.random.default_rng([self._settings["random_state"], len(told), len(self.skipped)])
        if len(set(told.values())) < 2:
            ids = rng.permutation(left)[:n]
            why = "drawn at random: a model needs labels of two classes"
            return Suggestion(ids, np.full(n, np.nan), (why,) * n)
        strategy: Strategy = self._build["strategy"]
        rule: BatchRule = self._build["batch"]
        asked = self._asked(needs_goal=strategy.uses_goal).among(left)
        query = asked.query(rule, n, rng)
        selection, vacuous = asked.select(strategy, query)
        worth = np.full(n, np.nan)
        if selection.utility is not None:
            worth = np.asarray(selection.utility, dtype=np.float64)[selection.rows]
        reasons = self._reasons(query, selection.rows, worth, vacuous)
        return Suggestion(left[selection.rows], worth, reasons)

    @in_words("goralx.Session.tell")
    def tell(
        self, ids: Iterable[int] | int, labels: Iterable[Any] | Any, *, new_classes: bool = False
    ) -> None:
        """Labels for some ids, on disk before this returns; a second label of an id replaces the
        first. A label of no known class is refused, or with ``new_classes`` makes one.
        """
        rows = self._ids(ids)
        one = isinstance(labels, str) or not isinstance(labels, Iterable)
        values = [plain(v) for v in ([labels] if one else list(labels))]
        if len(values) != len(rows):
            raise BadInput(f"{len(rows)} ids and {len(values)} labels; give one label for each")
        for label in dict.fromkeys(values):
            if label not in self.classes and not new_classes:
                raise BadInput(
                    f"label {label!r} is of no known class: {', '.join(map(repr, self.classes))}; "
                    "if it is a new one, tell it with new_classes=True"
                )
        for label in dict.fromkeys(v for v in values if v not in self.classes):
            self._journal.add(CLASS, label=label)
        self._journal.add(TELL, ids=rows, labels=values)

    def skip(self, ids: Iterable[int] | int) -> None:
        """Do not ask these again, unless they are told or the skip is undone."""
        self._journal.add(SKIP, ids=self._ids(ids))

    def undo(self) -> dict[str, Any]:
        """Take back the last `tell` or `skip`; returns what it was."""
        return self._journal.undo()

    @in_words("goralx.Session.export")
    def export(self, path: str | os.PathLike[str], n: int) -> Suggestion:
        """Ask for ``n`` and write them for whoever labels: .json for Label Studio, .jsonl, .csv."""
        exchange.suffix(Path(path))
        asked = self.ask(n)
        known = len(set(self.told.values())) > 1
        P = self.predictions()[asked.ids] if known else np.full((len(asked), 1), np.nan)
        classes, texts = self.classes, self.texts
        exchange.write(
            Path(path),
            [
                exchange.Asked(
                    id=i,
                    text=texts[i] if texts is not None else str(i),
                    utility=u,
                    predicted=classes[int(p.argmax())] if known else None,
                    probability=float(p.max()),
                    reason=why,
                )
                for i, u, p, why in zip(asked, asked.utility, P, asked.reasons)
            ],
        )
        return asked

    @in_words("goralx.Session.take_in")
    def take_in(self, path: str | os.PathLike[str], *, new_classes: bool = False) -> int:
        """Tell what such a file says, skip what was skipped there; how many labels there were.

        All of it or, where a row is refused, nothing.
        """
        answers = exchange.read(Path(path), self.classes)
        told = [answer for answer in answers if answer.label is not None]
        skipped = [answer.id for answer in answers if answer.label is None]
        self._ids(skipped)
        if told:
            labels = [answer.label for answer in told]
            self.tell([answer.id for answer in told], labels, new_classes=new_classes)
        if skipped:
            self.skip(skipped)
        return len(told)

    def predictions(self) -> Array:
        """P(y | x) of every pool sample by the present model: (N, K)."""
        P: Array = np.exp(self._asked(needs_goal=False).candidates.pool.log_P)
        return P

    def _asked(self, *, needs_goal: bool) -> Asked:
        """The model fit to what was told, and the pool seen through it."""
        told, budget = self.told, self._settings["budget"]
        spent = min(1.0, len(told) / budget) if budget else 0.0
        options = self._options(self.classes, spent)
        rows = np.fromiter(told, dtype=np.int64)
        known = self._pool[rows]
        return options.asked(known, list(told.values()), self._pool, needs_goal=needs_goal)

    def _options(self, classes: Sequence[Any], progress: float) -> Options:
        return Options(
            goal=self._build["goal"], operator=self._build["operator"],
            utility=self._build["utility"], model=self._build["model"], C=None, regime=None,
            penalize_intercept=None, X_dev=self._dev[0], y_dev=self._dev[1], classes=classes,
            progress=progress, random_state=self._settings["random_state"],
        )  # fmt: skip

    def _ids(self, ids: Iterable[int] | int) -> list[int]:
        listed = list(ids) if isinstance(ids, Iterable) else [ids]
        rows = np.asarray(listed) if listed else np.empty(0, dtype=np.int64)
        N = self._pool.shape[0]
        if rows.dtype.kind not in "iu" or rows.ndim != 1 or (rows < 0).any() or (rows >= N).any():
            raise BadInput(f"ids={rows.tolist()}; allowed: row numbers of the pool, 0 to {N - 1}")
        if len(np.unique(rows)) < len(rows):
            raise BadInput(f"ids={rows.tolist()}; an id stands there twice")
        return [int(i) for i in rows]

    def _reasons(
        self, query: Query, rows: Rows, worth: Array, vacuous: str | None
    ) -> tuple[str, ...]:
        """A line for each: what the model believes, and what a label would bring."""
        if vacuous:
            return (f"drawn at random: {vacuous}",) * len(rows)
        P, names, said = np.exp(query.log_P[rows]), [str(c) for c in self.classes], []
        scores = query.scores if query.score is not None else None
        for p, row, u in zip(P, rows, worth):
            likely = np.argsort(-p)[:2]
            line = "believed " + ", ".join(f"{names[k]} {p[k]:.2f}" for k in likely)
            if scores is not None and row in scores.looked_at:
                U = scores.U[np.searchsorted(scores.looked_at, row)]
                best, least = int(U.argmax()), int(U.argmin())
                line += (
                    f" · utility {u:.3g}: the label {names[best]} would bring {U[best]:.3g}, "
                    f"{names[least]} {U[least]:.3g}"
                )
            elif np.isfinite(u):
                line += f" · score {u:.3g}"
            said.append(line)
        return tuple(said)


def named(group: str, given: str | Mapping[str, Any]) -> dict[str, Any]:
    """A component by its name and options, as JSON keeps it."""
    if isinstance(given, str):
        return {"name": given}
    if isinstance(given, Mapping) and isinstance(given.get("name"), str):
        return {str(key): value for key, value in given.items()}
    raise BadInput(
        f"{group}={given!r}; give a registered name, or a mapping with a name and options: a "
        "session is saved, and objects cannot be"
    )


def built(group: str, node: Mapping[str, Any]) -> Any:
    options = {key: value for key, value in node.items() if key != "name"}
    return take_component(group, node["name"], options)


def plain(value: Any) -> Any:
    """A label as JSON keeps it: text, a number or a truth value."""
    scalar = value.item() if isinstance(value, np.generic) else value
    if isinstance(scalar, float) and not np.isfinite(scalar):
        raise BadInput("a label is missing (NaN); skip the sample instead")
    if not isinstance(scalar, str | int | float):
        raise BadInput(f"label {value!r}; give texts, numbers or truth values")
    return scalar


def stored(pool: Features) -> dict[str, Any]:
    """Features as arrays."""
    X: Any = pool[:]
    if issparse(X):
        return {"data": X.data, "indices": X.indices, "indptr": X.indptr, "shape": X.shape}
    return {"X": np.asarray(X)}


def restored(path: Path) -> Features:
    with np.load(path, allow_pickle=False) as arrays:
        if "X" in arrays:
            return take_features(arrays["X"], "X_pool")
        parts = tuple(arrays[name] for name in ("data", "indices", "indptr"))
        return take_features(csr_array(parts, shape=tuple(arrays["shape"])), "X_pool")

"""Who answers for the labels that are asked for: the truth, or who errs, abstains or costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, cast

import numpy as np

import goralx
from goralx import ABSTAINED, Answers, Array, Asked, BadInput, Instance, Labels, Rows
from goralx.data import RowFile, blocks, given_path, read_rows
from goralx.discovery import spelt

REFERENCE = 20_000
"""Samples that a reference model is fit to, at most, spread over init and pool."""
Where = Literal["anywhere", "boundary"]


@dataclass(frozen=True, eq=False)
class Hardness:
    """How hard samples are to a reference model, fit to the true labels of init and pool.

    ``chance`` (M,) are chances whose mean over the pool is a rate, in proportion to the model's
    doubt 1 - max P up to a ceiling; ``rival`` (M,) the likeliest class but the true one.
    """

    pool: Rows
    chance: Array
    rival: Labels

    @classmethod
    def in_(cls, instance: Instance, rate: float, ceiling: float) -> Hardness:
        """By the model that runs fit by default, with its default options."""
        known, pool = np.union1d(instance.init, instance.pool), np.sort(instance.pool)
        some = known[np.linspace(0, len(known) - 1, min(len(known), REFERENCE)).astype(np.int64)]
        model = goralx.build("model", "softmax").fit(instance.labelled(some), instance.n_classes)
        reference = goralx.Reference(model, instance.subset(pool).X)
        log_P = reference.log_P.astype(np.float64)
        doubt = np.maximum(-np.expm1(log_P.max(axis=1)), np.finfo(np.float64).tiny)
        log_P[np.arange(len(pool)), instance.y[pool]] = -np.inf
        return cls(pool, chances(doubt, rate, ceiling), log_P.argmax(axis=1))

    def places(self, asked: Asked) -> Rows:
        """Where the rows are in the pool."""
        return np.searchsorted(self.pool, asked.rows)


def chances(doubt: Array, rate: float, ceiling: float) -> Array:
    """min(ceiling, s doubt) (M,) with the s for which their mean is the rate, by bisection."""
    log_doubt = np.log(doubt)
    low, high = -1.0, 1500.0  # of log s: at most 1 of 1, at least 1 of the smallest number
    low += float(np.log(rate)) if rate else -1500.0
    for _ in range(100):
        middle = 0.5 * (low + high)
        mean = np.exp(np.minimum(np.log(ceiling), middle + log_doubt)).mean()
        low, high = (middle, high) if mean < rate else (low, middle)
    return np.asarray(np.exp(np.minimum(np.log(ceiling), high + log_doubt)))


@dataclass(frozen=True, eq=False)
class Confused(goralx.Oracle):
    """Errs by a confusion matrix (K, K)."""

    chances: Array

    def answer(self, asked: Asked) -> Answers:
        y, K = asked.y, len(self.chances)
        slips, which = asked.random("errs", 2).T
        others = self.chances[y]
        right = others[np.arange(len(y)), y]
        others[np.arange(len(y)), y] = 0.0
        edges = np.cumsum(others, axis=1)
        other = (edges <= (which * edges[:, -1])[:, None]).sum(axis=1).clip(max=K - 1)
        return Answers.of_one(np.where(slips < 1.0 - right, other, y))


@dataclass(frozen=True, eq=False)
class Doubtful(goralx.Oracle):
    """Errs where samples are hard, and says their rival."""

    hard: Hardness

    def answer(self, asked: Asked) -> Answers:
        slips, places = asked.random("errs", 2)[:, 0], self.hard.places(asked)
        wrong = slips < self.hard.chance[places]
        return Answers.of_one(np.where(wrong, self.hard.rival[places], asked.y))


@dataclass(frozen=True)
class Noisy(goralx.Oracle):
    """Errs: anywhere alike, by class, by a confusion matrix, or near the boundary.

    ``rate`` is the share of wrong answers, the wrong class any other alike; ``rates`` are those of
    true classes by name, beside ``rate`` for the rest; ``confusion`` (K, K) has the chance of each
    answer, a row a true class. ``where=boundary`` errs in proportion to the doubt of a model fit to
    the true labels, with its likeliest other class, and at worst guesses between the two: up to
    rate 0.5 (boundary-consistent noise, Menon et al. 2018, doi:10.1007/s10994-018-5715-3).
    """

    rate: float = 0.1
    rates: dict[str, float] = field(default_factory=dict)
    confusion: tuple[tuple[float, ...], ...] = ()
    where: Where = "anywhere"

    def __post_init__(self) -> None:
        _check_share("rate", self.rate)
        for called, rate in self.rates.items():
            _check_share(f"rates.{called}", rate)
        _check_where(self.where)
        if bool(self.rates) + (len(self.confusion) > 0) + (self.where == "boundary") > 1:
            raise BadInput(
                "oracle.rates, oracle.confusion and oracle.where=boundary exclude one another; "
                "give one of them"
            )
        if self.where == "boundary" and self.rate > 0.5:
            raise BadInput(
                f"oracle.rate={self.rate:g}; allowed with oracle.where=boundary: up to 0.5, where "
                "every answer is a guess between two classes"
            )

    def prepared(self, instance: Instance) -> goralx.Oracle:
        if self.where == "boundary":
            return Doubtful(Hardness.in_(instance, self.rate, ceiling=0.5))
        return Confused(self._matrix(instance.classes))

    def answer(self, asked: Asked) -> Answers:
        return self.prepared(asked.instance).answer(asked)

    def _matrix(self, classes: tuple[str, ...]) -> Array:
        """The chance of each answer (K, K), a row a true class."""
        K = len(classes)
        if not len(self.confusion):
            _check_classes("rates", self.rates, classes)
            wrong = np.array([self.rates.get(name, self.rate) for name in classes])[:, None]
            return np.where(np.eye(K, dtype=bool), 1.0 - wrong, wrong / (K - 1))
        sizes = [len(row) for row in self.confusion]
        if sizes != [K] * K:
            raise BadInput(
                f"oracle.confusion has rows of {', '.join(map(str, sizes))} chances; expected {K} "
                f"rows of {K}, in the order {', '.join(classes)}"
            )
        matrix = np.array(self.confusion, dtype=np.float64)
        if not ((matrix >= 0).all() and np.allclose(matrix.sum(axis=1), 1.0, atol=1e-6)):
            raise BadInput("oracle.confusion: chances are at least 0, and those of a row sum to 1")
        return matrix


@dataclass(frozen=True)
class Asking(goralx.Oracle):
    """What oracles share that ask another one for the label, named as ``noisy rate=0.3``."""

    oracle: str = "perfect"

    def __post_init__(self) -> None:
        _ = self.inner

    @cached_property
    def inner(self) -> goralx.Oracle:
        return cast(goralx.Oracle, spelt("oracle", self.oracle, "oracle.oracle"))

    def digest(self) -> str:
        return self.inner.digest()

    def answer(self, asked: Asked) -> Answers:
        return self.prepared(asked.instance).answer(asked)


@dataclass(frozen=True, eq=False)
class Silent(goralx.Oracle):
    """Hands on what another says, or nothing, at a rate or where samples are hard."""

    inner: goralx.Oracle
    rate: float | Hardness

    def answer(self, asked: Asked) -> Answers:
        found, rate = self.inner.answer(asked), self.rate
        chance = rate.chance[rate.places(asked)] if isinstance(rate, Hardness) else rate
        silent = asked.random("abstains")[:, 0] < chance
        said = np.where(silent[:, None], np.minimum(found.said, ABSTAINED), found.said)
        labels = np.where(silent, ABSTAINED, found.labels)
        return Answers(labels, found.cost, said, found.annotators)


@dataclass(frozen=True)
class Abstaining(Asking):
    """Gives no label to a share ``rate`` of the samples; what it is asked counts all the same.

    With ``where=boundary`` to those that a model fit to the true labels doubts most. The others
    have the label that ``oracle`` gives: ``oracle.oracle="noisy rate=0.1"``.
    """

    rate: float = 0.1
    where: Where = "anywhere"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share("rate", self.rate)
        _check_where(self.where)

    def prepared(self, instance: Instance) -> Silent:
        hard = self.where == "boundary"
        rate = Hardness.in_(instance, self.rate, ceiling=1.0) if hard else self.rate
        return Silent(self.inner.prepared(instance), rate)


@dataclass(frozen=True, eq=False)
class Priced(goralx.Oracle):
    """What another says, at a price (M,) for each row of the pool, times what the other asks."""

    inner: goralx.Oracle
    pool: Rows
    price: Array

    def answer(self, asked: Asked) -> Answers:
        found = self.inner.answer(asked)
        price = self.price[np.searchsorted(self.pool, asked.rows)]
        return Answers(found.labels, price * found.cost, found.said, found.annotators)


@dataclass(frozen=True)
class Costly(Asking):
    """Labels cost base + slope v(x), times what ``oracle`` takes, which gives the label.

    v is, ``by=norm``, the norm of the features over the pool's mean; ``by=class``, ``costs`` of the
    true class by name, 1 if it is not there; ``by=column``, the number in ``column`` of the file
    ``path``, or the words of a text: the time that it takes to read (linear models of annotation
    time: Haertel et al. 2008, aclanthology.org/P08-2017). The file is CSV or JSON lines, its lines
    by a column ``id`` of row numbers or, where it has a line for each row, in their order.
    """

    base: float = 0.5
    slope: float = 0.5
    by: Literal["norm", "class", "column"] = "norm"
    costs: dict[str, float] = field(default_factory=dict)
    path: str | None = None
    column: str | None = None
    id: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        of_classes = {f"costs.{name}": cost for name, cost in self.costs.items()}
        for name, value in {"base": self.base, "slope": self.slope, **of_classes}.items():
            if not 0 <= value < np.inf:
                raise BadInput(f"oracle.{name}={value:g}; allowed: at least 0")
        if self.by not in ("norm", "class", "column"):
            raise BadInput(f"oracle.by={self.by}; allowed: norm, class, column")
        if (self.by == "column") != (self.path is not None and self.column is not None):
            raise BadInput("oracle.by=column needs oracle.path= and oracle.column=, nothing else")
        if self.costs and self.by != "class":
            raise BadInput("oracle.costs= are by class; give oracle.by=class")

    @cached_property
    def _file(self) -> RowFile | None:
        return read_rows(given_path(self.path, "oracle.path")) if self.path else None

    def digest(self) -> str:
        inner = self.inner.digest()
        return f"{self._file.digest}{inner}" if self._file else inner

    def prepared(self, instance: Instance) -> Priced:
        pool = np.sort(instance.pool)
        price = self.base + self.slope * self._values(instance, pool)
        return Priced(self.inner.prepared(instance), pool, price)

    def _values(self, instance: Instance, pool: Rows) -> Array:
        """v (M,) of the rows of the pool."""
        if self.by == "norm":
            norms = _norms(instance, pool)
            return norms / norms.mean() if norms.any() else np.ones(len(pool))
        if self.by == "class":
            _check_classes("costs", self.costs, instance.classes)
            of_class = np.array([self.costs.get(name, 1.0) for name in instance.classes])
            return of_class[instance.y[pool]]
        found, name = self._file, self.column
        assert found is not None and name is not None
        values = np.full(len(instance.y), np.nan)
        rows = found.rows(len(instance.y), self.id, "oracle.id")
        values[rows] = _sizes(found.column(name, "oracle.column"), f"{found.path}, {name}")
        missing = pool[np.isnan(values[pool])]
        if len(missing):
            raise BadInput(f"{found.path}: no {name} of row {missing[0]}; every pool row needs one")
        return values[pool]


def _norms(instance: Instance, pool: Rows) -> Array:
    """Euclidean norms (M,) of the features."""
    found = []
    for block in blocks(len(pool)):
        X = instance.X[pool[block]]
        found.append(np.sqrt(np.asarray((X * X).sum(axis=1), dtype=np.float64).ravel()))
    return np.concatenate(found)


def _sizes(values: list[object], where: str) -> Array:
    """Numbers as they are if all are numbers, or of each text its words."""
    texts = ["" if value is None else str(value).strip() for value in values]
    try:
        sizes = np.array([float(text) for text in texts])
    except ValueError:
        return np.array([float(len(text.split())) for text in texts])
    if not (sizes >= 0).all() or not np.isfinite(sizes).all():
        i = int(np.flatnonzero(~(np.isfinite(sizes) & (sizes >= 0)))[0])
        raise BadInput(f"{where}: line {i + 1} has {texts[i]}; allowed: numbers of at least 0")
    return sizes


def _check_share(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise BadInput(f"oracle.{name}={value:g}; allowed: 0 to 1")


def _check_where(where: str) -> None:
    if where not in ("anywhere", "boundary"):
        raise BadInput(f"oracle.where={where}; allowed: anywhere, boundary")


def _check_classes(name: str, given: Mapping[str, float], classes: tuple[str, ...]) -> None:
    for called in given:
        if called not in classes:
            raise goralx.UnknownName(
                f"oracle.{name}.{called}: no class is called so; allowed: {', '.join(classes)}"
            )


@goralx.hookimpl
def register_oracles(register):
    register("perfect", goralx.Perfect)
    register("noisy", Noisy)
    register("abstaining", Abstaining)
    register("costly", Costly)

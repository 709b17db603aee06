"""The data of an active-learning run (Sec. 2): init, pool, test and dev of one instance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import BadInput
from .views import Rows as Rows
from .views import View, blocks, part, shown

Features = NDArray[np.floating]
"""Or a `View` that reads like one: whatever goes over many samples takes them block by block."""
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Labelled:
    """Samples with their labels: X (n, d), y (n,) in 0..K-1."""

    X: Features
    y: Labels

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Instance:
    """One data set and who plays which part in it.

    ``X`` (T, d) and ``y`` (T,) are all rows in the source's order; ``init``, ``pool``, ``test`` and
    ``dev`` are row numbers into them. init, pool and test are disjoint; dev is drawn from the
    pool and, unless removed, stays in it (its labels are then known, and counted as labels).
    ``classes`` names the K classes; ``source`` says in a line where the data came from.
    """

    name: str
    X: Features
    y: Labels
    classes: tuple[str, ...]
    init: Rows
    pool: Rows
    test: Rows
    dev: Rows
    source: str = ""

    def __post_init__(self) -> None:
        if self.X.ndim != 2 or len(self.X) != len(self.y):
            raise BadInput(
                f"dataset '{self.name}': X {self.X.shape} and y {self.y.shape} do not fit; "
                "X is (samples, features), y is (samples,)"
            )
        check_finite(self.X, f"dataset '{self.name}'")
        parts = np.concatenate([self.init, self.pool, self.test])
        if len(np.unique(parts)) != len(parts):
            raise BadInput(f"dataset '{self.name}': init, pool and test share rows")
        if len(self.pool) == 0 or len(self.test) == 0:
            raise BadInput(
                f"dataset '{self.name}': an empty pool or test set; give it more samples"
            )
        check_labelled(self.y[self.init], self.classes, f"dataset '{self.name}': init")

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    @cached_property
    def pool_X(self) -> Features:
        """Features of the initial pool (M, d): the set U that the goals are measured on."""
        features: Features = part(self.X, self.pool)
        return features

    def labelled(self, rows: Rows) -> Labelled:
        """These samples, in memory."""
        return Labelled(self.X[rows], self.y[rows])

    def subset(self, rows: Rows) -> Labelled:
        """These samples, their features left on disk if they lie there."""
        return Labelled(part(self.X, rows), self.y[rows])

    def with_dev(
        self, fraction: float, rng: np.random.Generator, *, remove_from_pool: bool = False
    ) -> Instance:
        """A copy with a random ``fraction`` of the pool as labelled dev set (Sec. 6.2)."""
        n_dev = round(fraction * len(self.pool))
        if not 0 < n_dev < len(self.pool):
            raise BadInput(
                f"dev.fraction={fraction:g} of a pool of {len(self.pool)} gives {n_dev} samples; "
                "a dev set needs at least one and leaves at least one in the pool"
            )
        dev = np.sort(rng.choice(self.pool, size=n_dev, replace=False))
        pool = np.setdiff1d(self.pool, dev) if remove_from_pool else self.pool
        return replace(self, pool=pool, dev=dev)


class Oracle:
    """Knows the hidden labels; answers for the rows it is asked about and counts nothing."""

    def __init__(self, instance: Instance) -> None:
        self._y = instance.y

    def reveal(self, rows: Rows) -> Labels:
        """True labels of the given source rows."""
        return self._y[rows]


def streams(seed: int, name: str) -> np.random.Generator:
    """The generator called ``name`` in the tree of this seed.

    Streams are derived by name, so that a component more or less never moves another's numbers,
    and two runs with one seed share their instance whatever their strategy.
    """
    return np.random.default_rng(np.random.SeedSequence([seed, *name.encode()]))


def encode_labels(labels: ArrayLike, where: str) -> tuple[Labels, tuple[str, ...]]:
    """Labels of any kind as 0..K-1, and the K names, sorted.

    Raises `BadInput` for a missing label, for one class, and for what looks like a regression
    target or an identifier: more different values than half the samples, or many fractions.
    """
    values = plain_labels(np.asarray(labels), where)
    classes, y = np.unique(values, return_inverse=True)
    K, total = len(classes), len(values)
    if K < 2:
        raise BadInput(
            f"{where}: only one class, {str(classes[0])!r}; classification needs at least two"
            if K
            else f"{where}: no labels"
        )
    if total < 2 * K or (values.dtype.kind == "f" and K > MANY_FRACTIONS):
        raise BadInput(
            f"{where}: {K} different labels in {total} samples look like a regression target or an "
            "identifier; classification needs few classes with several samples each; give another "
            "label column, or bin the values"
        )
    return y.astype(np.int64).ravel(), tuple(str(c) for c in classes)


MANY_FRACTIONS = 20
"""Labels that are fractions are ratings up to here (0.5 to 5 in halves are 10), a target beyond."""


def plain_labels(values: np.ndarray, where: str) -> np.ndarray:
    """Labels (n,) as integers, fractions or text, none of them missing."""
    if values.ndim != 1:
        raise BadInput(f"{where}: labels of shape {values.shape}; expected (samples,)")
    missing = np.zeros(len(values), dtype=bool)
    if values.dtype.kind == "f":
        missing = ~np.isfinite(values)
    elif values.dtype.kind == "O":
        missing = np.array([v is None or _not_itself(v) for v in values], dtype=bool)
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        raise BadInput(f"{where}: the label of row {row} is {values[row]}; every row needs a label")
    if values.dtype.kind == "O":
        return values.astype(str)
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8")
    if values.dtype.kind == "f" and (values == np.round(values)).all():
        return values.astype(np.int64)
    return values


def _not_itself(value: object) -> bool:
    """NaN, NaT, and pandas' NA, which says of no comparison whether it holds."""
    same = value == value
    return not (isinstance(same, bool | np.bool_) and same)


def check_split(n_init: int | None, n_test: int | None, C: float) -> None:
    """What every data set's options must satisfy; the number of classes is checked later."""
    for name, size in (("n_init", n_init), ("n_test", n_test)):
        if size is not None and size < 1:
            raise BadInput(f"dataset.{name}={size}; a number of samples, at least 1")
    if not (C > 0 and np.isfinite(C)):
        raise BadInput(f"dataset.C={C}; C is a positive, finite number (larger: less penalty)")


def make_instance(
    name: str,
    X: ArrayLike | View,
    labels: ArrayLike,
    *,
    rng: np.random.Generator,
    n_init: int | None = None,
    n_test: int | None = None,
    standardize: bool = True,
    stratify: bool = True,
    impute: bool = False,
    source: str = "",
) -> Instance:
    """Draw an instance: a test set, then an init set balanced over classes, and the rest as pool.

    ``n_test`` rows at random (in the classes' proportions if ``stratify``), a quarter if None;
    ``n_init`` rows, as many of each class as divide evenly and the remainder spread at random,
    never fewer than one a class, two a class if None. ``impute`` replaces a missing value (NaN) by
    its feature's mean, ``standardize`` scales features to mean 0, variance 1: both over pool and
    init together, so that nothing is learnt from the test set. A feature that is constant there is
    only centred. Raises `BadInput` where the rows do not suffice.
    """
    where = f"dataset '{name}'"
    y, classes = encode_labels(labels, where)
    features = as_features(X, where)
    if len(features) != len(y):
        raise BadInput(f"{where}: {len(features)} rows of features but {len(y)} labels")
    if not isinstance(X, View):  # which is gone through once, when the instance is made
        check_finite(features, where, allow_nan=impute)
    K, total = len(classes), len(y)
    n_init = 2 * K if n_init is None else n_init
    n_test = max(1, round(total / 4)) if n_test is None else n_test
    if n_init < K or n_test < 1:
        raise BadInput(
            f"{where}: n_init={n_init}, n_test={n_test}; needed: one init sample a class "
            f"(n_init >= {K}) and n_test >= 1"
        )
    if total < n_init + n_test + 1:
        raise BadInput(
            f"{where}: {total} samples are fewer than the split needs: "
            f"n_init={n_init} + n_test={n_test} + a pool of at least 1; lower n_init or n_test"
        )
    test = _draw_test(y, K, n_test, rng) if stratify else rng.permutation(total)[:n_test]
    rest = np.setdiff1d(np.arange(total), test)
    init = _draw_init(y, rest, classes, n_init, rng, where)
    pool = np.setdiff1d(rest, init)
    if impute:
        features = _imputed(np.asarray(features), rest, where)
    if standardize:
        features = cast(Features, _standardized(features, rest, where))
    empty = np.empty(0, dtype=np.int64)
    return Instance(name, features, y, classes, np.sort(init), pool, np.sort(test), empty, source)


def _draw_test(y: Labels, K: int, n_test: int, rng: np.random.Generator) -> Rows:
    """Largest-remainder shares of every class, drawn at random within it."""
    share = np.bincount(y, minlength=K) * (n_test / len(y))
    counts = np.floor(share).astype(int)
    short = n_test - counts.sum()
    counts[np.argsort(counts - share, kind="stable")[:short]] += 1
    return np.concatenate([rng.permutation(np.flatnonzero(y == k))[: counts[k]] for k in range(K)])


def _draw_init(
    y: Labels,
    rows: Rows,
    classes: Sequence[str],
    n_init: int,
    rng: np.random.Generator,
    where: str,
) -> Rows:
    K = len(classes)
    counts = np.full(K, n_init // K)
    counts[rng.permutation(K)[: n_init % K]] += 1
    chosen = []
    for k in range(K):
        members = rng.permutation(rows[y[rows] == k])
        if len(members) < counts[k]:
            raise BadInput(
                f"{where}: class {classes[k]!r} has {len(members)} samples outside the test set, "
                f"the init set needs {counts[k]} of it; lower n_init or leave the class out"
            )
        chosen.append(members[: counts[k]])
    return np.concatenate(chosen)


def _imputed(X: Features, rows: Rows, where: str) -> Features:
    """X with each NaN replaced by the mean of its feature over ``rows``."""
    known = ~np.isnan(X[rows])
    if not known.any(axis=0).all():
        column = int(np.flatnonzero(~known.any(axis=0))[0])
        raise BadInput(f"{where}: feature {column} has no value to take a mean of; leave it out")
    mean = np.nanmean(X[rows], axis=0, dtype=np.float64)
    return np.where(np.isnan(X), mean, X).astype(X.dtype)


def _standardized(X: Features | View, rows: Rows, where: str) -> Features | View:
    if isinstance(X, View):
        check_finite(X, where)
        mean, scale, largest = _moments(X.part(rows))
    else:
        known = X[rows].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            mean, scale, largest = known.mean(axis=0), known.std(axis=0), np.abs(known).max(axis=0)
    if not np.isfinite(scale).all():
        column = int(np.flatnonzero(~np.isfinite(scale))[0])
        raise BadInput(f"{where}: the variance of feature {column} overflows; rescale it")
    # a constant column's standard deviation is round-off, not zero
    scale = np.where(scale <= 1e-12 * largest, 1.0, scale)
    if isinstance(X, View):
        return X.scaled(mean, scale)
    scaled: Features = ((X - mean) / scale).astype(X.dtype)
    return scaled


def _moments(X: View) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean, standard deviation and largest absolute value of each feature, block by block.

    Blocks are put together by their own means and variances (Chan, Golub and LeVeque 1983).
    """
    n, mean, square = 0, np.zeros(X.shape[1]), np.zeros(X.shape[1])
    largest = np.zeros(X.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        for block in shown(blocks(len(X)), "means and variances"):
            values = X[block].astype(np.float64)
            m, total = len(values), n + len(values)
            apart = values.mean(axis=0) - mean
            square += values.var(axis=0) * m + apart**2 * (n * m / total)
            mean += apart * (m / total)
            largest, n = np.maximum(largest, np.abs(values).max(axis=0)), total
    return mean, np.sqrt(square / n), largest


def as_features(X: ArrayLike | View, where: str) -> Features:
    """A two-dimensional floating array; float32 is kept, anything numeric else becomes float64.

    A `View` is left as it is.
    """
    if isinstance(X, View):
        return cast(Features, X)
    try:
        values = np.asarray(X)
        if values.dtype.kind in "cmMV":
            raise TypeError(f"their type is {values.dtype}")
        if values.dtype not in (np.float32, np.float64):
            values = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{where}: features must be numbers ({error})") from None
    if values.ndim != 2 or 0 in values.shape:
        raise BadInput(
            f"{where}: features of shape {values.shape}; expected (samples, features), neither 0"
        )
    return values


def check_finite(X: Features | View, where: str, *, allow_nan: bool = False) -> None:
    """Raise `BadInput` that names the first row with a NaN (unless allowed) or an infinity."""
    if isinstance(X, View):
        found = X.first_not_finite
        if found is not None:
            raise _not_finite(where, *found)
        return
    step = max(1, (1 << 22) // max(1, X.shape[1]))
    for start in range(0, len(X), step):
        block = X[start : start + step]
        bad = np.isinf(block) if allow_nan else ~np.isfinite(block)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise _not_finite(where, start + row, column, block[row, column])


def _not_finite(where: str, row: int, column: int, value: float) -> BadInput:
    return BadInput(
        f"{where}: {value} in row {row}, feature {column}; fill or drop missing values first"
    )


def check_labelled(y: Labels, classes: Sequence[str], where: str) -> None:
    """Every class needs a labelled sample, or an unpenalised intercept runs off to infinity."""
    present = np.bincount(y, minlength=len(classes)) > 0
    if not present.all():
        missing = ", ".join(repr(c) for c, p in zip(classes, present, strict=True) if not p)
        raise BadInput(f"{where} has no sample of class {missing}; label at least one of each")

"""Who plays which part in a data set: test, init and pool, drawn from a seed."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from goralx.errors import BadInput, RunWarning

from .features import as_features, check_finite, imputed, standardized
from .frames import check_rows
from .instance import Instance
from .labels import Labels, encode_labels
from .matrix import Matrix, Rows
from .memory import as_matrix
from .missing import MISSING


class NotCentred(RunWarning):
    """Features were standardised but for their means: centring would leave no zeros."""


def check_split(n_init: int | None, n_test: int | None, C: float) -> None:
    """What every data set's options must satisfy; the number of classes is checked later."""
    for name, size in (("n_init", n_init), ("n_test", n_test)):
        if size is not None and size < 1:
            raise BadInput(f"dataset.{name}={size}; a number of samples, at least 1")
    if not (C > 0 and np.isfinite(C)):
        raise BadInput(f"dataset.C={C}; C is a positive, finite number (larger: less penalty)")


@dataclass(frozen=True, kw_only=True)
class Split:
    """The options that every data set of the user's own has: its sizes, its scale, its penalty.

    ``n_init`` null is two samples a class, ``n_test`` null a quarter of the rows; ``standardize``
    scales features over pool and init, ``C`` is the regularisation recommended for it. ``classes``
    names all classes, in order, where some of them are in none of the labels.
    """

    n_init: int | None = None
    n_test: int | None = None
    standardize: bool = True
    C: float = 1.0
    classes: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        check_split(self.n_init, self.n_test, self.C)

    @property
    def named_classes(self) -> list[str] | None:
        """Its classes by name, or None where they are those of the labels."""
        if self.classes is None:
            return None
        given = self.classes.split(",") if isinstance(self.classes, str) else self.classes
        return [name for item in given if (name := str(item).strip())]

    def split(
        self,
        name: str,
        X: ArrayLike | Matrix,
        labels: ArrayLike,
        rng: np.random.Generator,
        *,
        source: str,
        impute: bool = False,
        marks: Collection[str] = MISSING,
    ) -> Instance:
        """An instance drawn as the options say, see `make_instance`."""
        return make_instance(
            name,
            X,
            labels,
            rng=rng,
            n_init=self.n_init,
            n_test=self.n_test,
            standardize=self.standardize,
            impute=impute,
            marks=marks,
            source=source,
            classes=self.named_classes,
        )


def make_instance(
    name: str,
    X: ArrayLike | Matrix,
    labels: ArrayLike,
    *,
    rng: np.random.Generator,
    n_init: int | None = None,
    n_test: int | None = None,
    standardize: bool = True,
    stratify: bool = True,
    impute: bool = False,
    marks: Collection[str] = MISSING,
    source: str = "",
    classes: Sequence[str] | None = None,
) -> Instance:
    """Draw an instance: a test set, then an init set balanced over classes, and the rest as pool.

    ``n_test`` rows at random (in the classes' proportions if ``stratify``), a quarter if None;
    ``n_init`` rows, as many of each class as divide evenly and the remainder spread at random,
    never fewer than one a class, two a class if None. ``impute`` replaces a missing value (NaN) by
    its feature's mean, ``standardize`` scales features to mean 0, variance 1 (sparse ones are not
    centred): both over pool and init together, so that nothing is learnt from the test set. A
    feature that is constant there is only centred. ``marks`` are texts that are no class but stand
    for a missing label. ``classes`` names all classes, in order, where some of them are in none of
    the labels; init has then some of each class that is. Raises `BadInput` where the rows do not
    suffice.
    """
    where = f"dataset '{name}'"
    check_rows(X, labels, "X", "labels")
    y, names = encode_labels(labels, where, marks=marks, classes=classes)
    features = as_features(X, where)
    if len(features) != len(y):
        raise BadInput(f"{where}: {len(features)} rows of features but {len(y)} labels")
    check_finite(features, where, allow_nan=impute)
    K, total = len(names), len(y)
    there = np.unique(y)
    n_init = 2 * len(there) if n_init is None else n_init
    n_test = max(1, round(total / 4)) if n_test is None else n_test
    if n_init < len(there) or n_test < 1:
        raise BadInput(
            f"{where}: n_init={n_init}, n_test={n_test}; needed: one init sample a class "
            f"(n_init >= {len(there)}; initial=random takes fewer) and n_test >= 1"
        )
    if total < n_init + n_test + 1:
        raise BadInput(
            f"{where}: {total} samples are fewer than the split needs: "
            f"n_init={n_init} + n_test={n_test} + a pool of at least 1; lower n_init or n_test"
        )
    test = _draw_test(y, K, n_test, rng) if stratify else rng.permutation(total)[:n_test]
    rest = np.setdiff1d(np.arange(total), test)
    init = _draw_init(y, rest, there, names, n_init, rng, where)
    pool = np.setdiff1d(rest, init)
    if impute:
        features = imputed(np.asarray(features), rest, where)
    if standardize:
        features = standardized(features, rest, where)
        if not as_matrix(features).centred:
            warnings.warn(
                f"{where}: sparse features are scaled to variance 1 and not centred; "
                "dataset.standardize=false leaves them as they are",
                NotCentred,
                stacklevel=2,
            )
    empty = np.empty(0, dtype=np.int64)
    return Instance(name, features, y, names, np.sort(init), pool, np.sort(test), empty, source)


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
    there: Labels,
    classes: Sequence[str],
    n_init: int,
    rng: np.random.Generator,
    where: str,
) -> Rows:
    """Of the classes that are ``there``, as many of each, the remainder at random."""
    K = len(there)
    counts = np.full(K, n_init // K)
    counts[rng.permutation(K)[: n_init % K]] += 1
    chosen = []
    for k, count in zip(there, counts, strict=True):
        members = rng.permutation(rows[y[rows] == k])
        if len(members) < count:
            raise BadInput(
                f"{where}: class {classes[k]!r} has {len(members)} samples outside the test set, "
                f"the init set needs {count} of it; lower n_init or leave the class out"
            )
        chosen.append(members[:count])
    return np.concatenate(chosen)

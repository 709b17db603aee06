"""The data of an active-learning run (Sec. 2): init, pool, test and dev of one instance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np

from goralx.errors import BadInput

from .features import Features, check_finite, spread
from .labels import Labels, check_classes
from .matrix import Rows
from .memory import as_matrix, part, stacked
from .shared import guard_fields, read_only


@dataclass(frozen=True)
class Labelled:
    """Samples with their labels: X (n, d), y (n,) in 0..K-1; not to be written to."""

    X: Features
    y: Labels

    def __post_init__(self) -> None:
        guard_fields(self, "X", "y")

    def and_(self, more: Labelled) -> Labelled:
        """These samples, then those."""
        return Labelled(stacked(self.X, more.X), np.concatenate([self.y, more.y]))

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Instance:
    """One data set and who plays which part in it.

    ``X`` (T, d) and ``y`` (T,) are all rows in the source's order; ``init``, ``pool``, ``test`` and
    ``dev`` are row numbers into them. init, pool and test are disjoint; dev is drawn from the
    pool and, unless removed, stays in it (its labels are then known, and counted as labels), or it
    is trained on and lies in init. A row of the source that is not used is in none of them.
    ``classes`` names the K classes; init need not have one of each. ``source`` says in a line where
    the data came from. ``group`` (T,), or None, is which of the ``groups`` each row belongs to,
    beside its class: a cluster, a site. Nobody learns from it; it is recorded and drawn. The arrays
    are not to be written to: everybody sees the same.
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
    group: Labels | None = None
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        guard_fields(self, "X", "y", "init", "pool", "test", "dev", "group")
        if self.X.ndim != 2 or len(self.X) != len(self.y):
            raise BadInput(
                f"dataset '{self.name}': X {self.X.shape} and y {self.y.shape} do not fit; "
                "X is (samples, features), y is (samples,)"
            )
        check_classes(self.y, self.classes, f"dataset '{self.name}'")
        check_finite(self.X, f"dataset '{self.name}'")
        if self.group is not None and (
            self.group.shape != self.y.shape
            or not np.isin(self.group, np.arange(len(self.groups))).all()
        ):
            raise BadInput(
                f"dataset '{self.name}': group {self.group.shape} does not fit; a number for each "
                f"of {len(self.y)} rows, the place of its name among the {len(self.groups)} groups"
            )
        parts = np.concatenate([self.init, self.pool, self.test])
        if len(np.unique(parts)) != len(parts):
            raise BadInput(f"dataset '{self.name}': init, pool and test share rows")
        if len(self.pool) == 0 or len(self.test) == 0:
            raise BadInput(
                f"dataset '{self.name}': an empty pool or test set; give it more samples"
            )
        if len(self.init) == 0:
            raise BadInput(f"dataset '{self.name}': an empty init set; label at least one sample")

    @property
    def n_classes(self) -> int:
        return len(self.classes)

    @property
    def on_disk(self) -> bool:
        """Whether features are read from a file, block by block, and can be sent as its path."""
        return as_matrix(self.X).on_disk

    def check_unchanged(self) -> None:
        """Raise `BadInput` where features lie in a file that has changed since it was opened."""
        as_matrix(self.X).check_unchanged()

    @cached_property
    def pool_X(self) -> Features:
        """Features of the initial pool (M, d): the set U that the goals are measured on."""
        features: Features = read_only(part(self.X, self.pool))
        return features

    def labelled(self, rows: Rows) -> Labelled:
        """These samples, in memory."""
        return Labelled(self.X[rows], self.y[rows])

    def subset(self, rows: Rows) -> Labelled:
        """These samples, their features left on disk if they lie there."""
        return Labelled(part(self.X, rows), self.y[rows])

    def spread(self, places: Rows, total: int) -> Instance:
        """The same samples where they stand in a source of ``total`` rows; the others are unused.

        Row i becomes row ``places[i]``. Unused rows are zeros, and of the first class and group by
        name only.
        """
        if len(places) == total:
            return self
        y = np.zeros(total, dtype=np.int64)
        y[places] = self.y
        X = spread(self.X, places, total)
        group = None
        if self.group is not None:
            group = np.zeros(total, dtype=np.int64)
            group[places] = self.group
        parts = {name: places[getattr(self, name)] for name in ("init", "pool", "test", "dev")}
        return replace(self, X=X, y=y, group=group, **parts)

    def starting_from(self, init: Rows) -> Instance:
        """A copy whose initial set is these rows of init and pool; the others are the pool."""
        pool = np.setdiff1d(np.concatenate([self.init, self.pool]), init)
        return replace(self, init=init, pool=pool)

    def in_single(self) -> Instance:
        """A copy with features in single precision; those that lie on disk stay as they are.

        Half the memory and, for passes over the pool, half the time; fits are in double precision
        either way.
        """
        single = cast(Features, as_matrix(self.X).in_single(f"dataset '{self.name}'"))
        return self if single is self.X else replace(self, X=single)

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

    def trained_on_dev(self) -> Instance:
        """A copy whose dev samples are labelled from the start: in init, no longer in the pool.

        What a dev goal has to beat: the same labels, spent on training.
        """
        pool = np.setdiff1d(self.pool, self.dev)
        return replace(self, init=np.sort(np.concatenate([self.init, self.dev])), pool=pool)

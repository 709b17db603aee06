"""A pool too large for memory: features in a file that is read block by block, in every round."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

import goralx
from goralx import BadInput, Instance, Split, View
from goralx.data import converted, given_path, open_labels, open_matrix


@dataclass(frozen=True)
class Npy(Split):
    """Features of any number in a ``.npy`` file (N, d), float32 or float64, and labels (N,).

    ``path`` and ``labels`` are two files of `numpy.save`; or ``path`` is a ``.parquet`` file, whose
    column ``label`` (a name, or a number from 0; null: the last) holds the labels: it is converted
    once, by row groups, into the cache folder. Features are never in memory as a whole.
    ``standardize`` scales them as they are read. ``n_init`` null is two samples a class, ``n_test``
    null a quarter of the rows.
    """

    named_after: ClassVar[tuple[str, ...]] = ("path",)

    path: str | None = None
    labels: str | None = None
    label: str | None = None
    standardize: bool = False

    def instance(self, rng: np.random.Generator) -> Instance:
        if self.path is None:
            raise BadInput(
                "dataset=npy needs a file; set e.g. dataset.path=X.npy dataset.labels=y.npy"
            )
        path = given_path(self.path)
        X, y = self._from_parquet(path) if path.suffix == ".parquet" else self._from_npy(path)
        return self.split(path.name, X, y, rng, source=path.name)

    def _from_npy(self, path: Path) -> tuple[View, np.ndarray]:
        if self.label is not None:
            raise BadInput(f"dataset.label={self.label} is for .parquet files; give dataset.labels")
        if self.labels is None:
            raise BadInput("dataset=npy needs the labels too; set e.g. dataset.labels=y.npy")
        X = open_matrix(path)
        return X, open_labels(given_path(self.labels, "dataset.labels"))

    def _from_parquet(self, path: Path) -> tuple[View, np.ndarray]:
        if self.labels is not None:
            raise BadInput(f"dataset.labels={self.labels} is for .npy files; give dataset.label")
        features, labels = converted(path, self.label)
        return open_matrix(features), open_labels(labels)


@goralx.hookimpl
def register_datasets(register):
    register("npy", Npy)

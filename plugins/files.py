"""Data of the user's own: a table, arrays, or any data set of OpenML's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse

import goralx
from goralx import BadInput, Instance, Split
from goralx.data import (
    features_and_labels,
    fetch_openml,
    find_openml,
    given_path,
    holds_sparse,
    open_labels,
    read_arrays,
    read_sparse_npz,
    read_svmlight,
    read_table,
)

if TYPE_CHECKING:
    from pandas import DataFrame

MISSING = ("error", "drop", "mean")
CATEGORICAL = ("error", "onehot", "drop")


@dataclass(frozen=True, kw_only=True)
class Table(Split):
    """What becomes of the columns of a table, beside the options of every `goralx.Split`."""

    exclude: str | None = None
    missing: str = "error"
    categorical: str = "error"

    def __post_init__(self) -> None:
        super().__post_init__()
        for option, allowed in (("missing", MISSING), ("categorical", CATEGORICAL)):
            given = getattr(self, option)
            if given not in allowed:
                raise BadInput(f"dataset.{option}={given}; allowed: {', '.join(allowed)}")

    def left_out(self) -> list[str]:
        """Names of the columns to exclude."""
        return [name.strip() for name in (self.exclude or "").split(",") if name.strip()]

    def made(
        self, name: str, frame: DataFrame, label: str, rng: np.random.Generator, what: str
    ) -> Instance:
        """The instance of a table with its column of labels; ``what`` says where it came from."""
        X, labels, dropped = features_and_labels(
            frame,
            label,
            exclude=self.left_out(),
            missing=self.missing,
            categorical=self.categorical,
        )
        rows = f", {dropped} rows with missing values dropped" if dropped else ""
        source = f"{what}, label {label}{rows}"
        return self.split(name, X, labels, rng, source=source, impute=self.missing == "mean")


@dataclass(frozen=True)
class Csv(Table):
    """A table with a column of labels: .csv, .tsv (also compressed) or .parquet.

    ``label`` is the column's name or its number from 0 (-1 is the last, the default); ``exclude``
    names columns to leave out, separated by commas. ``missing`` values ("", ?, NA, NaN, null, None)
    are an "error", or "drop" the row, or are replaced by the column's "mean" over pool and init.
    Columns that are not numbers (``categorical``) are an "error", or become a column for each value
    ("onehot"), or are left out ("drop"). ``n_init`` null is two samples a class, ``n_test`` null a
    quarter of the rows. Row numbers count the rows that are used, from 0.
    """

    path: str | None = None
    label: str | None = None
    delimiter: str | None = None
    header: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise BadInput(f"dataset.delimiter={self.delimiter!r}; a single character, e.g. ';'")

    def instance(self, rng: np.random.Generator) -> Instance:
        path = given_path(_required(self.path, "csv", "table.csv"))
        frame, label = read_table(path, self.label, delimiter=self.delimiter, header=self.header)
        return self.made("csv", frame, label, rng, path.name)


@dataclass(frozen=True)
class Npz(Split):
    """Arrays saved with `numpy.savez`: X (N, d) of numbers, all finite, and y (N,), the labels.

    Or a sparse matrix of `scipy.sparse.save_npz`, which stays sparse; ``labels`` is then a ``.npy``
    file of them (N,). ``n_init`` null is two samples a class, ``n_test`` null a quarter of the
    rows.
    """

    path: str | None = None
    labels: str | None = None

    def instance(self, rng: np.random.Generator) -> Instance:
        path = given_path(_required(self.path, "npz", "arrays.npz"))
        if holds_sparse(path):
            if self.labels is None:
                raise BadInput(f"{path} holds a sparse matrix; set dataset.labels=y.npy beside it")
            y = open_labels(given_path(self.labels, "dataset.labels"))
            return self.split("npz", read_sparse_npz(path), y, rng, source=path.name)
        if self.labels is not None:
            raise BadInput(f"dataset.labels={self.labels} is for sparse matrices; {path} has y")
        X, y = read_arrays(path, "X", "y")
        return self.split("npz", X, y, rng, source=path.name)


@dataclass(frozen=True)
class Svmlight(Split):
    """A svmlight or libsvm file (also .gz, .bz2): lines of ``label index:value ...``; kept sparse.

    ``standardize`` scales features to variance 1 and does not centre them. ``n_init`` null is two
    samples a class, ``n_test`` null a quarter of the rows.
    """

    path: str | None = None
    standardize: bool = False

    def instance(self, rng: np.random.Generator) -> Instance:
        path = given_path(_required(self.path, "svmlight", "data.svm"))
        X, y = read_svmlight(path)
        return self.split("svmlight", X, y, rng, source=path.name)


@dataclass(frozen=True)
class OpenML(Table):
    """A data set of openml.org, by ``data_id``, or by ``data_name`` and ``version``.

    Read from ``data_home``, a cache folder of scikit-learn's that is never changed; or where that
    is null from ``openml_home/`` in ``GORALX_DATA`` if it is there, else from scikit-learn's own
    cache, filled by a download. ``label`` null is OpenML's default target; ``exclude``, ``missing``
    and ``categorical`` are those of dataset=csv, ``n_init`` and ``n_test`` too.
    """

    data_id: int | None = None
    data_name: str | None = None
    version: int = 1
    data_home: str | None = None
    label: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.version < 1:
            raise BadInput(f"dataset.version={self.version}; OpenML counts versions from 1")

    def instance(self, rng: np.random.Generator) -> Instance:
        if (self.data_id is None) == (self.data_name is None):
            raise BadInput(
                "dataset=openml needs dataset.data_id (e.g. 6) or dataset.data_name (e.g. letter), "
                "one of the two"
            )
        if self.data_home is None:
            home = find_openml(self.data_name, self.data_id)
        else:
            home = given_path(self.data_home, "dataset.data_home")
            if not (home / "openml").is_dir():
                raise BadInput(f"dataset.data_home={self.data_home} has no folder openml in it")
        query = (
            {"data_id": self.data_id}
            if self.data_id is not None
            else {"name": self.data_name, "version": self.version}
        )
        bunch = fetch_openml(
            "check the name, or download it where there is a network and set dataset.data_home",
            home,
            **query,
            target_column=self.label or "default-target",
            as_frame="auto",
            parser="auto",
        )
        if getattr(bunch.target, "ndim", 0) != 1:
            raise BadInput(f"OpenML, {query}: it has no single target; name one by dataset.label")
        which = f"OpenML {bunch.details['name']}, version {bunch.details['version']}"
        if issparse(bunch.data):
            return self._sparse(bunch, which, rng)
        frame = bunch.frame.rename_axis(index="row")
        frame.index += 1
        frame = frame[[*bunch.data.columns, bunch.target.name]]
        return self.made("openml", frame, bunch.target.name, rng, which)

    def _sparse(self, bunch: Any, which: str, rng: np.random.Generator) -> Instance:
        """Of a sparse ARFF file: what is not there is zero, and stays so."""
        if self.missing != "error":
            raise BadInput(f"dataset.missing={self.missing}: {which} is sparse; allowed: error")
        left_out = self.left_out()
        unknown = sorted(set(left_out) - set(bunch.feature_names))
        if unknown:
            raise BadInput(f"dataset.exclude: {which} has no feature {', '.join(unknown)}")
        kept = [i for i, name in enumerate(bunch.feature_names) if name not in left_out]
        return self.split("openml", bunch.data.tocsr()[:, kept], bunch.target, rng, source=which)


def _required(path: str | None, dataset: str, example: str) -> str:
    if path is None:
        raise BadInput(f"dataset={dataset} needs a file; set e.g. dataset.path={example}")
    return path


@goralx.hookimpl
def register_datasets(register):
    register("csv", Csv)
    register("npz", Npz)
    register("openml", OpenML)
    register("svmlight", Svmlight)

"""Data of the user's own: a table, arrays, or any data set of OpenML's."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse

import goralx
from goralx import BadInput, Instance, Split
from goralx.data import (
    MISSING_MARKS,
    Columns,
    Reading,
    Table,
    TextEncoder,
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

MISSING = ("error", "drop", "mean")
CATEGORICAL = ("error", "onehot", "drop")
Texts = str | Sequence[str] | None


def texts(given: Texts, columns: Sequence[str] = ()) -> list[str]:
    """A list, or texts separated by commas; a column whose name has commas may be given alone."""
    if isinstance(given, str):
        given = [given] if given in columns else given.split(",")
    return [text for item in given or () if (text := str(item).strip())]


@dataclass(frozen=True, kw_only=True)
class OfColumns(Split):
    """What becomes of the columns of a table, beside the options of every `goralx.Split`."""

    only_text: ClassVar[bool] = False

    exclude: Texts = None
    missing: str = "error"
    na_values: Texts = None
    na_labels: str = "missing"
    categorical: str = "error"
    onehot: Texts = None
    encoder: str | None = None
    text: Texts = None
    model: str = "bert-base-uncased"
    max_length: int = 128
    n_components: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for option, allowed in (("missing", MISSING), ("categorical", CATEGORICAL)):
            given = getattr(self, option)
            if given not in allowed:
                raise BadInput(f"dataset.{option}={given}; allowed: {', '.join(allowed)}")
        self.text_encoder()
        Reading(na_labels=self.na_labels)

    def text_encoder(self) -> TextEncoder | None:
        """The encoder of text columns, if they are to be encoded."""
        if self.encoder is None and self.text is None:
            return None
        return TextEncoder(self.encoder or "tfidf", self.model, self.max_length, self.n_components)

    def made(
        self, name: str, table: Table, rng: np.random.Generator, what: str, group: str | None = None
    ) -> Instance:
        """The instance of a table with its column of labels; ``what`` says where it came from.

        The column ``group`` is no feature: it says which group each row belongs to.
        """
        columns = list(table.frame.columns)
        left_out = texts(self.exclude, columns)
        if group is not None and (group not in columns or group == table.label):
            known = ", ".join(column for column in columns if column != table.label)
            raise BadInput(
                f"dataset.group={group} is no column beside the labels; there are {known}"
            )
        how = Columns(
            exclude=left_out if group in (None, *left_out) else [*left_out, group],
            missing=self.missing,
            categorical=self.categorical,
            onehot=texts(self.onehot, columns),
            text=texts(self.text, columns),
            encoder=self.text_encoder(),
            only_text=self.only_text,
        )
        samples = features_and_labels(table, how)
        rows = f", {samples.dropped} rows with missing values dropped" if samples.dropped else ""
        drawn = self.split(
            name,
            samples.X,
            samples.labels,
            rng,
            source=f"{what}, label {table.label}{rows}",
            impute=self.missing == "mean",
            marks=table.label_marks,
        )
        if samples.warning is not None:
            warnings.warn(samples.warning, stacklevel=2)
        if group is not None:
            of_row = table.frame[group].set_axis(table.frame.index - table.first)[samples.rows]
            names = of_row.astype(object).where(of_row.notna(), "").astype(str).str.strip()
            groups, of = np.unique(names.where(names != "", "missing"), return_inverse=True)
            drawn = replace(drawn, group=of.astype(np.int64), groups=tuple(groups.tolist()))
        return drawn.spread(samples.rows, samples.total)


@dataclass(frozen=True)
class Csv(OfColumns):
    """A table with a column of labels: .csv, .tsv, .jsonl (also compressed) or .parquet.

    ``label`` is the column's name or its number from 0 (-1 is the last, the default); ``group`` a
    column that nobody learns from, recorded and drawn: a site, a cluster. ``exclude``
    names columns to leave out (a list, or separated by commas). ``missing`` values (what pandas
    takes for one, "?", and ``na_values``) are an "error", or "drop" the row, or are replaced by the
    column's "mean" over pool and init; ``na_labels`` "class" takes all but "" for classes in the
    label column. Columns that are not numbers (``categorical``) are an "error", or become a column
    for each value ("onehot"), or are left out ("drop"); those named in ``onehot`` are spread so in
    any case. An ``encoder`` makes vectors of the columns ``text``, by default those that hold
    prose: "tfidf" is TF-IDF reduced to ``n_components`` by an SVD, "terms" TF-IDF as it is, sparse,
    "transformer" the [CLS] of ``model`` for the first ``max_length`` tokens. ``header`` null takes
    the first line for the names of columns unless it looks like a sample, which is refused;
    ``encoding`` null is UTF-8, or UTF-16 where the file says so. ``n_init`` null is two samples a
    class, ``n_test`` null a quarter of the rows. Row numbers count the rows of the file, from 0.
    """

    named_after: ClassVar[tuple[str, ...]] = ("path",)

    path: str | None = None
    label: str | None = None
    group: str | None = None
    delimiter: str | None = None
    header: bool | None = None
    encoding: str | None = None
    decimal: str = "."
    thousands: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.reading()

    def reading(self) -> Reading:
        r"""How the file is read; a tab is also written as \t."""
        delimiter = "\t" if self.delimiter in (r"\t", "tab") else self.delimiter
        return Reading(
            delimiter, self.header, self.encoding, self.decimal, self.thousands,
            texts(self.na_values), self.na_labels,
        )  # fmt: skip

    def instance(self, rng: np.random.Generator) -> Instance:
        path = given_path(_required(self.path, "text" if self.only_text else "csv", "table.csv"))
        table = read_table(path, self.label, self.reading())
        return self.made(path.name, table, rng, path.name, self.group)


@dataclass(frozen=True)
class Text(Csv):
    """Texts with a column of labels, in a file as for dataset=csv; other columns are left out.

    The column ``text``, or several, joined; by default those that hold prose, or the only one that
    is no number. ``encoder`` and what it needs are as for dataset=csv.
    """

    only_text: ClassVar[bool] = True

    encoder: str | None = "tfidf"
    standardize: bool = False


@dataclass(frozen=True)
class Npz(Split):
    """Arrays saved with `numpy.savez`: X (N, d) of numbers, all finite, and y (N,), the labels.

    Or a sparse matrix of `scipy.sparse.save_npz`, which stays sparse; ``labels`` is then a ``.npy``
    file of them (N,). ``n_init`` null is two samples a class, ``n_test`` null a quarter of the
    rows.
    """

    named_after: ClassVar[tuple[str, ...]] = ("path",)

    path: str | None = None
    labels: str | None = None

    def instance(self, rng: np.random.Generator) -> Instance:
        path = given_path(_required(self.path, "npz", "arrays.npz"))
        if holds_sparse(path):
            if self.labels is None:
                raise BadInput(f"{path} holds a sparse matrix; set dataset.labels=y.npy beside it")
            y = open_labels(given_path(self.labels, "dataset.labels"))
            return self.split(path.name, read_sparse_npz(path), y, rng, source=path.name)
        if self.labels is not None:
            raise BadInput(f"dataset.labels={self.labels} is for sparse matrices; {path} has y")
        X, y = read_arrays(path, "X", "y")
        return self.split(path.name, X, y, rng, source=path.name)


@dataclass(frozen=True)
class Svmlight(Split):
    """A svmlight or libsvm file (also .gz, .bz2): lines of ``label index:value ...``; kept sparse.

    ``standardize`` scales features to variance 1 and does not centre them. ``n_init`` null is two
    samples a class, ``n_test`` null a quarter of the rows.
    """

    named_after: ClassVar[tuple[str, ...]] = ("path",)

    path: str | None = None
    standardize: bool = False

    def instance(self, rng: np.random.Generator) -> Instance:
        path = given_path(_required(self.path, "svmlight", "data.svm"))
        X, y = read_svmlight(path)
        return self.split(path.name, X, y, rng, source=path.name)


@dataclass(frozen=True)
class OpenML(OfColumns):
    """A data set of openml.org, by ``data_id``, or by ``data_name`` and ``version``.

    Read from ``data_home``, a cache folder of scikit-learn's that is never changed; or where that
    is null from ``openml_home/`` in ``GORALX_DATA`` if it is there, else from scikit-learn's own
    cache, filled by a download. ``label`` null is OpenML's default target; what becomes of its
    columns is said as for dataset=csv, ``n_init`` and ``n_test`` too.
    """

    named_after: ClassVar[tuple[str, ...]] = ("data_name", "data_id")

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
        marks = MISSING_MARKS | set(texts(self.na_values))
        table = Table(which, frame, bunch.target.name, missing=marks, na_labels=self.na_labels)
        return self.made("openml", table, rng, which)

    def _sparse(self, bunch: Any, which: str, rng: np.random.Generator) -> Instance:
        """Of a sparse ARFF file: what is not there is zero, and stays so."""
        if self.missing != "error":
            raise BadInput(f"dataset.missing={self.missing}: {which} is sparse; allowed: error")
        left_out = texts(self.exclude, bunch.feature_names)
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
    register("text", Text)

"""Who is labelled, who is not, and what they look like.

In come a user's files, arrays or sentences; out goes an `Instance`: features, labels, and which
rows are init, pool, test and dev. Features are an array, or a `Matrix` that is read a block at a
time. Knows no model and no plugin; anybody may ask, data set plugins first.
"""

from .choices import Columns
from .duplicates import count_twins
from .features import Array, Features, as_features, check_finite
from .frames import aligned, check_rows, column_names
from .instance import Instance, Labelled
from .labels import MANY_FRACTIONS, Labels, as_numbers, plain_labels
from .large_files import converted, open_labels, open_matrix
from .matrix import Matrix, Rows, blocks, shown
from .memory import as_matrix, part
from .missing import MISSING as MISSING_MARKS
from .row_files import RowFile, read_rows
from .seeds import streams
from .shared import guard_fields, read_only
from .sources import (
    cache_folder,
    download_members,
    fetch_openml,
    find,
    find_openml,
    first_line,
    given_path,
    read_arrays,
)
from .sparse import Sparse
from .sparse_files import holds_sparse, read_sparse_npz, read_svmlight
from .splits import NotCentred, Split, check_split, make_instance
from .table_files import Reading, Table, read_table
from .tables import Samples, TellsRowsApart, features_and_labels
from .text import Encoder, TextEncoder, Tfidf, TfidfSvd, TransformerCls, vectors
from .views import View

__all__ = [
    "MANY_FRACTIONS",
    "MISSING_MARKS",
    "Array",
    "Columns",
    "Encoder",
    "Features",
    "Instance",
    "Labelled",
    "Labels",
    "Matrix",
    "NotCentred",
    "Reading",
    "RowFile",
    "Rows",
    "Samples",
    "Sparse",
    "Split",
    "Table",
    "TellsRowsApart",
    "TextEncoder",
    "Tfidf",
    "TfidfSvd",
    "TransformerCls",
    "View",
    "aligned",
    "as_features",
    "as_matrix",
    "as_numbers",
    "blocks",
    "cache_folder",
    "check_finite",
    "check_rows",
    "check_split",
    "column_names",
    "converted",
    "count_twins",
    "download_members",
    "features_and_labels",
    "fetch_openml",
    "find",
    "find_openml",
    "first_line",
    "given_path",
    "guard_fields",
    "holds_sparse",
    "make_instance",
    "open_labels",
    "open_matrix",
    "part",
    "plain_labels",
    "read_arrays",
    "read_only",
    "read_rows",
    "read_sparse_npz",
    "read_svmlight",
    "read_table",
    "shown",
    "streams",
    "vectors",
]

"""A run on disk: what it leaves behind, enough to go on from wherever it was stopped.

In come rounds; out go files that are whole or not there, and what was in them. The directory is the
source of truth: trackers, figures and explanations read it and never the other way round.
"""

from .configuration import check_configuration, extensions
from .formats import FORMAT
from .inspection import Damage, Inspection, check_whole, inspect
from .parts import PartedRecord
from .provenance import (
    check_origin,
    content,
    data_digest,
    differences,
    fingerprint,
    inputs,
    mixed,
    versions,
)
from .reading import (
    Answer,
    in_use,
    read_answers,
    read_info,
    read_labels,
    read_queries,
    read_rounds,
    read_summary,
)
from .record import Record
from .resuming import NothingToGoOnFrom
from .seals import ORIGIN
from .storage import (
    number,
    read_csv,
    read_npz,
    read_stacked,
    write_csv,
    write_json,
    write_npz,
    write_table,
)

__all__ = [
    "FORMAT",
    "ORIGIN",
    "Answer",
    "Damage",
    "Inspection",
    "NothingToGoOnFrom",
    "PartedRecord",
    "Record",
    "check_configuration",
    "check_origin",
    "check_whole",
    "content",
    "data_digest",
    "differences",
    "extensions",
    "fingerprint",
    "in_use",
    "inputs",
    "inspect",
    "mixed",
    "number",
    "read_answers",
    "read_csv",
    "read_info",
    "read_labels",
    "read_npz",
    "read_queries",
    "read_rounds",
    "read_stacked",
    "read_summary",
    "versions",
    "write_csv",
    "write_json",
    "write_npz",
    "write_table",
]

"""A run on disk: what it leaves behind, enough to go on from wherever it was stopped.

In come rounds; out go files that are whole or not there, and what was in them. The directory is the
source of truth: trackers, figures and explanations read it and never the other way round.
"""

from .provenance import content, fingerprint, versions
from .record import Record, in_use, read_info, read_queries, read_rounds, read_summary
from .storage import number, read_csv, read_stacked, write_csv, write_json, write_npz

__all__ = [
    "Record",
    "content",
    "fingerprint",
    "in_use",
    "number",
    "read_csv",
    "read_info",
    "read_queries",
    "read_rounds",
    "read_stacked",
    "read_summary",
    "versions",
    "write_csv",
    "write_json",
    "write_npz",
]

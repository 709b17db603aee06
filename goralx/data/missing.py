"""What stands for a missing value, in files and among labels."""

from __future__ import annotations

PANDAS = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
"""pandas' own list, which it does not hand out."""

MISSING = frozenset({*PANDAS, "?", "NaT"})
"""And UCI's question mark, and what a missing time becomes as text."""

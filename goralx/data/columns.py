"""What a column of a table holds: numbers, a category, prose, or what only tells rows apart."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

MAX_CATEGORIES = 100
"""More different texts than this in one column are identifiers or prose, not categories."""

PROSE = 3.0
"""Words in a text of prose, on average, at least."""

FEW_NUMBERS = 10
"""Up to so many different texts that look like numbers may be categories: 3G, 4G, 5G."""

DECIMAL_COMMA = re.compile(r"[-+]?(\d{1,3}([. ]\d{3})+|\d+),\d+([eE][-+]?\d+)?")
THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?")
WITH_UNIT = re.compile(
    r"[$€£¥]?\s*[-+]?\d[\d.,' ]*\s*([%°$€£¥]|[a-zA-Zµ]{1,3})?|\d{4}-\d\d?-\d\d?([ T][\d:.+Z]*)?"
)
EXACT = 2.0**53
"""From which on two whole numbers may be one in double precision."""
UNNAMED = re.compile(r"|Unnamed: \d+.*|__index_level_\d+__")


@dataclass(frozen=True, eq=False)
class Column:
    """A column ``values`` (n,) of a table; ``missing`` are the texts that stand for no value."""

    name: str
    values: pd.Series = field(repr=False)
    missing: Set[str] = field(repr=False)

    @cached_property
    def texts(self) -> pd.Series | None:
        """Its values as stripped text, NaN where there is none; None where all are numbers."""
        return self._read[0]

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """(n,), NaN where there is no number."""
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[pd.Series | None, NDArray[np.float64]]:
        import pandas as pd

        values = self.values
        if isinstance(values.dtype, pd.CategoricalDtype):
            values = values.astype(values.dtype.categories.dtype)
        if is_plain_number(values):
            return None, np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
        if values.dtype == object and _of_numbers(values):
            given = values.map(float, na_action="ignore")
            return None, np.asarray(given.to_numpy(dtype=np.float64, na_value=np.nan))
        texts = values.astype(object).where(values.notna())
        texts = texts.map(lambda v: str(v).strip(), na_action="ignore")
        texts = texts.where(~texts.isin(self.missing))
        numbers = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        plain = (~np.isnan(numbers) == texts.notna().to_numpy()).all()
        return (None if plain else texts), numbers

    @property
    def absent(self) -> NDArray[np.bool_]:
        """(n,), where there is no value."""
        texts = self.texts
        absent: NDArray[np.bool_] = (
            np.isnan(self.numbers) if texts is None else texts.isna().to_numpy()
        )
        return absent

    @cached_property
    def different(self) -> int:
        """How many different values there are."""
        if self.texts is not None:
            return int(self.texts.dropna().nunique())
        known = self.numbers[~self.absent]
        if (np.abs(known) >= EXACT).any():  # as numbers, neighbours are the same
            return int(self.values[~self.absent].astype(str).nunique())
        return len(np.unique(known))

    @property
    def unnamed(self) -> bool:
        return UNNAMED.fullmatch(self.name) is not None

    @property
    def is_category(self) -> bool:
        """Text, and not numbers that are written oddly."""
        return self.texts is not None and self.written_numbers is None

    @property
    def is_prose(self) -> bool:
        """Text to be read: too many texts for categories, or of several words."""
        if self.texts is None or not self.is_category:
            return False
        known = self.texts.dropna()
        words = float(np.mean([len(text.split()) for text in known])) if len(known) else 0.0
        return words >= PROSE or (self.different > MAX_CATEGORIES and words > 1.5)

    @cached_property
    def written_numbers(self) -> str | None:
        """How it writes the numbers it mostly holds: "comma", "thousands", "unit", or "mixed".

        None for numbers as they should be, and for what are not mostly numbers.
        """
        if self.texts is None:
            return None
        known = self.texts.dropna()
        plain = np.isfinite(self.numbers[~self.absent])

        def mostly(pattern: re.Pattern[str]) -> bool:
            like = known.str.fullmatch(pattern).to_numpy(dtype=bool)
            return bool(like.any() and 2 * (like | plain).sum() >= len(known))

        if mostly(THOUSANDS):
            return "thousands"
        if mostly(DECIMAL_COMMA):
            return "comma"
        if 2 * plain.sum() >= len(known):
            return "mixed"
        return "unit" if self.different > FEW_NUMBERS and mostly(WITH_UNIT) else None

    def first_text(self) -> tuple[Any, str, int]:
        """Where the first text that is no number stands, what it is, and how often it is there."""
        odd = self._odd
        return odd.index[0], str(odd.iloc[0]), int((odd == odd.iloc[0]).sum())

    @property
    def odd_texts(self) -> list[str]:
        """The different texts that are no numbers."""
        return [str(text) for text in dict.fromkeys(self._odd)]

    @property
    def _odd(self) -> pd.Series:
        assert self.texts is not None
        return self.texts[self.texts.notna().to_numpy() & np.isnan(self.numbers)]

    @property
    def tells_rows_apart(self) -> bool:
        """A different whole number, or a different text, in every row."""
        known = ~self.absent
        if known.sum() < 3 or self.different < known.sum():
            return False
        return self.texts is not None or whole(self.numbers[known])

    @property
    def counts_rows(self) -> bool:
        """Different whole numbers that come in order, or leave few out."""
        if self.texts is not None or not self.tells_rows_apart:
            return False
        known = self.numbers[~self.absent]
        return bool((np.diff(known) > 0).all() or np.ptp(known) < 2 * len(known))


def whole(values: NDArray[np.floating]) -> bool:
    """Whether all of these are whole numbers."""
    return bool(np.isfinite(values).all() and (values == np.round(values)).all())


def is_plain_number(values: pd.Series) -> bool:
    """Whether pandas holds numbers or truth values here."""
    from pandas.api.types import is_bool_dtype, is_complex_dtype, is_numeric_dtype

    numeric = is_numeric_dtype(values) or is_bool_dtype(values)
    return bool(numeric and not is_complex_dtype(values))


def _of_numbers(values: pd.Series) -> bool:
    from pandas.api.types import infer_dtype

    kinds = ("boolean", "integer", "floating", "mixed-integer-float", "decimal", "empty")
    return infer_dtype(values, skipna=True) in kinds


def as_written(labels: pd.Series) -> pd.Series:
    """Labels as text, NaN where there is none: 007 stays 007, and a whole 7.0 of pandas' is 7."""
    from pandas.api.types import CategoricalDtype, is_float_dtype

    if isinstance(labels.dtype, CategoricalDtype):
        labels = labels.astype(labels.dtype.categories.dtype)
    if is_float_dtype(labels):
        numbers = labels.to_numpy(dtype=np.float64, na_value=np.nan)
        if whole(numbers[~np.isnan(numbers)]):
            labels = labels.astype("Int64")
    return labels.astype(object).where(labels.notna()).map(str, na_action="ignore").astype(object)

"""All that is wrong with a table, in one line, with the options that decide, as they are typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from goralx.errors import BadInput, as_word

from .choices import Columns
from .columns import MAX_CATEGORIES, Column, whole
from .missing import MISSING
from .table_files import Table, listed

SHOWN = 12
"""Problems of one kind that are told one by one."""

MARKS = 4
"""Different texts among numbers that may all stand for a missing value."""


@dataclass
class Problems:
    """What `look_at` finds in the columns of a table that are to be used ``how`` is said."""

    how: Columns
    table: Table
    said: list[str] = field(default_factory=list)
    to_exclude: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    ways: dict[str, None] = field(default_factory=dict)

    def add(self, said: str, *, exclude: str | None = None, way: str | None = None) -> None:
        self.said.append(said)
        if exclude is not None and exclude not in self.to_exclude:
            self.to_exclude.append(exclude)
        if way is not None:
            self.ways[way] = None

    def look_at(self, label: Column, columns: Sequence[Column], text: Sequence[Column]) -> None:
        """Go through the label and the feature columns; ``text`` are those that are encoded."""
        unit = self.table.frame.index.name
        if label.absent.all():
            way = "name the column of the labels by dataset.label"
            self.add(f"the label column {label.name!r} is empty", way=way)
        if self.how.encoder is not None and not text:
            names = [c for c in self.table.frame.columns if c != self.table.label]
            way = f"name one by {as_word('dataset.text', names[:1] or ['COLUMN'])}"
            self.add("no column holds text to encode", way=way)
        full = [c for c in columns if not self._empty(c)]
        plain = [c for c in full if c not in text and not self._tells_nothing(c)]
        self._look_at_texts([c for c in plain if c.texts is not None], unit)
        for column in plain:
            if column.name in self.how.onehot and column.different > MAX_CATEGORIES:
                self._too_many(column)
            if column.texts is None and np.isinf(column.numbers).any():
                row = self.table.frame.index[int(np.isinf(column.numbers).argmax())]
                self.add(
                    f"infinite value in {unit} {row}, column {column.name!r}",
                    exclude=column.name,
                    way="leave infinite cells empty and set dataset.missing=drop (the row) or mean",
                )
        if self.how.missing != "drop":
            self._look_for_missing([c for c in (label, *full) if not c.absent.all()], label)

    def _empty(self, c: Column) -> bool:
        if c.absent.all():
            self.add(f"column {c.name!r} is empty", exclude=c.name)
        return bool(c.absent.all())

    def _tells_nothing(self, c: Column) -> bool:
        """Whether it can only be the saved number of each row, having no name."""
        if c.unnamed:
            known = c.numbers[~c.absent]
            if c.tells_rows_apart or (c.texts is None and whole(known)):
                what = "a column without a name, and looks like a saved index: it tells rows apart"
                self.add(f"{c.name!r} is {what}, and nothing else", exclude=c.name)
                return True
        elif not self.table.named and c.counts_rows and c.name not in self.how.onehot:
            what = "counts the rows and tells nothing else; if it does, give it a name in a header"
            self.add(f"column {c.name} {what}", exclude=c.name)
            return True
        return False

    def _look_at_texts(self, columns: Sequence[Column], unit: Any) -> None:
        categories, prose = [], []
        written: dict[str, list[Column]] = {}
        for c in columns:
            if c.name in self.how.onehot:
                continue
            if c.written_numbers is not None:
                written.setdefault(c.written_numbers, []).append(c)
            elif c.is_prose:
                prose.append(c)
            elif self.how.categorical == "onehot" and c.different > MAX_CATEGORIES:
                self._too_many(c)
            elif self.how.categorical == "onehot" and c.tells_rows_apart:
                what = "has a different text in every row: it tells rows apart"
                self.add(f"column {c.name!r} {what}, and nothing else", exclude=c.name)
            elif self.how.categorical == "error":
                categories.append(c)
        for how, alike in written.items():
            self._numbers_as_text(how, alike, unit)
        if prose:
            row, value, _ = prose[0].first_text()
            shown = value if len(value) < 40 else f"{value[:36]} ..."
            names = [c.name for c in prose]
            self.add(
                f"text: column{'s' * (len(names) > 1)} {listed(names)} (e.g. {shown!r} in {unit} "
                f"{row})",
                way="dataset.encoder=tfidf, terms or transformer makes vectors of text",
            )
            self.to_exclude += names
        if categories:
            row, value, _ = categories[0].first_text()
            names = [c.name for c in categories]
            self.add(
                f"not numbers: columns {listed(names)} (e.g. {value!r} in {unit} {row})",
                way="set dataset.categorical=onehot (a column a value) or dataset.categorical=drop",
            )
            self.to_exclude += names

    def _too_many(self, c: Column) -> None:
        what = f"has {c.different} different texts, more than {MAX_CATEGORIES}"
        way = f"dataset.encoder=tfidf {as_word('dataset.text', [c.name])} reads it as text"
        self.add(f"column {c.name!r} {what}", exclude=c.name, way=way)

    def _numbers_as_text(self, how: str, columns: Sequence[Column], unit: Any) -> None:
        """Columns of numbers that are not written as numbers, or not all of them."""
        names = [c.name for c in columns]
        row, value, _ = columns[0].first_text()
        which = f"column{'s' * (len(names) > 1)} {listed(names)} (e.g. {value!r} in {unit} {row})"
        if how == "mixed":
            word = as_word("dataset.onehot", [*self.how.onehot, *names])
            self.add(f"not all numbers: {which}", way=f"{word} makes a column a value")
            for odd in (c.odd_texts for c in columns):
                if len(odd) <= MARKS:
                    self.marks += [mark for mark in odd if mark not in self.marks]
            return
        comma, thousands = as_word("dataset.decimal", ","), as_word("dataset.thousands", ",")
        said, way = {
            "comma": ("decimal commas", f"set {comma}"),
            "thousands": (
                "commas in numbers",
                f"set {thousands} where they part thousands, {comma} where they are decimal",
            ),
            "unit": ("numbers that are written as text", "write them as plain numbers"),
        }[how]
        if how == "comma" and any("." in c.first_text()[1] for c in columns):
            way += f" {as_word('dataset.thousands', '.')}"
        self.add(f"{said}: {which}", way=way)
        if how == "unit":
            self.to_exclude += names

    def _look_for_missing(self, columns: Sequence[Column], label: Column) -> None:
        filled = self.how.missing == "mean"
        holes = [c for c in columns if c.absent.any() and (c is label or not filled)]
        for c in holes[:SHOWN]:
            row = self.table.frame.index[int(c.absent.argmax())]
            what = "label" if c is label else "value"
            self.add(
                f"missing {what} in {self.table.frame.index.name} {row}, column {c.name!r} "
                f"({int(c.absent.sum())} in that column)"
            )
        if len(holes) > SHOWN:
            self.add(f"missing values in {len(holes) - SHOWN} more columns")
        if holes:
            mean = "" if label in holes else ", or dataset.missing=mean (of the column)"
            self.ways[f"set dataset.missing=drop (the row){mean}"] = None
        if label in holes and self.table.na_labels == "missing":
            written = self.table.frame[label.name][label.absent].dropna()
            if (written.astype(str).str.strip() != "").any():
                way = "dataset.na_labels=class takes NA, ? and the like for classes"
                self.ways[way] = None

    def refuse(self) -> None:
        """`BadInput` if anything was found."""
        if not self.said:
            return
        ways = list(self.ways)
        if self.marks:
            given = sorted(self.table.missing - MISSING)
            word = as_word("dataset.na_values", [*given, *self.marks])
            ways.insert(0, f"set {word} if that stands for a missing value")
        if self.to_exclude:
            word = as_word("dataset.exclude", [*self.how.exclude, *self.to_exclude])
            ways.append(f"set {word} to leave out what is not to be used")
        count = f"{len(self.said)} problems: " if len(self.said) > 1 else ""
        remedy = "".join(f" · {way}" for way in ways)
        raise BadInput(f"{self.table.source}: {count}{'; '.join(self.said)}{remedy}")

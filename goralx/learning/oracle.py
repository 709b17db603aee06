"""Who answers for the labels that a round asks for."""

from __future__ import annotations

from goralx.data import Instance, Labels, Rows


class Oracle:
    """Knows the hidden labels; answers for the rows it is asked about and counts nothing."""

    def __init__(self, instance: Instance) -> None:
        self._y = instance.y

    def reveal(self, rows: Rows) -> Labels:
        """True labels of the given source rows."""
        return self._y[rows]

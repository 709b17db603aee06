"""Arrays that several components see, and none may change for the others."""

from __future__ import annotations

from typing import Any

import numpy as np


def read_only(values: Any) -> Any:
    """The same numbers in the same memory, as an array that refuses to be written to.

    Whoever handed the array in may write to it as before. What is no array (None, a matrix that is
    read block by block) comes back as it is.
    """
    if not isinstance(values, np.ndarray) or not values.flags.writeable:
        return values
    seen = values.view()
    seen.flags.writeable = False
    return seen


def guard_fields(owner: Any, *names: str) -> None:
    """Make these fields of a frozen dataclass `read_only`; for its ``__post_init__``."""
    for name in names:
        object.__setattr__(owner, name, read_only(getattr(owner, name)))

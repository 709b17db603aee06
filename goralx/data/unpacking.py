"""Compressed files: how much they unpack to is known before memory is taken for it."""

from __future__ import annotations

import os
import zipfile
from contextlib import suppress
from pathlib import Path

from goralx.errors import BadInput

UNKNOWN = 64 << 30
"""Bytes that are taken to be there where the system does not say."""


def check_fits(path: Path, n_bytes: int, what: str = "it") -> None:
    """Refuse what unpacks to more bytes than this machine has, or the process may have."""
    most = memory()
    if n_bytes > most:
        raise BadInput(
            f"{path}: {what} unpacks to more than the {most / 2**30:.3g} GiB of memory that there "
            "are · if that is meant, keep it on disk (dataset=npy, or .parquet)"
        )


def check_archive(path: Path, *names: str) -> None:
    """Refuse an ``.npz`` if one of these arrays of it, or any without names, does not fit."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not names or member.filename.removesuffix(".npy") in names:
                check_fits(path, member.file_size, member.filename)


def memory() -> int:
    """Bytes of memory, in use or free, up to the process's own limit."""
    found = UNKNOWN
    with suppress(OSError, ValueError, AttributeError):
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(ImportError):  # not on Windows
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            found = min(found, limit)
    return found

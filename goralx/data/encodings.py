"""Which encoding a file of text is in: said by its first bytes, or by all of them, or asked for."""

from __future__ import annotations

import codecs
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from goralx.errors import BadInput, as_word

from .unpacking import check_fits

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
CHUNK = 1 << 20


def encoding_of(path: Path, given: str | None) -> str:
    """The encoding of a file of text, which may be compressed.

    Unless ``given``, a byte order mark says it, or zeros at every other byte (UTF-16 without a
    mark), or else it is UTF-8 if all of the file is. The many encodings of one byte a character
    cannot be told from one another: `BadInput` then says which options there are.
    """
    if given is not None:
        try:
            codec = codecs.lookup(given)
        except LookupError:
            raise BadInput(
                f"dataset.encoding={given} is no encoding; e.g. utf-8, utf-16, cp1252, latin-1"
            ) from None
        _decode(path, codec)
        return given
    start = next(_chunks(path), b"")
    for mark, encoding in MARKS:
        if start.startswith(mark):
            return encoding
    even, odd = start[0::2].count(0), start[1::2].count(0)
    if odd > 9 * even:  # no other text has zeros
        return "utf-16-le"
    if even > 9 * odd:
        return "utf-16-be"
    _decode(path, codecs.lookup("utf-8"))
    return "utf-8"


def _decode(path: Path, codec: codecs.CodecInfo) -> None:
    """Read all of it; the first byte that is not of this encoding is refused in words."""
    decoder, line, high = codec.incrementaldecoder(), 1, False
    for chunk in _chunks(path):
        try:
            text = decoder.decode(chunk)
        except UnicodeDecodeError as error:
            line += chunk[: error.start].count(b"\n")
            byte = error.object[error.start]
            high = high or any(0x80 <= b < 0xA0 for b in chunk)
            likely, instead = ("cp1252", "latin-1") if high else ("latin-1", "cp1252")
            raise BadInput(
                f"{path} is not {codec.name.upper()}: byte 0x{byte:02X} in line {line}; save it as "
                f"UTF-8, or set {as_word('dataset.encoding', likely)} (or {instead}, or whatever "
                "it was saved in)"
            ) from None
        line += text.count("\n")


def _chunks(path: Path) -> Iterator[bytes]:
    unpacked = 0
    with opened(path) as stream:
        while chunk := stream.read(CHUNK):
            unpacked += len(chunk)
            check_fits(path, unpacked)
            yield chunk


def opened(path: Path) -> IO[bytes]:
    """The file, decompressed as its name says."""
    import bz2
    import gzip
    import lzma

    match path.suffix.lower():
        case ".gz":
            return cast(IO[bytes], gzip.open(path))
        case ".bz2":
            return cast(IO[bytes], bz2.open(path))
        case ".xz":
            return cast(IO[bytes], lzma.open(path))
        case ".zip":
            with zipfile.ZipFile(path) as archive:
                members = [name for name in archive.namelist() if not name.endswith("/")]
                if len(members) != 1:
                    raise BadInput(f"{path} holds {len(members)} files; allowed: one table")
                return archive.open(members[0])
    return path.open("rb")

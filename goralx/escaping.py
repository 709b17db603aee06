"""Text from data, shown: a class, a column or a file may be called anything.

Whoever shows text that came from a file, an option or a plugin passes it through here, once, at the
last moment, for the place where it goes. JSON and arrays keep the text itself.

==============  =====================================  ===========================================
`for_terminal`  stdout, stderr, one line or a cell      escape sequences, line breaks, bidi controls
`for_picture`   any string handed to matplotlib         as above, and ``$``, which is mathematics
`for_csv`       a cell of a table that people open      ``=cmd|...``: formulae in spreadsheets
`from_csv`      the same cell, read back
`for_html`      between tags and in quoted attributes   ``<script>``, entities
`for_markdown`  running text and cells of a table       emphasis, links, tags, ``|``
`for_latex`     running text                            the ten special characters
==============  =====================================  ===========================================

`say` prints to a terminal that may not know every letter.
"""

from __future__ import annotations

import html
import os
import re
import sys
import unicodedata
from typing import IO

UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Categories of characters that steer a terminal or a line instead of being seen in it."""

JOINERS = frozenset("\u200c\u200d")
"""Of those, the two that several scripts are not readable without."""

FORMULA = tuple("=+-@\t\r")
"""What makes a spreadsheet read a cell as a formula."""

LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
}


def for_terminal(text: object) -> str:
    """One line, all of it visible: what would steer the terminal is written as in Python."""
    return "".join(_seen(c) for c in str(text))


def _seen(c: str) -> str:
    steers = unicodedata.category(c) in UNSEEN and c not in JOINERS
    return ascii(c)[1:-1] if steers else c


def for_picture(text: object) -> str:
    """As it is: matplotlib takes ``$`` in pairs for mathematics unless each is escaped."""
    return for_terminal(text).replace("$", r"\$")


def for_csv(text: object) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe goes before it.

    Numbers stay as they are. `from_csv` gives the text back, whatever it was.
    """
    cell = str(text)
    risky = cell.lstrip("'").startswith(FORMULA) and not _is_number(cell)
    return f"'{cell}" if risky else cell


def from_csv(cell: str) -> str:
    """The text that `for_csv` made this cell of."""
    text = cell.removeprefix("'")
    return text if for_csv(text) == cell else cell


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)", text) is not None


def for_html(text: object) -> str:
    """Between tags, or in an attribute within quotes."""
    return html.escape(for_terminal(text), quote=True)


def for_markdown(text: object) -> str:
    """Running text or a cell of a table, in CommonMark: punctuation is escaped."""
    return re.sub(r"([\\`*_{}\[\]<>()#+\-.!|~$&])", r"\\\1", for_terminal(text))


def for_latex(text: object) -> str:
    """Running text."""
    return "".join(LATEX.get(c, c) for c in for_terminal(text))


def say(text: str, file: IO[str] | None = None) -> None:
    """Print lines whose parts are escaped, to stdout unless told otherwise.

    Letters that the stream's encoding lacks are written as in Python. Anything that would steer
    the terminal is escaped in any case; line breaks are the caller's own. Whoever read the stream
    may have had enough, as in ``goralx ... | head``: what is said goes nowhere then, and the work
    goes on.
    """
    stream = sys.stdout if file is None else file
    lines = "\n".join(for_terminal(line) for line in text.split("\n"))
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        print(lines.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

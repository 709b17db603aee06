"""Letters that the pictures' font lacks: taken from other fonts on this machine, or spelt out."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from goralx.escaping import for_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OURS = ("DejaVu", "STIXGeneral")
"""Of the fonts that come with matplotlib, those whose letters are where Unicode has them."""


def caption(text: object) -> str:
    """Text from data, for any string of a picture: letters that no font has are spelt out."""
    shown = for_picture(text)
    lacking = _lacking(shown)
    absent = lacking - frozenset().union(*(_letters(path) for path in _fonts_for(lacking).values()))
    return "".join(ascii(c)[1:-1] if c in absent else c for c in shown)


def use_fonts(figure: Figure) -> None:
    """Have every text of a figure look for its letters in all the fonts that it needs."""
    import matplotlib
    from matplotlib.text import Text

    texts = figure.findobj(Text)
    needed = _fonts_for(_lacking("".join(text.get_text() for text in texts)))
    if needed:
        families = [*matplotlib.rcParams["font.family"], *needed]
        for text in texts:
            text.set_fontfamily(families)


def _lacking(text: str) -> frozenset[str]:
    """Characters that the font of the pictures, plain or bold, does not have."""
    from matplotlib.font_manager import FontProperties, findfont

    if text.isascii():
        return frozenset()
    own = [findfont(FontProperties(weight=weight)) for weight in ("normal", "bold")]
    return frozenset(text) - (_letters(own[0]) & _letters(own[1])) - {"\n"}


@cache
def _fonts_for(lacking: frozenset[str]) -> dict[str, str]:
    """Families, with a file of each, that have as many of these as any font here has, few first."""
    covers = {} if not lacking else {font: lacking & _letters(font[1]) for font in _fonts()}
    chosen: dict[str, str] = {}
    left = lacking
    while left and covers:
        family, path = max(covers, key=lambda font: len(covers[font] & left))  # the first of equals
        found = covers.pop((family, path)) & left
        if not found:
            break
        chosen.setdefault(family, path)
        left -= found
    return chosen


@cache
def _fonts() -> list[tuple[str, str]]:
    """Families on this machine with a file of each, upright and of normal weight if it can be."""
    import matplotlib
    from matplotlib.font_manager import fontManager

    bundled = Path(matplotlib.get_data_path())
    plainness = sorted(
        fontManager.ttflist,
        key=lambda f: (f.name, f.style != "normal", f.weight not in (400, "normal", "regular")),
    )
    usable = (
        f for f in plainness if f.name.startswith(OURS) or bundled not in Path(f.fname).parents
    )
    return list(_first_of_each((f.name, f.fname) for f in usable))


def _first_of_each(fonts: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    seen: set[str] = set()
    for family, path in fonts:
        if family not in seen:
            seen.add(family)
            yield family, path


@cache
def _letters(path: str) -> frozenset[str]:
    """The characters of a font file; none of one that cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except (OSError, RuntimeError, ValueError):
        return frozenset()

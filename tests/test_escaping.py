"""Text from data comes out as text: whatever it is called, wherever it is shown."""

from __future__ import annotations

import csv
import html.parser
import io
import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text

from goralx import escaping

ANYTHING = st.text(st.characters(codec=None))
PRINTABLE = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]))
SPICY = st.text(st.sampled_from(list("\\$_^{}&%#~<>|\"'`*[]()!=+-@\t\r\n\x1b\u202ea1 .好")))


@given(ANYTHING | SPICY)
def test_nothing_that_steers_a_terminal_is_left(text):
    shown = escaping.for_terminal(text)
    steering = [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert set(steering) <= escaping.JOINERS
    assert escaping.for_terminal(shown) == shown


@given(PRINTABLE)
def test_what_can_be_seen_is_shown_as_it_is(text):
    assert escaping.for_terminal(text) == text


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\nb", "\u202etxt.exe", "\x9b2J", "\ud800"])
def test_what_cannot_be_seen_is_written_as_in_python(text):
    shown = escaping.for_terminal(text)
    assert shown == ascii(text)[1:-1]


@given(PRINTABLE | SPICY)
def test_matplotlib_shows_the_text_and_no_mathematics(text):
    drawn, is_math = Text(text="")._preprocess_math(escaping.for_picture(text))
    assert (drawn, is_math) == (escaping.for_terminal(text), False)


@given(ANYTHING | SPICY)
def test_no_cell_is_a_formula_and_each_reads_back(text):
    cell = escaping.for_csv(text)
    number = re.fullmatch(r"[+-][\d.eE+-]*(inf|nan)?", cell)
    assert number or not cell.startswith(tuple("=+-@\t\r"))
    assert escaping.from_csv(cell) == text


@given(ANYTHING | SPICY)
def test_what_was_no_cell_of_ours_is_read_as_it_is(text):
    assert escaping.for_csv(escaping.from_csv(text)) in (text, escaping.for_csv(text))


@pytest.mark.parametrize("number", ["-1", "+1", "-1.5e-3", "-.5", "-inf", "-nan"])
def test_numbers_are_no_formulae(number):
    assert escaping.for_csv(number) == number


def test_a_table_of_cells_keeps_its_rows():
    out = io.StringIO()
    csv.writer(out).writerow([escaping.for_csv("=1+1"), escaping.for_csv("\r\nx")])
    (row,) = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert [escaping.from_csv(cell) for cell in row] == ["=1+1", "\r\nx"]


class Reader(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, attrs))

    def handle_data(self, data):
        self.text += data


@given(PRINTABLE | SPICY)
def test_html_says_the_text_between_tags_and_in_attributes(text):
    reader, shown = Reader(), escaping.for_html(text)
    reader.feed(f'<td title="{shown}">{shown}</td>')
    reader.close()
    assert reader.tags == [("td", [("title", escaping.for_terminal(text))])]
    assert reader.text == escaping.for_terminal(text)


@given(SPICY | PRINTABLE)
def test_markdown_says_the_text(text):
    render = pytest.importorskip("markdown_it").MarkdownIt().render
    reader = Reader()
    reader.feed(render(f"x{escaping.for_markdown(text)}x"))
    reader.close()
    said = f"x{escaping.for_terminal(text)}x"
    assert [tag for tag, _ in reader.tags] == ["p"]
    assert reader.text.rstrip("\n") == said


@given(SPICY | PRINTABLE)
def test_latex_has_no_command_but_those_that_print_a_character(text):
    shown = escaping.for_latex(text)
    spelt = {made: c for c, made in escaping.LATEX.items()}
    pieces = re.split(
        "(" + "|".join(map(re.escape, sorted(spelt, key=len, reverse=True))) + ")", shown
    )
    assert "".join(spelt.get(piece, piece) for piece in pieces) == escaping.for_terminal(text)
    assert not any(c in piece for piece in pieces if piece not in spelt for c in escaping.LATEX)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_is_said_reaches_any_terminal(encoding, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    escaping.say("好 \x1b[2J\nsecond")
    first, second = raw.getvalue().decode(encoding).splitlines()
    assert "\x1b" not in first and r"\x1b[2J" in first and second == "second"

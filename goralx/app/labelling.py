"""``goralx label``: a person, a terminal, and the samples that are worth a label."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from goralx import escaping
from goralx.data import Tfidf
from goralx.errors import BadInput

from .shared import Parser

if TYPE_CHECKING:
    from goralx.library import Session

HELP = """\
Label a pool of texts: what is asked is what raises the goal most. Every answer is on disk at once;
the same command goes on where you stopped.

  goralx label reviews reviews.csv --text review --classes bad,good
  goralx label reviews                                  go on
  goralx label reviews --export tasks.json -n 50        for Label Studio (or .csv, .jsonl)
  goralx label reviews --import annotations.json        its answers
"""
KEYS = "number or name of a class · s skip · u undo · q quit"


def label(words: list[str]) -> int:
    """``goralx label DIRECTORY [TEXTS]``."""
    import argparse

    parser = Parser(
        prog="goralx label", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="the session's folder")
    parser.add_argument("texts", type=Path, nargs="?", metavar="TEXTS", help=".csv, .jsonl or .txt")
    parser.add_argument("--text", help="the column of the texts; the only one, or 'text'")
    parser.add_argument("--classes", help="names, separated by commas")
    for group, default in (("goal", "ent"), ("operator", "max"), ("strategy", "goral")):
        parser.add_argument(f"--{group}", default=default, help=f"default {default}")
    parser.add_argument("--export", type=Path, metavar="FILE", help="write what to label next")
    parser.add_argument("-n", type=int, default=20, help="how many to export, default 20")
    parser.add_argument("--import", type=Path, metavar="FILE", dest="answers", help="read answers")
    parser.add_argument("--new-classes", action="store_true", help="labels may name new classes")
    asked = parser.parse_args(words)
    session = _session(asked)
    if asked.answers:
        n = session.take_in(asked.answers, new_classes=asked.new_classes)
        escaping.say(f"{n} labels taken in, {len(session.told)} in all")
    if asked.export:
        asked_for = session.export(asked.export, asked.n)
        escaping.say(f"{len(asked_for)} samples in {asked.export}")
    if not (asked.answers or asked.export):
        converse(session, new_classes=asked.new_classes)
    return 0


def _session(asked: object) -> Session:
    """The session in the folder, or a new one."""
    from goralx.library import Session

    given = vars(asked)
    if given["texts"] is None:
        if not given["directory"].exists():
            raise BadInput(
                f"{given['directory']} is no session yet; begin one with: goralx label "
                f"{given['directory']} TEXTS.csv --classes a,b"
            )
        return Session.load(given["directory"])
    if not given["classes"]:
        raise BadInput("--classes: name what a text may be, e.g. --classes bad,good")
    texts = read_texts(given["texts"], given["text"])
    return Session(
        Tfidf().encode(texts).rows,
        directory=given["directory"],
        classes=[name.strip() for name in given["classes"].split(",")],
        texts=texts,
        **{group: given[group] for group in ("goal", "operator", "strategy")},
    )


def read_texts(path: Path, column: str | None) -> list[str]:
    """Texts of a file: a column of .csv, a key of .jsonl, or the lines of .txt."""
    import pandas as pd

    try:
        if path.suffix.lower() == ".txt":
            texts = path.read_text(encoding="utf-8").splitlines()
        elif path.suffix.lower() == ".jsonl":
            lines = path.read_text(encoding="utf-8").splitlines()
            frame = pd.DataFrame([json.loads(line) for line in lines if line.strip()])
            texts = _column(frame, column, path)
        elif path.suffix.lower() == ".csv":
            texts = _column(pd.read_csv(path, dtype=str, keep_default_na=False), column, path)
        else:
            raise BadInput(f"{path}; allowed: .csv, .jsonl, .txt")
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    empty = [i for i, text in enumerate(texts) if not text.strip()]
    if empty or not texts:
        raise BadInput(f"{path}: row {empty[0]} is empty" if texts else f"{path}: no texts")
    return texts


def _column(frame: object, column: str | None, path: Path) -> list[str]:
    import pandas as pd

    assert isinstance(frame, pd.DataFrame)
    names = [str(name) for name in frame.columns]
    name = column or ("text" if "text" in names or len(names) != 1 else names[0])
    if name not in names:
        raise BadInput(f"{path} has no column {name!r}; --text: {', '.join(names)}")
    return [str(text) for text in frame[name].tolist()]


def converse(session: Session, *, new_classes: bool = False) -> None:
    """Ask, show, listen, tell; until nothing is left, or whoever answers has had enough."""
    escaping.say(KEYS)
    while len(session.left):
        asked = session.ask(1)
        show(session, asked.ids[0], asked.reasons[0])
        if not _answered(session, int(asked.ids[0]), new_classes=new_classes):
            break
    escaping.say(
        f"{len(session.told)} labelled, {len(session.skipped)} skipped, {len(session.left)} left · "
        f"go on with: goralx label {session.directory}"
    )


def show(session: Session, id: int, reason: str) -> None:
    texts = session.texts
    escaping.say(f"\n#{id} · {reason}")
    escaping.say(texts[id] if texts is not None else f"row {id}")
    escaping.say("  ".join(f"[{k}] {name}" for k, name in enumerate(session.classes, start=1)))


def _answered(session: Session, id: int, *, new_classes: bool) -> bool:
    """Listen until something is told, skipped or undone; False to stop."""
    while True:
        try:
            word = input("> ").strip()
        except EOFError:
            return False
        if word == "q":
            return False
        try:
            if word == "s":
                session.skip(id)
            elif word == "u":
                session.undo()
            elif word:
                session.tell(id, _label(word, session.classes), new_classes=new_classes)
            else:
                continue
            return True
        except BadInput as error:
            escaping.say(f"{error} · {KEYS}")


def _label(word: str, classes: Sequence[object]) -> object:
    """A class by name, or by its number in the list; whatever else was said as it was said."""
    named = {str(name): name for name in classes}
    if word in named:
        return named[word]
    if word.isdecimal() and 1 <= int(word) <= len(classes):
        return classes[int(word) - 1]
    return word

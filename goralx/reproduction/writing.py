"""What comes out: ``claims.csv``, the page with figures and verdicts, and how it was made."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from goralx.records import number, versions, write_csv, write_json

from .claims import Checked
from .evidence import FAILS, HOLDS, OPEN, Evidence
from .results import Results

TITLES = {
    "table1": "Table 1: data sets",
    "fig1": "Figure 1: the synth2 data set",
    "fig2": "Figure 2: approximation quality, single samples",
    "fig3": "Figure 3: approximation quality, batches of ten",
    "fig4": "Figure 4: utility distributions under various goals and batch sizes",
    "fig5": "Figure 5: snapshots on synth2",
    "fig6": "Figure 6: learning and goal curves on letter",
    "fig7": "Figure 7: utility distributions on letter",
    "fig8": "Figure 8: learning and goal curves on rt-polarity",
    "fig9": "Figure 9: utility distributions on rt-polarity",
}

NOTES = {
    "table1": "The sentences of rt-polarity are MiniLM vectors of 384 features here, in place of "
    "BERT's 768, wherever that is what the given data holds.",
    "fig1": "A reconstruction: the paper prints no coordinates.",
    "fig3": "The first draw has all 491 windows, the others fifty.",
    "fig6": "Mean over seeds, bands of the bootstrap mean (95 %). Dotted: the full pool. Dashed: "
    "margin sampling with the dev labels added to training, its queries counted without them.",
    "fig8": "As Figure 6.",
}

STYLES = {HOLDS: "holds", FAILS: "fails", OPEN: "open"}
LEAD = (
    "A claim holds where the whole interval lies where the sentence says, does not where none of "
    "it does, and cannot be said in between or below five seeds. Intervals are 95 %, of the "
    "bootstrap mean over paired seeds, unless they are a range over all seeds, a count or exact."
)


@dataclass(frozen=True)
class Section:
    """A part of the page; ``pictures`` are PNG files, ``tables`` rows of text with a head."""

    title: str
    text: str = ""
    pictures: tuple[Path, ...] = ()
    claims: tuple[Checked, ...] = ()
    tables: tuple[Sequence[Sequence[str]], ...] = field(default=())


def counts(checked: Sequence[Checked]) -> str:
    """How many claims hold, do not, and cannot be said."""
    found = [c.verdict for c in checked]
    each = ", ".join(
        f"{found.count(v)} {w}"
        for v, w in ((HOLDS, "hold"), (FAILS, "do not"), (OPEN, "cannot be said"))
    )
    return f"{len(found)} claims: {each}."


COLUMNS = (
    "name",
    "item",
    "verdict",
    "number",
    "low",
    "high",
    "interval",
    "n_seeds",
    "against",
    "expected",
    "what",
    "sentence",
)


def write_claims(path: Path, checked: Sequence[Checked]) -> None:
    """One row a claim; numbers so that they read back exactly."""
    lines = []
    for c in checked:
        e = c.evidence
        numbers = [
            number(float(value)) if math.isfinite(value) else ""
            for value in (e.number, e.low, e.high)
        ]
        lines.append(
            [c.claim.name, c.claim.item, c.verdict, *numbers, e.kind, e.n_seeds, e.beside,
             str(c.claim.region), c.claim.what, c.claim.sentence]
        )  # fmt: skip
    write_csv(path, [COLUMNS, *lines])


def shown(value: float) -> str:
    """Four significant digits; a dash for what there is not."""
    return f"{value:.4g}" if math.isfinite(value) else "-"


def between(evidence: Evidence) -> str:
    """The interval, in words where it is not 95 %."""
    if evidence.kind == "exact":
        return "exact"
    if not math.isfinite(evidence.low) or not math.isfinite(evidence.high):
        return "-"
    words = f"{shown(evidence.low)} to {shown(evidence.high)}"
    return words if evidence.kind == "mean" else f"{evidence.kind} {words}"


def write_page(
    path: Path, title: str, sections: Sequence[Section], command: str, lead: str = LEAD
) -> None:
    """A page of its own: no address outside itself, text escaped, pictures within."""
    from jinja2 import Environment

    text = (resources.files(__package__) / "templates" / "page.html").read_text(encoding="utf-8")
    page = Environment(autoescape=True).from_string(text)
    checked = [c for section in sections for c in section.claims]
    path.write_text(
        page.render(
            title=title,
            counts=counts(checked) if checked else "",
            lead=lead,
            command=command,
            versions=", ".join(f"{name} {version}" for name, version in versions().items()),
            sections=[_section(section) for section in sections],
        ),
        encoding="utf-8",
    )


def _section(section: Section) -> dict[str, Any]:
    pictures = [base64.b64encode(p.read_bytes()).decode() for p in section.pictures if p.is_file()]
    return {
        "title": section.title,
        "text": section.text,
        "pictures": pictures,
        "claims": [_row(c) for c in section.claims],
        "tables": section.tables,
    }


def _row(c: Checked) -> dict[str, str]:
    e = c.evidence
    return {
        "name": c.claim.name,
        "sentence": c.claim.sentence,
        "what": c.claim.what,
        "against": e.beside,
        "number": shown(e.number),
        "between": between(e),
        "expected": str(c.claim.region),
        "n_seeds": str(e.n_seeds) if e.n_seeds else "",
        "verdict": c.verdict,
        "style": STYLES[c.verdict],
    }


def write_provenance(path: Path, command: str, results: Mapping[str, Results]) -> None:
    """How it was made: the command, versions, and each arm's own command and seeds."""
    arms = {
        name: {
            arm.name: {"command": arm.command(), "seeds": len(found.of(arm.name))}
            for arm in found.plan.arms
        }
        for name, found in results.items()
    }
    write_json(path, {"command": command, "versions": versions(), "arms": arms})

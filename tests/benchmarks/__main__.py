"""Measure goralx against its peers and the machine's limits: `python -m tests.benchmarks`.

Prints a table and saves it as JSON. ``--smoke`` uses small synthetic sizes, where ratios mean
little; ``--only 1 3`` measures some items; ``--show FILE`` prints the ten
rows of what was saved that say most, as Markdown, and draws all comparisons beside it. Needs
the extra ``bench`` and GORALX_DATA.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import platform
import warnings
from contextlib import suppress
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from goralx.contracts.passes import keep_freed_memory

from . import picture
from .measure import Row

ITEMS = {
    1: "whole_run", 2: "passes", 3: "fits", 4: "expected_error", 5: "command_line",
    6: "second_order", 7: "large", 8: "any_size",
}  # fmt: skip
TOLD = (
    "letter: 100 rounds of 10, ent/scikit-activeml",
    "rt_polarity: 100 rounds of 10, ent/scikit-activeml",
    "10,000 x 768, 10 classes: 100 rounds of 10, ent/scikit-activeml",
    "10,000 x 384, 100 classes: 100 rounds of 10, ent/scikit-activeml",
    "cold query, 10,000 x 768, 10 classes, 300 labels/scikit-learn's fit and predict_proba",
    "cold query, 50,000 x 768, 100 classes, 1,000 labels/scikit-learn's fit and predict_proba",
    "cold query, 20,000 x 512, 1,000 classes, 2,000 labels/scikit-learn's fit and predict_proba",
    "letter: one round over the pool/scikit-activeml MonteCarloEER",
    "retraining 500 x 2, d = 384/a scikit-learn loop",
    "1,000,000 x 768 on disk, 100 classes, 1e6 samples/100,000 in memory",
)
"""The rows that README tells of, as what/against; the others are in the file beside it."""
PACKAGES = ("goralx", "numpy", "scipy", "scikit-learn", "scikit-activeml", "mlflow")


def table(rows: list[Row]) -> str:
    """Aligned lines; the ratio is starred where it misses its target."""
    lines = [("item", "what", "ours, s", "against", "s", "ratio", "target", "MB", "")]
    for r in rows:
        star = "" if r.met else " *"
        lines.append(
            (str(r.item), r.what, f"{r.ours:.3g}", r.other, f"{r.against:.3g}",
             f"{r.ratio:.3g}{star}", "" if r.target is None else f"{r.bound} {r.target:.3g}",
             "" if r.peak_mb != r.peak_mb else f"{r.peak_mb:.0f}", r.note)
        )  # fmt: skip
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip() for line in lines)


def measure(items: list[int], smoke: bool) -> list[Row]:
    keep_freed_memory()  # as every run does; what is measured beside it profits alike
    rows: list[Row] = []
    for item in items:
        name = f"{__package__}.{ITEMS[item]}"
        if importlib.util.find_spec(name) is None:
            continue
        for row in importlib.import_module(name).rows(smoke):
            print(f"{row.what}: {row.ratio:.3g}", flush=True)
            rows.append(row)
    return rows


def about() -> dict[str, Any]:
    """When, on which kind of machine, and with which versions."""
    model = platform.processor() or platform.machine()
    with suppress(OSError):
        cpuinfo = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
        named = [line.partition(":")[2].strip() for line in cpuinfo.splitlines() if "name" in line]
        model = next((name for name in named if name), model)
    versions = {"python": platform.python_version(), **{p: version(p) for p in PACKAGES}}
    machine = {"cpus": os.cpu_count(), "processor": model, "BLAS threads": 1}
    return {"date": date.today().isoformat(), "machine": machine, "versions": versions}


def save(rows: list[Row], path: Path, smoke: bool) -> None:
    """Everything measured, and what it was measured on."""
    found = [{**asdict(row), "ratio": row.ratio, "met": row.met} for row in rows]
    for row in found:
        row["peak_mb"] = None if row["peak_mb"] != row["peak_mb"] else row["peak_mb"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**about(), "smoke": smoke, "rows": found}, indent=2), "utf-8")


def markdown(saved: dict[str, Any]) -> str:
    """Ten rows of what was saved, for people; a ratio in italics misses its target."""
    lines = ["| | seconds | against | ratio | asked |", "|---|---|---|---|---|"]
    found = {f"{row['what']}/{row['other']}": row for row in saved["rows"]}
    for row in (found[name] for name in TOLD if name in found):
        asked = "" if row["target"] is None else f"{row['bound']} {_figure(row['target'])}"
        mark = "" if row["met"] else "*"
        against = row["other"] if row["other"] != "seconds" else ""
        ratio = f"{mark}{_figure(row['ratio'])}{mark}"
        lines.append(f"| {row['what']} | {_figure(row['ours'])} | {against} | {ratio} | {asked} |")
    return "\n".join(lines)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main(arguments: list[str] | None = None) -> list[Row]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="small synthetic sizes")
    parser.add_argument("--only", type=int, nargs="*", choices=sorted(ITEMS), default=None)
    parser.add_argument("--out", type=Path, default=Path("outputs/benchmarks.json"))
    parser.add_argument("--show", type=Path, default=None)
    options = parser.parse_args(arguments)
    if options.show is not None:
        saved = json.loads(options.show.read_text(encoding="utf-8"))
        print(markdown(saved))
        picture.draw(saved, options.show.with_name("speed.png"))
        return []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = measure(options.only or sorted(ITEMS), options.smoke)
    save(rows, options.out, options.smoke)
    found = about()
    on = ", ".join(
        f"{name} {v}" for part in ("machine", "versions") for name, v in found[part].items()
    )
    print(
        f"\n{table(rows)}\n\n* misses its target · {found['date']} · {on}\nsaved to {options.out}"
    )
    return rows


if __name__ == "__main__":
    main()

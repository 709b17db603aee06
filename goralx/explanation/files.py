"""The files of an explained round: ``explanation.json``, ``.csv`` and ``.png`` in its folder.

JSON has everything, CSV a row a sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from goralx.escaping import for_csv
from goralx.records import number, write_csv, write_json

from .explained_round import ExplainedRound
from .text import reference_class

N_MOVERS = 5
"""Reference samples that gain most, and lose most, in JSON."""


def write(explained: ExplainedRound) -> None:
    """All files of `ExplainedRound.folder`."""
    from .figures import draw

    explained.folder.mkdir(parents=True, exist_ok=True)
    found = as_json(explained)
    write_json(explained.folder / "explanation.json", found)
    write_csv(explained.folder / "explanation.csv", _rows(found["samples"]))
    draw(explained)


def as_json(explained: ExplainedRound) -> dict[str, Any]:
    """Everything, as what JSON knows; what has no value is null."""
    e, tags = explained.explanation, explained.info.tags
    groups = ("dataset", "strategy", "goal", "operator", "utility", "batch")
    agreement = [None if math.isnan(a) else a for a in e.agreement.tolist()]
    return {
        "run": explained.info.name,
        "round": explained.round,
        **{group: tags[f"goralx.{group}"] for group in groups},
        "n_labelled": explained.n_labelled,
        "n_candidates": e.n_candidates,
        "n_ranked": e.n_ranked,
        "queried": explained.batch.tolist(),
        "reference": {"kind": explained.reference, "size": len(explained.reference_ids)},
        "refit": explained.refit,
        "reproduced": explained.reproduced,
        "largest_difference": _known(explained.difference),
        "vacuous": e.vacuous,
        "spread": e.spread,
        "noise": e.noise,
        "indivisible": e.indivisible or None,
        "agreement": dict(zip(e.operators, agreement)),
        "samples": [_sample(explained, i) for i in range(len(e.chosen))],
    }


def _sample(explained: ExplainedRound, i: int) -> dict[str, Any]:
    e = explained.explanation
    names = e.classes.tolist()
    label = int(e.shown[i])
    up, down = e.moved(i, label)
    sides = zip(("gains", "losses"), () if e.indivisible else e.movers(i, label, N_MOVERS))
    return {
        "pool_id": int(explained.pool_ids[i]),
        "label": names[label],
        "predicted": dict(zip(names, e.P[i].tolist())),
        "utilities": dict(zip(names, e.U[i].tolist())),
        "utility": float(e.utility[i]),
        "rank": int(e.rank[i]) or None,
        "kappa": None if e.trust is None else float(e.trust[i]),
        "operators": {
            name: {"utility": float(e.resolved[o, i]), "rank": int(e.ranks[o, i]) or None}
            for o, name in enumerate(e.operators)
        },
        "gained": _known(up),
        "lost": _known(down),
        "unexplained": _known(float(e.unexplained[i, label])),
        **{side: [_mover(explained, i, int(u)) for u in found] for side, found in sides},
    }


def _mover(explained: ExplainedRound, i: int, u: int) -> dict[str, Any]:
    e = explained.explanation
    return {
        "id": int(explained.reference_ids[u]),
        "class": reference_class(explained, u),
        "predicted": dict(zip(e.classes.tolist(), e.reference_P[u].tolist())),
        "contribution": float(e.contributions[i, e.shown[i], u]),
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _rows(samples: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """A row a sample, what is nested as columns such as ``utility/<class>``."""
    lines: list[list[Any]] = []
    for sample in samples:
        row: dict[str, Any] = {k: sample[k] for k in ("pool_id", "label", "utility", "rank")}
        row |= {f"p/{name}": p for name, p in sample["predicted"].items()}
        row |= {f"utility/{name}": u for name, u in sample["utilities"].items()}
        for name, found in sample["operators"].items():
            row |= {f"resolved/{name}": found["utility"], f"rank/{name}": found["rank"]}
        if not lines:
            lines.append(list(row))
        lines.append([number(v) if isinstance(v, float) else for_csv(v) for v in row.values()])
    return lines

"""What a study of approximation quality keeps in its run directory, beside what every run has.

``parts/``          a file for each block of retrainings that is done, until all are
``utilities.npz``   ``batches/<b>`` (W, b) source rows, ``actual/<goal>/<b>`` (W, K^b) under every
                    labelling (the last sample's label changes fastest), ``approximate/<goal>``
                    (N, K) of single samples, ``seconds`` of retraining
``numbers.csv``     a row for each goal, operator and batch size (`goralx.approximation.numbers`);
                    ``numbers.json`` has the same as columns and data
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from goralx.data import Array
from goralx.records import PartedRecord

from .study import Block, Study


def kept(record: PartedRecord, study: Study) -> set[Block]:
    """The blocks that are done."""
    there, gathered_already = record.parts(), record.is_gathered
    return {b for b in study.blocks() if gathered_already or _name(b) in there}


def keep(
    record: PartedRecord, block: Block, utilities: Mapping[str, Array], seconds: float
) -> None:
    """Put a block's actual utilities by goal on disk: whole, or not at all."""
    arrays = {**{f"goal/{name}": U for name, U in utilities.items()}, "seconds": np.array(seconds)}
    record.keep(_name(block), arrays)


def gathered(record: PartedRecord, study: Study) -> tuple[dict[tuple[str, int], Array], float]:
    """Actual utilities by goal and batch size, gathered in ``utilities.npz``, and their seconds."""
    keys = [(goal, b) for b in study.batch_sizes for goal in study.goals]
    if not record.is_gathered:
        parts = [(b.batch_size, record.part(_name(b))) for b in study.blocks()]
        found = {
            (goal, b): [part[f"goal/{goal}"] for size, part in parts if size == b]
            for goal, b in keys
        }
        ids = study.instance.pool
        record.gather(
            {
                **{f"batches/{b}": ids[study.windows(b)] for b in study.batch_sizes},
                **{f"actual/{goal}/{b}": np.concatenate(found[goal, b]) for goal, b in keys},
                **{f"approximate/{goal}": study.estimates[goal].U for goal in study.goals},
                "seconds": sum(float(part["seconds"]) for _, part in parts),
            }
        )
    stored = record.gathered()
    return {(goal, b): stored[f"actual/{goal}/{b}"] for goal, b in keys}, float(stored["seconds"])


def _name(block: Block) -> str:
    return f"{block.batch_size:03d}-{block.start:06d}-{block.stop:06d}.npz"

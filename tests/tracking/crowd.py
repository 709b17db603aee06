"""Many processes that come first to a store at once.

``python -m tests.tracking.crowd FOLDER EXPERIMENT N URI``: N runs in FOLDER, forked from one
process that has imported all they need and not opened anything yet, which is what makes it cheap.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from goralx import report  # noqa: F401
from goralx.tracking.mlflow import MlflowTracker
from goralx.tracking.mlflow.client import import_mlflow
from tests import runs

ROUNDS = 3


def job(folder, experiment, seed, uri):
    tracker = MlflowTracker(uri, experiment)
    runs.run(folder / str(seed), runs.experiment(seed=seed, n_queries=10), tracker)


def main(folder, experiment, n, uri):
    import_mlflow()
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401

    set_off, hold = os.pipe()
    children = []
    for seed in range(n):
        child = os.fork()
        if child == 0:
            os.close(hold)
            os.read(set_off, 1)  # returns once the parent lets go, for all at the same moment
            status = 1
            try:
                job(folder, experiment, seed, uri)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        children.append(child)
    os.close(hold)
    return sum(os.waitpid(child, 0)[1] != 0 for child in children)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]))

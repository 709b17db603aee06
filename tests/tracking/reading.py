"""MLflow read back through its own client."""

from __future__ import annotations

import math

from goralx.records import read_rounds


def client(uri):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def tracked_runs(uri):
    reader = client(uri)
    ids = [e.experiment_id for e in reader.search_experiments() if e.name == "goralx"]
    found = reader.search_runs(ids) if ids else []
    return [run for run in found if "goralx.kind" not in run.data.tags]


def sweeps(uri):
    """The runs that sum sweeps up."""
    everywhere = [e.experiment_id for e in client(uri).search_experiments()]
    return client(uri).search_runs(everywhere, "tags.`goralx.kind` = 'sweep'")


def points(uri, run_id, name):
    history = client(uri).get_metric_history(run_id, name)
    return sorted((m.step, m.value) for m in history)


def recorded(directory, name):
    rounds = read_rounds(directory)
    pairs = zip(rounds["n_labelled"], rounds[name], strict=True)
    return [(int(n), value) for n, value in pairs if math.isfinite(value)]


def assert_tracked_in_full(uri, directory):
    """Every number of the record is in MLflow once, at step = number of labels."""
    (run,) = tracked_runs(uri)
    names = set(read_rounds(directory)) - {"round", "n_labelled"}
    for name in names:
        assert points(uri, run.info.run_id, name) == recorded(directory, name), name
    others = {n for n in run.data.metrics if not n.startswith("summary/")}
    assert others == {n for n in names if recorded(directory, n)}
    return run

"""Fixtures of the tests that run whole experiments."""

from __future__ import annotations

import logging
import os
import shutil
import signal

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when mlflow is first imported
os.environ.pop("MLFLOW_TRACKING_URI", None)

import pytest

from tests import runs


def pytest_configure():
    """Signals as a terminal's programs have them: a shell's background jobs ignore some."""
    usual = {signal.SIGINT: signal.default_int_handler}
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual.get(number, signal.SIG_DFL))


@pytest.fixture(autouse=True)
def logging_as_it_was():
    """A program that sets logging up leaves handlers of a stream that ends with the test."""
    root = logging.getLogger()
    level, before = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    for handler in [h for h in root.handlers if type(h) is logging.StreamHandler]:
        if handler not in before:
            root.removeHandler(handler)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished run's directory and summary; not to be written to."""
    directory = tmp_path_factory.mktemp("finished") / "iris"
    return directory, runs.run(directory, runs.experiment())


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """An MLflow database, laid out and empty; laying one out takes seconds, copying it nothing."""
    from goralx.tracking.mlflow.stores import connect

    database = tmp_path_factory.mktemp("template") / "mlflow.db"
    client, _ = connect(f"sqlite:///{database}", "template")
    client.search_experiments()
    return database


@pytest.fixture
def store(empty_store, tmp_path, monkeypatch):
    """The URI of a store of one's own, which is also the default one."""
    database = tmp_path / "store" / "mlflow.db"
    database.parent.mkdir()
    shutil.copy(empty_store, database)
    uri = f"sqlite:///{database}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri

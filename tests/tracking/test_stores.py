"""SQLite stores: laid out whole or not at all, and named with what to do where they do not open."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing

import pytest

from goralx.tracking import StoreUnusable
from goralx.tracking.mlflow.stores import (
    _artifact_location,
    absolute_store,
    connect,
    default_uri,
    reachable,
    shown,
    sqlite_file,
)
from tests import runs
from tests.program import call
from tests.tracking.reading import tracked_runs


class Stopped(KeyboardInterrupt):
    """Ctrl-C, at a moment that the test chooses."""


@pytest.fixture
def stop_after(monkeypatch):
    """Make SQLite's n-th statement from now on the one during which the process is stopped."""
    import sqlalchemy

    left = []

    def count(connection, cursor, statement, *_):
        if left:
            left[0] -= 1
            if left[0] == 0:
                left.clear()
                raise Stopped

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", count)
    yield left.append
    sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", count)


@pytest.mark.parametrize(
    "uri, module, package",
    [
        ("postgresql+psycopg://u:secret@127.0.0.1:9/x", "psycopg", "'goralx[postgresql]'"),
        ("postgresql+psycopg2://u:secret@127.0.0.1:9/x", "psycopg2", "psycopg2-binary"),
        ("mysql+pymysql://u:secret@127.0.0.1:9/x", "pymysql", "pymysql"),
        ("mysql://u:secret@127.0.0.1:9/x", "MySQLdb", "mysqlclient"),
        ("mssql+pyodbc://u:secret@127.0.0.1:9/x", "pyodbc", "pyodbc"),
    ],
)
@pytest.mark.parametrize("given", ["option", "environment"])
def test_a_driver_that_is_missing_is_named_before_anything_is_written(
    tmp_path, monkeypatch, capsys, uri, module, package, given
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)  # importing it fails
    words = ["dataset=iris", "n_queries=10", "progress=false", "tracker=mlflow"]
    if given == "option":
        words.append(f"tracker.uri='{uri}'")
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    for more in ([], ["job=approximation", "approximation.n_pool=20", "approximation.n_dev=0"]):
        refused = call(capsys, *words, *more)
        assert refused.status == 2 and len(refused.errors) == 1 and refused.out == ""
        assert f"needs the driver {module}" in refused.err
        assert f"pip install {package}" in refused.err and "secret" not in refused.err
    swept = call(capsys, "-m", *words, "seed=0,1")
    assert swept.status == 2 and len(swept.errors) == 2
    assert list(tmp_path.iterdir()) == []
    call(capsys, *words[:3], "tracker=csv", "figures=false", "hydra.run.dir=run")
    left = call(capsys, "sync", "run", "--store", uri)
    assert left.status == 2 and f"pip install {package}" in left.err and "secret" not in left.err


@pytest.mark.parametrize("moment", [1, 40, 400])
def test_a_store_whose_laying_out_was_stopped_is_not_there(tmp_path, stop_after, moment):
    database = tmp_path / "store" / "mlflow.db"
    stop_after(moment)
    with pytest.raises(KeyboardInterrupt):
        connect(f"sqlite:///{database}", None)
    assert [path.name for path in database.parent.iterdir()] == ["mlflow.db.lock"]


@pytest.mark.slow
def test_what_a_kill_left_of_a_store_is_swept_up(tmp_path):
    database = tmp_path / "mlflow.db"
    for name in ("mlflow.db.77.part", "mlflow.db.77.part-journal"):
        (tmp_path / name).write_bytes(b"half of it")
    database.touch()  # an empty file is no store yet, whoever made it
    client, experiment = connect(f"sqlite:///{database}", None)
    assert client.get_experiment(experiment).name == "goralx"
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db", "mlflow.db.lock"}


def half_made(database):
    """As MLflow itself leaves it when it is killed: some tables, no version."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DROP TABLE alembic_version")
        connection.execute("DROP TABLE traces" if has(connection, "traces") else "SELECT 1")
        connection.execute("DROP TABLE trace_info")
        connection.commit()


def has(connection, table):
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,))
    return found.fetchone() is not None


def test_a_half_made_store_is_named_with_what_to_do(tmp_path, store, capsys):
    database = sqlite_file(store)
    half_made(database)
    with pytest.raises(StoreUnusable, match="half-made") as refused:
        connect(store, None)
    assert f"mv {database} {database}.broken" in str(refused.value)
    directory = tmp_path / "run"
    runs.run(directory, runs.experiment(n_queries=5), runs.build("tracker", "mlflow"))
    (line,) = capsys.readouterr().err.splitlines()
    assert "half-made" in line and "goralx sync" in line


def test_a_store_of_another_version_or_no_database_is_told_apart(tmp_path, store):
    runs.run(tmp_path / "run", runs.experiment(n_queries=5), runs.build("tracker", "mlflow"))
    database = sqlite_file(store)
    older, text = tmp_path / "older.db", tmp_path / "text.db"
    shutil.copy(database, older)
    with closing(sqlite3.connect(older)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '1bd49d398cd23'")
        connection.commit()
    with pytest.raises(StoreUnusable, match=r"another version.*mlflow db upgrade"):
        connect(f"sqlite:///{older}", None)
    text.write_text("not a database at all, but long enough to be taken for one " * 20)
    with pytest.raises(StoreUnusable, match="no whole SQLite database"):
        connect(f"sqlite:///{text}", None)
    assert len(tracked_runs(store)) == 1


def test_a_database_that_is_removed_while_a_run_goes_on_is_noticed_and_made_anew(
    tmp_path, store, empty_store, capsys
):
    database = sqlite_file(store)

    def observe(round):
        if round.index == 2:
            database.unlink()
        if round.index == 5:  # somebody brings one back before the run ends
            shutil.copy(empty_store, database)
        return {}

    runs.run(tmp_path / "run", runs.experiment(), runs.build("tracker", "mlflow"), observe)
    lost, back = capsys.readouterr().err.splitlines()
    assert "tracking stopped" in lost and "tracking is back" in back
    (run,) = tracked_runs(store)
    assert run.info.status == "FINISHED"


@pytest.mark.parametrize(
    ("default", "expected"),
    [
        ("s3://bucket/runs/0", "s3://bucket/runs/goralx"),
        ("file:///srv/artifacts/0", "file:///srv/artifacts/goralx"),
        ("/somewhere/mlruns/0", "file:///data/mlartifacts"),  # nobody said
        ("mlflow-artifacts:/0", "file:///data/mlartifacts"),  # only through a server
    ],
)
def test_artifacts_go_where_the_store_says(default, expected):
    class Client:
        def get_experiment(self, number):
            assert number == "0"
            return type("Experiment", (), {"artifact_location": default})

    assert _artifact_location(Client(), "sqlite:////data/mlflow.db", "goralx") == expected
    assert _artifact_location(None, "http://somewhere", "goralx") is None


def test_addresses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert sqlite_file(default_uri()) == tmp_path / "outputs" / "mlflow.db"
    assert absolute_store("sqlite:///a.db") == f"sqlite:///{tmp_path}/a.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somewhere:5000")
    assert default_uri() == "http://somewhere:5000" and sqlite_file(default_uri()) is None
    assert shown("postgresql://me:secret@host/db") == "postgresql://me@host/db"
    assert shown("http://host:5000") == "http://host:5000"


def test_the_experiment_is_the_environments(store, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "team-a")
    client, number = connect(store, None)
    assert client.get_experiment(number).name == "team-a"
    client, other = connect(store, "named")
    assert client.get_experiment(other).name == "named"
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", number)
    assert connect(store, None)[1] == number
    client.delete_experiment(number)
    with pytest.raises(StoreUnusable, match="'team-a' is deleted"):
        connect(store, None)


def test_a_record_holds_no_password_and_is_synced_with_the_environments(monkeypatch):
    secret = "postgresql://me:hush@host/runs"
    noted = shown(absolute_store(secret))
    assert "hush" not in noted and noted == "postgresql://me@host/runs"
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert reachable(noted) == noted and reachable(noted, secret) == secret
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:hush@elsewhere/runs")
    assert reachable(noted) == noted
    monkeypatch.setenv("MLFLOW_TRACKING_URI", secret)
    assert reachable(noted) == secret

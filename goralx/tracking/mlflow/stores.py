"""Stores and the experiment in them: laid out once, whole or not at all, however many come at once.

Of several processes that lay out one database at the same time most die of it, and one that is
killed meanwhile leaves a database that never opens again. So they take turns, under a lock where
the store is; and SQLite's file is laid out under another name and renamed once it is whole.
"""

from __future__ import annotations

import glob
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock

from goralx.errors import BadInput

from .client import import_mlflow

SQLITE = "sqlite:///"
PATIENCE = 300
"""Seconds to wait for others who lay out the store."""

POOL = "MLFLOW_SQLALCHEMYSTORE_"
LAYOUT = re.compile("schema|already exists|duplicate column|no such (table|column)|revision")
"""What MLflow says where tables are not as it wants them."""

KEY = int.from_bytes(sha256(b"goralx").digest()[:7])
LOCKS = {
    "postgresql": (f"SELECT pg_advisory_lock({KEY})", f"SELECT pg_advisory_unlock({KEY})"),
    "mysql": (f"SELECT GET_LOCK('goralx', {PATIENCE})", "SELECT RELEASE_LOCK('goralx')"),
}
"""How a database server keeps others waiting, and lets them go on; by dialect."""


DATABASES = {"postgresql", "mysql", "mssql"}
"""What MLflow keeps runs in, besides SQLite, whose driver Python has."""
DRIVERS = {
    "psycopg": "'goralx[postgresql]'",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient",
}
"""Packages that are called otherwise than what is imported of them."""


class StoreUnusable(BadInput):
    """A store, or the experiment in it, that no run can be told to."""


def default_uri() -> str:
    """MLFLOW_TRACKING_URI, or the database ``outputs/mlflow.db`` under the working directory."""
    given = os.environ.get("MLFLOW_TRACKING_URI")
    return given or f"{SQLITE}{Path.cwd() / 'outputs' / 'mlflow.db'}"


def is_given() -> bool:
    """Whether the environment names a store."""
    return bool(os.environ.get("MLFLOW_TRACKING_URI"))


def is_server(uri: str) -> bool:
    """Whether others keep the store, and requests go to them."""
    return uri.startswith(("http://", "https://"))


def absolute_store(uri: str) -> str:
    """The same store, however far the working directory is."""
    database = sqlite_file(uri)
    return uri if database is None else f"{SQLITE}{database}"


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite store, None for any other."""
    name = uri.removeprefix(SQLITE)
    return None if name in (uri, "", ":memory:") else Path(os.path.abspath(name))


def shown(uri: str) -> str:
    """Without the password that may be in it."""
    scheme, mark, rest = uri.partition("://")
    user, at, place = rest.rpartition("@")
    return f"{scheme}{mark}{user.partition(':')[0]}{at}{place}"


def reachable(noted: str, configured: str | None = None) -> str:
    """A store as a record notes it, with the password of whoever names the same one now.

    Records are handed on, and hold no password; it is in ``tracker.uri``, in MLFLOW_TRACKING_URI,
    or where the database's driver looks for it.
    """
    for given in (configured, os.environ.get("MLFLOW_TRACKING_URI")):
        if given and shown(absolute_store(given)) == noted:
            return absolute_store(given)
    return noted


def check_driver(uri: str) -> None:
    """Refuse the address of a database whose driver, a package of its own, is not installed."""
    if uri.partition(":")[0].partition("+")[0] not in DATABASES:
        return
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    try:
        make_url(uri).get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError) as error:
        raise StoreUnusable(f"{shown(uri)} is no database's address ({error})") from None
    except ModuleNotFoundError as missing:
        package = DRIVERS.get(str(missing.name), str(missing.name))
        raise StoreUnusable(
            f"{shown(uri)} needs the driver {missing.name}, which is not installed · "
            f"pip install {package}"
        ) from None


def connect(uri: str, experiment: str | None) -> tuple[Any, str]:
    """A client of the store and the experiment's id; both are made where they are not there yet.

    No name is the environment's: MLFLOW_EXPERIMENT_NAME, MLFLOW_EXPERIMENT_ID, or ``goralx``.
    Raises `BadInput` where the store is half-made or cannot be written, or the experiment was
    deleted; what the store itself raises passes through.
    """
    check_driver(uri)
    number = os.environ.get("MLFLOW_EXPERIMENT_ID")
    name = experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME")
    with _my_turn(uri):
        client = open_store(uri)
        if name is None and number:
            found = client.get_experiment(number)
        else:
            found = _experiment(client, uri, name or "goralx")
    if found.lifecycle_stage != "active":
        raise StoreUnusable(
            f"the MLflow experiment '{found.name}' is deleted · restore it "
            f"(mlflow experiments restore -x {found.experiment_id}) or give tracker.experiment="
        )
    return client, found.experiment_id


def _experiment(client: Any, uri: str, name: str) -> Any:
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            place = _artifact_location(client, uri, name)
            return client.get_experiment(client.create_experiment(name, artifact_location=place))
        except import_mlflow().exceptions.MlflowException:
            found = client.get_experiment_by_name(name)  # somebody else was faster
            if found is None:
                raise
    return found


def open_store(uri: str) -> Any:
    """A client of a store that answers.

    SQLite's file is opened anew for each request: a connection that is kept would go on writing to
    a file that has been removed, and nobody would know.
    """
    database = sqlite_file(uri)
    pooled = any(name.startswith(POOL) for name in os.environ)
    with _environment({} if database is None or pooled else {f"{POOL}POOLCLASS": "NullPool"}):
        mlflow = import_mlflow()
        try:
            client = mlflow.MlflowClient(tracking_uri=uri)
            client.search_experiments(max_results=1)
        except Exception as error:
            raise (error if database is None else _diagnosis(database, error)) from error
    return client


def look(uri: str | None = None) -> str:
    """A line on the store that a run started here would use; nothing is made, nothing waited for.

    Raises what opening it raises.
    """
    address = absolute_store(uri or default_uri())
    database = sqlite_file(address)
    if database is not None and not database.exists():
        return f"{database} is not there yet, a run makes it"
    patience = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
    with _environment({k: v for k, v in patience.items() if k not in os.environ}):
        open_store(address)
    return f"{shown(address)} answers"


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]


@contextmanager
def _my_turn(uri: str) -> Iterator[None]:
    """One process at a time, as long as this lasts; a server's requests need no turns."""
    database = sqlite_file(uri)
    if database is not None:
        database.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(database if database.exists() else database.parent, os.W_OK):
            raise StoreUnusable(f"{database} cannot be written")
        with FileLock(f"{database}.lock", timeout=PATIENCE):
            if not database.exists() or database.stat().st_size == 0:
                _lay_out(database)
            yield
    elif is_server(uri):
        yield
    else:
        with _server_lock(uri):
            yield


def _lay_out(database: Path) -> None:
    """An MLflow database under another name, renamed once it is whole; a kill leaves no trace."""
    partial = database.with_name(f"{database.name}.{os.getpid()}.part")
    try:
        for left_over in database.parent.glob(f"{glob.escape(database.name)}.*.part*"):
            left_over.unlink()
        open_store(f"{SQLITE}{partial}")
        os.replace(partial, database)
    finally:
        for left_over in (partial, Path(f"{partial}-journal")):
            left_over.unlink(missing_ok=True)


def _diagnosis(database: Path, error: Exception) -> Exception:
    """Why a SQLite store does not open, as far as looking into it tells; else what was raised."""
    kept = database.with_name(f"{database.name}.broken")
    move = f"move it away (mv {database} {kept}), then `goralx sync all` tells of all on record"
    address = f"file:{database.as_posix().replace('%', '%25').replace('?', '%3f')}?mode=ro"
    try:
        with closing(sqlite3.connect(address.replace("#", "%23"), uri=True)) as connection:
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
            n_runs = 0
            if "runs" in tables:
                n_runs = connection.execute("SELECT COUNT(*) FROM runs").fetchone()[0]
    except sqlite3.OperationalError:  # locked, or not to be read: not the file's fault
        return error
    except sqlite3.DatabaseError as damage:
        return StoreUnusable(f"{database} is no whole SQLite database ({damage}) · {move}")
    if not LAYOUT.search(str(error)):
        return error
    if n_runs == 0:
        return StoreUnusable(
            f"{database} is half-made: laying it out was cut short, no run is in it · {move}"
        )
    return StoreUnusable(
        f"{database} was laid out by another version of MLflow · keep a copy, then `mlflow db "
        f"upgrade {SQLITE}{database}` if that was older, or update mlflow, or give another store"
    )


@contextmanager
def _server_lock(uri: str) -> Iterator[None]:
    """The database server's own lock; where none is known, one for the processes of this machine.

    The connection that holds it is ours and first, so that a server that is away says so at once.
    """
    import sqlalchemy

    dialect = uri.partition(":")[0].partition("+")[0]
    if dialect not in LOCKS:
        name = sha256(uri.encode()).hexdigest()[:16]
        with FileLock(Path(tempfile.gettempdir()) / f"goralx-{name}.lock", timeout=PATIENCE):
            yield
        return
    take, give = LOCKS[dialect]
    engine = sqlalchemy.create_engine(
        uri, poolclass=sqlalchemy.NullPool, connect_args={"connect_timeout": 10}
    )
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(take))
        try:
            yield
        finally:
            with suppress(sqlalchemy.exc.SQLAlchemyError):  # a lost connection holds nothing
                connection.execute(sqlalchemy.text(give))


def _artifact_location(client: Any, uri: str, experiment: str) -> str | None:
    """Where a new experiment's artifacts go: where the store says, or beside a SQLite store.

    A database says so by its default experiment, whose place is ``<root>/0``; but a client that
    laid it out without being told put ``mlruns`` under its own working directory there.
    """
    if is_server(uri):
        return None
    default = str(client.get_experiment("0").artifact_location)
    root, _, last = default.rpartition("/")
    unsaid = last != "0" or root.endswith("/mlruns") or root.startswith("mlflow-artifacts:")
    if not unsaid:
        return f"{root}/{experiment}"
    database = sqlite_file(uri)
    beside = Path.cwd() / "outputs" if database is None else database.parent
    return (beside / "mlartifacts").as_uri()

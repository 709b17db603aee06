"""A MariaDB server of one's own: in a temporary folder, on loopback, gone afterwards."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

SERVER, INSTALL = "mariadbd", "mariadb-install-db"
PATIENCE = 120


def missing() -> str | None:
    """Why there can be no server here, or None."""
    if _program(SERVER) is None or _program(INSTALL) is None:
        return "MariaDB is not installed (apt-get install mariadb-server)"
    try:
        import pymysql  # noqa: F401
    except ImportError:
        return "the driver is not installed (pip install pymysql)"
    return None


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextmanager
def server() -> Iterator[str]:
    """The address of an empty server, up to the port; a database's name goes behind it."""
    folder = tempfile.mkdtemp(prefix="goralx-my-", dir="/tmp")
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data = f"--datadir={folder}/data"
    user = ["--user=root"] if os.geteuid() == 0 else []
    made = subprocess.run(
        [
            _program(INSTALL), "--no-defaults", data, *user,
            "--auth-root-authentication-method=normal", "--skip-test-db",
        ],
        capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    words = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder}/s"]
    words += [f"--pid-file={folder}/pid", "--innodb-flush-log-at-trx-commit=0"]
    with open(f"{folder}/log", "w") as log:
        served = subprocess.Popen(
            [_program(SERVER), "--no-defaults", data, *user, *words], stdout=log, stderr=log
        )
    try:
        until = time.monotonic() + PATIENCE
        while not _answers(port):
            assert served.poll() is None and time.monotonic() < until, f"see {folder}/log"
            time.sleep(0.2)
        yield f"mysql+pymysql://root@127.0.0.1:{port}"
    finally:
        served.kill()
        served.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _answers(port: int) -> bool:
    import pymysql

    try:
        pymysql.connect(host="127.0.0.1", port=port, user="root").close()
    except pymysql.err.OperationalError:
        return False
    return True


def create(address: str, name: str) -> str:
    """A new database on the server; returns its address."""
    import pymysql

    port = int(address.rpartition(":")[2])
    with closing(pymysql.connect(host="127.0.0.1", port=port, user="root")) as connection:
        connection.cursor().execute(f"CREATE DATABASE {name}")
    return f"{address}/{name}"

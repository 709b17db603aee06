"""A PostgreSQL server of one's own: in a temporary folder, on loopback, gone afterwards.

PostgreSQL will not run as root: it is then started as ``nobody``.
"""

from __future__ import annotations

import glob
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

USER = "nobody"


def programs() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``: where Debian puts them, or on the path; or None."""
    debian = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: float(p.split("/")[4]))
    found = [Path(p) for p in debian if Path(p, "initdb").exists()]
    on_path = shutil.which("initdb")
    return found[-1] if found else Path(on_path).resolve().parent if on_path else None


def missing() -> str | None:
    """Why there can be no server here, or None."""
    if programs() is None:
        return "PostgreSQL is not installed (apt-get install postgresql)"
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return "PostgreSQL does not run as root, and there is no setpriv to run it as another user"
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "the driver is not installed (pip install 'goralx[postgresql]')"
    return None


@contextmanager
def server() -> Iterator[str]:
    """The address of an empty server, up to the port; a database's name goes behind it."""
    folder, bin = tempfile.mkdtemp(prefix="goralx-pg-", dir="/tmp"), programs()
    as_user = []
    if os.geteuid() == 0:
        as_user = ["setpriv", f"--reuid={USER}", "--regid=nogroup", "--clear-groups", "env"]
        as_user.append(f"HOME={folder}")
        shutil.chown(folder, USER)
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def call(program: str, *words: str) -> None:
        done = subprocess.run(
            [*as_user, str(bin / program), *words], cwd=folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout

    data = f"{folder}/data"
    settings = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    try:
        call("initdb", "-D", data, "-U", "goralx", "-A", "trust", "--no-sync")
        call("pg_ctl", "-D", data, "-l", f"{folder}/log", "-w", "-o", settings, "start")
        try:
            yield f"postgresql+psycopg://goralx@127.0.0.1:{port}"
        finally:
            call("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def create(address: str, name: str) -> str:
    """A new database on the server; returns its address."""
    import psycopg

    place = address.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(f"{place}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{address}/{name}"

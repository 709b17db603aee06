"""A web server as a child of this process: started on loopback, watched, and ended with its kin."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress

from goralx.errors import BadInput, RunFailed

from .signals import terminable

HOST = "127.0.0.1"
PATIENCE = 5.0
"""Seconds that the server has to end itself before it is ended."""


def check_port(port: int) -> None:
    """Raise `BadInput` where nothing can listen."""
    if not 0 < port < 65536:
        raise BadInput(f"port={port}; allowed: 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise BadInput(f"port {port} cannot be used: {error.strerror} · give another") from None


def serve(arguments: list[str], port: int, page: str) -> int:
    """Run ``python <arguments> --host --port``, print the address of ``page``, wait for Ctrl-C.

    Returns 0 when asked to stop; raises `RunFailed` with the server's last words if it ends itself.
    """
    command = [sys.executable, *arguments, "--host", HOST, "--port", str(port)]
    with tempfile.TemporaryFile("w+") as log, terminable():
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            print(f"starting on port {port} (a cold start takes half a minute)", flush=True)
            while server.poll() is None and not _answers(port):
                time.sleep(0.2)
            if server.poll() is None:
                print(f"curves: http://{HOST}:{port}/{page}\nCtrl-C ends it", flush=True)
                server.wait()
        except (KeyboardInterrupt, SystemExit):
            return 0
        finally:
            _end(server)
        log.seek(0)
        words = " ".join(log.read().split())[-500:]
        raise RunFailed(f"the server ended with status {server.returncode}: {words}")


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((HOST, port)) == 0


def _end(server: subprocess.Popen[bytes]) -> None:
    """The server and its workers, which are all in a session of their own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and _alive(server):
            time.sleep(0.05)
        if not _alive(server):
            return


def _alive(server: subprocess.Popen[bytes]) -> bool:
    server.poll()  # reaps the child itself; its own children are reaped by init
    try:
        os.killpg(server.pid, 0)
    except ProcessLookupError:
        return False
    return True

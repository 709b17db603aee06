"""A run that needs no network opens no socket: none for data, tracking or telemetry."""

from __future__ import annotations

import subprocess
import sys

import pytest

WATCHED = """
import sys
seen = []
def hook(event, arguments):
    names = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto")
    # urllib3 looks, when MLflow imports it, whether this machine knows IPv6: bound, never used
    if event in names and arguments[1:] != (("::1", 0),):
        seen.append((event, str(arguments[1:])))
sys.addaudithook(hook)
{before}
from goralx.app import main
status = main(sys.argv[1:])
print("SEEN", seen)
sys.exit(status)
"""
RUN = ["goal=ent", "operator=max", "dataset=iris", "n_queries=20", "progress=false"]


def watched(tmp_path, words, before=""):
    code = WATCHED.format(before=before)
    return subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True
    )


@pytest.mark.slow
def test_a_tracked_run_opens_no_socket(tmp_path, store):
    done = watched(tmp_path, RUN)
    assert done.returncode == 0, done.stderr
    assert "SEEN []" in done.stdout


def test_the_watch_sees_a_socket(tmp_path):
    reach = "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"
    done = watched(tmp_path, ["--version"], before=reach)
    assert "socket.connect" in done.stdout

"""servers/process.py and lifeline.py: a server is gone when it was stopped, and when its parent is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.servers.process import ROOT, ServerProcess

PARENT = """
import json, os, sys, time
from tests.servers.client import Proxy
from tests.servers.s3 import S3Server

server = S3Server()
proxy = Proxy(server)
if sys.argv[1] == "fork" and os.fork() == 0:
    time.sleep(60)  # holds our ends of the pipes open
print(json.dumps([server.process.pid, proxy.process.pid]), flush=True)
time.sleep(60)
"""


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def await_end(pid):
    deadline = time.monotonic() + 30
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} still runs"
        time.sleep(0.02)


def test_a_stopped_server_is_gone():
    """On return of stop its process has ended; a second stop does nothing."""
    server = ServerProcess("tests.servers.proxy", "--upstream", "http://127.0.0.1:9")
    assert server.is_alive()
    server.stop()
    server.stop()

    assert not server.is_alive()
    assert not os.path.exists(f"/proc/{server.pid}")


def test_a_server_that_does_not_listen_is_killed(monkeypatch):
    """One that cannot end by itself is ended."""
    monkeypatch.setattr("tests.servers.process.STOP_TIMEOUT", 0.2)
    server = ServerProcess("tests.servers.proxy", "--upstream", "http://127.0.0.1:9")
    os.kill(server.pid, signal.SIGSTOP)
    server.stop()

    assert not server.is_alive()


def test_a_server_that_fails_says_why():
    """The error has what the server wrote."""
    with pytest.raises(RuntimeError, match="plain HTTP only"):
        ServerProcess("tests.servers.proxy", "--upstream", "https://127.0.0.1:9")


@pytest.mark.parametrize("way", ["alone", "fork"])
def test_servers_end_with_a_killed_parent(way):
    """Also when a forked sibling keeps their pipes open."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, way],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    try:
        pids = json.loads(parent.stdout.readline())
        assert all(is_running(pid) for pid in pids)
        parent.kill()
        parent.wait()
        for pid in pids:
            await_end(pid)
    finally:
        os.killpg(parent.pid, signal.SIGKILL) if way == "fork" else None
        parent.stdout.close()

"""Processes that are killed by the hundred start within milliseconds: forked from one that has zarrmill imported."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO, Any

from tests.servers.process import ROOT, get_paths, has_something

PRELOADED = ("zarr", "zarrmill.cli", "zarrmill.rechunk", "zarrmill.target", "zarrmill.publish", "zarrmill.digest")
"""What nearly every child imports first."""


class Child:
    """A forked process with what `subprocess.Popen` has: text streams, a number, an exit code, and ways to end it."""

    def __init__(self, orders: socket.socket, order: dict[str, Any]) -> None:
        pipes = [os.pipe() for _ in range(4)]
        (theirs_in, ours_in), (ours_out, theirs_out), (ours_err, theirs_err), (ours_told, theirs_told) = pipes
        theirs = [theirs_in, theirs_out, theirs_err, theirs_told]
        socket.send_fds(orders, [json.dumps(order).encode()], theirs)
        for fd in theirs:
            os.close(fd)
        self.stdin: IO[str] = open(ours_in, "w", encoding="utf-8")  # noqa: SIM115  # closed by communicate
        self.stdout: IO[str] = open(ours_out, encoding="utf-8")  # noqa: SIM115
        self.stderr: IO[str] = open(ours_err, encoding="utf-8")  # noqa: SIM115
        self._told = open(ours_told, encoding="ascii")  # noqa: SIM115
        self.returncode: int | None = None
        number = self._told.readline()
        if not number:
            raise RuntimeError("the nursery has ended, see its stderr")
        self.pid = int(number)

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        return self.wait(0)

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit code when the process has ended, None where the time is up."""
        if self.returncode is None and has_something(self._told, timeout):
            self.returncode = int(self._told.readline())
            self._told.close()
        return self.returncode

    def communicate(self, timeout: float = 240) -> tuple[str, str]:
        """Close stdin, and return what the process says on its other streams until it ends: once, then nothing."""
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()
        said: dict[str, str] = {}
        readers = [
            threading.Thread(target=_read, args=(getattr(self, name), said, name), daemon=True)
            for name in ("stdout", "stderr")
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(timeout)
        if len(said) < 2 or self.wait(timeout) is None:
            raise TimeoutError(f"process {self.pid} has not ended within {timeout:g} s")
        return said["stdout"], said["stderr"]

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL, unless the process has ended."""
        self.send_signal(signal.SIGKILL)


class Nursery:
    """The process that forks, which starts with its first child and ends with `stop` or with this process."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            # One thread of OpenBLAS: a process with more than one should not fork.
            environment = {"PYTHONPATH": os.pathsep.join(get_paths()), "OPENBLAS_NUM_THREADS": "1"}
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.servers.nursery_process", str(theirs.fileno())],
                cwd=ROOT, env=os.environ | environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def start(
        self, words: Sequence[str], *, preload: Sequence[str] = (), strict: bool = False, **environment: str
    ) -> Child:
        """Start what `python WORDS` would, in this folder and environment, and in a session of its own.

        `preload` names more modules that the nursery imports, once; `strict` makes warnings errors.
        """
        order = {
            "words": list(words),
            "preload": [*PRELOADED, *preload],
            "strict": strict,
            "folder": os.getcwd(),
            "environment": os.environ | {"PYTHONPATH": os.pathsep.join(get_paths())} | environment,
        }
        return Child(self._orders, order)

    def stop(self) -> None:
        """End the process; on return it is gone."""
        self._orders.close()
        self._process.wait()


def _read(stream: IO[str], said: dict[str, str], name: str) -> None:
    said[name] = "" if stream.closed else stream.read()
    stream.close()


@functools.cache
def get_nursery() -> Nursery:
    """Return the nursery of this process of tests, started by the first test that needs it."""
    return Nursery()


def stop_nursery() -> None:
    """End the nursery where it was started."""
    if get_nursery.cache_info().currsize:
        get_nursery().stop()
        get_nursery.cache_clear()

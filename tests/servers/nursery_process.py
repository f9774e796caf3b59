"""A process that has imported what others need, and forks each of them. The side of the child.

    python -m tests.servers.nursery_process FD

It has no thread and no connection and has run nothing, so that whatever it forks is as good as started anew. A child
leaves the loop and ends like any script, with the exit codes of the interpreter.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import warnings
from importlib import import_module
from typing import Any

MAX_ORDER = 1 << 17
"""Bytes of one order."""


class Loop:
    """Forks a child for each order, and tells how each ended."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._told: dict[int, int] = {}
        """For each child, where its end is told."""
        self._wake, self._woken = os.pipe()
        os.set_blocking(self._woken, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._woken)
        self._selector = selectors.DefaultSelector()
        self._selector.register(orders, selectors.EVENT_READ, self._fork)
        self._selector.register(self._wake, selectors.EVENT_READ, self._reap)

    def serve(self) -> dict[str, Any]:
        """Return, in a child alone, what it is to run."""
        while True:
            for key, _ in self._selector.select():
                order: dict[str, Any] | None = key.data()
                if order is not None:
                    return order

    def _fork(self) -> dict[str, Any] | None:
        data, fds, _, _ = socket.recv_fds(self._orders, MAX_ORDER, 4)
        if not data:
            os._exit(0)
        order: dict[str, Any] = json.loads(data)
        for module in order["preload"]:
            import_module(module)
        *streams, told = fds
        # What is imported stays for ever: no child shall look through it for garbage, least of all at its end.
        gc.freeze()
        pid = os.fork()
        if pid == 0:
            os.close(told)
            self._leave()
            take_over(streams)
            return order
        for fd in streams:
            os.close(fd)
        self._told[pid] = told
        os.write(told, b"%d\n" % pid)
        return None

    def _reap(self) -> None:
        os.read(self._wake, 4096)
        while self._told:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            told = self._told.pop(pid)
            # Whoever asked for the child may not want to know.
            with contextlib.suppress(BrokenPipeError):
                os.write(told, b"%d\n" % os.waitstatus_to_exitcode(status))
            os.close(told)

    def _leave(self) -> None:
        """Be no part of the loop any more."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        self._orders.close()
        for fd in (self._wake, self._woken, *self._told.values()):
            os.close(fd)


def take_over(streams: list[int]) -> None:
    """Have these for stdin, stdout and stderr, in a session of our own."""
    os.setsid()
    for place, fd in enumerate(streams):
        os.dup2(fd, place)
        os.close(fd)


def run(words: list[str]) -> None:
    """Run what stands behind the interpreter's name on a command line: a file, `-m` a module, or `-c` a text."""
    if words[0] == "-m":
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = list(words)
        runpy.run_path(words[0], run_name="__main__")


def main() -> None:
    """Serve until nobody is left who might order."""
    order = Loop(socket.socket(fileno=int(sys.argv[1]))).serve()
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    if order["strict"]:
        warnings.simplefilter("error")
    run(order["words"])


if __name__ == "__main__":
    main()

"""One server process on loopback: started, waited for, stopped for certain. The side of the parent."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any, Self

ROOT = Path(__file__).parents[2]
"""The folder that holds ``tests``, from which the child imports its module."""
START_TIMEOUT = 60.0
"""Seconds until a server must have announced its port; a loaded machine needs many."""
STOP_TIMEOUT = 5.0
"""Seconds that a server may take to end by itself before it is killed."""


class ServerProcess:
    """A Python module that runs as a server and announces its port, see lifeline.py."""

    def __init__(self, module: str, *arguments: str, **environment: str) -> None:
        self.module = module
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(get_paths())} | environment,
        )
        try:
            self.port = self._await_port()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def endpoint(self) -> str:
        """URL without a path."""
        return f"http://127.0.0.1:{self.port}"

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def read_stderr(self) -> str:
        """Return what the server wrote to stderr so far."""
        with contextlib.suppress(ValueError):
            return os.pread(self._stderr.fileno(), 1 << 20, 0).decode(errors="replace")
        return ""

    def stop(self) -> None:
        """End the process; on return it is gone. A second call does nothing."""
        process = self._process
        if process.stdin is not None and not process.stdin.closed:
            process.stdin.close()
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self._stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _await_port(self) -> int:
        assert self._process.stdout is not None
        ready = has_something(self._process.stdout, START_TIMEOUT)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            why = f"ended with {self._process.wait()}" if ready else f"said nothing for {START_TIMEOUT:g} s"
            raise RuntimeError(f"{self.module}: {why}: {self.read_stderr()[-2000:]}")
        return int(json.loads(line)["port"])


def has_something(stream: IO[Any], timeout: float | None) -> bool:
    """Wait for something to read, or for the end; False where the time is up. `select` knows 1,024 descriptors."""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        return bool(selector.select(timeout))


def get_paths() -> list[str]:
    """Return where a child finds modules: those of the tests, and whatever this process was told."""
    inherited = os.environ.get("PYTHONPATH", "")
    return [str(ROOT), *inherited.split(os.pathsep)] if inherited else [str(ROOT)]

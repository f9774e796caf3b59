"""What a process that runs blocks keeps between them: its threads, its tile memory, and the measure of its memory."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from zarrmill.execute.tiles import Arena
from zarrmill.plan.memory import MOST_REQUESTS

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


class MemoryMeter:
    """Resident memory of this process above what it held when the meter was started, in bytes.

    Where the system tells neither (anything but Linux), both figures are 0.
    """

    def __init__(self) -> None:
        self.start = 0
        self.restart()

    def restart(self) -> None:
        """Take the present memory as the start and forget the peak.

        The peak is reset, because the one that a process begins with may be its parent's.
        """
        with contextlib.suppress(OSError):
            _CLEAR_REFS.write_text(_RESET_PEAK)
        self.start = resident_bytes()

    def now(self) -> int:
        """Return the memory above start now."""
        return max(0, resident_bytes() - self.start)

    def peak(self) -> int:
        """Return the largest memory above start so far."""
        return max(0, _status("VmHWM:") - self.start)


def resident_bytes() -> int:
    """Return the resident memory of this process, in bytes."""
    return _status("VmRSS:")


def _status(field: str) -> int:
    """Return one field of the process's status in bytes."""
    try:
        text = _STATUS.read_text()
    except OSError:
        return 0
    return int(text.split(field, 1)[1].split(None, 1)[0]) * 1024 if field in text else 0


class Workshop:
    """One block at a time has it: all threads, both tiles and the whole limit."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting = 0
        """Threads that wait for their turn."""
        self.meter: MemoryMeter | None = None
        self.kept: dict[Any, Any] = {}
        """What an operation keeps between its blocks: the array that it works on, opened."""
        self._token = ""
        self._pools: dict[int, ThreadPoolExecutor] = {}
        self._arenas: dict[int, Arena] = {}
        self._background: ThreadPoolExecutor | None = None
        self._requests: ThreadPoolExecutor | None = None

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Have the workshop for one block."""
        self.waiting += 1
        try:
            self.lock.acquire()
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self.lock.release()

    def pool(self, threads: int) -> ThreadPoolExecutor:
        """Return the threads that decode and encode."""
        if threads not in self._pools:
            self._pools[threads] = ThreadPoolExecutor(threads, thread_name_prefix="zarrmill")
        return self._pools[threads]

    def background(self) -> ThreadPoolExecutor:
        """Return the thread that has the next tile filled while one is written."""
        if self._background is None:
            self._background = ThreadPoolExecutor(1, thread_name_prefix="zarrmill-next")
        return self._background

    def requests(self) -> ThreadPoolExecutor:
        """Return the threads that wait for stores; those that are not needed are never started."""
        if self._requests is None:
            self._requests = ThreadPoolExecutor(MOST_REQUESTS, thread_name_prefix="zarrmill-request")
        return self._requests

    def arena(self, slot: int, nbytes: int) -> Arena:
        """Return the memory of a tile; it stays until a larger one is asked for."""
        arena = self._arenas.get(slot)
        if arena is None or arena.nbytes < nbytes:
            self._arenas.pop(slot, None)
            # The old memory must be gone before the new one is there.
            del arena
            arena = self._arenas[slot] = Arena(nbytes)
        return arena

    def begin(self, token: str) -> MemoryMeter:
        """Return the meter for a block of an operation; what another operation left in this process goes first.

        A process that serves many runs would else begin with the memory of the one before, and report its peak.
        """
        if token != self._token:
            self.release()
            self.measure().restart()
            self._token = token
        return self.measure()

    def measure(self) -> MemoryMeter:
        """Return the meter, started when the first block begins."""
        if self.meter is None:
            self.meter = MemoryMeter()
        return self.meter

    def release(self) -> None:
        """Give the tile memory and the opened arrays back; the threads stay for the next run."""
        if self._background is not None:
            # A tile may be on its way for a block that never comes: its memory is free when it is there.
            self._background.submit(int).result()
        self._arenas.clear()
        self.kept.clear()
        self._token = ""

    def release_if_idle(self, token: str) -> None:
        """Give back what an operation left, unless a block is at work, which would only fetch it again."""
        if self.lock.acquire(blocking=False):
            try:
                if token == self._token:
                    self.release()
            finally:
                self.lock.release()

    def clear(self) -> None:
        """Release the memory and end the threads."""
        self.release()
        for pool in self._pools.values():
            pool.shutdown(cancel_futures=True)
        for threads in (self._background, self._requests):
            if threads is not None:
                threads.shutdown(cancel_futures=True)
        self._pools.clear()
        self._background = self._requests = None
        self.meter = None

    def forget(self) -> None:
        """Start anew in a forked process, which has none of the threads, and maybe a lock that nobody will release."""
        self.lock, self.waiting = threading.Lock(), 0
        self.meter = None
        self.kept, self._token = {}, ""
        self._pools, self._arenas, self._background, self._requests = {}, {}, None, None


WORKSHOP = Workshop()
"""The one of this process."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=WORKSHOP.forget)

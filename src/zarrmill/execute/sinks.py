"""Where the bytes of a key go as they are made: a file, or memory that is sent to a store in one piece."""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

from zarrmill.codecs.bytes_codecs import Buffer
from zarrmill.execute.chunk_files import write_fully
from zarrmill.execute.fence import Fence
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.keyspace import KeySpace
from zarrmill.plan.memory import puts_at_once


class Sink(Protocol):
    """One key while it is written, from one thread at a time."""

    def write(self, parts: list[Buffer]) -> int:
        """Append buffers; return their bytes."""

    def close(self) -> None:
        """Complete the key."""

    def abandon(self) -> None:
        """Release what an unfinished key holds."""


class Sinks(Protocol):
    """The keys below an array that a block writes; any number of threads may use it at once."""

    def open(self, key: str) -> Sink:
        """Begin a new key, in the place of whatever is there."""

    def remove(self, key: str) -> None:
        """See that there is no such key, though an earlier attempt may have written it."""

    def adopt(self, made: KeySpace, key: str) -> None:
        """Put a whole key that zarr-python made, maybe aside, in its place."""

    def flush(self) -> None:
        """Return when every key that was closed is stored."""

    def abandon(self) -> None:
        """Forget keys that are on their way."""


class FileSinks:
    """Keys as files below a folder; the folders between are made once.

    Behind a fence each is made aside and moved to its place when it is whole.
    """

    def __init__(self, root: Path, fence: Fence | None = None) -> None:
        self._root = str(root)
        self._fence = fence
        self._made: set[str] = set()

    def open(self, key: str) -> FileSink:
        """Begin a new empty file."""
        aside = None if self._fence is None else str(self._fence.new_path())
        self._make_parent(key)
        return FileSink(f"{self._root}/{key}", aside)

    def _make_parent(self, key: str) -> None:
        parent = key.rpartition("/")[0]
        if parent not in self._made:
            os.makedirs(f"{self._root}/{parent}", exist_ok=True)
            self._made.add(parent)

    def adopt(self, made: KeySpace, key: str) -> None:
        """Move a file that was made behind the fence to its place."""
        if self._fence is not None:
            self._fence.check()
            self._make_parent(key)
            os.replace(f"{made.location}/{key}", f"{self._root}/{key}")

    def remove(self, key: str) -> None:
        """Remove what an earlier attempt may have left."""
        if self._fence is not None:
            self._fence.check()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self._root}/{key}")

    def flush(self) -> None:
        """Do nothing: what was written is with the system."""

    def abandon(self) -> None:
        """Do nothing: what was written is written again."""


class FileSink:
    """The file of a key while it is written: at its place, or aside until it is whole."""

    def __init__(self, place: str, aside: str | None) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._fd = os.open(aside or place, flags, 0o666)
        self._place = place
        self._aside = aside

    def write(self, parts: list[Buffer]) -> int:
        """Append buffers; return their bytes."""
        return write_fully(self._fd, parts)

    def close(self) -> None:
        """Close the file, whole now, and put it in its place."""
        os.close(self._fd)
        if self._aside is not None:
            os.replace(self._aside, self._place)

    def abandon(self) -> None:
        """Close the file as it is: the key is written again."""
        os.close(self._fd)
        if self._aside is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._aside)


class StoreSinks:
    """Keys of a store: each is gathered in memory and sent by one request, while the next ones are made.

    A failed request shows at the next key, or when all are waited for.
    """

    def __init__(self, keys: KeySpace, *, bound: int) -> None:
        self._keys = keys
        self._bound = bound
        self._at_once = puts_at_once(keys.copies * bound)
        self._slots = threading.BoundedSemaphore(self._at_once)
        self._lock = threading.Lock()
        self._waiting: set[Future[Any]] = set()
        self._error: BaseException | None = None

    def open(self, key: str) -> StoreSink:
        """Begin a new value."""
        return StoreSink(self._bound, lambda data, done: self._send(key, data, done))

    def remove(self, key: str) -> None:
        """Do nothing: a block writes the same keys at every attempt, and a request for each empty chunk is dear."""

    def adopt(self, made: KeySpace, key: str) -> None:
        """Do nothing: zarr-python put it there."""

    def _send(self, key: str, data: Buffer, done: Callable[[], None]) -> None:
        self._slots.acquire()
        try:
            self._raise()
            future = WORKSHOP.requests().submit(self._keys.put, key, data)
        except BaseException:
            # A slot that nobody gives back would be waited for without end.
            self._slots.release()
            raise
        with self._lock:
            self._waiting.add(future)
        future.add_done_callback(lambda future: self._sent(future, done))

    def _sent(self, future: Future[Any], done: Callable[[], None]) -> None:
        with self._lock:
            self._waiting.discard(future)
            if not future.cancelled() and future.exception() is not None:
                self._error = self._error or future.exception()
        done()
        self._slots.release()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def flush(self) -> None:
        """Wait for all requests; raise what the first that failed has raised."""
        self._wait()
        self._raise()

    def abandon(self) -> None:
        """Cancel requests that have not begun and wait for the others, whatever comes of them."""
        with self._lock:
            waiting = list(self._waiting)
        for future in waiting:
            future.cancel()
        self._wait()
        self._error = None

    def _wait(self) -> None:
        """Wait until no request holds a slot: by then its memory is free as well."""
        count = self._at_once
        for _ in range(count):
            self._slots.acquire()
        for _ in range(count):
            self._slots.release()


class StoreSink:
    """A value while it is made: in memory that is the system's again once it is sent."""

    def __init__(self, bound: int, send: Callable[[Buffer, Callable[[], None]], None]) -> None:
        self._map = mmap.mmap(-1, max(1, bound), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._send = send
        self._end = 0

    def write(self, parts: list[Buffer]) -> int:
        """Append buffers; return their bytes."""
        start = self._end
        for part in parts:
            self._map[self._end : self._end + len(part)] = part
            self._end += len(part)
        return self._end - start

    def close(self) -> None:
        """Send the value."""
        view = memoryview(self._map)[: self._end]

        def done() -> None:
            # Whoever sent it may still hold a view for a moment: then the memory goes with that.
            with contextlib.suppress(BufferError):
                view.release()
                self._map.close()

        self._send(view, done)

    def abandon(self) -> None:
        """Give the memory back."""
        with contextlib.suppress(BufferError):
            self._map.close()

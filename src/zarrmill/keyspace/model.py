"""What a key space is: keys relative to one root, joined by "/", and the requests that were made for them."""

from __future__ import annotations

import dataclasses
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

Buffer = bytes | bytearray | memoryview
"""Bytes of a value. What is read may be a view of memory that is not Python's: it cannot be written to."""


Names = tuple[list[str], list[str]]
"""Names of folders, and of keys."""


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What a store tells of a key without its value."""

    key: str
    """Relative to the root of the key space."""
    nbytes: int | None
    """Length of the value; None in listings of zarr stores, which name keys alone."""
    etag: str | None
    """The store's word for this version of the value, quotes included; None where it has none."""
    modified_ns: int | None
    """When it was written, in nanoseconds since 1970 by the store's clock; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests made, by kind, and the bytes of values that they moved."""

    gets: int = 0
    """Reads of values, whole or in part."""
    puts: int = 0
    """Writes of values, conditional ones included."""
    lists: int = 0
    """Pages of listings."""
    deletes: int = 0
    """Removals: one for many keys where the store can."""
    heads: int = 0
    """Questions about a key."""
    bytes_read: int = 0
    """Bytes of values received."""
    bytes_written: int = 0
    """Bytes of values sent."""

    def __add__(self, other: Requests) -> Requests:
        return Requests(*(a + b for a, b in zip(_figures(self), _figures(other), strict=True)))

    def __sub__(self, other: Requests) -> Requests:
        return Requests(*(a - b for a, b in zip(_figures(self), _figures(other), strict=True)))


def _figures(requests: Requests) -> tuple[int, ...]:
    return tuple(getattr(requests, name) for name in _NAMES)


_NAMES = tuple(field.name for field in dataclasses.fields(Requests))


class RequestCounts:
    """Counts the requests of a key space and of all that were derived from it; any thread may add.

    Requests that the client library repeats by itself after a fault are not seen here: only a server could count those.
    """

    def __init__(self) -> None:
        self.name = uuid.uuid4().hex[:12]
        """Tells these counts from all others, in other processes too."""
        self._lock = threading.Lock()
        self._figures = dict.fromkeys(_NAMES, 0)

    def add(self, kind: str, count: int = 1, *, read: int = 0, written: int = 0) -> None:
        """Add requests of one kind, with the bytes of values that they moved."""
        with self._lock:
            figures = self._figures
            figures[kind] += count
            figures["bytes_read"] += read
            figures["bytes_written"] += written

    def snapshot(self) -> Requests:
        """Return the requests up to now."""
        with self._lock:
            return Requests(**self._figures)

    @property
    def gets(self) -> int:
        """Reads of values."""
        return self._figures["gets"]

    @property
    def puts(self) -> int:
        """Writes of values."""
        return self._figures["puts"]

    @property
    def lists(self) -> int:
        """Pages of listings."""
        return self._figures["lists"]

    @property
    def deletes(self) -> int:
        """Removals."""
        return self._figures["deletes"]

    @property
    def heads(self) -> int:
        """Questions about a key."""
        return self._figures["heads"]

    @property
    def bytes_read(self) -> int:
        """Bytes of values received."""
        return self._figures["bytes_read"]

    @property
    def bytes_written(self) -> int:
        """Bytes of values sent."""
        return self._figures["bytes_written"]


class KeySpace(Protocol):
    """The keys of one store below one root, for plain synchronous use from any thread.

    Keys are relative to the root and joined by "/", without a leading one; a prefix is a folder: "a" holds "a/b", not
    "ab". Faults of a store are errors of zarrmill's that name the key; those of the local disk are OSError as ever.
    It pickles: another process opens its own connection from where this one came from, and counts from zero.
    """

    @property
    def location(self) -> str:
        """What people are shown: a URL or an absolute path."""

    @property
    def counts(self) -> RequestCounts:
        """The requests made through this key space and those that share its connection by ``below``."""

    @property
    def read_only(self) -> bool:
        """Whether ``put``, ``create`` and ``delete`` are refused."""

    @property
    def can_list(self) -> bool:
        """Whether keys can be listed, which plain web servers cannot."""

    @property
    def copies(self) -> int:
        """Copies of a value that are in memory at once while it is read or written."""

    def get(self, key: str) -> Buffer | None:
        """Return the value of a key, None where it is missing."""

    def get_range(self, key: str, start: int, nbytes: int) -> Buffer | None:
        """Return a part of a value, shorter where the value ends, None where the key is missing."""

    def get_suffix(self, key: str, nbytes: int) -> Buffer | None:
        """Return the last bytes of a value, all of a shorter one, None where the key is missing."""

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[Buffer]:
        """Return several parts of a value, each as (start, nbytes); neighbours with small gaps are one request.

        Parts are shorter where the value ends. Raises NotFoundError where the key is missing.
        """

    def get_tagged(self, key: str, ranges: Sequence[tuple[int, int]]) -> tuple[list[Buffer], str | None] | None:
        """Return parts of one version of a value with the store's tag of that, None where the key is missing.

        A negative start counts from the end, and is then the only one. Where there is no tag, parts of several requests
        may be of different versions.
        """

    def head(self, key: str) -> KeyInfo | None:
        """Return what the store tells of a key, None where it is missing."""

    def put(self, key: str, data: Buffer) -> str | None:
        """Write a value in one piece: nobody ever sees a part of it. What was there is replaced.

        Return the ETag that the store gave it, None where it gives none.
        """

    def create(self, key: str, data: Buffer) -> bool:
        """Write a value unless the key is there; return whether the value there is this one.

        When it cannot be known whose write it was, because an answer got lost, equal bytes count as our own. So put
        something into the value that nobody else would write.
        """

    def list(self, prefix: str = "") -> Iterator[KeyInfo]:
        """Yield every key below a folder in no particular order, page by page as they are asked for."""

    def list_dir(self, prefix: str = "") -> Names:
        """Return the names of the folders and of the keys directly below a folder."""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys, in bulk where the store can. Missing keys are no error."""

    def below(self, prefix: str) -> KeySpace:
        """Return the same store with a deeper root; it shares connection and counts."""

    def unchecked(self) -> KeySpace:
        """Return the same keys for values that have checksums of their own: nothing else is compared with a checksum.

        Without it, a value that is read whole has the MD5 that its ETag promises, where that is one.
        """


def join(prefix: str, key: str) -> str:
    """Return a key or folder below a folder.

    >>> join("", "a"), join("a", "b/c"), join("a", "")
    ('a', 'a/b/c', 'a')
    """
    return f"{prefix}/{key}" if prefix and key else prefix or key


def flat(data: Buffer) -> memoryview:
    """Return a view of bytes over a buffer of any shape and type.

    >>> flat(memoryview(b"1234").cast("I")).tolist()
    [49, 50, 51, 52]
    """
    view = memoryview(data)
    if view.format == "B" and view.ndim == 1:
        return view
    # An empty array cannot be cast.
    return view.cast("B") if view.nbytes else memoryview(b"")

"""Encoded chunks of the object layout: one range of one shard each, found through an index that is kept.

Shards are replaced whole when epochs are folded. A kept index is therefore tied to the version of the shard that it
was read from: on a local disk by reading through the same open file, elsewhere by the tag that the store gives to a
version of a value, and where there is none by reading the index again.
"""

from __future__ import annotations

import os
import resource
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from zarrmill.codecs.bytes_codecs import Buffer
from zarrmill.codecs.shard import EMPTY, Index, IndexFormat
from zarrmill.errors import SourceFormatError
from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.local import LocalKeys

HELD_SHARDS = 256
"""Shards of an array whose index is kept: 16 MiB at the most, and on a local disk as many open files."""
FILES_SHARE = 4
"""One in so many of the files that a process may open is left to the shards of a store."""
TRIES = 5
"""Times that a shard is asked for again because it was replaced between two requests."""
T = TypeVar("T")


class ShardReader(Protocol):
    """Reads chunks of shards; any number of threads may use it at once."""

    def read(self, key: str, number: int, *, generation: int) -> Buffer | None:
        """Return an encoded chunk, None for one that is not stored, of a shard no older than a generation."""

    def read_some(self, key: str, numbers: list[int], *, generation: int) -> list[Buffer | None]:
        """Return several chunks of one shard."""


def open_shards(keys: KeySpace, index: IndexFormat, *, arrays: int = 1) -> ShardReader:
    """Return the reader for a kind of store, of one of its ``arrays``."""
    return LocalShards(keys, index, arrays=arrays) if isinstance(keys, LocalKeys) else RemoteShards(keys, index)


def files_held(arrays: int) -> int:
    """Return how many shards of each array may be open, so that those of all leave files to the rest of the process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = HELD_SHARDS if soft == resource.RLIM_INFINITY else soft // FILES_SHARE // arrays
    return max(1, min(HELD_SHARDS, allowed))


def lost(keys: KeySpace, key: str) -> SourceFormatError:
    """Return the error about a key that should be there."""
    return SourceFormatError(f"{keys.location}/{key} is lost. Restore it from a copy, or ingest its epochs again.")


class Held(Generic[T]):
    """The last few values by key, oldest out first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[str, T] = OrderedDict()

    def get(self, key: str) -> T | None:
        """Return a value, None where it is not held."""
        return self._values.get(key)

    def put(self, key: str, value: T) -> None:
        """Hold a value, and let go of the one that came first where there are too many."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)


class _OpenFile:
    """A file that is closed when nobody holds it any more, so that no thread ever reads from a closed one."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)


@dataclass(frozen=True, slots=True)
class _Kept:
    """An index with what ties it to its shard."""

    index: Index
    """Offset and length of each chunk; EMPTY for one that is not stored."""
    generation: int
    """Generation that was asked for when it was read: the shard is that or younger."""
    file: _OpenFile | None = None
    """The file, on a local disk."""
    tag: str | None = None
    """The store's tag of this version."""
    stored: bytes = b""
    """The index as it is stored, where there is no tag."""

    def ranges(self, numbers: list[int]) -> list[tuple[int, int]]:
        """Return offset and length of some chunks."""
        return [(offset, nbytes) for offset, nbytes in self.index[numbers].tolist()]


class LocalShards:
    """Shards that are files: what is open stays what it was when it is replaced."""

    def __init__(self, keys: LocalKeys, index: IndexFormat, *, arrays: int) -> None:
        self._keys = keys
        self._format = index
        self._held: Held[_Kept] = Held(files_held(arrays))

    def read(self, key: str, number: int, *, generation: int) -> Buffer | None:
        """Return an encoded chunk."""
        kept = self._find(key, generation)
        offset, nbytes = kept.index[number].tolist()
        return self._read_range(kept, key, offset, nbytes)

    def read_some(self, key: str, numbers: list[int], *, generation: int) -> list[Buffer | None]:
        """Return several chunks of one shard."""
        kept = self._find(key, generation)
        return [self._read_range(kept, key, offset, nbytes) for offset, nbytes in kept.ranges(numbers)]

    def _find(self, key: str, generation: int) -> _Kept:
        kept = self._held.get(key)
        return kept if kept is not None and kept.generation >= generation else self._open(key, generation)

    def _read_range(self, kept: _Kept, key: str, offset: int, nbytes: int) -> Buffer | None:
        if offset == EMPTY:
            return None
        assert kept.file is not None
        data = os.pread(kept.file.fd, nbytes, offset)
        if len(data) < nbytes:
            raise SourceFormatError(f"{self._keys.location}/{key} ends before byte {offset + nbytes}: cut short.")
        return data

    def _open(self, key: str, generation: int) -> _Kept:
        try:
            file = _OpenFile(f"{self._keys.location}/{key}")
        except FileNotFoundError:
            raise lost(self._keys, key) from None
        size = os.fstat(file.fd).st_size
        data = os.pread(file.fd, self._format.nbytes, max(0, size - self._format.nbytes))
        kept = _keep(self._format, data, f"{self._keys.location}/{key}", generation=generation, file=file)
        self._held.put(key, kept)
        return kept


class RemoteShards:
    """Shards of an object store, or of anything else that has keys."""

    def __init__(self, keys: KeySpace, index: IndexFormat) -> None:
        self._keys = keys
        self._format = index
        self._held: Held[_Kept] = Held(HELD_SHARDS)

    def read(self, key: str, number: int, *, generation: int) -> Buffer | None:
        """Return an encoded chunk."""
        return self.read_some(key, [number], generation=generation)[0]

    def read_some(self, key: str, numbers: list[int], *, generation: int) -> list[Buffer | None]:
        """Return several chunks of one shard, those that lie close together by one request."""
        kept = self._held.get(key)
        if kept is None or kept.generation < generation:
            kept = self._open(key, generation)
        for _ in range(TRIES):
            found = self._read_by(kept, key, numbers)
            if found is not None:
                return found
            kept = self._open(key, generation)
        raise SourceFormatError(f"{self._keys.location}/{key} was replaced {TRIES} times while it was read. Try again.")

    def _read_by(self, kept: _Kept, key: str, numbers: list[int]) -> list[Buffer | None] | None:
        """Return chunks found through an index, None when the shard is no longer the one that it belongs to."""
        ranges = {n: each for n, each in zip(numbers, kept.ranges(numbers), strict=True) if each[0] != EMPTY}
        if not ranges:
            return [None] * len(numbers) if self._is_current(kept, key) else None
        tagged = self._keys.get_tagged(key, list(ranges.values()))
        if tagged is None:
            raise lost(self._keys, key)
        parts, tag = tagged
        if tag != kept.tag or (tag is None and not self._is_current(kept, key)):
            return None
        found = dict(zip(ranges, parts, strict=True))
        short = next((n for n, (_, nbytes) in ranges.items() if len(found[n]) < nbytes), None)
        if short is not None:
            raise SourceFormatError(f"{self._keys.location}/{key}: chunk {short} is cut short. Restore the shard.")
        return [found.get(n) for n in numbers]

    def _is_current(self, kept: _Kept, key: str) -> bool:
        """Tell whether the shard is still the one of a kept index; its tag answers, or else the index itself."""
        if kept.tag is not None:
            info = self._keys.head(key)
            return info is not None and info.etag == kept.tag
        return bytes(self._keys.get_suffix(key, self._format.nbytes) or b"") == kept.stored

    def _open(self, key: str, generation: int) -> _Kept:
        tagged = self._keys.get_tagged(key, [(-self._format.nbytes, self._format.nbytes)])
        if tagged is None:
            raise lost(self._keys, key)
        (data,), tag = tagged
        kept = _keep(self._format, data, f"{self._keys.location}/{key}", generation=generation, tag=tag)
        self._held.put(key, kept)
        return kept


def _keep(
    form: IndexFormat,
    data: Buffer,
    where: str,
    *,
    generation: int,
    file: _OpenFile | None = None,
    tag: str | None = None,
) -> _Kept:
    try:
        index = form.decode(data)
    except SourceFormatError as error:
        raise SourceFormatError(f"{where}: {error}. Restore it from a copy.") from error
    stored = bytes(data) if file is None and tag is None else b""
    return _Kept(index, generation, file, tag, stored)

"""Keys of any zarr store, one call of zarr's for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np
from zarr.abc.store import ByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.buffer.cpu import Buffer as CpuBuffer
from zarr.core.sync import sync

from zarrmill.errors import InvalidInputError, NotFoundError, ZarrmillError
from zarrmill.keyspace.model import Buffer, KeyInfo, Names, RequestCounts, join

COPIES = 3
"""Copies of a value on its way: the caller's, the one that zarr is given or gives, and the store's own."""
PAGE_KEYS = 1000
"""Keys that are taken from a listing at a time."""
_AT_ONCE = 64
"""Requests that are under way together."""
T = TypeVar("T")


class ZarrKeys:
    """Keys of a zarr store, below a folder of it."""

    def __init__(
        self, store: Store, *, prefix: str = "", counts: RequestCounts | None = None, location: str = ""
    ) -> None:
        self._store = store
        self._prefix = prefix
        self.counts = counts or RequestCounts()
        self.location = location or join(str(store), prefix)
        self.read_only = store.read_only or not store.supports_writes
        self.can_list, self.copies = store.supports_listing, COPIES

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ZarrKeys) and (self._store, self._prefix) == (other._store, other._prefix)

    def __hash__(self) -> int:
        return hash((type(self._store), self._prefix))

    def __repr__(self) -> str:
        return f"ZarrKeys({self.location!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._store, self._prefix, self.location)

    def get(self, key: str) -> Buffer | None:
        """Return the value of a key, None where it is missing."""
        return self._get(key, None)

    def get_range(self, key: str, start: int, nbytes: int) -> Buffer | None:
        """Return a part of a value, shorter where the value ends, None where the key is missing."""
        return self._get(key, RangeByteRequest(start, start + nbytes))

    def get_suffix(self, key: str, nbytes: int) -> Buffer | None:
        """Return the last bytes of a value, all of a shorter one, None where the key is missing."""
        if not nbytes:
            return self.get_range(key, 0, 0)
        data = self._get(key, SuffixByteRequest(nbytes))
        # Some stores count back from the end beyond the start, and bring less than there is.
        return self.get(key) if data is not None and len(data) < nbytes else data

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[Buffer]:
        """Return several parts of a value, each by a request; raises NotFoundError where the key is missing."""
        parts = [self.get_range(key, start, nbytes) for start, nbytes in ranges]
        if None in parts:
            raise NotFoundError(f"{join(self.location, key)} is missing.")
        return [part for part in parts if part is not None]

    def get_tagged(self, key: str, ranges: Sequence[tuple[int, int]]) -> tuple[list[Buffer], str | None] | None:
        """Return parts of a value, which has no tag in a zarr store, None where the key is missing."""
        if ranges and ranges[0][0] < 0:
            data = self.get_suffix(key, ranges[0][1])
            return None if data is None else ([data], None)
        parts = [self.get_range(key, start, nbytes) for start, nbytes in ranges]
        return None if None in parts else ([part for part in parts if part is not None], None)

    def head(self, key: str) -> KeyInfo | None:
        """Return the length of a value, None where the key is missing."""
        self.counts.add("heads")
        path = join(self._prefix, key)
        try:
            if not sync(self._store.exists(path)):
                return None
            return KeyInfo(key, sync(self._store.getsize(path)), None, None)
        except FileNotFoundError:
            return None

    def put(self, key: str, data: Buffer) -> str | None:
        """Write a value; whether it is whole at every moment is the store's affair."""
        self._check_writable()
        self.counts.add("puts", written=memoryview(data).nbytes)
        _ask(self._store.set(join(self._prefix, key), _buffer(data)), join(self.location, key))
        return None

    def create(self, key: str, data: Buffer) -> bool:
        """Write a value unless the key is there; return whether the value there is this one.

        Zarr does not say who was first, so the value is read back; few stores exclude that two are.
        """
        self._check_writable()
        self.counts.add("puts", written=memoryview(data).nbytes)
        sync(self._store.set_if_not_exists(join(self._prefix, key), _buffer(data)))
        there = self.get(key)
        return there is not None and bytes(there) == bytes(data)

    def list(self, prefix: str = "") -> Iterator[KeyInfo]:
        """Yield every key below a folder."""
        folder = join(self._prefix, prefix)
        skip = len(self._prefix) + 1 if self._prefix else 0
        found = self._store.list_prefix(f"{folder}/" if folder else "")
        full = True
        while full:
            self.counts.add("lists")
            page = sync(_take(found))
            full = len(page) == PAGE_KEYS
            yield from (KeyInfo(path[skip:], None, None, None) for path in page)

    def list_dir(self, prefix: str = "") -> Names:
        """Return the names of the folders and of the keys directly below a folder.

        Zarr does not tell one from the other, so each name is asked for.
        """
        self.counts.add("lists")
        folder = join(self._prefix, prefix)
        names = sync(_all(self._store.list_dir(folder)))
        self.counts.add("gets", len(names))
        are_keys = sync(_together([self._is_key(join(folder, name)) for name in names]))
        split: Names = [], []
        for name, is_key in zip(names, are_keys, strict=True):
            split[is_key].append(name)
        return split

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys."""
        self._check_writable()
        paths = [join(self._prefix, key) for key in keys]
        self.counts.add("deletes", len(paths))
        sync(_together([self._delete(path) for path in paths]))

    def below(self, prefix: str) -> ZarrKeys:
        """Return the same store with a deeper root."""
        location = join(self.location, prefix)
        return ZarrKeys(self._store, prefix=join(self._prefix, prefix), counts=self.counts, location=location)

    def unchecked(self) -> ZarrKeys:
        """Return this: zarr tells of no checksums."""
        return self

    def _get(self, key: str, part: ByteRequest | None) -> Buffer | None:
        self.counts.add("gets")
        value = _ask(
            self._store.get(join(self._prefix, key), default_buffer_prototype(), part), f"{self.location}/{key}"
        )
        if value is None:
            return None
        data = np.ascontiguousarray(value.as_numpy_array()).view(np.uint8).data
        self.counts.add("gets", 0, read=len(data))
        return data

    async def _is_key(self, path: str) -> bool:
        # Some stores find that folders exist too.
        return await self._store.get(path, default_buffer_prototype(), RangeByteRequest(0, 1)) is not None

    async def _delete(self, path: str) -> None:
        with suppress(FileNotFoundError, KeyError):
            await self._store.delete(path)

    def _check_writable(self) -> None:
        if self.read_only:
            raise InvalidInputError(f"{self.location} can only be read. Give another target.")


def _ask(request: Coroutine[Any, Any, T], location: str) -> T:
    """Return what a store answers; whatever it raises becomes an error that names the key, and may pass."""
    try:
        return sync(request)
    except (OSError, MemoryError, ZarrmillError):
        raise
    except Exception as error:  # stores raise errors of every kind
        text = " ".join(str(error).split()) or type(error).__name__
        raise OSError(f"{location}: {text}") from error


class _Value(CpuBuffer):
    """A value that stores get as bytes without one more copy, which is what most of them ask for."""

    def to_bytes(self) -> bytes:
        """Return the bytes that it was made of, where it is all of them."""
        whole = getattr(self._data, "base", None)
        return whole if isinstance(whole, bytes) and len(whole) == len(self) else super().to_bytes()


def _buffer(data: Buffer) -> CpuBuffer:
    # A store may keep what it is given, and the caller may use the memory again.
    return _Value.from_bytes(bytes(data))


async def _take(found: AsyncIterator[str]) -> list[str]:
    page: list[str] = []
    async for path in found:
        page.append(path)
        if len(page) == PAGE_KEYS:
            break
    return page


async def _all(found: AsyncIterator[str]) -> list[str]:
    return [name async for name in found]


async def _together(requests: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(request: Coroutine[Any, Any, T]) -> T:
        async with limit:
            return await request

    return list(await asyncio.gather(*map(one, requests)))


def _reopen(store: Store, prefix: str, location: str) -> ZarrKeys:
    return ZarrKeys(store, prefix=prefix, location=location)

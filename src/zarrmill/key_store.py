"""A key space as a zarr store: what zarr-python reads and writes is checked, counted and explained like all else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype

from zarrmill.keyspace import KeySpace
from zarrmill.keyspace.model import Buffer as Data


class KeyStore(Store):
    """The keys of a key space as a zarr store.

    Unlike zarr's own store over the same client, it compares whole values with their checksums, writes each with one
    request, never in parts of which a kill would leave some, and its errors name the key.
    """

    def __init__(self, keys: KeySpace, *, read_only: bool = False) -> None:
        super().__init__(read_only=read_only or keys.read_only)
        self._keys = keys

    def with_read_only(self, read_only: bool = False) -> KeyStore:
        """Return the same keys in another mode."""
        return KeyStore(self._keys, read_only=read_only)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyStore) and self._keys == other._keys

    def __hash__(self) -> int:
        return hash(self._keys)

    def __str__(self) -> str:
        return self._keys.location

    @property
    def supports_writes(self) -> bool:
        """Whether keys can be written."""
        return not self._keys.read_only

    @property
    def supports_deletes(self) -> bool:
        """Whether keys can be deleted."""
        return not self._keys.read_only

    @property
    def supports_listing(self) -> bool:
        """Whether keys can be listed."""
        return self._keys.can_list

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Return the bytes of a key, None where it is missing."""
        data = await asyncio.to_thread(self._get, key, byte_range)
        return None if data is None else prototype.buffer.from_bytes(bytes(data))

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return parts of several keys."""
        return list(await asyncio.gather(*(self.get(key, prototype, part) for key, part in key_ranges)))

    async def exists(self, key: str) -> bool:
        """Tell whether a key is there."""
        return await asyncio.to_thread(self._keys.head, key) is not None

    async def set(self, key: str, value: Buffer) -> None:
        """Write a key with one request."""
        self._check_writable()
        await asyncio.to_thread(self._keys.put, key, value.to_bytes())

    async def delete(self, key: str) -> None:
        """Remove a key."""
        self._check_writable()
        await asyncio.to_thread(self._keys.delete, [key])

    async def list(self) -> AsyncIterator[str]:
        """Yield every key."""
        async for key in self.list_prefix(""):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Yield every key that begins with a prefix."""
        folder = prefix.rpartition("/")[0]
        for info in await asyncio.to_thread(lambda: list(self._keys.list(folder))):
            if info.key.startswith(prefix):
                yield info.key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names directly below a prefix."""
        folders, keys = await asyncio.to_thread(self._keys.list_dir, prefix.strip("/"))
        for name in (*folders, *keys):
            yield name

    def _get(self, key: str, part: ByteRequest | None) -> Data | None:
        match part:
            case None:
                return self._keys.get(key)
            case RangeByteRequest(start, end):
                return self._keys.get_range(key, start, end - start)
            case SuffixByteRequest(suffix):
                return self._keys.get_suffix(key, suffix)
            case OffsetByteRequest(offset):
                found = self._keys.get(key)
                return None if found is None else memoryview(found)[offset:]
            case _:
                raise ValueError(f"{part} is no part of a value")

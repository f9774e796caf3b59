"""The keys of an icechunk session as those of any zarr store."""

from __future__ import annotations

import asyncio
import mmap
import re

import numpy as np
from zarr.abc.store import ByteRequest, RangeByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import WrapperStore

PART = 2**20
"""Bytes of a value that are read at once. icechunk allocates on many threads, whose allocators keep for good what they
once had: reading values of 16 MiB in one piece took 515 MiB, in pieces of 8 MiB 400, and in pieces of this size 168."""
PARTS_AT_ONCE = 4
"""Parts of a value that are under way together."""
_CHUNK = re.compile(r"(.*/)?c(/\d+)*")
_METADATA = re.compile(r"(.*/)?zarr\.json")


class RepositoryStore(WrapperStore[Store]):
    """The keys of a session: icechunk raises for keys that others say are not there, and takes memory as it likes."""

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Return a value or a part of it, None where it is missing; what is large is read in pieces."""
        with _Missing():
            if not _CHUNK.fullmatch(key):
                return await self._store.get(key, prototype, byte_range) if _METADATA.fullmatch(key) else None
            match byte_range:
                case None:
                    return await self._get_whole(key, prototype)
                case RangeByteRequest(start, end) if end - start > PART:
                    return await self._get_parts(key, prototype, start, min(end, await self.getsize(key)))
                case _:
                    return await self._store.get(key, prototype, byte_range)
        return None

    async def _get_whole(self, key: str, prototype: BufferPrototype) -> Buffer | None:
        """Return a value, with one request where it is small."""
        first = await self._store.get(key, prototype, RangeByteRequest(0, PART))
        if first is None or len(first) < PART:
            return first
        return await self._get_parts(key, prototype, 0, await self.getsize(key))

    async def _get_parts(self, key: str, prototype: BufferPrototype, start: int, stop: int) -> Buffer:
        """Return a part of a value in memory that is the system's again after its last use."""
        if stop <= start:
            return prototype.buffer.from_bytes(b"")
        memory = mmap.mmap(-1, stop - start, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        values = np.frombuffer(memory, dtype=np.uint8)
        at_once = asyncio.Semaphore(PARTS_AT_ONCE)

        async def fill(begin: int) -> None:
            end = min(begin + PART, stop)
            async with at_once:
                part = await self._store.get(key, prototype, RangeByteRequest(begin, end))
            if part is None:
                raise KeyError(key)
            values[begin - start : end - start] = part.as_numpy_array()

        await asyncio.gather(*map(fill, range(start, stop, PART)))
        return prototype.buffer.from_array_like(values)

    async def exists(self, key: str) -> bool:
        """Tell whether a key is there."""
        with _Missing():
            return _is_known(key) and await self._store.exists(key)
        return False

    async def getsize(self, key: str) -> int:
        """Return the length of a value without reading it."""
        with _Missing():
            # Of a chunk that was never written icechunk says 0; no value is empty.
            if _is_known(key) and (size := await self._store.getsize(key)):
                return size
        raise FileNotFoundError(key)

    async def delete_dir(self, prefix: str) -> None:
        """Remove a node and all that is in it."""
        await self._store.delete_dir(prefix)


def _is_known(key: str) -> bool:
    """Tell whether icechunk knows such keys at all."""
    return bool(_CHUNK.fullmatch(key) or _METADATA.fullmatch(key))


class _Missing:
    """Passes over what icechunk raises about a key whose node is not there, or is none that has chunks."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        text = str(error)
        return isinstance(error, KeyError | FileNotFoundError) or (
            isinstance(error, Exception) and ("not found" in text or "there is not an array" in text)
        )

"""The keys of an icechunk session as those of any zarr store."""

from __future__ import annotations

import asyncio
import mmap
import re

import numpy as np
from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
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
        """Return a value or a part of it, None where it is missing.

        Past the end of a value some versions of icechunk read zeros, one panics, others raise, so that nothing is asked
        for there; the length of a value is no request.
        """
        with _Missing():
            if _METADATA.fullmatch(key):
                return await self._store.get(key, prototype, byte_range)
            if _CHUNK.fullmatch(key):
                size = await self.getsize(key)
                start, stop = _span(byte_range, size)
                if stop - start > PART:
                    return await self._get_parts(key, prototype, start, stop)
                part = None if stop - start == size else RangeByteRequest(start, stop)
                return await self._store.get(key, prototype, part) if start < stop else prototype.buffer.from_bytes(b"")
        return None

    async def _get_parts(self, key: str, prototype: BufferPrototype, start: int, stop: int) -> Buffer:
        """Return a part of a value in memory that is the system's again after its last use."""
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


def _span(part: ByteRequest | None, size: int) -> tuple[int, int]:
    """Return where a part of a value of a length begins and ends.

    >>> _span(None, 9), _span(RangeByteRequest(3, 20), 9), _span(SuffixByteRequest(20), 9)
    ((0, 9), (3, 9), (0, 9))
    """
    match part:
        case RangeByteRequest(start, end):
            return start, min(end, size)
        case OffsetByteRequest(start):
            return start, size
        case SuffixByteRequest(count):
            return max(0, size - count), size
        case _:
            return 0, size


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

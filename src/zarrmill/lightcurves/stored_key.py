"""Values to one stored key and back: a chunk, or a shard of chunks along the first axis, whole on the others."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.codecs.bytes_codecs import Buffer
from zarrmill.codecs.chain import CodecChain
from zarrmill.codecs.shard import EMPTY, Index, IndexFormat, empty_index
from zarrmill.errors import SourceFormatError
from zarrmill.grid import ceil_div
from zarrmill.layout import ArrayLayout
from zarrmill.lightcurves.parallel import gather

BATCH_BYTES = 256 * 1024
"""Decoded bytes that a thread encodes or decodes at a time: enough that handing them over costs nothing."""


class StoredKey:
    """Encodes and decodes the keys of arrays of one layout; any number of threads may use it at once."""

    def __init__(self, layout: ArrayLayout, *, fill: NDArray[Any]) -> None:
        self.dtype = fill.dtype
        self.chunk = layout.chunks
        self.fill = fill
        self.chain = CodecChain(layout.codecs, dtype=fill.dtype, chunk=layout.chunks)
        self.count = 1 if layout.shards is None else layout.shards[0] // layout.chunks[0]
        self.index = None if layout.shards is None else IndexFormat(self.count)
        self._batch = max(1, BATCH_BYTES // max(1, self.chain.nbytes))

    def encode(self, values: NDArray[Any], pool: ThreadPoolExecutor | None = None) -> bytes:
        """Return the bytes of a key; rows beyond those of ``values`` are filled, chunks of nothing else left out."""
        if self.index is None:
            return bytes(self.chain.encode(self._padded(values)))
        index, parts, end = empty_index(self.count), [], 0
        batches = list(self._batches(ceil_div(len(values), self.chunk[0])))
        calls = (partial(self._encode_some, values, start, stop) for start, stop in batches)
        for (start, _), some in zip(batches, gather(pool, calls), strict=True):
            for number, data in enumerate(some, start):
                if data is not None:
                    index[number] = (end, len(data))
                    parts.append(data)
                    end += len(data)
        return b"".join([*parts, self.index.encode(index)])

    def decode(self, data: Buffer, rows: int, pool: ThreadPoolExecutor | None = None) -> NDArray[Any]:
        """Return the first rows of a key. Raises SourceFormatError for bytes that are not what was written."""
        if self.index is None:
            return self.chain.decode(data)[:rows]
        view = memoryview(data)
        if len(view) < self.index.nbytes:
            raise SourceFormatError(f"a shard of {len(view)} bytes where its index alone has {self.index.nbytes}")
        index = self.index.decode(view[len(view) - self.index.nbytes :])
        out = np.full((rows, *self.chunk[1:]), self.fill, dtype=self.dtype)
        calls = (partial(self._decode_some, view, index, out, *b) for b in self._batches(ceil_div(rows, self.chunk[0])))
        for _ in gather(pool, calls):
            pass
        return out

    def _encode_some(self, values: NDArray[Any], start: int, stop: int) -> list[Buffer | None]:
        size = self.chunk[0]
        rows = np.ascontiguousarray(values[start * size : stop * size])
        if len(rows) < (stop - start) * size:
            padded = np.full(((stop - start) * size, *self.chunk[1:]), self.fill, dtype=self.dtype)
            padded[: len(rows)] = rows
            rows = padded
        # Compared bit by bit, because NaN differs from itself.
        bits, fill = (a.view(f"u{self.dtype.itemsize}") for a in (rows, self.fill.reshape(1)))
        stored = (bits.reshape(stop - start, -1) != fill).any(axis=1).tolist()
        raw, encode = rows.reshape(stop - start, -1).view(np.uint8), self.chain.encode_bytes
        return [encode(raw[i]) if kept else None for i, kept in enumerate(stored)]

    def _decode_some(self, view: memoryview, index: Index, out: NDArray[Any], start: int, stop: int) -> None:
        size = self.chunk[0]
        for number, (offset, nbytes) in enumerate(index[start:stop].tolist(), start):
            if offset != EMPTY:
                part = out[number * size : (number + 1) * size]
                part[...] = self.chain.decode(view[offset : offset + nbytes])[: len(part)]

    def _padded(self, values: NDArray[Any]) -> NDArray[Any]:
        if values.shape == self.chunk:
            return values
        whole = np.full(self.chunk, self.fill, dtype=self.dtype)
        whole[: len(values)] = values
        return whole

    def _batches(self, chunks: int) -> Iterator[tuple[int, int]]:
        for start in range(0, chunks, self._batch):
            yield start, min(chunks, start + self._batch)

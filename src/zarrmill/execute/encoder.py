"""Takes chunks out of a tile and encodes them."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.codecs.chain import CodecChain
from zarrmill.execute.records import Records
from zarrmill.execute.tiles import TileBuffer, Window
from zarrmill.execute.writers import Encoded
from zarrmill.grid import ChunkGrid, Coord

COMPARED = 2**16
"""Bytes compared with the fill value at a time."""


class _Own(threading.local):
    """A chunk of one thread to gather into; it stays."""

    chunk: NDArray[Any] | None = None


class Encoder:
    """Takes chunks out of a tile and encodes them; any number of threads may use it at once."""

    def __init__(self, chain: CodecChain, *, grid: ChunkGrid, records: Records, fill: NDArray[Any]) -> None:
        self._chain = chain
        self._grid = grid
        self._records = records
        self._fill = records.fill(fill)
        self._fill_one = self._fill.tobytes()
        self._chunk = records.shape(grid.chunks)
        size = max(1, min(math.prod(self._chunk), COMPARED // max(1, len(self._fill_one))))
        self._fill_some = self._fill_one * size
        self._has_edges = any(n % c for n, c in zip(grid.domain.shape, grid.chunks, strict=True))
        self._own = _Own()

    def window(self, tile: TileBuffer) -> Window:
        """Return a tile seen by chunks."""
        return Window(tile, self._chunk)

    def encode(self, window: Window, coords: list[Coord]) -> list[Encoded]:
        """Return the encoded bytes of chunks of a tile, None for each that holds the fill value alone."""
        axes, encode = self._records.axes, self._chain.encode_bytes
        encoded: list[Encoded] = []
        for coord in coords:
            raw = window.gather(coord[:axes], self._own_chunk(coord)).reshape(-1).view(np.uint8)
            encoded.append(None if self._is_fill(raw.data) else encode(raw))
        return encoded

    def _own_chunk(self, coord: Coord) -> NDArray[Any]:
        """Return this thread's chunk, set to the fill value where the array ends inside it."""
        if self._own.chunk is None:
            self._own.chunk = np.empty(self._chunk, dtype=self._records.dtype)
        chunk, stop = self._own.chunk, self._grid.domain.stop
        if self._has_edges and any((i + 1) * c > e for i, c, e in zip(coord, self._grid.chunks, stop, strict=True)):
            chunk[...] = self._fill
        return chunk

    def _is_fill(self, data: memoryview) -> bool:
        """Tell whether all values are the fill value, bit for bit; the first one answers for most chunks."""
        if data[: len(self._fill_one)] != self._fill_one:
            return False
        some = self._fill_some
        return all(data[i : i + len(some)] == some[: len(data) - i] for i in range(0, len(data), len(some)))

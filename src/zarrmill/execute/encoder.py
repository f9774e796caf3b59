"""Takes chunks out of a tile and encodes them."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.codecs.chain import CodecChain
from zarrmill.execute.records import Records
from zarrmill.execute.stacks import Run, as_stack, run_axis, runs
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
        self._run_axis = run_axis(grid, chain.nbytes)
        self._own = _Own()

    def window(self, tile: TileBuffer) -> Window:
        """Return a tile seen by chunks."""
        return Window(tile, self._chunk)

    def encode(self, window: Window, coords: list[Coord]) -> list[Encoded]:
        """Return the encoded bytes of chunks of a tile, None for each that holds the fill value alone."""
        if self._run_axis is None:
            return self._encode_each(window, coords)
        encoded: list[Encoded] = []
        for run in runs(coords, self._run_axis):
            rows = self._rows(window, run)
            encoded += self._encode_each(window, run.coords) if rows is None else self._encode_rows(rows)
        return encoded

    def _rows(self, window: Window, run: Run) -> NDArray[np.uint8] | None:
        """Return chunks that lie side by side as rows of bytes, or None where they are not in one piece of the tile."""
        region = self._records.region(run.box(self._grid.chunks))
        box = window.view(region) if region.start else None
        if box is None:
            return None
        return as_stack(box, run.axis, len(run.coords)).reshape(-1).view(np.uint8).reshape(len(run.coords), -1)

    def _encode_rows(self, rows: NDArray[np.uint8]) -> list[Encoded]:
        """Encode chunks together; only those that begin with the fill value can be nothing else."""
        begin = np.frombuffer(self._fill_one, dtype=np.uint8)
        maybe = np.flatnonzero((rows[:, : len(begin)] == begin).all(axis=1))
        empty = [i for i in maybe.tolist() if self._is_fill(rows[i].data)]
        if not empty:
            return list(self._chain.encode_many(rows))
        encoded: list[Encoded] = [None] * len(rows)
        stored = np.delete(np.arange(len(rows)), empty)
        if stored.size:
            for i, data in zip(stored.tolist(), self._chain.encode_many(rows[stored]), strict=True):
                encoded[i] = data
        return encoded

    def _encode_each(self, window: Window, coords: list[Coord]) -> list[Encoded]:
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

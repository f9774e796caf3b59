"""The writers of tiles: encoded chunks of the target, or whole write chunks through zarr-python."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.codecs.bytes_codecs import crc32c
from zarrmill.errors import NotFoundError
from zarrmill.execute.chunk_files import KeyEncoding
from zarrmill.execute.encoder import Encoder
from zarrmill.execute.sinks import Sinks
from zarrmill.execute.tiles import TileBuffer, Window
from zarrmill.execute.writers import WriteChunks, Written
from zarrmill.grid import ChunkGrid, Coord, Region
from zarrmill.keyspace import KeySpace


class StoredWriter:
    """Chunks of the target through the codec driver."""

    def __init__(self, encoder: Encoder, chunks: WriteChunks, *, grid: ChunkGrid, chunk_nbytes: int) -> None:
        self._encoder = encoder
        self._chunks = chunks
        self._grid = grid
        self._chunk_nbytes = chunk_nbytes

    def piece_grid(self, region: Region) -> ChunkGrid | None:
        """Return None: a chunk is gathered from anywhere."""
        return None

    def write(self, tile: TileBuffer, pool: ThreadPoolExecutor) -> None:
        """Encode and store every chunk of a tile."""
        rest = self._grid.domain.shape[len(tile.region.start) :]
        region = Region(tile.region.start + (0,) * len(rest), tile.region.stop + rest)
        produce = partial(self._encoder.encode, self._encoder.window(tile))
        self._chunks.write(region, produce, chunk_nbytes=self._chunk_nbytes, pool=pool)

    def finish(self) -> Written:
        """Complete the block."""
        return self._chunks.finish()

    def abandon(self) -> None:
        """Release what an unfinished block holds."""
        self._chunks.abandon()


class ZarrWriter:
    """Whole write chunks through zarr-python, for what the driver does not know."""

    def __init__(
        self,
        array: Any,
        *,
        made: KeySpace,
        sinks: Sinks,
        path: str,
        keys: KeyEncoding,
        grid: ChunkGrid,
        fill: NDArray[Any],
        checksums: bool,
    ) -> None:
        self._array = array
        self._made = made
        self._sinks = sinks
        self._path = path
        self._keys = keys
        self._grid = grid
        self._fill = fill
        self._checksums = checksums
        self._written = Written.start(checksums)

    def piece_grid(self, region: Region) -> ChunkGrid | None:
        """Return None: a chunk is gathered from anywhere."""
        return None

    def write(self, tile: TileBuffer, pool: ThreadPoolExecutor) -> None:
        """Store every write chunk of a tile; tiles are whole write chunks here."""
        window = Window(tile, self._grid.chunks)
        for coord in self._grid.coords(tile.region):
            part = self._grid.region(coord)
            self._write_one(self._keys.key(coord), part, self._part(tile, window, coord, part))

    def _part(self, tile: TileBuffer, window: Window, coord: Coord, part: Region) -> NDArray[Any]:
        """Return the values of a write chunk, put together where the tile is in pieces."""
        if len(tile.pieces) == 1:
            (values,) = tile.pieces.values()
            # The dots keep a value of no axes an array.
            index: Any = (*part.slices_in(tile.region), ...)
            found: NDArray[Any] = values[index]
            return found
        together = np.empty(self._grid.chunks, dtype=tile.dtype)
        return window.gather(coord, together)[tuple(slice(n) for n in part.shape)]

    def _write_one(self, key: str, part: Region, values: NDArray[Any]) -> None:
        if is_filled(values, self._fill):
            self._sinks.remove(key)
            self._written.empty += 1
            return
        # zarr-python takes an object of no axes for the value itself.
        self._array[part.slices] = values if part.shape else values[()]
        found = self._made.head(key)
        data = self._made.get(key) if self._checksums else None
        if found is None or found.nbytes is None:
            raise NotFoundError(f"{self._made.location}/{key} is missing right after it was written")
        self._written.add_key(f"{self._path}/{key}", found.nbytes, None if data is None else crc32c(data))
        self._sinks.adopt(self._made, key)

    def finish(self) -> Written:
        """Return what was written since the last call."""
        written, self._written = self._written, Written.start(self._checksums)
        return written

    def abandon(self) -> None:
        """Forget what was written: it is written again."""
        self._written = Written.start(self._checksums)


def is_filled(values: NDArray[Any], fill: NDArray[Any]) -> bool:
    """Tell whether all values are the fill value, bit for bit where values have a fixed size.

    >>> is_filled(np.array([0.0, -0.0]), np.array(0.0))
    False
    """
    if not values.size:
        return True
    if values.dtype.hasobject or values.dtype.kind == "T":
        return bool((values == fill[()]).all())
    if values.reshape(-1)[:1].tobytes() != fill.tobytes():
        return False
    item = np.frombuffer(fill.tobytes(), dtype=np.uint8)
    data = np.ascontiguousarray(values).reshape(-1).view(np.uint8).reshape(-1, len(item))
    return bool((data == item).all())

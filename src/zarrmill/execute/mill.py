"""Moves tiles from a reader to a writer, the next being read while one is written."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from zarrmill.execute.readers import ReadTiles, Tally
from zarrmill.execute.records import Records
from zarrmill.execute.tiles import TileBuffer, cut, tile_nbytes
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.execute.writers import WriteTiles
from zarrmill.grid import Region


class TileMill:
    """Moves tiles from a reader to a writer through one arena or two."""

    def __init__(
        self, reader: ReadTiles, writer: WriteTiles, *, records: Records, pool: ThreadPoolExecutor, buffers: int
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._dtype = records.dtype
        self._pool = pool
        self._buffers = buffers

    def run(self, tiles: list[Region], moved: Callable[[Region, int], None]) -> Tally:
        """Move tiles in order, calling ``moved`` with each when it is read (0) and when it is written (1)."""
        total = Tally()
        following: Future[tuple[TileBuffer, Tally]] | None = None
        try:
            for i, region in enumerate(tiles):
                tile, tally = following.result() if following else self._fill(region, i)
                following = None
                if self._buffers > 1 and i + 1 < len(tiles):
                    following = WORKSHOP.background().submit(self._fill, tiles[i + 1], i + 1)
                total.add(tally)
                moved(region, 0)
                self._writer.write(tile, self._pool)
                moved(region, 1)
        finally:
            if following is not None and not following.cancel():
                following.exception()
        return total

    def _fill(self, region: Region, number: int) -> tuple[TileBuffer, Tally]:
        grid = self._reader.piece_grid(region) or self._writer.piece_grid(region)
        if self._writer.piece_grid(region) is not None:
            grid = self._writer.piece_grid(region)
        edges = cut(region, grid)
        memory = None
        if not (self._dtype.hasobject or self._dtype.kind == "T"):
            nbytes = tile_nbytes(edges, self._dtype.itemsize)
            memory = WORKSHOP.arena(number % self._buffers, nbytes).memory
        tile = TileBuffer(region, edges, self._dtype, memory)
        return tile, self._reader.fill(tile, self._pool, self._pool._max_workers)

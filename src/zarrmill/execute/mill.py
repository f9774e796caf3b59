"""Moves tiles from a reader to a writer, the next being read while one is written, that of the next block too."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from zarrmill.execute.readers import ReadTiles, Tally
from zarrmill.execute.records import Records
from zarrmill.execute.tiles import TileBuffer, cut, tile_nbytes
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.execute.writers import WriteTiles, Written
from zarrmill.grid import Region

Filled = tuple[TileBuffer, Tally]
"""A tile that was read, and what that took."""


@dataclass(frozen=True, slots=True)
class _Ahead:
    """A tile that is being read before anybody asked for it."""

    region: Region
    filled: Future[Filled]

    def drop(self) -> None:
        """See that nobody is at work on it any more, whatever came of that."""
        if not self.filled.cancel():
            self.filled.exception()


class TileMill:
    """Moves the tiles of one block after another from a reader to a writer, through one arena or two."""

    def __init__(
        self, reader: ReadTiles, writer: WriteTiles, *, records: Records, pool: ThreadPoolExecutor, buffers: int
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._dtype = records.dtype
        self._pool = pool
        self._buffers = buffers
        self._begun = 0
        self._ahead: _Ahead | None = None

    def run(
        self, tiles: list[Region], moved: Callable[[Region, int], None], *, following: Region | None = None
    ) -> Tally:
        """Move tiles in order, calling ``moved`` with each when it is read (0) and when it is written (1).

        ``following`` is the first tile of the next call, where that is known: with two arenas it is read while the
        last of these is written.
        """
        total = Tally()
        for region, after in itertools.pairwise([*tiles, following]):
            assert region is not None
            tile, tally = self._take(region)
            if after is not None and self._buffers > 1:
                self._begin(after)
            total.add(tally)
            moved(region, 0)
            self._writer.write(tile, self._pool)
            moved(region, 1)
        return total

    def finish(self) -> Written:
        """Complete what was written since the last call; return the account of it."""
        return self._writer.finish()

    def abandon(self) -> None:
        """Release what an unfinished block holds, a tile that is read ahead as well."""
        try:
            self.stop()
        finally:
            self._writer.abandon()

    def stop(self) -> None:
        """Drop a tile that is read ahead."""
        if self._ahead is not None:
            self._ahead.drop()
            self._ahead = None

    def _take(self, region: Region) -> Filled:
        """Return a tile that was read ahead, or read it now."""
        if self._ahead is None or self._ahead.region != region:
            self.stop()
            return self._fill(region, self._next_slot())
        try:
            filled = self._ahead.filled.result()
        except Exception:
            self._ahead = None
            raise
        # Until it is there it can be dropped: an interrupt may come while it is waited for.
        self._ahead = None
        return filled

    def _begin(self, region: Region) -> None:
        """Have a tile read in the background."""
        self._ahead = _Ahead(region, WORKSHOP.background().submit(self._fill, region, self._next_slot()))

    def _next_slot(self) -> int:
        """Return the arena that the tile in work, if there is one, is not in."""
        self._begun += 1
        return self._begun % self._buffers

    def _fill(self, region: Region, slot: int) -> Filled:
        edges = cut(region, self._writer.piece_grid(region) or self._reader.piece_grid(region))
        memory = None
        if not (self._dtype.hasobject or self._dtype.kind == "T"):
            memory = WORKSHOP.arena(slot, tile_nbytes(edges, self._dtype.itemsize)).memory
        tile = TileBuffer(region, edges, self._dtype, memory)
        return tile, self._reader.fill(tile, self._pool, self._pool._max_workers)

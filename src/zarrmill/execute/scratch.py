"""The intermediate between two passes: one file, or one key of a store, per tile.

It is the image of its tile: the pieces in order, each on pages of its own. A piece is what one tile of this pass
shares with one of the next, so both passes move long stretches of it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import SourceFormatError
from zarrmill.execute.futures import collect
from zarrmill.execute.intermediates import TilePlace
from zarrmill.execute.readers import Tally, sum_up
from zarrmill.execute.tiles import Arena, TileBuffer, cut, pieces_of
from zarrmill.execute.writers import Written
from zarrmill.grid import ChunkGrid, Coord, Region, round_up
from zarrmill.plan.memory import PAGE


class ScratchWriter:
    """Writes each tile of a pass on its own, cut by the tiles of the next pass."""

    def __init__(self, place: TilePlace, *, tiles: ChunkGrid, next_tiles: ChunkGrid) -> None:
        self._place = place
        self._tiles = tiles
        self._next_tiles = next_tiles
        self._written = Written()

    def piece_grid(self, region: Region) -> ChunkGrid | None:
        """Return the tiles of the next pass."""
        return self._next_tiles

    def write(self, tile: TileBuffer, pool: ThreadPoolExecutor) -> None:
        """Write the image of a tile."""
        assert tile.memory is not None
        self._place.write(tile_name(self._tiles.box(tile.region).start), tile.memory.data)
        self._written.nbytes += tile.nbytes

    def finish(self) -> Written:
        """Return what was written since the last call; intermediate files are no keys of the target."""
        written, self._written = self._written, Written()
        return written

    def abandon(self) -> None:
        """Forget what was written: it is written again."""
        self._written = Written()


class ScratchReader:
    """Reads the tiles of a pass from those that the pass before wrote."""

    def __init__(self, place: TilePlace, *, tiles: ChunkGrid, previous: ChunkGrid, dtype: np.dtype[Any]) -> None:
        self._place = place
        self._tiles = tiles
        self._previous = previous
        self._dtype = dtype
        self._staging: NDArray[np.uint8] | None = None

    def piece_grid(self, region: Region) -> ChunkGrid | None:
        """Return the tiles of the pass before."""
        return self._previous

    def fill(self, tile: TileBuffer, pool: ThreadPoolExecutor, threads: int) -> Tally:
        """Read every piece of a tile, straight into place where it lies there as it does in the file."""
        straight = tile.edges == cut(tile.region, self._previous)
        coords = list(self._previous.coords(tile.region))
        if straight:
            first = self._previous.box(tile.region).start
            calls = (partial(self._read_into, tile, coord, _minus(coord, first)) for coord in coords)
            return sum_up(collect(pool, calls, in_flight=self._place.reads_at_once))
        return sum_up(self._read_and_put(tile, coord) for coord in coords)

    def _read_into(self, tile: TileBuffer, previous: Coord, piece: Coord) -> Tally:
        values = tile.pieces[piece]
        offset = values.__array_interface__["data"][0] - tile.memory.__array_interface__["data"][0]  # type: ignore[union-attr]
        assert tile.memory is not None
        self._read(previous, tile.region, tile.memory[offset : offset + round_up(values.nbytes, PAGE)])
        return Tally(nbytes=values.nbytes)

    def _read_and_put(self, tile: TileBuffer, previous: Coord) -> Tally:
        part = self._previous.region(previous).intersect(tile.region)
        assert part is not None
        nbytes = part.size * self._dtype.itemsize
        if self._staging is None or len(self._staging) < nbytes:
            self._staging = Arena(nbytes).memory
        self._read(previous, tile.region, self._staging[: round_up(nbytes, PAGE)])
        tile.put(part, self._staging[:nbytes].view(self._dtype).reshape(part.shape))
        return Tally(nbytes=nbytes)

    def _read(self, previous: Coord, region: Region, memory: NDArray[np.uint8]) -> None:
        """Read the piece that a tile of the pass before shares with ``region``."""
        name = tile_name(previous)
        if self._place.read_into(name, self._offset(previous, region), memory.data) < len(memory):
            raise SourceFormatError(
                f"intermediate {self._place.location}/{name} is cut short. Discard the draft and run again."
            )

    def _offset(self, previous: Coord, region: Region) -> int:
        whole = self._previous.region(previous)
        edges = cut(whole, self._tiles)
        for _, part, offset in pieces_of(edges, self._dtype.itemsize):
            if part.intersect(region) is not None:
                return offset
        raise RuntimeError(f"tile {previous} of the pass before shares nothing with {region}")


def _minus(a: Coord, b: Coord) -> Coord:
    return tuple(i - j for i, j in zip(a, b, strict=True))


def scratch_name(array: str, domain: Region, pass_index: int) -> str:
    """Return the folder of one intermediate, relative to the scratch folder.

    >>> scratch_name("a/flux", Region((0, 5), (5, 9)), 0)
    'a.flux-0.5-0'
    """
    start = ".".join(map(str, domain.start))
    return f"{array.replace('/', '.') or 'root'}-{start}-{pass_index}"


def tile_name(coord: Coord) -> str:
    """Return the file name of a tile, the same whether or not trailing axes of one tile are counted.

    >>> tile_name((3, 0)), tile_name((0, 2, 0)), tile_name((0, 0))
    ('3.tile', '0.2.tile', '0.tile')
    """
    while len(coord) > 1 and not coord[-1]:
        coord = coord[:-1]
    return ".".join(map(str, coord)) + ".tile"

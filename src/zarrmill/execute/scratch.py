"""The intermediate between two passes: one file per tile, read and written past the page cache.

A file is the image of its tile: the pieces in order, each on pages of its own. A piece is what one tile of this pass
shares with one of the next, so both passes move long stretches of the file.
"""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import SourceFormatError
from zarrmill.execute.chunk_files import read_fully
from zarrmill.execute.fence import Fence
from zarrmill.execute.futures import collect
from zarrmill.execute.readers import Tally, sum_up
from zarrmill.execute.tiles import Arena, TileBuffer, cut, pieces_of
from zarrmill.execute.writers import Written
from zarrmill.grid import ChunkGrid, Coord, Region, round_up
from zarrmill.plan.memory import PAGE

TRANSFER = 16 * 2**20
"""Bytes moved by one call: large enough for a disk's full speed."""


class ScratchWriter:
    """Writes each tile of a pass to a file of its own, cut by the tiles of the next pass."""

    def __init__(self, folder: Path, *, tiles: ChunkGrid, next_tiles: ChunkGrid, fence: Fence | None = None) -> None:
        self._folder = folder
        self._fence = fence
        self._tiles = tiles
        self._next_tiles = next_tiles
        self._written = Written()

    def piece_grid(self, region: Region) -> ChunkGrid | None:
        """Return the tiles of the next pass."""
        return self._next_tiles

    def write(self, tile: TileBuffer, pool: ThreadPoolExecutor) -> None:
        """Write the image of a tile."""
        assert tile.memory is not None
        place = self._folder / tile_name(self._tiles.box(tile.region).start)
        path = place if self._fence is None else self._fence.new_path()
        os.makedirs(self._folder, exist_ok=True)
        fd = open_direct(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            view = tile.memory.data
            for start in range(0, len(view), TRANSFER):
                part, done = view[start : start + TRANSFER], 0
                while done < len(part):
                    done += os.pwrite(fd, part[done:], start + done)
        finally:
            os.close(fd)
        if path is not place:
            os.replace(path, place)
        self._written.nbytes += tile.nbytes

    def finish(self) -> Written:
        """Return what was written since the last call; intermediate files are no keys of the target."""
        written, self._written = self._written, Written()
        return written

    def abandon(self) -> None:
        """Forget what was written: it is written again."""
        self._written = Written()


class ScratchReader:
    """Reads the tiles of a pass from the files that the pass before wrote."""

    def __init__(self, folder: Path, *, tiles: ChunkGrid, previous: ChunkGrid, dtype: np.dtype[Any]) -> None:
        self._folder = folder
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
            # Two reads under way keep a disk busy; more only take the cores from those that encode.
            return sum_up(collect(pool, calls, in_flight=2))
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
        path = self._folder / tile_name(previous)
        offset = self._offset(previous, region)
        fd = open_direct(path, os.O_RDONLY)
        try:
            if read_fully(fd, memory.data, offset) < len(memory):
                raise SourceFormatError(f"intermediate {path} is cut short. Discard the draft and run again.")
        finally:
            os.close(fd)

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


def open_direct(path: Path, flags: int) -> int:
    """Open a file past the page cache where the file system takes that, else as usual."""
    with contextlib.suppress(OSError, AttributeError):
        return os.open(path, flags | os.O_CLOEXEC | os.O_DIRECT, 0o666)
    return os.open(path, flags | os.O_CLOEXEC, 0o666)

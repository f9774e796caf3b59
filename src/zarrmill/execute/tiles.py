"""A tile in memory: pieces of one arena, and the tables that say where a chunk's values go."""

from __future__ import annotations

import bisect
import itertools
import math
import mmap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zarrmill.grid import ChunkGrid, Coord, Region, Shape, round_up
from zarrmill.plan.memory import PAGE

Edges = tuple[tuple[int, ...], ...]
"""Per axis the indices at which a tile is cut into pieces, both ends included."""


class Arena:
    """Memory for one tile at a time, allocated once and reused, in huge pages where the system has them."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = round_up(max(1, nbytes), PAGE)
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self._map = mmap.mmap(-1, self.nbytes, flags=flags)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            self._map.madvise(mmap.MADV_HUGEPAGE)
        self.memory: NDArray[np.uint8] = np.frombuffer(self._map, dtype=np.uint8)


def cut(region: Region, grid: ChunkGrid | None) -> Edges:
    """Return where the boxes of a grid cut a region.

    >>> cut(Region((2,), (9,)), ChunkGrid.over((12,), (4,)))
    ((2, 4, 8, 9),)
    """
    if grid is None:
        return tuple(zip(region.start, region.stop, strict=True))
    axes = zip(region.start, region.stop, grid.domain.start, grid.chunks, strict=True)
    return tuple((a, *range(o + ((a - o) // c + 1) * c, b, c), b) for a, b, o, c in axes)


def pieces_of(edges: Edges, itemsize: int) -> Iterator[tuple[Coord, Region, int]]:
    """Yield coordinate, region and byte offset of each piece, in C order, each on a page of its own.

    The offsets are those in memory and those in a file that holds the tile.
    """
    offset = 0
    for coord in itertools.product(*(range(len(e) - 1) for e in edges)):
        start = tuple(e[i] for e, i in zip(edges, coord, strict=True))
        stop = tuple(e[i + 1] for e, i in zip(edges, coord, strict=True))
        region = Region(start, stop)
        yield coord, region, offset
        offset += round_up(region.size * itemsize, PAGE)


def tile_nbytes(edges: Edges, itemsize: int) -> int:
    """Return the bytes of a tile with all of its pieces."""
    axes = [[b - a for a, b in itertools.pairwise(e)] for e in edges]
    return sum(round_up(math.prod(lengths) * itemsize, PAGE) for lengths in itertools.product(*axes))


class TileBuffer:
    """The values of one tile, as one array per piece."""

    def __init__(self, region: Region, edges: Edges, dtype: np.dtype[Any], memory: NDArray[np.uint8] | None) -> None:
        self.region = region
        self.edges = edges
        self.dtype = dtype
        self.pieces: dict[Coord, NDArray[Any]] = {}
        self.nbytes = 0
        for coord, part, offset in pieces_of(edges, dtype.itemsize):
            self.pieces[coord] = _piece(part.shape, dtype, memory, offset)
            self.nbytes = offset + round_up(part.size * dtype.itemsize, PAGE)
        self.memory = memory[: self.nbytes] if memory is not None else None

    def put(self, region: Region, values: NDArray[Any]) -> None:
        """Set the part of ``region`` that lies in the tile; for large regions, see Window for many chunks."""
        if len(self.pieces) == 1 and self.region.intersect(region) == region:
            (piece,) = self.pieces.values()
            part: Any = (*region.slices_in(self.region), ...)
            piece[part] = values
            return
        ones = tuple(max(1, b - a) for a, b in zip(region.start, region.stop, strict=True))
        Window(self, ones, origin=region.start).scatter((0,) * len(ones), values)


def _piece(shape: Shape, dtype: np.dtype[Any], memory: NDArray[np.uint8] | None, offset: int) -> NDArray[Any]:
    if memory is None:
        return np.empty(shape, dtype=dtype)
    nbytes = math.prod(shape) * dtype.itemsize
    return memory[offset : offset + nbytes].view(dtype).reshape(shape)


_AxisPart = tuple[int, slice, slice]
"""Number of the piece along the axis, the indices in the piece, the indices in the chunk."""


class Window:
    """A tile seen through a grid of chunks: moves the values of a chunk into or out of the tile."""

    def __init__(self, tile: TileBuffer, chunks: Shape, *, origin: Shape | None = None) -> None:
        self._tile = tile
        self._chunks = chunks
        zero = origin or (0,) * len(chunks)
        region = tile.region
        self._first = tuple((a - o) // c for a, o, c in zip(region.start, zero, chunks, strict=True))
        self._parts = [_AxisParts(c, o, e) for c, o, e in zip(chunks, zero, tile.edges, strict=True)]
        self._only = next(iter(tile.pieces.values())) if len(tile.pieces) == 1 else None

    def overlap(self, coord: Coord) -> tuple[Shape, tuple[slice, ...] | None]:
        """Return where the chunk's part in the tile starts, and its indices in the chunk (None when it is whole)."""
        axes = [self._parts[a][i - self._first[a]] for a, i in enumerate(coord)]
        here = tuple(slice(parts[0][2].start, parts[-1][2].stop) for parts in axes)
        start = tuple(i * c + s.start for i, c, s in zip(coord, self._chunks, here, strict=True))
        whole = all(s.stop - s.start == c for s, c in zip(here, self._chunks, strict=True))
        return start, None if whole else here

    def scatter(self, coord: Coord, values: NDArray[Any]) -> None:
        """Set the chunk's part of the tile; ``values`` has the shape of a whole chunk, or is one value."""
        for piece, there, here in self._moves(coord):
            piece[there] = values[here] if values.ndim else values

    def gather(self, coord: Coord, out: NDArray[Any]) -> NDArray[Any]:
        """Return the chunk's part of the tile: a view where it lies in one stretch of memory, else ``out``, set.

        Where the chunk sticks out of the tile, ``out`` keeps what it holds.
        """
        if self._only is not None:
            axes = [self._parts[a][i - self._first[a]][0] for a, i in enumerate(coord)]
            found: NDArray[Any] = self._only[tuple([part[1] for part in axes])]
            if found.shape == self._chunks and found.flags.c_contiguous:
                return found
            out[tuple([part[2] for part in axes])] = found
            return out
        for piece, there, here in self._moves(coord):
            out[here] = piece[there]
        return out

    def view(self, region: Region) -> NDArray[Any] | None:
        """Return the values of a region, or None where it is not whole in one piece of the tile."""
        if self._only is None or self._tile.region.intersect(region) != region:
            return None
        return self._only[region.slices_in(self._tile.region)]

    def _moves(self, coord: Coord) -> Iterator[tuple[NDArray[Any], tuple[slice, ...], tuple[slice, ...]]]:
        """Yield each piece that the chunk touches with the indices in the piece and in the chunk."""
        axes = [self._parts[a][i - self._first[a]] for a, i in enumerate(coord)]
        if self._only is not None:
            yield self._only, tuple([p[0][1] for p in axes]), tuple([p[0][2] for p in axes])
            return
        for parts in itertools.product(*axes):
            piece = self._tile.pieces[tuple([p[0] for p in parts])]
            yield piece, tuple([p[1] for p in parts]), tuple([p[2] for p in parts])


TABLE = 2**12
"""Chunks of an axis whose parts are remembered: about a mebibyte; of tiny chunks there may be millions."""


class _AxisParts:
    """The pieces that each chunk of one axis touches, by the chunk's number among those that touch the tile."""

    def __init__(self, chunk: int, origin: int, edges: Sequence[int]) -> None:
        self._chunk, self._edges = chunk, edges
        self._base = origin + (edges[0] - origin) // chunk * chunk
        self._known: dict[int, list[_AxisPart]] = {}

    def __getitem__(self, i: int) -> list[_AxisPart]:
        parts = self._known.get(i)
        if parts is None:
            parts = self._find(i)
            if len(self._known) < TABLE:
                self._known[i] = parts
        return parts

    def _find(self, i: int) -> list[_AxisPart]:
        base, edges, parts = self._base + i * self._chunk, self._edges, []
        start, stop = max(base, edges[0]), min(base + self._chunk, edges[-1])
        piece = bisect.bisect_right(edges, start) - 1
        while start < stop:
            low, end = edges[piece], min(edges[piece + 1], stop)
            parts.append((piece, slice(start - low, end - low), slice(start - base, end - base)))
            piece, start = piece + 1, end
        return parts

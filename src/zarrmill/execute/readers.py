"""Where a tile's values come from: stored chunks through the driver, or through zarr-python."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zarrmill.codecs.chain import CodecChain
from zarrmill.digest import ArrayDigest, Share
from zarrmill.errors import SourceFormatError
from zarrmill.execute.chunk_files import ReadChunks, batch
from zarrmill.execute.futures import collect
from zarrmill.execute.records import Records
from zarrmill.execute.tiles import TileBuffer, Window
from zarrmill.grid import ChunkGrid, Coord, Region, Shape
from zarrmill.plan.memory import RUN_BYTES


@dataclass(slots=True)
class Tally:
    """Figures that add up over batches, tiles and blocks."""

    share: Share = field(default_factory=Share.zero)
    """Share of the digest."""
    chunks: int = 0
    """Chunks read, missing ones too."""
    nbytes: int = 0
    """Encoded bytes read."""

    def add(self, other: Tally) -> None:
        """Add the figures of another part."""
        self.share = self.share + other.share
        self.chunks += other.chunks
        self.nbytes += other.nbytes


class ReadTiles(Protocol):
    """Fills tiles, or only digests regions."""

    def fill(self, tile: TileBuffer, pool: ThreadPoolExecutor, threads: int) -> Tally:
        """Set the values of a tile; return what was read."""

    def piece_grid(self, region: Region) -> ChunkGrid | None:
        """Return the grid by which a tile must be cut for this reader, None when it does not matter."""


class _Scratch(threading.local):
    """A chunk of one thread to decode into; it stays."""

    chunk: NDArray[Any] | None = None


class StoredReader:
    """Stored chunks through the codec driver."""

    def __init__(
        self,
        chunks: ReadChunks,
        *,
        name: str,
        grid: ChunkGrid,
        chain: CodecChain,
        records: Records,
        fill: NDArray[Any],
        digest: ArrayDigest | None,
    ) -> None:
        self._chunks = chunks
        self._name = name
        self._grid = grid
        self._chain = chain
        self._records = records
        self._fill = fill
        self._fill_record = records.fill(fill)
        self._digest = digest
        self._scratch = _Scratch()
        self._stack_axis = _stack_axis(grid)

    def piece_grid(self, region: Region) -> ChunkGrid | None:
        """Return None: a chunk goes anywhere."""
        return None

    def fill(self, tile: TileBuffer, pool: ThreadPoolExecutor, threads: int) -> Tally:
        """Decode every chunk that touches the tile and set its part."""
        window = Window(tile, self._records.shape(self._grid.chunks))
        region = self._whole(tile.region)
        batches = self._chunks.batches(region, threads=threads)
        return sum_up(collect(pool, (partial(self._load, b, region, window=window) for b in batches)))

    def digest(self, region: Region, pool: ThreadPoolExecutor, threads: int) -> Tally:
        """Decode every chunk that touches a region for the digest alone."""
        batches = self._chunks.batches(region, threads=threads)
        small = self._stack_axis is not None and self._chain.nbytes < RUN_BYTES
        load = self._load_stacked if small else partial(self._load, window=None)
        return sum_up(collect(pool, (partial(load, b, region) for b in batches)))

    def _whole(self, region: Region) -> Region:
        """Return a region of records as a region of values."""
        rest = self._grid.domain.shape[len(region.start) :]
        return Region(region.start + (0,) * len(rest), region.stop + rest)

    def _load(self, coords: list[Coord], region: Region, *, window: Window | None) -> Tally:
        tally = Tally(chunks=len(coords))
        axes, digest = self._records.axes, self._digest
        for coord in coords:
            values = self._decode(coord, tally)
            if values is None:
                if window is not None:
                    window.scatter(coord[:axes], self._fill_record)
                if digest is not None:
                    tally.share += self._missing(coord, region, digest)
                continue
            if window is not None:
                window.scatter(coord[:axes], self._records.of_values(values))
            if digest is not None:
                tally.share += self._digested(coord, values, region, digest)
        return tally

    def _load_stacked(self, coords: list[Coord], region: Region) -> Tally:
        """Digest chunks that lie side by side as one: a small chunk costs less to add than to begin with."""
        assert self._stack_axis is not None
        assert self._digest is not None
        tally = Tally(chunks=len(coords))
        for run in _runs(coords, self._stack_axis):
            stack = np.empty((len(run), *self._grid.chunks), dtype=self._chain.dtype)
            for chunk, coord in zip(stack, run, strict=True):
                values = self._decode(coord, tally, out=chunk)
                if values is not chunk:
                    chunk[...] = self._fill if values is None else values
            start, stop, _ = _clipped(run[0], self._grid.chunks, region)
            stop = _clipped(run[-1], self._grid.chunks, region)[1]
            tally.share += self._digest.share(self._unstacked(stack, run[0], start, stop), start)
        return tally

    def _unstacked(self, stack: NDArray[Any], first: Coord, start: Shape, stop: Shape) -> NDArray[Any]:
        """Return chunks stacked along an axis as one array, without what sticks out."""
        axis, chunks = self._stack_axis or 0, self._grid.chunks
        shape = (*chunks[:axis], len(stack) * chunks[axis], *chunks[axis + 1 :])
        base = tuple(i * c for i, c in zip(first, chunks, strict=True))
        part = tuple(slice(a - o, b - o) for a, b, o in zip(start, stop, base, strict=True))
        return stack.reshape(shape)[part]

    def _decode(self, coord: Coord, tally: Tally, *, out: NDArray[Any] | None = None) -> NDArray[Any] | None:
        try:
            encoded = self._chunks.read(coord)
            if encoded is None:
                return None
            tally.nbytes += len(encoded)
            return self._chain.decode(encoded, self._own_chunk() if out is None else out)
        except SourceFormatError as error:
            raise SourceFormatError(
                f"{self._name}: chunk {self._chunks.key(coord)} cannot be decoded: {error}. "
                f"Restore it from a copy, or remove it to have it read as missing."
            ) from error

    def _own_chunk(self) -> NDArray[Any]:
        if self._scratch.chunk is None:
            self._scratch.chunk = np.empty(self._grid.chunks, dtype=self._chain.dtype)
        return self._scratch.chunk

    def _digested(self, coord: Coord, values: NDArray[Any], region: Region, digest: ArrayDigest) -> Share:
        start, stop, whole = _clipped(coord, self._grid.chunks, region)
        if whole:
            return digest.share(values, start)
        base = tuple(i * c for i, c in zip(coord, self._grid.chunks, strict=True))
        part = tuple(slice(a - o, b - o) for a, b, o in zip(start, stop, base, strict=True))
        return digest.share(values[part], start)

    def _missing(self, coord: Coord, region: Region, digest: ArrayDigest) -> Share:
        start, stop, _ = _clipped(coord, self._grid.chunks, region)
        return digest.fill_share(self._fill, start, stop)


def _clipped(coord: Coord, chunks: Shape, region: Region) -> tuple[Shape, Shape, bool]:
    """Return the part of a chunk in a region, and whether that is the whole chunk."""
    base = [i * c for i, c in zip(coord, chunks, strict=True)]
    start = tuple(map(max, base, region.start))
    stop = tuple([min(o + c, e) for o, c, e in zip(base, chunks, region.stop, strict=True)])
    whole = all(b - a == c for a, b, c in zip(start, stop, chunks, strict=True))
    return start, stop, whole


def _stack_axis(grid: ChunkGrid) -> int | None:
    """Return the axis along which neighbouring chunks, one after the other in memory, make one larger array.

    That is the last axis with more than one chunk, if a chunk has the length 1 on all axes before it.
    """
    counts = grid.counts
    axis = next((a for a in reversed(range(len(counts))) if counts[a] > 1), None)
    return axis if axis is not None and all(c == 1 for c in grid.chunks[:axis]) else None


def _runs(coords: list[Coord], axis: int) -> Iterator[list[Coord]]:
    """Yield coordinates in runs that differ along one axis alone, by one each."""
    run: list[Coord] = []
    for coord in coords:
        if run and (coord[:axis] != run[-1][:axis] or coord[axis] != run[-1][axis] + 1):
            yield run
            run = []
        run.append(coord)
    if run:
        yield run


def sum_up(tallies: Iterator[Tally]) -> Tally:
    """Return the sum of figures."""
    total = Tally()
    for tally in tallies:
        total.add(tally)
    return total


class ZarrReader:
    """Chunks read by anything that is indexed like an array: zarr-python for what the driver does not know."""

    def __init__(self, array: Any, *, name: str, grid: ChunkGrid, digest: ArrayDigest | None) -> None:
        self._array = array
        self._name = name
        self._grid = grid
        self._digest = digest

    def piece_grid(self, region: Region) -> ChunkGrid | None:
        """Return None: a chunk goes anywhere."""
        return None

    def fill(self, tile: TileBuffer, pool: ThreadPoolExecutor, threads: int) -> Tally:
        """Read every chunk that touches the tile and set its part."""
        return self._each(tile.region, tile, pool, threads)

    def digest(self, region: Region, pool: ThreadPoolExecutor, threads: int) -> Tally:
        """Read every chunk that touches a region for the digest alone."""
        return self._each(region, None, pool, threads)

    def _each(self, region: Region, tile: TileBuffer | None, pool: ThreadPoolExecutor, threads: int) -> Tally:
        batches = batch(self._grid, region, chunk_nbytes=2**19, threads=threads)
        return sum_up(collect(pool, (partial(self._load, b, region, tile) for b in batches)))

    def _load(self, coords: list[Coord], region: Region, tile: TileBuffer | None) -> Tally:
        tally = Tally(chunks=len(coords))
        for coord in coords:
            part = self._grid.region(coord).intersect(region)
            assert part is not None
            try:
                values = self._read(part)
            except Exception as error:  # zarr-python and its codecs raise errors of every kind
                raise SourceFormatError(f"{self._name}: {part} cannot be read: {error}") from error
            tally.nbytes += values.nbytes
            if tile is not None:
                tile.put(part, values)
            if self._digest is not None:
                tally.share += self._digest.share(values, part.start)
        return tally

    def _read(self, part: Region) -> NDArray[Any]:
        values = self._array[part.slices]
        if part.shape:
            return np.asarray(values)
        # Of no axes, text comes as a str, and bytes come as an array of type S.
        whole = np.empty((), dtype=self._array.dtype)
        whole[...] = values
        return whole

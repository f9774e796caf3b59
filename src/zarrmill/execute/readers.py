"""Where a tile's values come from: stored chunks through the driver, or through zarr-python."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zarrmill.codecs.bytes_codecs import Buffer
from zarrmill.codecs.chain import CodecChain
from zarrmill.digest import ArrayDigest, Share
from zarrmill.errors import SourceFormatError, ZarrmillError
from zarrmill.execute.chunk_files import Batch, ReadChunks, batch
from zarrmill.execute.futures import collect
from zarrmill.execute.records import Records
from zarrmill.execute.stacks import as_box, run_axis, runs
from zarrmill.execute.tiles import TileBuffer, Window
from zarrmill.grid import ChunkGrid, Coord, Region, Shape


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
    """Memory of one thread to decode into; it stays."""

    chunk: NDArray[Any] | None = None
    stack: NDArray[Any] | None = None


class ChunkDecoder:
    """Encoded chunks and their codecs: what does not decode is read a second time, and an error names its chunk."""

    def __init__(self, chunks: ReadChunks, *, name: str, chain: CodecChain, fill: NDArray[Any]) -> None:
        self._chunks = chunks
        self._name = name
        self._chain = chain
        self._fill = fill

    def encoded(self, batch: Batch) -> list[Buffer | None]:
        """Return the encoded chunks of a batch; an error names its chunk."""
        try:
            return batch.read()
        except SourceFormatError:
            return [self._read_one(coord) for coord in batch.coords]

    def _read_one(self, coord: Coord) -> Buffer | None:
        try:
            (encoded,) = self._chunks.read([coord])
        except SourceFormatError as error:
            raise self._broken(coord, error) from error
        return None if encoded is None else bytes(encoded)

    def decode_many(
        self, coords: list[Coord], encoded: list[Buffer | None], *, stack: NDArray[Any], tally: Tally
    ) -> None:
        """Decode chunks into a stack, the fill value for missing ones; an error names its chunk."""
        stored = [i for i, data in enumerate(encoded) if data is not None]
        found = [data for data in encoded if data is not None]
        try:
            if found:
                self._chain.decode_many(found, stack[: len(found)])
        except SourceFormatError:
            for coord, data, chunk in zip(coords, encoded, stack, strict=True):
                values = self.decode(coord, data, tally, out=chunk)
                if values is not chunk:
                    chunk[...] = self._fill if values is None else values
            return
        tally.nbytes += sum(map(len, found))
        if len(found) < len(coords):
            _spread(stack, stored, self._fill)

    def decode(self, coord: Coord, encoded: Buffer | None, tally: Tally, *, out: NDArray[Any]) -> NDArray[Any] | None:
        """Return a decoded chunk, None for a missing one."""
        if encoded is None:
            return None
        tally.nbytes += len(encoded)
        try:
            return self._chain.decode(encoded, out)
        except SourceFormatError as error:
            broken = error
        try:
            again = self._chunks.read_again(coord)
            if again is not None:
                return self._chain.decode(again, out)
        except SourceFormatError as error:
            broken = error
        raise self._broken(coord, broken) from broken

    def _broken(self, coord: Coord, error: SourceFormatError) -> SourceFormatError:
        return SourceFormatError(
            f"{self._name}: chunk {self._chunks.key(coord)} cannot be decoded: {error}. "
            f"Restore it from a copy, or remove it to have it read as missing."
        )


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
        self._decoder = ChunkDecoder(chunks, name=name, chain=chain, fill=fill)
        self._grid = grid
        self._chain = chain
        self._records = records
        self._fill = fill
        self._fill_record = records.fill(fill)
        self._digest = digest
        self._scratch = _Scratch()
        self._run_axis = run_axis(grid, chain.nbytes)

    def piece_grid(self, region: Region) -> ChunkGrid | None:
        """Return None: a chunk goes anywhere."""
        return None

    def fill(self, tile: TileBuffer, pool: ThreadPoolExecutor, threads: int) -> Tally:
        """Decode every chunk that touches the tile and set its part."""
        region = self._whole(tile.region)
        if self._run_axis is not None:
            return self._each(region, partial(self._load_runs, region=region, tile=tile), pool, threads)
        window = Window(tile, self._records.shape(self._grid.chunks))
        return self._each(region, partial(self._load, region=region, window=window), pool, threads)

    def digest(self, region: Region, pool: ThreadPoolExecutor, threads: int) -> Tally:
        """Decode every chunk that touches a region for the digest alone."""
        if self._run_axis is not None:
            return self._each(region, partial(self._load_runs, region=region, tile=None), pool, threads)
        return self._each(region, partial(self._load, region=region, window=None), pool, threads)

    def _each(self, region: Region, load: Callable[[Batch], Tally], pool: ThreadPoolExecutor, threads: int) -> Tally:
        batches = self._chunks.batches(region, threads=threads)
        return sum_up(collect(pool, (partial(load, batch) for batch in batches)))

    def _whole(self, region: Region) -> Region:
        """Return a region of records as a region of values."""
        rest = self._grid.domain.shape[len(region.start) :]
        return Region(region.start + (0,) * len(rest), region.stop + rest)

    def _load(self, batch: Batch, *, region: Region, window: Window | None) -> Tally:
        tally = Tally(chunks=len(batch.coords))
        axes, digest = self._records.axes, self._digest
        for coord, encoded in zip(batch.coords, self._decoder.encoded(batch), strict=True):
            values = self._decoder.decode(coord, encoded, tally, out=self._own_chunk())
            if values is None:
                if window is not None:
                    window.scatter(coord[:axes], self._fill_record)
                if digest is not None:
                    tally.share += digest.fill_share(self._fill, *_clipped(coord, self._grid.chunks, region)[:2])
                continue
            if window is not None:
                window.scatter(coord[:axes], self._records.of_values(values))
            if digest is not None:
                tally.share += self._digested(coord, values, region, digest)
        return tally

    def _load_runs(self, batch: Batch, *, region: Region, tile: TileBuffer | None) -> Tally:
        """Decode small chunks together, and move and digest those that lie side by side as one."""
        assert self._run_axis is not None
        tally = Tally(chunks=len(batch.coords))
        stack, first = self._stack(len(batch.coords)), 0
        self._decoder.decode_many(batch.coords, self._decoder.encoded(batch), stack=stack, tally=tally)
        for run in runs(batch.coords, self._run_axis):
            chunks = stack[first : first + len(run.coords)]
            first += len(run.coords)
            box = run.box(self._grid.chunks)
            part = box.intersect(region)
            if part is not None:
                self._take(chunks, run.axis, box, part, tile, tally)
        return tally

    def _take(
        self, chunks: NDArray[Any], axis: int, box: Region, part: Region, tile: TileBuffer | None, tally: Tally
    ) -> None:
        """Set the part of a box of chunks in the tile, and add it to the digest."""
        if tile is not None:
            records = chunks.view(self._records.dtype).reshape(len(chunks), *self._records.shape(self._grid.chunks))
            inside = self._records.region(part)
            tile.put(inside, as_box(records, axis)[inside.slices_in(self._records.region(box))])
        if self._digest is not None:
            tally.share += self._digest.share(as_box(chunks, axis)[part.slices_in(box)], part.start)

    def _stack(self, count: int) -> NDArray[Any]:
        """Return memory of this thread for so many chunks."""
        if self._scratch.stack is None or len(self._scratch.stack) < count:
            self._scratch.stack = None
            self._scratch.stack = np.empty((count, *self._grid.chunks), dtype=self._chain.dtype)
        return self._scratch.stack[:count]

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


def _clipped(coord: Coord, chunks: Shape, region: Region) -> tuple[Shape, Shape, bool]:
    """Return the part of a chunk in a region, and whether that is the whole chunk."""
    base = [i * c for i, c in zip(coord, chunks, strict=True)]
    start = tuple(map(max, base, region.start))
    stop = tuple([min(o + c, e) for o, c, e in zip(base, chunks, region.stop, strict=True)])
    whole = all(b - a == c for a, b, c in zip(start, stop, chunks, strict=True))
    return start, stop, whole


def _spread(stack: NDArray[Any], stored: list[int], fill: NDArray[Any]) -> None:
    """Move the first chunks of a stack to where they belong, the last first, and set the others to the fill value."""
    for i in range(len(stored) - 1, -1, -1):
        if stored[i] != i:
            stack[stored[i]] = stack[i]
    missing = np.ones(len(stack), dtype=bool)
    missing[stored] = False
    stack[missing] = fill


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
            except ZarrmillError:
                raise
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

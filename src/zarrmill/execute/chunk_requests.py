"""Encoded chunks read from a key space, requested ahead of the threads that decode them."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from functools import partial

from zarrmill.codecs.bytes_codecs import Buffer
from zarrmill.codecs.shard import EMPTY, Index, IndexFormat
from zarrmill.errors import SourceFormatError
from zarrmill.execute.background import ahead
from zarrmill.execute.chunk_files import Batch, KeyEncoding, batch, batch_size, numbers
from zarrmill.execute.workshop import WORKSHOP
from zarrmill.grid import ChunkGrid, Coord, Region, Shape
from zarrmill.keyspace import KeySpace
from zarrmill.plan.memory import FETCH_BYTES, INDEX_CACHE, encoded_bound, requests_at_once


class ChunkRequests:
    """Chunks under one key each: one request a chunk."""

    def __init__(self, keys: KeySpace, *, encoding: KeyEncoding, grid: ChunkGrid, chunk_nbytes: int) -> None:
        self._keys = keys
        self._encoding = encoding
        self._grid = grid
        self._chunk_nbytes = chunk_nbytes
        self._depth = requests_at_once(keys.copies * encoded_bound(chunk_nbytes))

    def key(self, coord: Coord) -> str:
        """Return the key of a chunk."""
        return self._encoding.key(coord)

    def read(self, coords: Sequence[Coord]) -> list[Buffer | None]:
        """Return the encoded chunks, all requested at once, None for each that is missing."""
        return list(WORKSHOP.requests().map(self._get, coords)) if len(coords) > 1 else [self._get(coords[0])]

    def read_again(self, coord: Coord) -> Buffer | None:
        """Return a chunk as it comes a second time: what came first may have been damaged on its way."""
        return self._get(coord)

    def batches(self, region: Region, *, threads: int) -> Iterator[Batch]:
        """Yield the chunks that touch a region in C order, requested already."""
        pieces = batch(self._grid, region, chunk_nbytes=self._chunk_nbytes, threads=threads)
        sized = ((len(coords), coord) for coords in pieces for coord in coords)
        found = ahead(sized, self._get_sized, depth=self._depth)
        while first := next(found, None):
            (count, coord), future = first
            rest = list(itertools.islice(found, count - 1))
            futures = [future, *(future for _, future in rest)]
            yield Batch([coord, *(coord for (_, coord), _ in rest)], partial(_results, futures))

    def _get_sized(self, sized: tuple[int, Coord]) -> Buffer | None:
        return self._get(sized[1])

    def _get(self, coord: Coord) -> Buffer | None:
        return self._keys.get(self._encoding.key(coord))


def _results(futures: list[Future[Buffer | None]]) -> list[Buffer | None]:
    return [future.result() for future in futures]


class ShardRequests:
    """Inner chunks in shards: one request for the index, and one for neighbours of up to FETCH_BYTES."""

    def __init__(
        self,
        keys: KeySpace,
        *,
        encoding: KeyEncoding,
        grid: ChunkGrid,
        shards: Shape,
        index: IndexFormat,
        chunk_nbytes: int,
    ) -> None:
        self._keys = keys
        self._encoding = encoding
        self._grid = grid
        self._shards = ChunkGrid(grid.domain, shards)
        self._per_shard = tuple(s // c for s, c in zip(shards, grid.chunks, strict=True))
        self._format = index
        self._chunk_nbytes = chunk_nbytes
        self._bound = encoded_bound(chunk_nbytes)
        self._indices: OrderedDict[Coord, Future[Index | None]] = OrderedDict()
        self._lock = threading.Lock()

    def key(self, coord: Coord) -> str:
        """Return the key of the shard of an inner chunk, and the chunk."""
        return f"{self._encoding.key(self._shard_of(coord))} (inner chunk {coord})"

    def read(self, coords: Sequence[Coord]) -> list[Buffer | None]:
        """Return the encoded inner chunks of one shard, None for missing ones."""
        shard = self._shard_of(coords[0])
        index = self._index(shard)
        chunks: list[Buffer | None] = [None] * len(coords)
        if index is None:
            return chunks
        places = index[numbers(coords, self._per_shard)].tolist()
        stored = [i for i, (offset, _) in enumerate(places) if offset != EMPTY]
        ranges = [self._checked(*places[i]) for i in stored]
        found = self._keys.get_ranges(self._encoding.key(shard), ranges) if ranges else []
        for i, data in zip(stored, found, strict=True):
            if len(data) < places[i][1]:
                raise SourceFormatError(f"shard ends before byte {sum(places[i])}: cut short")
            chunks[i] = data
        return chunks

    def read_again(self, coord: Coord) -> Buffer | None:
        """Return an inner chunk as it comes a second time, its index too."""
        with self._lock:
            self._indices.pop(self._shard_of(coord), None)
        return self.read([coord])[0]

    def batches(self, region: Region, *, threads: int) -> Iterator[Batch]:
        """Yield the inner chunks that touch a region, shard by shard, requested already, in batches of one thread."""
        depth = requests_at_once(self._keys.copies * max(self._bound, FETCH_BYTES))
        for coords, future in ahead(self._fetches(region), self.read, depth=depth):
            size = batch_size(len(coords), chunk_nbytes=self._chunk_nbytes, threads=threads)
            for first in range(0, len(coords), size):
                yield Batch(coords[first : first + size], partial(_part, future, first, size))

    def _fetches(self, region: Region) -> Iterator[list[Coord]]:
        """Yield the inner chunks that one request brings."""
        for shard in self._shards.coords(region):
            part = self._shards.region(shard).intersect(region)
            if part is None:
                continue
            coords = self._grid.coords(part)
            while some := list(itertools.islice(coords, max(1, FETCH_BYTES // max(1, self._chunk_nbytes)))):
                yield some

    def _checked(self, offset: int, nbytes: int) -> tuple[int, int]:
        if nbytes > 2 * self._bound:
            raise SourceFormatError(f"inner chunk of {nbytes} bytes where at most {self._bound} are possible")
        return offset, nbytes

    def _shard_of(self, coord: Coord) -> Coord:
        return tuple(i // n for i, n in zip(coord, self._per_shard, strict=True))

    def _index(self, shard: Coord) -> Index | None:
        """Return the index of a shard, None when there is no such shard; it is requested once, and a few are kept."""
        with self._lock:
            future = self._indices.get(shard)
            asked = future is not None
            if future is None:
                future = self._indices[shard] = Future()
            while len(self._indices) > max(1, INDEX_CACHE // self._format.nbytes):
                self._indices.popitem(last=False)
        if not asked:
            try:
                future.set_result(self._read_index(shard))
            except BaseException as error:  # noqa: BLE001 (whoever waits for the index is told)
                with self._lock:
                    self._indices.pop(shard, None)
                future.set_exception(error)
        return future.result()

    def _read_index(self, shard: Coord) -> Index | None:
        key = self._encoding.key(shard)
        for attempt in (1, 2):
            if self._format.location == "start":
                data = self._keys.get_range(key, 0, self._format.nbytes)
            else:
                data = self._keys.get_suffix(key, self._format.nbytes)
            try:
                return None if data is None else self._format.decode(data)
            except SourceFormatError:
                # The first answer may have been damaged on its way.
                if attempt == 2:
                    raise
        raise AssertionError("the loop returns or raises")


def _part(future: Future[list[Buffer | None]], first: int, size: int) -> list[Buffer | None]:
    return future.result()[first : first + size]

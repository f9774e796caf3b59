"""Writes inner chunks into shards: each is appended as it is encoded, in order, and the index last.

No more of a shard is ever in memory than the few runs under way, so a shard may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from zarrmill.codecs.bytes_codecs import Buffer, crc32c
from zarrmill.codecs.shard import IndexFormat, empty_index
from zarrmill.execute.chunk_files import KeyEncoding, batch, numbers
from zarrmill.execute.futures import collect
from zarrmill.execute.sinks import Sink, Sinks
from zarrmill.execute.writers import Encoded, Produce, Written
from zarrmill.grid import ChunkGrid, Coord, Region, Shape

Run = list[Coord]


class OpenShard:
    """One shard while it is written."""

    def __init__(self, sinks: Sinks, key: str, index: IndexFormat, *, left: int, checksum: bool) -> None:
        self.key = key
        self.left = left
        """Inner chunks still to come."""
        self._sinks = sinks
        self._format = index
        self._index = empty_index(index.count)
        self._sink: Sink | None = None
        self._offset = 0
        self._crc = 0
        self._checksum = checksum

    def append(self, places: NDArray[np.intp], encoded: list[Encoded]) -> None:
        """Append inner chunks, given where they stand in the index; those that are not stored take no space."""
        parts = [data for data in encoded if data is not None]
        lengths = np.fromiter(map(len, parts), dtype=np.uint64, count=len(parts))
        if len(parts) < len(encoded):
            places = places[[data is not None for data in encoded]]
        self._index[places, 0] = self._offset + np.cumsum(lengths) - lengths
        self._index[places, 1] = lengths
        self.left -= len(encoded)
        self._write(parts)

    def _write(self, parts: list[Buffer]) -> None:
        if not parts:
            return
        if self._sink is None:
            self._sink = self._sinks.open(self.key)
        self._offset += self._sink.write(parts)
        if self._checksum:
            for part in parts:
                self._crc = crc32c(part, self._crc)

    def close(self, written: Written, name: str) -> None:
        """Write the index and count the key; a shard in which nothing is stored leaves no key."""
        if self._sink is None:
            self._sinks.remove(self.key)
            written.empty += 1
            return
        self._write([self._format.encode(self._index)])
        self._sink.close()
        self._sink = None
        written.add_key(name, self._offset, self._crc if self._checksum else None)

    def abandon(self) -> None:
        """Release what is held."""
        if self._sink is not None:
            self._sink.abandon()
            self._sink = None


def _make(produce: Produce, shard: Coord, run: Run) -> tuple[Coord, Run, list[Encoded]]:
    return shard, run, produce(run)


class ShardWriter:
    """Inner chunks in shards; a shard stays open until the last of its inner chunks has come."""

    def __init__(
        self,
        sinks: Sinks,
        *,
        path: str,
        keys: KeyEncoding,
        grid: ChunkGrid,
        shards: Shape,
        index: IndexFormat,
        checksums: bool,
    ) -> None:
        self._sinks = sinks
        self._path = path
        self._keys = keys
        self._grid = grid
        self._shards = ChunkGrid(grid.domain, shards)
        self._per_shard = tuple(s // c for s, c in zip(shards, grid.chunks, strict=True))
        self._index = index
        self._checksums = checksums
        self._open: dict[Coord, OpenShard] = {}
        self._written = Written.start(checksums)

    def write(self, region: Region, produce: Produce, *, chunk_nbytes: int, pool: ThreadPoolExecutor) -> None:
        """Append the inner chunks that touch a region, shard by shard and in C order."""
        runs = self._runs(region, chunk_nbytes=chunk_nbytes, threads=pool._max_workers)
        for shard, run, encoded in collect(pool, (partial(_make, produce, *run) for run in runs)):
            open_shard = self._shard(shard)
            open_shard.append(numbers(run, self._per_shard), encoded)
            if not open_shard.left:
                open_shard.close(self._written, f"{self._path}/{open_shard.key}")
                del self._open[shard]

    def _runs(self, region: Region, *, chunk_nbytes: int, threads: int) -> Iterator[tuple[Coord, Run]]:
        for shard in self._shards.coords(region):
            part = self._shards.region(shard).intersect(region)
            if part is not None:
                for run in batch(self._grid, part, chunk_nbytes=chunk_nbytes, threads=threads):
                    yield shard, run

    def _shard(self, coord: Coord) -> OpenShard:
        if coord not in self._open:
            left = self._grid.box(self._shards.region(coord)).size
            self._open[coord] = OpenShard(
                self._sinks, self._keys.key(coord), self._index, left=left, checksum=self._checksums
            )
        return self._open[coord]

    def finish(self) -> Written:
        """Return what was written since the last call; by then every shard of the block is complete."""
        if self._open:
            raise RuntimeError(f"the block ends inside {len(self._open)} shards: a block owns whole shards")
        self._sinks.flush()
        written, self._written = self._written, Written.start(self._checksums)
        return written

    def abandon(self) -> None:
        """Close the shards of an unfinished block: it is written again."""
        for open_shard in self._open.values():
            open_shard.abandon()
        self._open.clear()
        self._sinks.abandon()
        self._written = Written.start(self._checksums)

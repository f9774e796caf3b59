"""Writes chunks under one key each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from zarrmill.codecs.bytes_codecs import crc32c
from zarrmill.execute.chunk_files import KeyEncoding, batch
from zarrmill.execute.futures import collect
from zarrmill.execute.sinks import Sinks
from zarrmill.execute.writers import Produce, Written
from zarrmill.grid import ChunkGrid, Coord, Region


class ChunkWriter:
    """One key a chunk: every piece of work makes some chunks and writes them itself."""

    def __init__(self, sinks: Sinks, *, path: str, keys: KeyEncoding, grid: ChunkGrid, checksums: bool) -> None:
        self._sinks = sinks
        self._path = path
        self._keys = keys
        self._grid = grid
        self._checksums = checksums
        self._written = Written.start(checksums)

    def write(self, region: Region, produce: Produce, *, chunk_nbytes: int, pool: ThreadPoolExecutor) -> None:
        """Write the chunks that touch a region."""
        batches = batch(self._grid, region, chunk_nbytes=chunk_nbytes, threads=pool._max_workers)
        for part in collect(pool, (partial(self._write_some, some, produce) for some in batches)):
            self._written.add(part)

    def _write_some(self, coords: list[Coord], produce: Produce) -> Written:
        written = Written.start(self._checksums)
        for coord, data in zip(coords, produce(coords), strict=True):
            key = self._keys.key(coord)
            if data is None:
                written.empty += 1
                self._sinks.remove(key)
                continue
            sink = self._sinks.open(key)
            try:
                nbytes = sink.write([data])
            except BaseException:
                sink.abandon()
                raise
            sink.close()
            written.add_key(f"{self._path}/{key}", nbytes, crc32c(data) if self._checksums else None)
        return written

    def finish(self) -> Written:
        """Return what was written since the last call, when it is stored."""
        self._sinks.flush()
        written, self._written = self._written, Written.start(self._checksums)
        return written

    def abandon(self) -> None:
        """Forget what was written: it is written again."""
        self._sinks.abandon()
        self._written = Written.start(self._checksums)

"""Writes chunks to one file each."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from zarrmill.codecs.bytes_codecs import crc32c
from zarrmill.execute.chunk_files import KeyEncoding, batch, write_fully
from zarrmill.execute.futures import collect
from zarrmill.execute.writers import Produce, Written
from zarrmill.grid import ChunkGrid, Coord, Region


class Folder:
    """Creates and removes keys below a folder, making the folders between once."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._made: set[str] = set()

    def create(self, key: str) -> int:
        """Return a descriptor of a new empty file."""
        parent = key.rpartition("/")[0]
        if parent not in self._made:
            os.makedirs(f"{self._root}/{parent}", exist_ok=True)
            self._made.add(parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        return os.open(f"{self._root}/{key}", flags, 0o666)

    def remove(self, key: str) -> None:
        """Remove what an earlier attempt may have left."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self._root}/{key}")


class ChunkWriter:
    """One file a chunk: every piece of work makes some chunks and writes them itself."""

    def __init__(self, root: Path, *, path: str, keys: KeyEncoding, grid: ChunkGrid, checksums: bool) -> None:
        self._folder = Folder(root)
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
                self._folder.remove(key)
                continue
            fd = self._folder.create(key)
            try:
                nbytes = write_fully(fd, [data])
            finally:
                os.close(fd)
            written.add_key(f"{self._path}/{key}", nbytes, crc32c(data) if self._checksums else None)
        return written

    def finish(self) -> Written:
        """Return what was written since the last call."""
        written, self._written = self._written, Written.start(self._checksums)
        return written

    def abandon(self) -> None:
        """Forget what was written: it is written again."""
        self._written = Written.start(self._checksums)

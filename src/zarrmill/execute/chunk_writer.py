"""Writes chunks to one file each."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from zarrmill.codecs.bytes_codecs import crc32c
from zarrmill.execute.chunk_files import KeyEncoding, batch, write_fully
from zarrmill.execute.fence import Fence
from zarrmill.execute.futures import collect
from zarrmill.execute.writers import Produce, Written
from zarrmill.grid import ChunkGrid, Coord, Region


class NewFile:
    """The file of a key while it is written: at its place, or aside until it is whole."""

    def __init__(self, place: str, aside: str | None) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self.fd = os.open(aside or place, flags, 0o666)
        self._place = place
        self._aside = aside

    def keep(self) -> None:
        """Close the file, whole now, and put it in its place."""
        os.close(self.fd)
        if self._aside is not None:
            os.replace(self._aside, self._place)

    def drop(self) -> None:
        """Close the file as it is: the key is written again."""
        os.close(self.fd)
        if self._aside is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._aside)


class Folder:
    """Creates and removes keys below a folder, making the folders between once."""

    def __init__(self, root: Path, fence: Fence | None = None) -> None:
        self._root = str(root)
        self._fence = fence
        self._made: set[str] = set()

    def create(self, key: str) -> NewFile:
        """Return a new empty file."""
        aside = None if self._fence is None else str(self._fence.new_path())
        self._make_parent(key)
        return NewFile(f"{self._root}/{key}", aside)

    def _make_parent(self, key: str) -> None:
        parent = key.rpartition("/")[0]
        if parent not in self._made:
            os.makedirs(f"{self._root}/{parent}", exist_ok=True)
            self._made.add(parent)

    def take(self, made: Path, key: str) -> None:
        """Put a whole file that was made elsewhere on this disk in the place of a key."""
        if self._fence is not None:
            self.check()
            self._make_parent(key)
            os.replace(made, f"{self._root}/{key}")

    def check(self) -> None:
        """Raise NotFoundError when the run of this writer is over."""
        if self._fence is not None:
            self._fence.check()

    def remove(self, key: str) -> None:
        """Remove what an earlier attempt may have left."""
        self.check()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self._root}/{key}")


class ChunkWriter:
    """One file a chunk: every piece of work makes some chunks and writes them itself."""

    def __init__(self, folder: Folder, *, path: str, keys: KeyEncoding, grid: ChunkGrid, checksums: bool) -> None:
        self._folder = folder
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
            file = self._folder.create(key)
            try:
                nbytes = write_fully(file.fd, [data])
            except BaseException:
                file.drop()
                raise
            file.keep()
            written.add_key(f"{self._path}/{key}", nbytes, crc32c(data) if self._checksums else None)
        return written

    def finish(self) -> Written:
        """Return what was written since the last call."""
        written, self._written = self._written, Written.start(self._checksums)
        return written

    def abandon(self) -> None:
        """Forget what was written: it is written again."""
        self._written = Written.start(self._checksums)

"""Encoded chunks in files of the local disk: one file a chunk, or inner chunks in shards."""

from __future__ import annotations

import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zarrmill.codecs.bytes_codecs import Buffer
from zarrmill.codecs.shard import EMPTY, Index, IndexFormat
from zarrmill.errors import SourceFormatError
from zarrmill.grid import ChunkGrid, Coord, Region, Shape, ceil_div
from zarrmill.plan.memory import RUN_BYTES, RUN_CHUNKS, encoded_bound


@dataclass(frozen=True, slots=True)
class KeyEncoding:
    """How the coordinate of a chunk becomes its key.

    >>> KeyEncoding("c", "/").key((1, 2)), KeyEncoding("", ".").key((1, 2)), KeyEncoding("", ".").key(())
    ('c/1/2', '1.2', '0')
    """

    prefix: str
    """"c" for the default encoding of v3, "" for that of v2."""
    separator: str
    """Between the indices."""

    @classmethod
    def of(cls, document: dict[str, Any]) -> KeyEncoding:
        """Return the encoding of an array's metadata document."""
        encoding = document["chunk_key_encoding"]
        default = encoding["name"] == "default"
        separator = (encoding.get("configuration") or {}).get("separator", "/" if default else ".")
        return cls("c" if default else "", separator)

    def key(self, coord: Coord) -> str:
        """Return the key of a chunk, relative to its array."""
        return _key_pattern(self.prefix, self.separator, len(coord)) % coord

    def coord(self, key: str, axes: int) -> Coord | None:
        """Return the coordinate of the chunk of a key, None for a key that is no chunk's.

        >>> KeyEncoding("c", "/").coord("c/1/2", 2), KeyEncoding("", ".").coord("zarr.json", 2)
        ((1, 2), None)
        """
        indices = key.removeprefix(f"{self.prefix}{self.separator}") if self.prefix else key
        if not axes or not all(part.isdecimal() for part in indices.split(self.separator)):
            return () if not axes and key == self.key(()) else None
        coord = tuple(map(int, indices.split(self.separator)))
        return coord if len(coord) == axes and self.key(coord) == key else None


@functools.lru_cache
def _key_pattern(prefix: str, separator: str, axes: int) -> str:
    """Return what makes a coordinate a key: formatting takes a third of the time of joining."""
    return separator.join([prefix] * bool(prefix) + ["%d"] * axes) or "0"


_LAST_BYTE = 2**62
"""Larger than the offset of any byte of a file; an index that was damaged may hold more."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Chunks that are read together."""

    coords: list[Coord]
    """Their coordinates."""
    read: Callable[[], list[Buffer | None]]
    """Returns them as ``ReadChunks.read`` does."""


class ReadChunks(Protocol):
    """Reads encoded (inner) chunks; any number of threads may use it at once."""

    def read(self, coords: Sequence[Coord]) -> list[Buffer | None]:
        """Return the encoded chunks, valid until the thread's next call, None for each that is missing."""

    def batches(self, region: Region, *, threads: int) -> Iterator[Batch]:
        """Yield the chunks that touch a region, in pieces of work that are read well together."""

    def read_again(self, coord: Coord) -> Buffer | None:
        """Return a chunk that did not decode as it comes a second time, None where that cannot help."""

    def key(self, coord: Coord) -> str:
        """Return the key in which a chunk lies, for messages."""


class _ThreadBuffer(threading.local):
    """Memory of one thread that is read into; it grows to the largest chunk and stays."""

    def __init__(self) -> None:
        self._view = memoryview(bytearray(0))

    def at_least(self, nbytes: int) -> memoryview:
        if len(self._view) < nbytes:
            self._view = memoryview(bytearray(nbytes))
        return self._view


def batch_size(count: int, *, chunk_nbytes: int, threads: int) -> int:
    """Return how many of ``count`` chunks make a piece of about RUN_BYTES, and enough pieces for every thread."""
    return max(1, min(RUN_BYTES // max(1, chunk_nbytes), RUN_CHUNKS, ceil_div(count, 2 * threads)))


def batch(grid: ChunkGrid, region: Region, *, chunk_nbytes: int, threads: int) -> Iterator[list[Coord]]:
    """Yield the chunks that touch a region, in C order: pieces of about RUN_BYTES, and enough of them for every thread.

    No list of all is ever made: of tiny chunks there may be so many that it would be larger than their values.
    """
    coords = grid.coords(region)
    size = batch_size(grid.box(region).size, chunk_nbytes=chunk_nbytes, threads=threads)
    while some := list(itertools.islice(coords, size)):
        yield some


class ChunkFiles:
    """Chunks in one file each."""

    def __init__(self, root: Path, *, keys: KeyEncoding, grid: ChunkGrid, chunk_nbytes: int) -> None:
        self._root = str(root)
        self._keys = keys
        self._grid = grid
        self._chunk_nbytes = chunk_nbytes
        self._bound = encoded_bound(chunk_nbytes)
        self._buffer = _ThreadBuffer()

    def key(self, coord: Coord) -> str:
        """Return the key of a chunk."""
        return self._keys.key(coord)

    def read(self, coords: Sequence[Coord]) -> list[Buffer | None]:
        """Return the encoded chunks, valid until the thread's next call, None for each that is missing."""
        view, used = self._buffer.at_least(len(coords) * self._bound), 0
        chunks: list[Buffer | None] = []
        for coord in coords:
            chunk = self._read_one(f"{self._root}/{self._keys.key(coord)}", view[used : used + self._bound])
            chunks.append(chunk)
            used += self._bound if chunk is not None else 0
        return chunks

    def read_again(self, coord: Coord) -> None:
        """Return None: a file is the same a second time."""

    def _read_one(self, path: str, view: memoryview) -> memoryview | None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            count = os.readv(fd, [view])
            if count == len(view):
                # Longer than any codec makes it: the decoder tells, but it must see all of it.
                view = memoryview(bytearray(os.fstat(fd).st_size + 1))
                count = read_fully(fd, view, 0)
            return view[:count]
        except OSError as error:
            error.filename = path
            raise
        finally:
            os.close(fd)

    def batches(self, region: Region, *, threads: int) -> Iterator[Batch]:
        """Yield the chunks that touch a region in C order."""
        for coords in batch(self._grid, region, chunk_nbytes=self._chunk_nbytes, threads=threads):
            yield Batch(coords, partial(self.read, coords))


class _OpenShard(threading.local):
    """The shard that a thread read last, kept open with its index."""

    def __init__(self) -> None:
        self.coord: Coord | None = None
        self.fd: int | None = None
        self.index: Index | None = None

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)
        self.coord = self.fd = self.index = None

    def __del__(self) -> None:
        self.close()


class ShardFiles:
    """Inner chunks in shards, one file each; a shard's index is read once per thread that reads the shard."""

    def __init__(
        self, root: Path, *, keys: KeyEncoding, grid: ChunkGrid, shards: Shape, index: IndexFormat, chunk_nbytes: int
    ) -> None:
        self._root = str(root)
        self._keys = keys
        self._grid = grid
        self._shards = ChunkGrid(grid.domain, shards)
        self._per_shard = tuple(s // c for s, c in zip(shards, grid.chunks, strict=True))
        self._format = index
        self._chunk_nbytes = chunk_nbytes
        self._bound = encoded_bound(chunk_nbytes)
        self._buffer = _ThreadBuffer()
        self._open = _OpenShard()

    def key(self, coord: Coord) -> str:
        """Return the key of the shard of an inner chunk, and the chunk."""
        return f"{self._keys.key(self._shard_of(coord))} (inner chunk {coord})"

    def read(self, coords: Sequence[Coord]) -> list[Buffer | None]:
        """Return the encoded inner chunks of one shard, valid until the thread's next call, None for missing ones.

        Those that lie one after the other in the file are read at once.
        """
        index = self._index(self._shard_of(coords[0]))
        if index is None:
            return [None] * len(coords)
        places = index[numbers(coords, self._per_shard)]
        stored = np.flatnonzero(places[:, 0] != EMPTY)
        offsets, lengths = self._checked(places[stored])
        starts, ends, which = offsets.tolist(), (offsets + lengths).tolist(), stored.tolist()
        chunks: list[Buffer | None] = [None] * len(coords)
        view, used = self._buffer.at_least(int(lengths.sum())), 0
        for first, last in _neighbours(offsets, lengths):
            start, end = starts[first], ends[last]
            part = view[used : used + end - start]
            assert self._open.fd is not None
            if self._read_at(self._open.fd, part, start) < end - start:
                raise SourceFormatError(f"shard ends before byte {end}: cut short")
            for i in range(first, last + 1):
                chunks[which[i]] = part[starts[i] - start : ends[i] - start]
            used += end - start
        return chunks

    def read_again(self, coord: Coord) -> None:
        """Return None: a file is the same a second time."""

    def _checked(self, places: Index) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Return offsets and lengths of inner chunks as the index has them; raises for what cannot be."""
        offsets, lengths = places.T
        if (lengths > 2 * self._bound).any():
            raise SourceFormatError(f"inner chunk of {lengths.max()} bytes where at most {self._bound} are possible")
        if (offsets > _LAST_BYTE).any():
            raise SourceFormatError(f"shard ends before byte {offsets.max()}: cut short")
        return offsets, lengths

    def _read_at(self, fd: int, view: memoryview, offset: int) -> int:
        try:
            return read_fully(fd, view, offset)
        except OSError as error:
            assert self._open.coord is not None
            error.filename = f"{self._root}/{self._keys.key(self._open.coord)}"
            raise

    def batches(self, region: Region, *, threads: int) -> Iterator[Batch]:
        """Yield the inner chunks that touch a region, shard by shard."""
        for shard in self._shards.coords(region):
            part = self._shards.region(shard).intersect(region)
            if part is not None:
                for coords in batch(self._grid, part, chunk_nbytes=self._chunk_nbytes, threads=threads):
                    yield Batch(coords, partial(self.read, coords))

    def _shard_of(self, coord: Coord) -> Coord:
        return tuple(i // n for i, n in zip(coord, self._per_shard, strict=True))

    def _index(self, shard: Coord) -> Index | None:
        """Return the index of a shard, which stays open for this thread, or None when there is no such shard."""
        state = self._open
        if state.coord == shard:
            return state.index
        state.close()
        state.coord = shard
        try:
            state.fd = os.open(f"{self._root}/{self._keys.key(shard)}", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        data = bytearray(self._format.nbytes)
        size = os.fstat(state.fd).st_size
        start = 0 if self._format.location == "start" else max(0, size - len(data))
        try:
            count = self._read_at(state.fd, memoryview(data), start)
            state.index = self._format.decode(memoryview(data)[:count])
        except BaseException:
            state.close()
            raise
        return state.index


def numbers(coords: Sequence[Coord], per_shard: Shape) -> NDArray[np.intp]:
    """Return where inner chunks stand in the index of their shard.

    >>> numbers([(0, 5), (1, 4)], (2, 4)).tolist()
    [1, 4]
    """
    if not per_shard:
        return np.zeros(len(coords), dtype=np.intp)
    inside = np.array(coords, dtype=np.intp) % np.array(per_shard, dtype=np.intp)
    places: NDArray[np.intp] = np.ravel_multi_index(tuple(inside.T), per_shard)
    return places


def _neighbours(offsets: NDArray[np.uint64], lengths: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """Yield first and last of the chunks that lie one after the other, in the order asked for."""
    if len(offsets):
        breaks = np.flatnonzero(offsets[1:] != offsets[:-1] + lengths[:-1]).tolist()
        yield from zip([0, *(at + 1 for at in breaks)], [*breaks, len(offsets) - 1], strict=True)


def read_fully(fd: int, view: memoryview, offset: int) -> int:
    """Read into memory until it is full or the file ends; return the bytes read."""
    done = 0
    while done < len(view):
        count = os.preadv(fd, [view[done:]], offset + done)
        if not count:
            break
        done += count
    return done


def write_fully(fd: int, parts: list[Buffer]) -> int:
    """Append buffers to a file; return the bytes written."""
    total = 0
    for i in range(0, len(parts), 512):
        views = [memoryview(part).cast("B") for part in parts[i : i + 512]]
        while views:
            count = os.writev(fd, views)
            total += count
            while views and count >= len(views[0]):
                count -= len(views.pop(0))
            if views and count:
                views[0] = views[0][count:]
    return total

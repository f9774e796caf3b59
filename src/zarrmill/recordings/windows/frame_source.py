"""Frames of a device out of its HDF5 file: some channels of some frames, whole chunks decoded by all threads.

HDF5 decodes behind one lock, and brings all channels of a frame. Large chunks are therefore fetched as they are stored
and decoded here, those alone that hold a wanted channel, and while a chunk is still in the processor's cache the wanted
values are taken out of it. All else is read through HDF5 itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from zarrmill.errors import SourceFormatError
from zarrmill.execute.futures import collect
from zarrmill.recordings.hdf5 import Hdf5Dataset, Hdf5File

Frames = NDArray[np.int64]
Channels = NDArray[np.integer[Any]]
Values = NDArray[Any]
"""(frames, channels, samples)"""
T = TypeVar("T")
DEFLATE, SHUFFLE = 1, 2
"""Numbers of HDF5's filters that are decoded here."""
DIRECT_NBYTES = 256 * 1024
"""Decoded bytes of a chunk from which fetching it as it is stored costs less than HDF5's own way."""
REPEATED_PART = 64
"""How many times smaller than its values a stored chunk is that is remembered: most hold one value throughout."""
PIECE_NBYTES = 8 * 2**20
"""Decoded bytes that one thread handles at once, unless a row of chunks has more."""


@dataclass(frozen=True, slots=True)
class FrameSource:
    """Where the frames of a device lie; other processes open it anew."""

    path: Path
    """The file."""
    dataset: str
    """The dataset in it."""
    where: str
    """What messages call the file."""

    def open(self) -> Hdf5File:
        """Open the file."""
        return Hdf5File(self.path, shown=self.where)


@dataclass(frozen=True, slots=True, eq=False)
class Piece(Generic[T]):
    """What was made of some frames."""

    frames: Frames
    """Their numbers, rising."""
    made: T
    """What was made of their values."""


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """A column of chunks: those that begin at one channel and sample."""

    channel: int
    """First channel."""
    sample: int
    """First sample."""
    local: Channels
    """Wanted channels in it, from its first."""
    places: Channels
    """Their places among all that are wanted."""


class FrameReader:
    """Reads chosen frames of one dataset."""

    def __init__(self, dataset: Hdf5Dataset, pool: ThreadPoolExecutor) -> None:
        self._dataset = dataset
        self._pool = pool
        self._shape = dataset.shape
        self._chunk = dataset.chunks or (1, *dataset.shape[1:])
        self._filters = dataset.filters
        self._nbytes = int(np.prod(self._chunk)) * dataset.dtype.itemsize
        known = set(self._filters) <= {DEFLATE, SHUFFLE}
        self._direct = known and dataset.chunks is not None and self._nbytes >= DIRECT_NBYTES
        frame_nbytes = max(1, int(np.prod(self._shape[1:])) * dataset.dtype.itemsize)
        self._repeated: tuple[bytes, Values] | None = None
        self._known_finite: tuple[Values, NDArray[np.bool_]] | None = None
        # Pieces of whole chunks, so that none is decoded twice.
        self._rows = self._chunk[0] * max(1, PIECE_NBYTES // (frame_nbytes * self._chunk[0]))

    def each(self, frames: Frames, channels: Channels, use: Callable[[Values], T]) -> Iterator[Piece[T]]:
        """Yield what ``use`` makes of the values of some channels, for rising numbers of frames, piece by piece.

        ``use`` runs in threads.
        """
        read = self._decode_some if self._direct else self._read_some
        columns = self._columns(channels) if self._direct else []
        pieces = self._pieces(frames)
        calls = (partial(_use, use, partial(read, piece, channels, columns)) for piece in pieces)
        made = collect(self._pool, calls) if self._direct else (call() for call in calls)
        for piece, result in zip(pieces, made, strict=True):
            yield Piece(piece, result)

    def find_finite(self, start: int, stop: int) -> Iterator[Piece[NDArray[np.bool_]]]:
        """Yield which channels hold a finite value in some frame of a piece, for frames from one up to another."""
        channels = np.arange(self._shape[1])
        if not self._direct:
            yield from self.each(np.arange(start, stop), channels, _finite)
            return
        pieces = self._pieces(np.arange(start, stop))
        calls = (partial(self._finite_of, piece, self._columns(channels)) for piece in pieces)
        for piece, result in zip(pieces, collect(self._pool, calls), strict=True):
            yield Piece(piece, result)

    def _pieces(self, frames: Frames) -> list[Frames]:
        return np.split(frames, np.flatnonzero(np.diff(frames // self._rows)) + 1) if len(frames) else []

    def _columns(self, channels: Channels) -> list[_Column]:
        """Return the columns of chunks that hold wanted channels."""
        found = []
        for first in range(0, self._shape[1], self._chunk[1]):
            places = np.flatnonzero((channels >= first) & (channels < first + self._chunk[1]))
            if len(places):
                local = channels[places] - first
                samples = range(0, self._shape[2], self._chunk[2])
                found += [_Column(first, sample, local, places) for sample in samples]
        return found

    def _read_some(self, frames: Frames, channels: Channels, _: list[_Column]) -> Values:
        first, last = int(frames[0]), int(frames[-1])
        values = self._dataset.read(first, last + 1)
        if len(values) > len(frames):
            values = values[frames - first]
        return values if np.array_equal(channels, np.arange(self._shape[1])) else values[:, channels]

    def _decode_some(self, frames: Frames, channels: Channels, columns: list[_Column]) -> Values:
        out = np.empty((len(frames), len(channels), self._shape[2]), dtype=self._dataset.dtype)
        for start, rows, places in self._chunk_rows(frames):
            for column in columns:
                chunk = self._decode((start, column.channel, column.sample))[rows]
                samples = slice(column.sample, min(column.sample + self._chunk[2], self._shape[2]))
                taken = np.take(chunk[:, :, : samples.stop - samples.start], column.local, axis=1)
                out[places, column.places, samples] = taken
        return out

    def _finite_of(self, frames: Frames, columns: list[_Column]) -> NDArray[np.bool_]:
        found = np.zeros(self._shape[1], dtype=bool)
        for start, rows, places in self._chunk_rows(frames):
            whole = places.stop - places.start == self._chunk[0]
            for column in columns:
                chunk = self._decode((start, column.channel, column.sample))
                finite = self._finite_chunk(chunk) if whole else _finite(chunk[rows])
                found[column.channel + column.local] |= finite[: len(column.local)]
        return found

    def _finite_chunk(self, chunk: Values) -> NDArray[np.bool_]:
        """Return which channels of a whole chunk hold a finite value; chunks that are the same are looked at once."""
        known, repeated = self._known_finite, self._repeated
        if known is not None and known[0] is chunk:
            return known[1]
        finite = _finite(chunk)
        if repeated is not None and repeated[1] is chunk:
            self._known_finite = chunk, finite
        return finite

    def _chunk_rows(self, frames: Frames) -> Iterator[tuple[int, slice | Frames, slice]]:
        """Yield for each row of chunks its first frame, the wanted rows in it, and their places among the frames."""
        length, done = self._chunk[0], 0
        for part in np.split(frames, np.flatnonzero(np.diff(frames // length)) + 1):
            start = int(part[0]) // length * length
            rows = part - start
            whole = int(rows[-1] - rows[0]) == len(rows) - 1
            yield start, slice(int(rows[0]), int(rows[-1]) + 1) if whole else rows, slice(done, done + len(part))
            done += len(part)

    def _decode(self, offset: tuple[int, int, int]) -> Values:
        """Return the chunk that begins at an offset, whole."""
        found = self._dataset.read_encoded(offset)
        if found is None:
            return self._read_through(offset)
        skipped, data = found
        repeated = self._repeated
        if repeated is not None and not skipped and data == repeated[0]:
            return repeated[1]
        values = self._decoded(data, skipped, offset)
        if not skipped and len(data) * REPEATED_PART <= self._nbytes:
            self._repeated = data, values
        return values

    def _decoded(self, data: bytes, skipped: int, offset: tuple[int, int, int]) -> Values:
        try:
            for position, code in reversed(list(enumerate(self._filters))):
                if not skipped >> position & 1:
                    data = self._undo(code, data)
            return np.frombuffer(data, dtype=self._dataset.dtype).reshape(self._chunk)
        except (zlib.error, ValueError) as error:
            raise SourceFormatError(
                f"{self._dataset.where}: {self._dataset.path} frames from {offset[0]} cannot be decoded: {error}. "
                f"Copy the file again."
            ) from error

    def _undo(self, code: int, data: bytes) -> bytes:
        if code == DEFLATE:
            return zlib.decompress(data, bufsize=self._nbytes)
        planes = np.frombuffer(data, dtype=np.uint8).reshape(self._dataset.dtype.itemsize, -1)
        return planes.T.tobytes()

    def _read_through(self, offset: tuple[int, int, int]) -> Values:
        """Return a chunk that is not stored, by way of HDF5, which knows what is in its place."""
        start, channel, sample = offset
        out = np.zeros(self._chunk, dtype=self._dataset.dtype)
        found = self._dataset.read(start, start + self._chunk[0])
        part = found[:, channel : channel + self._chunk[1], sample : sample + self._chunk[2]]
        out[: part.shape[0], : part.shape[1], : part.shape[2]] = part
        return out


def _use(use: Callable[[Values], T], read: Callable[[], Values]) -> T:
    return use(read())


def _finite(values: Values) -> NDArray[np.bool_]:
    finite = np.isfinite(values).view(np.uint8)
    # Frame by frame on bytes, which the processor does by many at once, unlike a reduction over two axes.
    found = np.bitwise_or.reduce(finite, axis=0).view(bool)
    return np.asarray(found[:, 0] if found.shape[1] == 1 else found.any(axis=1))


def open_frames(file: Hdf5File, source: FrameSource, *, pool: ThreadPoolExecutor) -> FrameReader:
    """Return a reader of the frames of an open file."""
    return FrameReader(file.dataset(source.dataset), pool)

"""Arena to target files: one shard each, inner chunks and then the index; or one file per chunk."""

from __future__ import annotations

import itertools
import math
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import google_crc32c
import numpy as np
from numcodecs import zstd

from benchmarks.floor.arena import Arena
from benchmarks.floor.work import CORES, Team
from benchmarks.metadata import ZSTD
from benchmarks.sizes import ArrayCase, Shape

LEVEL: int = ZSTD["configuration"]["level"]
MISSING = 2**64 - 1
"""Offset and length in the index of an inner chunk that lies outside of the array."""
CHUNKS_PER_CALL = 256
"""Inner chunks in one piece of work."""
BUFFERS_PER_WRITE = 1024
"""IOV_MAX of Linux."""


@dataclass
class Shard:
    """A shard in the making: pieces are encoded by any thread, the one that finishes last writes."""

    path: str
    """File that it becomes."""
    rows: list[int | None]
    """Row of the arena per inner chunk, None outside of the array."""
    pending: int = 0
    """Pieces not encoded yet."""
    chunks: list[bytes] = field(default_factory=list)
    """Encoded inner chunks."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Guards `pending`."""

    def pieces(self, step: int) -> list[tuple[Shard, range]]:
        """The shard's work in pieces of `step` inner chunks."""
        self.chunks = [b""] * len(self.rows)
        found = [(self, range(start, min(start + step, len(self.rows)))) for start in range(0, len(self.rows), step)]
        self.pending = len(found)
        return found

    def finish_piece(self) -> None:
        """Count a piece as encoded; write the shard when it was the last."""
        with self.lock:
            self.pending -= 1
            if self.pending:
                return
        self._write()

    def _write(self) -> None:
        lengths = np.array([len(chunk) for chunk in self.chunks], "<u8")
        index = np.stack([np.cumsum(lengths) - lengths, lengths], axis=1)
        index[lengths == 0] = MISSING
        write_file(self.path, [*filter(None, self.chunks), with_checksum(index.astype("<u8").tobytes())])
        self.chunks = []


def with_checksum(encoded: bytes) -> bytes:
    """The bytes and their crc32c after them."""
    checksum: int = google_crc32c.value(encoded)
    return encoded + checksum.to_bytes(4, "little")


def write_file(path: str, buffers: list[bytes]) -> None:
    """Write the buffers one after the other to a new file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        for start in range(0, len(buffers), BUFFERS_PER_WRITE):
            part = buffers[start : start + BUFFERS_PER_WRITE]
            if os.writev(descriptor, part) != sum(map(len, part)):
                raise OSError(f"{path}: short write")
    finally:
        os.close(descriptor)


def encode_shards(case: ArrayCase, folder: str, first_row: int, *, arena: Arena, team: Team) -> None:
    """Encode a slab that begins at `first_row` of axis 0 and write its shards."""
    shards = _shards(case, folder, first_row // case.chunks[0], grid=arena.grid)
    step = min(CHUNKS_PER_CALL, -(-sum(len(shard.rows) for shard in shards) // (4 * CORES)))

    def worker(shared: Iterator[tuple[Shard, range]]) -> None:
        for shard, positions in shared:
            for position in positions:
                row = shard.rows[position]
                if row is not None:
                    shard.chunks[position] = with_checksum(zstd.compress(arena.encoded_rows[row], LEVEL))
            shard.finish_piece()

    team.share([piece for shard in shards for piece in shard.pieces(step)], worker)


def encode_files(case: ArrayCase, folder: str, first_row: int, *, arena: Arena, team: Team) -> None:
    """Encode a slab that begins at `first_row` of axis 0 and write one file per chunk."""
    first = first_row // case.chunks[0]
    names = [f"{folder}/c.{i[0] + first}.{'.'.join(map(str, i[1:]))}" for i in np.ndindex(*arena.grid)]

    def worker(shared: Iterator[int]) -> None:
        for row in shared:
            write_file(names[row], [zstd.compress(arena.encoded_rows[row], LEVEL)])

    team.share(range(len(names)), worker)


def _shards(case: ArrayCase, folder: str, first: int, *, grid: Shape) -> list[Shard]:
    """The shards of a slab whose first chunk along axis 0 is `first`; `grid` counts the slab's chunks."""
    per_shard = [shard // chunk for shard, chunk in zip(case.shards, case.chunks, strict=True)]
    counts = [-(-chunks // per) for chunks, per in zip(grid, per_shard, strict=True)]
    strides = [math.prod(grid[axis + 1 :]) for axis in range(len(grid))]
    found = []
    for index in np.ndindex(*counts):
        axes = [range(i * per, (i + 1) * per) for i, per in zip(index, per_shard, strict=True)]
        rows = [
            sum(i * stride for i, stride in zip(inner, strides, strict=True))
            if all(i < count for i, count in zip(inner, grid, strict=True))
            else None
            for inner in itertools.product(*axes)
        ]
        key = (index[0] + first // per_shard[0], *index[1:])
        found.append(Shard(f"{folder}/c.{'.'.join(map(str, key))}", rows))
    return found

"""What a block holds in memory, from shapes alone: the projection that ``max_mem`` is compared with."""

from __future__ import annotations

import math
from dataclasses import dataclass

from zarrmill.layout import ArrayLayout

SLACK = 28 * 2**20
"""Bytes for what is not counted by the byte: thread stacks, the allocator's unused pages, Python's own values."""
RUN_BYTES = 2**20
"""Decoded bytes of small chunks that a thread handles as one piece of work: long enough to hide its cost."""
PAGE = 4096
"""Alignment of the pieces of a tile, so that a file can be read and written past the page cache."""
THROUGH_ZARR = 5
"""Copies of a chunk that zarr-python's own pipeline holds at once: encoded, decoded, result, and two in transit."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one end of a pass costs while it works, apart from the tile itself."""

    per_thread: int
    """Bytes that each thread holds."""
    shared: int
    """Bytes held once, whatever the number of threads."""

    def mem(self, threads: int) -> int:
        """Return the bytes that this end holds with so many threads."""
        return threads * self.per_thread + self.shared


SCRATCH_SIDE = Side(per_thread=0, shared=0)
"""The end at an intermediate: whole pieces of the tile go straight to the file and back."""


def encoded_bound(nbytes: int) -> int:
    """Return a bound for the encoded size of so many bytes, whatever the codec.

    The worst of the known codecs (zlib, lz4, zstd, blosc) adds less than 1/128 and a few hundred bytes.

    >>> encoded_bound(0), encoded_bound(2**20)
    (512, 1057280)
    """
    return nbytes + nbytes // 128 + 512


def read_side(layout: ArrayLayout, *, native: bool) -> Side:
    """Return what reading the chunks of a stored array takes."""
    chunk = layout.chunk_nbytes
    if not native:
        whole = math.prod(layout.write_chunk) * layout.itemsize
        return Side(per_thread=THROUGH_ZARR * chunk, shared=2 * encoded_bound(whole) if layout.shards else 0)
    return Side(per_thread=encoded_bound(chunk) + chunk + 2 * index_nbytes(layout), shared=0)


def write_side(layout: ArrayLayout, *, native: bool, verify: bool, open_shards: int) -> Side:
    """Return what writing (and reading back) the chunks of a stored array takes.

    A thread holds one decoded chunk and one encoded run; as many runs again wait for their turn in a shard.
    Reading back holds an encoded and a decoded run.
    """
    chunk, write_chunk = layout.chunk_nbytes, math.prod(layout.write_chunk) * layout.itemsize
    if not native:
        return Side(per_thread=0, shared=THROUGH_ZARR * write_chunk)
    run = max(encoded_bound(chunk), RUN_BYTES)
    writing = chunk + (2 * run if layout.shards else encoded_bound(chunk))
    reading = max(encoded_bound(chunk), RUN_BYTES) + max(chunk, RUN_BYTES) if verify else 0
    waiting = run if layout.shards else 0
    return Side(per_thread=max(writing, reading), shared=waiting + 2 * open_shards * index_nbytes(layout))


def index_nbytes(layout: ArrayLayout) -> int:
    """Return the bytes of the index of one shard: offset and length of each inner chunk."""
    if layout.shards is None:
        return 0
    return 16 * math.prod(s // c for s, c in zip(layout.shards, layout.chunks, strict=True))


def pass_mem(arena: int, *, buffers: int, threads: int, read: Side, write: Side) -> int:
    """Return the projected memory of a pass: ``buffers`` tiles of ``arena`` bytes and what the two ends hold.

    With two buffers one tile is read while another is written, so both ends count; with one they take turns.
    """
    both = read.mem(threads) + write.mem(threads)
    ends = both if buffers > 1 else max(read.mem(threads), write.mem(threads))
    return SLACK + buffers * arena + ends

"""What a block holds in memory, from shapes alone: the projection that ``max_mem`` is compared with."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from zarrmill.layout import ArrayLayout

SLACK = 28 * 2**20
"""Bytes for what is not counted by the byte: thread stacks, the allocator's unused pages, Python's own values."""
RUN_BYTES = 2**19
"""Decoded bytes of small chunks that a thread handles as one piece of work: long enough to hide its cost."""
RUN_CHUNKS = 256
"""Chunks of such a piece at the most, because each has memory that does not depend on its size."""
GROWING = frozenset({"gzip", "zlib", "bz2", "lzma"})
"""Codecs that decode into memory which grows as they go, so that an old and a new copy are there at once."""
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
    return Side(per_thread=_decoding(layout) + index_nbytes(layout), shared=0)


def write_side(layout: ArrayLayout, *, native: bool, verify: bool, open_shards: int) -> Side:
    """Return what writing (and reading back) the chunks of a stored array takes.

    A thread holds one decoded chunk, or a run of small ones, and one encoded run, twice while a checksum is added;
    twice as many runs wait for their turn in a shard. Reading back takes what reading takes.
    """
    chunk, write_chunk = layout.chunk_nbytes, math.prod(layout.write_chunk) * layout.itemsize
    if not native:
        return Side(per_thread=0, shared=THROUGH_ZARR * write_chunk)
    run = max(encoded_bound(chunk), RUN_BYTES)
    made = temporaries(layout) * chunk + (RUN_BYTES if moved_in_runs(chunk) else chunk)
    writing = made + (4 * run if layout.shards or moved_in_runs(chunk) else 2 * run)
    index = index_nbytes(layout)
    reading = _decoding(layout) + index if verify else 0
    waiting = run if layout.shards else 0
    # That of the shard which is being closed is there as numbers, as bytes, and with its checksum.
    return Side(per_thread=max(writing, reading), shared=waiting + (open_shards + 2) * index)


def moved_in_runs(chunk_nbytes: int) -> bool:
    """Tell whether chunks are so small that a thread handles several as one.

    >>> moved_in_runs(2**19), moved_in_runs(2**19 + 1)
    (True, False)
    """
    return 2 * chunk_nbytes <= RUN_BYTES


def _decoding(layout: ArrayLayout) -> int:
    """Return what a thread holds that decodes: of small chunks a run, encoded, as the codec makes it, and as a box."""
    chunk = layout.chunk_nbytes
    if moved_in_runs(chunk):
        return encoded_bound(RUN_BYTES) + RUN_CHUNKS * 512 + (3 + temporaries(layout)) * RUN_BYTES
    return encoded_bound(chunk) + (1 + temporaries(layout)) * chunk


def move_side(source: ArrayLayout, target: ArrayLayout, *, verify: bool) -> Side:
    """Return what moving encoded chunks takes: a thread reads one, copies it and makes a run of such copies.

    As many runs again wait for their turn, and one is being written. The digest decodes a run or a chunk.
    """
    chunk = encoded_bound(source.chunk_nbytes)
    run = max(chunk, RUN_BYTES)
    digesting = 2 * chunk + max(source.chunk_nbytes, RUN_BYTES) if verify else 0
    per_thread = 2 * chunk + 2 * run + digesting + 4 * index_nbytes(source)
    return Side(per_thread=per_thread, shared=run + 2 * index_nbytes(target))


def temporaries(layout: ArrayLayout) -> int:
    """Return how many more copies of a chunk its codecs hold on the way: those that cannot decode into place need them.

    >>> from dataclasses import replace
    >>> plain = ArrayLayout((4,), "float32", 4, (4,), codecs=('{"name":"bytes"}', '{"name":"zstd"}'))
    >>> temporaries(plain), temporaries(replace(plain, codecs=('{"name":"bytes"}', '{"name":"gzip"}')))
    (0, 2)
    """
    documents = [json.loads(codec) for codec in layout.codecs]
    names = [document["name"] for document in documents]
    moved = "transpose" in names or any((d.get("configuration") or {}).get("endian") == "big" for d in documents)
    packed = [name for name in names if name not in ("bytes", "transpose", "crc32c")]
    growing = any(name.removeprefix("numcodecs.") in GROWING for name in packed)
    return int(moved) + max(0, len(packed) - 1) + (2 if growing else int(packed[:1] not in ([], ["zstd"], ["blosc"])))


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

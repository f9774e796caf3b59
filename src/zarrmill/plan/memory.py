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
REQUEST_BYTES = 16 * 2**20
"""Bytes of requests under way at once: at 50 ms a request, as much as a few cores decode or encode meanwhile."""
MOST_REQUESTS = 64
"""Requests under way at once, however small."""
FETCH_BYTES = 4 * 2**20
"""Decoded bytes of neighbouring inner chunks that one request brings: more would only wait in memory."""
INDEX_CACHE = 2**20
"""Bytes of indices of shards that are remembered, one at the least."""
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


@dataclass(frozen=True, slots=True)
class Remote:
    """Which ends are reached by requests to a store, and the memory that those take."""

    source: int = 0
    """Copies in memory at once of a value on its way from the source; 0 where that is on the local disk."""
    target: int = 0
    """Copies in memory at once of a value on its way to the target, or back; 0 where that is on the local disk."""
    scratch: bool = False
    """Whether intermediates are reached by requests."""
    held: int = 0
    """Bytes that the client of the target holds by the end of what it knows of every key."""


TILE_REQUEST = 4 * 2**20
"""Bytes of an intermediate in a store that are read by one request."""


def scratch_side(remote: Remote) -> Side:
    """Return what the end at an intermediate takes: pieces go straight to a file and back, or come by requests."""
    return Side(per_thread=TILE_REQUEST if remote.scratch else 0, shared=0)


def encoded_bound(nbytes: int) -> int:
    """Return a bound for the encoded size of so many bytes, whatever the codec.

    The worst of the known codecs (zlib, lz4, zstd, blosc) adds less than 1/128 and a few hundred bytes.

    >>> encoded_bound(0), encoded_bound(2**20)
    (512, 1057280)
    """
    return nbytes + nbytes // 128 + 512


def read_side(layout: ArrayLayout, *, native: bool, remote: int = 0) -> Side:
    """Return what reading the chunks of a stored array takes.

    From a store chunks come ahead of the threads: those under way, each in ``remote`` copies, and for each thread two
    pieces of work that wait.
    """
    chunk = layout.chunk_nbytes
    if not native:
        whole = math.prod(layout.write_chunk) * layout.itemsize
        return Side(per_thread=THROUGH_ZARR * chunk, shared=2 * encoded_bound(whole) if layout.shards else 0)
    if not remote:
        return Side(per_thread=_decoding(layout) + index_nbytes(layout), shared=0)
    bound = encoded_bound(max(chunk, FETCH_BYTES) if layout.shards else chunk)
    waiting = 2 * max(bound, encoded_bound(RUN_BYTES))
    ahead = requests_at_once(remote * bound) * remote * bound
    if layout.shards:
        ahead += INDEX_CACHE + 2 * index_nbytes(layout)
    return Side(per_thread=_decoding(layout) + waiting, shared=ahead)


def write_side(layout: ArrayLayout, *, native: bool, verify: bool, open_shards: int, remote: int = 0) -> Side:
    """Return what writing (and reading back) the chunks of a stored array takes.

    A thread holds one decoded chunk, or a run of small ones, and one encoded run, twice while a checksum is added;
    twice as many runs wait for their turn in a shard. Reading back takes what reading takes. A store gets each key in
    one piece, so that what is open or, in ``remote`` copies, on its way to a store is in memory.
    """
    chunk, write_chunk = layout.chunk_nbytes, math.prod(layout.write_chunk) * layout.itemsize
    if not native:
        return Side(per_thread=0, shared=THROUGH_ZARR * write_chunk)
    run = max(encoded_bound(chunk), RUN_BYTES)
    made = temporaries(layout) * chunk + (RUN_BYTES if moved_in_runs(chunk) else chunk)
    writing = made + (4 * run if layout.shards or moved_in_runs(chunk) else 2 * run)
    index = index_nbytes(layout)
    back = read_side(layout, native=True, remote=remote) if verify else Side(0, 0)
    # That of the shard which is being closed is there as numbers, as bytes, and with its checksum.
    shared = (run if layout.shards else 0) + (open_shards + 2) * index
    if remote:
        bound = key_bound(layout)
        shared += (puts_at_once(remote * bound) * remote + (open_shards if layout.shards else 0)) * bound
    return Side(per_thread=max(writing, back.per_thread), shared=max(shared, back.shared))


def moved_in_runs(chunk_nbytes: int) -> bool:
    """Tell whether chunks are so small that a thread handles several as one.

    >>> moved_in_runs(2**18), moved_in_runs(2**18 + 1)
    (True, False)
    """
    return 2 * chunk_nbytes <= RUN_BYTES


def _decoding(layout: ArrayLayout) -> int:
    """Return what a thread holds that decodes: of small chunks a run, encoded, as the codec makes it, and as a box."""
    chunk = layout.chunk_nbytes
    if moved_in_runs(chunk):
        return encoded_bound(RUN_BYTES) + RUN_CHUNKS * 512 + (3 + temporaries(layout)) * RUN_BYTES
    return encoded_bound(chunk) + (1 + temporaries(layout)) * chunk


def requests_at_once(nbytes: int) -> int:
    """Return how many requests of so many bytes are under way at once.

    >>> requests_at_once(4096), requests_at_once(2**20), requests_at_once(2**30)
    (64, 16, 2)
    """
    return max(2, min(MOST_REQUESTS, REQUEST_BYTES // max(1, nbytes)))


def puts_at_once(nbytes: int) -> int:
    """Return how many values of up to so many bytes are on their way to a store at once.

    >>> puts_at_once(2**16), puts_at_once(2**30)
    (64, 1)
    """
    return max(1, min(MOST_REQUESTS, REQUEST_BYTES // max(1, nbytes)))


def key_bound(layout: ArrayLayout) -> int:
    """Return a bound for the bytes of one stored key: a chunk, or a shard with all of its chunks and its index."""
    if layout.shards is None:
        return encoded_bound(layout.chunk_nbytes)
    count = math.prod(s // c for s, c in zip(layout.shards, layout.chunks, strict=True))
    return count * encoded_bound(layout.chunk_nbytes) + index_nbytes(layout) + 4


def move_side(source: ArrayLayout, target: ArrayLayout, *, verify: bool, remote: Remote) -> Side:
    """Return what moving encoded chunks takes: a thread reads one, copies it and makes a run of such copies.

    As many runs again wait for their turn, and one is being written. The digest decodes a run or a chunk.
    """
    chunk = encoded_bound(source.chunk_nbytes)
    run = max(chunk, RUN_BYTES)
    digesting = 2 * chunk + max(source.chunk_nbytes, RUN_BYTES) if verify else 0
    per_thread = 2 * chunk + 2 * run + digesting + 4 * index_nbytes(source)
    shared = run + 2 * index_nbytes(target)
    if remote.source and verify:
        shared += read_side(source, native=True, remote=remote.source).shared
    if remote.target:
        bound = key_bound(target)
        shared += (puts_at_once(remote.target * bound) * remote.target + 1) * bound
    return Side(per_thread=per_thread, shared=shared)


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


def pass_mem(arena: int, *, buffers: int, threads: int, read: Side, write: Side, held: int = 0) -> int:
    """Return the projected memory of a pass: ``buffers`` tiles of ``arena`` bytes and what the two ends hold.

    With two buffers one tile is read while another is written, so both ends count; with one they take turns.
    """
    both = read.mem(threads) + write.mem(threads)
    ends = both if buffers > 1 else max(read.mem(threads), write.mem(threads))
    return SLACK + held + buffers * arena + ends

"""The digest of a store: every chunk decoded once, in memory that does not grow with the store."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from zarrmill.digest import Share
from zarrmill.errors import NotFoundError
from zarrmill.execute.executors import place
from zarrmill.execute.opening import StoredArray, open_reader
from zarrmill.execute.workshop import MemoryMeter
from zarrmill.grid import ChunkGrid, Region
from zarrmill.hierarchy import Hierarchy, read_hierarchy
from zarrmill.layout import ArrayLayout
from zarrmill.metadata import layout_of
from zarrmill.plan.array_plan import group_tiles
from zarrmill.progress import BlockAdvanced, BlockFinished, Progress, RunFinished, RunStarted, StageStarted, silent
from zarrmill.store import OpenedStore, open_store, options_for

REGION_BYTES = 64 * 2**20
"""Decoded bytes that are read between two messages of progress: a tenth of a second of work."""
REGION_CHUNKS = 16_384
"""Chunks that are listed at once: small chunks have coordinates that are larger than they."""
CHUNKS_PER_THREAD = 4
"""Chunks of a region for each thread, so that none waits long for the others at its end."""


@dataclass(frozen=True, slots=True)
class DigestReport:
    """Digests of a store."""

    location: str
    """What was read."""
    digest: str
    """Digest of the whole: of the only array, or of all digests with their paths."""
    arrays: dict[str, str]
    """Digest by path of the array, "" for the root."""

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


def digest(
    location: Any,
    *,
    arrays: Sequence[str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> str:
    """Return the digest of the values of a store, the same for every layout of the same values.

    It guards against faults, not against forgery, and tells nothing of attributes. ``arrays`` names the paths wanted,
    by default all; ``storage_options`` are those of ``open_store``. A thread holds one encoded and one decoded chunk,
    and from a store some 16 MiB of chunks come ahead. Raises NotFoundError, SourceFormatError.

    >>> import zarr, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> for name, chunks in (("a", (1, 6)), ("b", (4, 2))):
    ...     zarr.create_array(f"{folder}/{name}", shape=(4, 6), chunks=chunks, dtype="i4")[:] = 7
    >>> digest(f"{folder}/a") == digest(f"{folder}/b")
    True
    """
    return digest_report(location, arrays=arrays, storage_options=storage_options, progress=progress).digest


def digest_report(
    location: Any,
    *,
    arrays: Sequence[str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> DigestReport:
    """Return the digests of a store and of its arrays; see ``digest``."""
    begun, tell, meter = time.perf_counter(), progress or silent, MemoryMeter()
    opened = open_store(location, storage_options=options_for("source", storage_options))
    stored = stored_arrays(opened, read_hierarchy(opened), arrays)
    tell(RunStarted(1, len(stored), sum(array.layout.nbytes for array in stored.values()), 0, 0, 0, 1))
    tell(StageStarted(0, "digest", len(stored)))
    threads = place("threads").threads
    digests = {}
    with ThreadPoolExecutor(threads, thread_name_prefix="zarrmill") as pool:
        for path, array in stored.items():
            total = digest_region(array, whole(array), pool, threads, advance_by(tell, meter))
            digests[path] = array.digest().text(total)
            tell(BlockFinished(path or "array", 0, meter.now(), meter.peak()))
    tell(RunFinished(time.perf_counter() - begun, meter.peak()))
    return DigestReport(opened.location, store_digest(digests), digests)


def store_digest(digests: Mapping[str, str]) -> str:
    """Return one digest for the arrays of a store, given theirs by path; a single root array's is its own."""
    if list(digests) == [""]:
        return digests[""]
    text = json.dumps(sorted(digests.items()))
    return f"zm1:{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"


def stored_arrays(
    opened: OpenedStore, hierarchy: Hierarchy, paths: Sequence[str] | None = None
) -> dict[str, StoredArray]:
    """Return arrays of a hierarchy by path, parents first: those of ``paths``, all by default.

    Raises NotFoundError for a path that has none, SourceFormatError for metadata that cannot be read.
    """
    nodes = hierarchy.arrays
    wanted = nodes if paths is None else [path.strip("/") for path in paths]
    for path in wanted:
        if path not in nodes:
            raise NotFoundError(f"array {path!r} is not in {opened.location}. It has {sorted(nodes)}.")
    return {
        path: StoredArray(opened, path, node.metadata, layout_of(node))
        for path, node in nodes.items()
        if path in wanted
    }


def whole(array: StoredArray) -> Region:
    """Return the region of a whole array."""
    return Region.whole(array.layout.shape)


def advance_by(tell: Progress, meter: MemoryMeter) -> Callable[[int], None]:
    """Return what tells of bytes done, with the memory at that moment."""
    return lambda nbytes: tell(BlockAdvanced(nbytes, meter.now(), meter.peak()))


def digest_region(
    array: StoredArray, region: Region, pool: ThreadPoolExecutor, threads: int, advance: Callable[[int], None]
) -> Share:
    """Return the digest share of a region; every chunk that touches it is decoded once.

    ``advance`` is told of the decoded bytes of the region as they are read. Raises SourceFormatError.
    """
    reader, total = open_reader(array, digest=True), Share.zero()
    for part in read_regions(array.layout, region, threads=threads):
        total += reader.digest(part, pool, threads).share
        advance(part.size * array.layout.itemsize)
    return total


def read_regions(layout: ArrayLayout, region: Region, *, threads: int) -> Iterator[Region]:
    """Yield parts of a region that share no chunk, shard after shard, each a moment's work.

    Small shards are taken together and large ones divided.

    >>> layout = ArrayLayout(shape=(10**6, 10), dtype="float64", itemsize=8, chunks=(1000, 10), shards=(10**6, 10))
    >>> [part.shape for part in read_regions(layout, Region((0, 0), (10**6, 5)), threads=2)]
    [(838000, 5), (162000, 5)]
    """
    clipped = tuple(min(c, max(1, n)) for c, n in zip(layout.chunks, layout.shape, strict=True))
    chunk_nbytes = max(1, math.prod(clipped) * layout.itemsize)
    aim = min(max(REGION_BYTES, CHUNKS_PER_THREAD * threads * chunk_nbytes), REGION_CHUNKS * chunk_nbytes)
    shards = group_tiles(layout.shape, layout.chunks, layout.write_chunk, itemsize=layout.itemsize, aim=aim)
    step = shards
    if math.prod(shards) * layout.itemsize > aim:
        step = group_tiles(layout.write_chunk, layout.chunks, None, itemsize=layout.itemsize, aim=aim)
    outer = ChunkGrid.over(layout.shape, shards)
    for shard in outer.coords(region):
        inner = ChunkGrid(outer.region(shard), step)
        common = inner.domain.intersect(region)
        for coord in inner.coords(common):
            part = inner.region(coord).intersect(region)
            if part is not None:
                yield part
